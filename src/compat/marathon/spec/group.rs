//! Groups as a client sends them.

use super::app::{App, Stamp};
use crate::compat::marathon::json::{At, Read};

/// A group, or a change of one. A list left out keeps what is there, one that is sent replaces it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupUpdate {
    /// Absolute, or relative to the enclosing group.
    pub id: Option<String>,
    pub apps: Option<Vec<App>>,
    pub groups: Option<Vec<Self>>,
    pub dependencies: Option<Vec<String>>,
    pub enforce_role: Option<bool>,
    /// Multiplies the instances of every app below. Must stand alone.
    pub scale_by: Option<f64>,
    /// Brings back what the group was then. Must stand alone.
    pub version: Option<Stamp>,
}

impl GroupUpdate {
    /// Whether nothing but `id` and the option in question is set.
    pub fn is_only(&self, option: &Self) -> bool {
        Self { id: None, ..self.clone() } == *option
    }
}

impl Read for GroupUpdate {
    fn read(at: At<'_>) -> Option<Self> {
        let o = at.object()?;
        Some(Self {
            id: o.opt_with("id", |at| at.text(1, usize::MAX)),
            apps: o.opt_with("apps", |at| at.list(App::read_whole)),
            groups: o.opt_with("groups", |at| at.list(read_nested)),
            dependencies: o.opt("dependencies"),
            enforce_role: o.opt("enforceRole"),
            scale_by: o.opt_with("scaleBy", |at| at.number(0.0, f64::MAX)),
            version: o.opt("version"),
        })
    }
}

/// A group inside another must say which.
fn read_nested(at: At<'_>) -> Option<GroupUpdate> {
    let id = at.object()?.defined("id", |at| at.text(1, usize::MAX));
    let group = GroupUpdate::read(at);
    id.and(group)
}
