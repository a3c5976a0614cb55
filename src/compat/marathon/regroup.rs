//! Edits of apps and groups, and how a group that a client sent becomes some.
//!
//! A list that is sent replaces the one that is there: apps and groups it does not name go. Pods
//! always stay; they have their own routes (docs/compat/marathon.md, "Groups").

use std::{collections::BTreeSet, sync::Arc};

use super::{
    error::Error,
    json::Violations,
    normalize,
    prepare::World,
    spec::{App, group::GroupUpdate},
    validate,
};
use crate::{
    base::clock::Timestamp,
    core::{
        command::{Edit, Expect, GroupChange, GroupEdit},
        state::Group,
    },
    model::{
        path::{AppId, GroupId, PathId},
        workload::{Kind, WorkloadSpec},
    },
};

/// An edit of one app that holds only for what the caller has seen.
pub fn edit(
    id: &AppId,
    new: Option<WorkloadSpec>,
    expect: Expect,
    base: Option<Timestamp>,
) -> Edit {
    Edit { id: id.clone(), new, expect, base, restart: false }
}

/// What a group update comes to.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    pub apps: Vec<Edit>,
    pub groups: Vec<GroupEdit>,
}

/// The edits that turn the group at `id` into what `update` says.
pub fn edits(world: World<'_>, id: &GroupId, update: &GroupUpdate) -> Result<Edits, Error> {
    if let Some(version) = &update.version {
        let alone = GroupUpdate { version: update.version, ..GroupUpdate::default() };
        alone_or(update, &alone, "version")?;
        return restored(&world, id, version.0);
    }
    if let Some(factor) = update.scale_by {
        let alone = GroupUpdate { scale_by: update.scale_by, ..GroupUpdate::default() };
        alone_or(update, &alone, "scaleBy")?;
        return Ok(Edits { apps: scaled(&world, id, factor), groups: Vec::new() });
    }
    let mut walk = Walk { world, edits: Edits::default(), violations: Violations::default() };
    walk.group(id, update, "")?;
    walk.role_alone(id, update);
    walk.violations.into_result().map_err(Error::Rules)?;
    Ok(walk.edits)
}

fn alone_or(update: &GroupUpdate, alone: &GroupUpdate, name: &str) -> Result<(), Error> {
    if update.is_only(alone) {
        return Ok(());
    }
    Err(Error::rule("/", format!("The '{name}' field may only be combined with the 'id' field.")))
}

/// The edits that bring a group back to what it was in a version.
fn restored(world: &World<'_>, id: &GroupId, version: Timestamp) -> Result<Edits, Error> {
    let now = world.state;
    let then = now.in_version(id, version).ok_or_else(|| missing_version(id, version))?;
    let below = now.apps.range(id.range_below()).map(|(_, app)| app);
    let gone = below.filter(|app| !then.apps.contains_key(&app.id));
    // What goes makes room first: a group may stand where an app stood, and the other way round.
    let gone = gone.map(|app| edit(&app.id, None, Expect::Any, Some(app.spec.version)));
    let back = then.apps.values().map(|app| {
        let current = now.spec(&app.id).map(|spec| spec.version);
        let expect = if current.is_some() { Expect::Present } else { Expect::Absent };
        edit(&app.id, Some((*app.spec).clone()), expect, current)
    });
    let apps = gone.chain(back).collect();
    let put = then.groups.values().filter_map(|group| {
        let same = |now: &Arc<Group>| {
            now.dependencies == group.dependencies && now.enforce_role == group.enforce_role
        };
        let (dependencies, enforce_role) = (group.dependencies.clone(), group.enforce_role);
        let (dependencies, enforce_role) = (Some(dependencies), Some(enforce_role));
        let change = GroupChange::Put { dependencies, enforce_role };
        let differs = !now.groups.get(&group.id).is_some_and(same);
        differs.then(|| GroupEdit { id: group.id.clone(), change })
    });
    // A group takes those below it along.
    let goes = |group: &GroupId| group.is_below(id) && !then.groups.contains_key(group);
    let below = now.groups.range(id.range_below()).map(|(group, _)| group);
    let gone = below.filter(|group| goes(group) && !goes(&group.parent()));
    let gone = gone.map(|group| GroupEdit { id: group.clone(), change: GroupChange::Delete });
    Ok(Edits { apps, groups: put.chain(gone).collect() })
}

/// A version of a group that nobody remembers.
pub fn missing_version(id: &GroupId, version: Timestamp) -> Error {
    Error::NotFound(format!("Group '{id}' does not exist in version {version}"))
}

/// Every app below, with `ceil(instances × factor)` instances.
fn scaled(world: &World<'_>, id: &GroupId, factor: f64) -> Vec<Edit> {
    let below = world.state.apps.values().filter(|app| app.id.is_below(id));
    below
        .filter(|app| app.spec.run.kind == Kind::App)
        .map(|app| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
            let instances = (f64::from(app.spec.instances) * factor).ceil() as u32;
            let spec = WorkloadSpec { instances, ..(*app.spec).clone() };
            edit(&app.id, Some(spec), Expect::Present, Some(app.spec.version))
        })
        .collect()
}

struct Walk<'a> {
    world: World<'a>,
    edits: Edits,
    violations: Violations,
}

impl Walk<'_> {
    /// One group of the update; `path` is where it stands in the body.
    fn group(&mut self, id: &GroupId, update: &GroupUpdate, path: &str) -> Result<(), Error> {
        if !id.is_root() {
            let mut v = Violations::default();
            validate::reference(id, "/id", &mut v);
            self.violations.add_below(path, v);
        }
        let is_top = id.segments().count() == 1;
        if update.enforce_role.is_some() && !is_top {
            let text = "enforceRole can only be set on top-level groups";
            self.violations.add(format!("{path}/enforceRole"), text);
        }
        let around = self.world.enforce_role;
        if is_top {
            self.world.enforce_role = update.enforce_role;
        }
        let absolute = |text: &String| PathId::parse_below(text, id);
        let dependencies: Option<BTreeSet<PathId>> =
            update.dependencies.as_ref().map(|list| list.iter().map(absolute).collect());
        let enforce_role = update.enforce_role.filter(|_| is_top);
        let change = GroupChange::Put { dependencies, enforce_role };
        self.edits.groups.push(GroupEdit { id: id.clone(), change });
        if let Some(apps) = &update.apps {
            self.apps(id, apps, path)?;
        }
        if let Some(groups) = &update.groups {
            self.groups(id, groups, path)?;
        }
        self.world.enforce_role = around; // the next group is another one
        Ok(())
    }

    fn apps(&mut self, group: &GroupId, apps: &[App], path: &str) -> Result<(), Error> {
        let mut kept = BTreeSet::new();
        for (i, app) in apps.iter().enumerate() {
            let path = format!("{path}/apps({i})");
            let id = PathId::parse_below(app.id.as_deref().unwrap_or_default(), group);
            if id.parent() != *group {
                self.violations.add(format!("{path}/id"), not_below(&id, group));
                continue;
            }
            if !kept.insert(id.clone()) {
                self.violations.add(path, format!("{id} is defined twice"));
                continue;
            }
            let mut app = app.clone();
            normalize::migrate(&mut app, self.world.settings)?;
            let current = self.world.state.spec(&id);
            match self.world.finish(&id, app) {
                Ok(prepared) => {
                    let expect = if current.is_some() { Expect::Present } else { Expect::Absent };
                    let base = current.map(|spec| spec.version);
                    self.edits.apps.push(edit(&id, Some(prepared.spec), expect, base));
                }
                Err(found) => self.violations.add_below(&path, found),
            }
        }
        let below = self.world.state.apps.range(group.range_below()).map(|(_, app)| app);
        let present = below.filter(|app| app.id.parent() == *group);
        for app in present.filter(|app| app.spec.run.kind == Kind::App && !kept.contains(&app.id)) {
            self.edits.apps.push(edit(&app.id, None, Expect::Any, None));
        }
        Ok(())
    }

    fn groups(
        &mut self,
        parent: &GroupId,
        groups: &[GroupUpdate],
        path: &str,
    ) -> Result<(), Error> {
        let mut kept = BTreeSet::new();
        for (i, group) in groups.iter().enumerate() {
            let path = format!("{path}/groups({i})");
            let id = PathId::parse_below(group.id.as_deref().unwrap_or_default(), parent);
            if id.is_below(parent) {
                self.group(&id, group, &path)?;
                kept.insert(id);
            } else {
                self.violations.add(format!("{path}/id"), not_below(&id, parent));
            }
        }
        let below = self.world.state.groups.range(parent.range_below()).map(|(id, _)| id);
        let present = below.filter(|g| g.parent() == *parent);
        let is_kept = |group: &GroupId| {
            kept.contains(group) || kept.range(group.range_below()).next().is_some()
        };
        for group in present.filter(|g| !g.is_root() && !is_kept(g)) {
            let mut gone = removal(&self.world, group);
            self.edits.apps.append(&mut gone.apps);
            self.edits.groups.append(&mut gone.groups);
        }
        Ok(())
    }

    /// A changed role rule and changed services go in requests of their own.
    fn role_alone(&mut self, id: &GroupId, update: &GroupUpdate) {
        let Some(wanted) = update.enforce_role else { return };
        let current = self.world.state.groups.get(id).map(|group| group.enforce_role);
        let is_change = current.is_some_and(|current| current != wanted);
        let changes_service = |edit: &Edit| match (&edit.new, self.world.state.spec(&edit.id)) {
            (Some(new), Some(old)) => differs(old, new),
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        };
        if is_change && self.edits.apps.iter().any(changes_service) {
            let text = "enforceRole and services can not be changed in one request";
            self.violations.add("/enforceRole", text);
        }
    }
}

/// Whether a definition changes its app; ports without a number keep the ones they were given.
fn differs(old: &WorkloadSpec, new: &WorkloadSpec) -> bool {
    let mut new = new.clone();
    let ports = new.run_mut().containers.iter_mut().flat_map(|c| &mut c.ports);
    for (given, port) in old.run.ports().zip(ports).filter(|(_, port)| port.service_port == 0) {
        port.service_port = given.service_port;
    }
    old.config_differs(&new) || old.instances != new.instances
}

fn not_below(id: &PathId, parent: &GroupId) -> String {
    format!("identifier {id} is not child of {parent}. Hint: use relative paths.")
}

/// Removes a group with everything in it; one that holds pods keeps those, and itself.
pub fn removal(world: &World<'_>, group: &GroupId) -> Edits {
    let below = || world.state.apps.range(group.range_below()).map(|(_, app)| app);
    if below().any(|app| app.spec.run.kind == Kind::Pod) {
        let apps = below().filter(|app| app.spec.run.kind == Kind::App);
        let edits = apps.map(|app| edit(&app.id, None, Expect::Any, None));
        return Edits { apps: edits.collect(), groups: Vec::new() };
    }
    let gone = GroupEdit { id: group.clone(), change: GroupChange::Delete };
    Edits { apps: Vec::new(), groups: vec![gone] }
}

#[cfg(test)]
mod tests;
