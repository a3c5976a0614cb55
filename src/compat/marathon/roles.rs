//! Which role an app may have (docs/compat/marathon.md, "Roles").

use std::collections::BTreeSet;

use super::settings::Settings;
use crate::{
    core::State,
    model::{
        path::{AppId, PathId},
        workload::WorkloadSpec,
    },
};

/// The roles an app may have, and the one it gets when it names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    pub valid: BTreeSet<String>,
    pub default: String,
}

/// The rule for `app`. `enforce` is what the request itself says about the top-level group.
pub fn of(
    state: &State,
    settings: &Settings,
    app: &AppId,
    enforce: Option<bool>,
    current: Option<&WorkloadSpec>,
) -> Roles {
    let own = settings.mesos_role.clone();
    let mut roles = match app.top().filter(|_| app.segments().count() > 1) {
        None => Roles { valid: BTreeSet::from([own.clone()]), default: own },
        Some(top) => {
            let group = state.groups.get(&PathId::parse(top));
            let enforces = enforce
                .or(group.map(|g| g.enforce_role))
                .unwrap_or(settings.new_group_enforce_role);
            let top = top.to_owned();
            if enforces {
                Roles { valid: BTreeSet::from([top.clone()]), default: top }
            } else {
                Roles { valid: BTreeSet::from([own.clone(), top]), default: own }
            }
        }
    };
    roles.valid.extend(current.map(|spec| spec.run.role.to_string()));
    roles
}
