//! Definitions of workloads as their authors write them: a dialect lends the others how they are read
//! and described.

use serde::Serialize;
use serde_json::Value;

use crate::core::{State, command::Edit};

/// Something that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// JSON pointer to the place; empty for the whole.
    pub path: String,
    /// A sentence that names the field.
    pub message: String,
}

/// A dialect of definitions.
pub trait Definitions: Send + Sync + 'static {
    /// What may stand in a definition, as a JSON schema.
    fn schema(&self) -> &Value;

    /// Fields of a definition that mean nothing, as JSON pointers.
    fn unknown(&self, definition: &Value) -> Vec<String>;

    /// The change that a definition would be in place of what is there.
    ///
    /// # Errors
    /// When the definition is refused whatever the state is.
    fn edit(&self, state: &State, definition: &Value) -> Result<Edit, Vec<Fault>>;
}
