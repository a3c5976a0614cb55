//! From a client's definition to the workload the log gets: role, defaults, rules, model.

use super::{
    convert,
    error::Error,
    json::Violations,
    normalize, roles,
    settings::Settings,
    spec::{App, Pod},
    validate::{self, Context},
};
use crate::{
    base::limit,
    core::{State, apply::too_large},
    model::{
        path::{AppId, PathId},
        workload::WorkloadSpec,
    },
};

/// A definition that is complete and keeps all rules.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub app: App,
    pub spec: WorkloadSpec,
}

/// What a definition is judged by.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub state: &'a State,
    pub settings: &'a Settings,
    pub force: bool,
    /// What the request says about the role of the app's top-level group.
    pub enforce_role: Option<bool>,
}

impl<'a> World<'a> {
    pub fn new(state: &'a State, settings: &'a Settings, force: bool) -> Self {
        Self { state, settings, force, enforce_role: None }
    }

    /// Completes a definition that may hold deprecated fields and checks it; what is there now
    /// does not matter to it.
    pub fn whole(&self, id: &AppId, mut app: App) -> Result<Prepared, Error> {
        normalize::migrate(&mut app, self.settings)?;
        self.finish(id, app).map_err(Error::Rules)
    }

    /// Lays a partial definition over what is there now, or over nothing.
    pub fn update(&self, id: &AppId, mut update: App) -> Result<Prepared, Error> {
        normalize::migrate(&mut update, self.settings)?;
        let app = match self.state.spec(id) {
            Some(spec) => normalize::overlay(convert::app(spec), update),
            None => update,
        };
        self.finish(id, app).map_err(Error::Rules)
    }

    /// Completes a pod and checks it.
    pub fn pod(&self, id: &AppId, mut pod: Pod) -> Result<WorkloadSpec, Error> {
        let current = self.state.spec(id).map(|spec| &**spec);
        let roles = roles::of(self.state, self.settings, id, self.enforce_role, current);
        pod.id = id.to_string();
        pod.role.get_or_insert_with(|| {
            current.map_or(roles.default.clone(), |spec| spec.run.role.to_string())
        });
        normalize::pod::complete(&mut pod, self.settings);
        validate::pod::validate(&pod, &self.context(&roles, current))
            .into_result()
            .map_err(Error::Rules)?;
        let spec = convert::pod_workload(pod);
        check_bytes(&spec).map_err(Error::Rules)?;
        Ok(spec)
    }

    fn context<'b>(
        &'b self,
        roles: &'b roles::Roles,
        current: Option<&'b WorkloadSpec>,
    ) -> Context<'b> {
        let role_pinned = current.filter(|_| !self.force).map(|spec| spec.run.role.as_str());
        Context { settings: self.settings, roles: &roles.valid, role_pinned }
    }

    /// Completes a migrated definition and checks it.
    pub fn finish(&self, id: &AppId, mut app: App) -> Result<Prepared, Violations> {
        let current = self.state.spec(id);
        let roles =
            roles::of(self.state, self.settings, id, self.enforce_role, current.map(|s| &**s));
        app.id = Some(id.to_string());
        app.version = None;
        app.version_info = None;
        app.role.get_or_insert_with(|| {
            current.map_or(roles.default.clone(), |spec| spec.run.role.to_string())
        });
        for dependency in app.dependencies.iter_mut().flatten() {
            *dependency = absolute(dependency, id).to_string();
        }
        normalize::complete(&mut app, self.settings);
        let context = self.context(&roles, current.map(|spec| &**spec));
        validate::validate(&app, &context).into_result()?;
        resident_change(current.map(|s| &**s), &app)?;
        let mut spec = convert::workload(app.clone());
        if let Some(current) = current {
            keep_any(current, &mut spec);
        }
        check_bytes(&spec)?;
        // The way through the model drops what means nothing, so that the answer to a POST and a
        // later GET agree.
        let shown = App { version: None, version_info: None, ..convert::app(&spec) };
        Ok(Prepared { app: shown, spec })
    }
}

/// That a definition is no larger than any may be.
fn check_bytes(spec: &WorkloadSpec) -> Result<(), Violations> {
    let n_bytes = spec.stored_bytes();
    let mut v = Violations::default();
    if n_bytes > limit::DEFINITION_BYTES_MAX {
        v.add("/", too_large(n_bytes));
    }
    v.into_result()
}

/// A dependency as an absolute path: `../db` is relative to the app itself, `db` to its group.
fn absolute(dependency: &str, app: &AppId) -> PathId {
    if dependency.starts_with('.') {
        PathId::parse_below(dependency, app)
    } else {
        PathId::parse_below(dependency, &app.parent())
    }
}

/// With `requirePorts` a port that was asked for as "any" is shown with the service port it was given.
/// Who sends that back, or only changes the number of instances, does not ask for that port of a node.
fn keep_any(current: &WorkloadSpec, spec: &mut WorkloadSpec) {
    if !(current.require_ports && spec.require_ports) {
        return;
    }
    let ports = spec.run_mut().containers.iter_mut().flat_map(|c| &mut c.ports);
    for (old, new) in current.run.ports().zip(ports) {
        if old.host_port == Some(0) && old.service_port == new.service_port {
            new.host_port = Some(0);
        }
    }
}

/// What an app with persistent volumes holds on its node cannot change.
fn resident_change(current: Option<&WorkloadSpec>, app: &App) -> Result<(), Violations> {
    let Some(current) = current.filter(|spec| spec.run.is_resident()) else { return Ok(()) };
    let old = convert::app(current);
    let volumes = |app: &App| {
        let all = app.container.iter().flat_map(|c| c.volumes.clone());
        all.filter(|v| v.persistent.is_some()).collect::<Vec<_>>()
    };
    let mut v = Violations::default();
    if normalize::is_resident(app) {
        let same = volumes(&old) == volumes(app);
        v.check(same, "/", "Persistent volumes can not be changed!");
    }
    let same = (old.cpus, old.mem, old.disk, old.gpus) == (app.cpus, app.mem, app.disk, app.gpus);
    v.check(same, "/", "Resident Tasks may not change resource requirements!");
    let same = old.require_ports == app.require_ports;
    v.check(same, "/", "Resident Tasks may not change host port requirements!");
    v.into_result()
}

#[cfg(test)]
mod tests;
