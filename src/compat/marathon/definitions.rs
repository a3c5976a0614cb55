//! What this dialect lends others about definitions: schema, reading, faults in sentences.

use serde_json::Value;

use super::{
    error::Error,
    handlers::apps::updated,
    json,
    prepare::World,
    schema::{self, say},
    settings::Settings,
    spec::App,
};
use crate::{
    control::definitions::{Definitions, Fault},
    core::{State, command::Edit},
    model::path::PathId,
};

/// Definitions of this dialect.
#[derive(Clone, Debug, Default)]
pub struct Apps {
    settings: Settings,
}

impl Apps {
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

/// A definition that names its app.
struct Whole(App);

impl json::Read for Whole {
    fn read(at: json::At<'_>) -> Option<Self> {
        App::read_whole(at).map(Self)
    }
}

impl Definitions for Apps {
    fn schema(&self) -> &Value {
        schema::app()
    }

    fn unknown(&self, definition: &Value) -> Vec<String> {
        say::unknown(definition)
    }

    fn edit(&self, state: &State, definition: &Value) -> Result<Edit, Vec<Fault>> {
        let told = |violations| say::faults(&violations, definition);
        let Whole(app) = json::read(definition).map_err(told)?;
        let id = PathId::parse(app.id.as_deref().unwrap_or_default());
        // What comes with a look at a service is no wish.
        let app = App { version: None, ..app };
        let world = World::new(state, &self.settings, false);
        let edit = updated(&world, &id, app, false).map_err(|error| match error {
            Error::Types(violations) | Error::Rules(violations) => told(violations),
            other => vec![Fault { path: String::new(), message: other.to_string() }],
        })?;
        let (max, n) = (self.settings.instances_max, edit.new.as_ref().map_or(0, |s| s.instances));
        if n > max {
            let message = format!(
                "instances must be at most {max} (setting max_instances_per_app), found {n}"
            );
            return Err(vec![Fault { path: "/instances".to_owned(), message }]);
        }
        Ok(edit)
    }
}
