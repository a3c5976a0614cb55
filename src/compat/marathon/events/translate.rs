//! Changes to events, in the order in which the original tells them.

use serde_json::{Value, json};

use super::{Announcement, Request, Told, event::Event};
use crate::{
    base::clock::Timestamp,
    compat::marathon::{convert, render},
    core::{
        Change, State,
        change::End,
        state::{App, TaskFailure},
    },
    model::{
        deployment::{Deployment, DeploymentId},
        instance::{Condition, ContainerStatus, Goal, Instance},
        path::{AppId, PathId},
        workload::{Kind, WorkloadSpec},
    },
};

/// The events of one batch of changes; `state` is the one right after them, `announced` the word that was left for
/// a deployment that begins in it.
pub fn translate(
    changes: &[Change],
    state: &State,
    at: Timestamp,
    mut announced: impl FnMut(&DeploymentId) -> Option<Announcement>,
) -> Vec<Event> {
    let mut events = Events { list: Vec::new(), held: Vec::new(), state, at };
    for change in changes {
        match change {
            Change::Deployment { id, old, new, end } => {
                let starts = old.is_none() && new.is_some();
                let word = starts.then(|| announced(id)).flatten();
                events.deployment(old.as_deref(), new.as_deref(), end.as_ref(), word);
            }
            Change::Instance { old, new, .. } => {
                events.release();
                events.instance(old.as_deref(), new.as_deref());
            }
            Change::App { id, old, new } => events.app(id, old.as_deref(), new.as_deref()),
            _ => {}
        }
    }
    events.release();
    events.list
}

struct Events<'a> {
    list: Vec<Event>,
    /// Events of definitions. A command writes those before the deployment that they belong to,
    /// the original tells them after it.
    held: Vec<Event>,
    state: &'a State,
    at: Timestamp,
}

impl Events<'_> {
    fn push(&mut self, kind: &'static str, fields: Value) {
        self.list.push(Event::new(kind, self.at, fields));
    }

    fn hold(&mut self, kind: &'static str, fields: Value) {
        self.held.push(Event::new(kind, self.at, fields));
    }

    fn release(&mut self) {
        self.list.append(&mut self.held);
    }

    fn deployment(
        &mut self,
        old: Option<&Deployment>,
        new: Option<&Deployment>,
        end: Option<&End>,
        announced: Option<Announcement>,
    ) {
        match (old, new) {
            (None, Some(new)) => {
                self.started(new, announced);
                self.step("deployment_info", new);
            }
            (Some(old), Some(new)) if old.current_step != new.current_step => {
                self.step("deployment_step_success", old);
                self.step("deployment_info", new);
            }
            (Some(old), None) => self.ended(old, end),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    fn started(&mut self, deployment: &Deployment, announced: Option<Announcement>) {
        if let Some(Request { client, path, told }) =
            announced.as_ref().and_then(|a| a.request.clone())
        {
            let mut fields = json!({ "clientIp": client, "uri": path });
            match told {
                Told::App(app) => {
                    fields["appDefinition"] = serde_json::from_str(&app).unwrap_or_default();
                    self.push("api_post_event", fields);
                }
                Told::Pod(event) => self.push(event, fields),
            }
        }
        let group = announced.map_or_else(|| group_of(deployment), |a| a.group);
        let version = deployment.version.to_string();
        self.push("group_change_success", json!({ "groupId": group.as_str(), "version": version }));
    }

    /// An event about the step a deployment is in; nothing before its first and after its last.
    fn step(&mut self, kind: &'static str, deployment: &Deployment) {
        let Some(step) = deployment.step() else { return };
        let current = json!({ "actions": actions(deployment, &step.actions) });
        self.push(kind, json!({ "plan": plan(deployment), "currentStep": current }));
    }

    fn ended(&mut self, deployment: &Deployment, end: Option<&End>) {
        let id = deployment.id.as_str();
        match end {
            Some(End::Cancelled(reason)) => self.push(
                "deployment_failed",
                json!({ "id": id, "plan": plan(deployment), "reason": reason }),
            ),
            Some(End::Success) | None => {
                self.step("deployment_step_success", deployment);
                self.push("deployment_success", json!({ "id": id, "plan": plan(deployment) }));
            }
        }
    }

    fn app(&mut self, id: &AppId, old: Option<&App>, new: Option<&App>) {
        let checks = |app: Option<&App>| {
            app.filter(|app| app.spec.run.kind == Kind::App)
                .map(|app| app.spec.clone())
                .filter(|spec| spec.run.has_health_checks())
        };
        let is_changed = old.map(|a| a.spec.version) != new.map(|a| a.spec.version);
        if new.is_none() && self.state.instances_of(id).next().is_none() {
            // Nothing runs that could be the last to go.
            self.hold("app_terminated_event", json!({ "appId": id.as_str() }));
        }
        if is_changed && checks(old).is_some() {
            self.hold("remove_health_check_event", json!({ "appId": id.as_str() }));
        }
        if let Some(spec) = checks(new).filter(|_| is_changed) {
            for check in spec.run.containers.iter().flat_map(|c| &c.health_checks) {
                self.hold(
                    "add_health_check_event",
                    json!({
                        "appId": id.as_str(),
                        "version": spec.version.to_string(),
                        "healthCheck": health_check(check),
                    }),
                );
            }
        }
        let failure = new.and_then(|app| app.last_failure.as_ref());
        let is_new = failure != old.and_then(|app| app.last_failure.as_ref());
        if let Some(failure) = failure.filter(|f| is_new && f.state == "TASK_KILLED") {
            self.unhealthy_kill(id, failure);
        }
    }

    fn unhealthy_kill(&mut self, app: &AppId, failure: &TaskFailure) {
        let mut fields = json!({
            "appId": app.as_str(),
            "taskId": failure.task_id,
            "instanceId": failure.instance.as_str(),
            "version": failure.version.to_string(),
            "reason": failure.message,
            "host": failure.hostname,
        });
        if let Some(node) = &failure.node {
            fields["slaveId"] = node.as_str().into();
        }
        self.hold("unhealthy_instance_kill_event", fields);
    }

    /// What became of an instance of an app or a pod; others are not Marathon's.
    fn instance(&mut self, old: Option<&Instance>, new: Option<&Instance>) {
        if new.or(old).is_none_or(|instance| instance.app().is_none()) {
            return;
        }
        let Some(new) = new else {
            if let Some(old) = old {
                self.forgotten(old);
            }
            return;
        };
        let before = old.map(|old| old.condition());
        if before != Some(new.condition()) {
            let was_starting = before == Some(Condition::Starting);
            if new.condition() == Condition::Running
                && before.is_some_and(is_launching)
                && !was_starting
            {
                self.status(new, Condition::Starting, None);
            }
            let of_it = |old: &&Instance| old.incarnation == new.incarnation;
            self.status(new, new.condition(), old.filter(of_it));
            self.condition(new);
        }
        let is_same = |old: &&Instance| old.incarnation == new.incarnation;
        if let Some(old) = old.filter(is_same).filter(|_| new.condition() == Condition::Running) {
            self.ended_containers(old, new);
            self.health(old, new);
        }
    }

    /// What an agent told about a task; conditions that no agent of the original tells are left out.
    /// Staging is one: there the first word was TASK_STARTING, right before TASK_RUNNING.
    fn status(&mut self, instance: &Instance, condition: Condition, before: Option<&Instance>) {
        if matches!(
            condition,
            Condition::Scheduled
                | Condition::Provisioned
                | Condition::Staging
                | Condition::UnreachableInactive
        ) {
            return;
        }
        let spec = self.state.spec_of(instance);
        let names: Vec<&str> = match spec {
            Some(spec) => spec.run.containers.iter().map(|c| c.name.as_str()).collect(),
            None => vec![""],
        };
        for name in names {
            match ended(instance, name) {
                Some(_) if before.is_some_and(|old| ended(old, name).is_some()) => {} // told
                Some(own) => self.task_status(instance, name, own.condition, &own.message),
                None => self.task_status(instance, name, condition, &instance.message),
            }
        }
    }

    /// Containers of a pod that have ended while others go on.
    fn ended_containers(&mut self, old: &Instance, new: &Instance) {
        for own in new.containers().iter().filter(|own| own.condition.is_terminal()) {
            if ended(old, &own.name).is_none() {
                self.task_status(new, &own.name, own.condition, &own.message);
            }
        }
    }

    fn task_status(&mut self, instance: &Instance, name: &str, condition: Condition, text: &str) {
        let Some(placement) = instance.placement() else { return };
        let fields = json!({
            "slaveId": placement.node.as_str(),
            "taskId": instance.task_id(name),
            "taskStatus": condition.task_state(),
            "message": text,
            "appId": instance.app().map(|app| app.as_str()),
            "host": placement.hostname,
            "ipAddresses": render::task::ip_addresses(instance, placement),
            "ports": placement.host_ports.iter().flatten().collect::<Vec<_>>(),
            "version": instance.version.to_string(),
        });
        self.push("status_update_event", fields);
    }

    fn condition(&mut self, instance: &Instance) {
        let mut fields = json!({
            "instanceId": instance.id.as_str(),
            "condition": instance.condition().name(),
            "runSpecId": instance.app().map(|app| app.as_str()),
        });
        if let Some(placement) = instance.placement() {
            fields["agentId"] = placement.node.as_str().into();
            fields["host"] = placement.hostname.as_str().into();
        }
        fields["runSpecVersion"] = instance.version.to_string().into();
        self.push("instance_changed_event", fields);
    }

    fn health(&mut self, old: &Instance, new: &Instance) {
        let spec = self.state.spec_of(new).cloned();
        let app = new.app().map(|app| app.as_str());
        for status in new.health() {
            let before = old.health().iter().find(|s| s.index == status.index);
            let n_before = before.map_or(0, |s| s.consecutive_failures);
            if status.consecutive_failures > n_before {
                let check = spec.as_deref().and_then(|spec| check_at(spec, status.index));
                let id = new.id.as_str();
                let fields = json!({ "appId": app, "taskId": id, "healthCheck": check });
                self.push("failed_health_check_event", fields);
            }
            if before.is_none_or(|before| before.alive != status.alive) {
                self.push(
                    "health_status_changed_event",
                    json!({
                        "appId": app,
                        "instanceId": new.id.as_str(),
                        "version": new.version.to_string(),
                        "alive": status.alive,
                    }),
                );
            }
        }
        let n = spec.map_or(0, |s| s.run.containers.iter().map(|c| c.health_checks.len()).sum());
        if old.healthy(n) != new.healthy(n) {
            let mut fields = json!({
                "instanceId": new.id.as_str(),
                "runSpecId": app,
                "runSpecVersion": new.version.to_string(),
            });
            if let Some(healthy) = new.healthy(n) {
                fields["healthy"] = healthy.into();
            }
            self.push("instance_health_changed_event", fields);
        }
    }

    /// An instance is gone for good; the last one of a removed app says so.
    fn forgotten(&mut self, old: &Instance) {
        let Some(app) = old.app() else { return };
        let is_last = self.state.instances_of(app).next().is_none();
        if is_last && old.goal != Goal::Running && !self.state.apps.contains_key(app) {
            self.push("app_terminated_event", json!({ "appId": app.as_str() }));
        }
    }
}

/// How a container of a pod has ended, if it has.
fn ended<'a>(instance: &'a Instance, name: &str) -> Option<&'a ContainerStatus> {
    instance.containers().iter().find(|own| own.name == name && own.condition.is_terminal())
}

/// On the way up, not yet running.
fn is_launching(condition: Condition) -> bool {
    matches!(condition, Condition::Provisioned | Condition::Staging | Condition::Starting)
}

/// The group whose content a deployment changes: the parent of its one app, else the root.
fn group_of(deployment: &Deployment) -> PathId {
    let mut apps = deployment.changes.keys();
    match (apps.next(), apps.next()) {
        (Some(app), None) => app.parent(),
        _ => PathId::root(),
    }
}

/// The light form of a plan: no group trees. Empty ones satisfy clients that insist on the keys.
fn plan(deployment: &Deployment) -> Value {
    let step = |step: &crate::model::deployment::Step| json!({ "actions": actions(deployment, &step.actions) });
    json!({
        "id": deployment.id.as_str(),
        "version": deployment.version.to_string(),
        "original": {},
        "target": {},
        "steps": deployment.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn actions(deployment: &Deployment, actions: &[crate::model::deployment::Action]) -> Vec<Value> {
    let value = |action| {
        serde_json::to_value(render::deployment::action(deployment, action)).unwrap_or_default()
    };
    actions.iter().map(value).collect()
}

fn health_check(check: &crate::model::container::HealthCheck) -> Value {
    serde_json::to_value(convert::health_check(check)).unwrap_or_default()
}

fn check_at(spec: &WorkloadSpec, index: u32) -> Option<Value> {
    let mut checks = spec.run.containers.iter().flat_map(|c| &c.health_checks);
    checks.nth(index as usize).map(health_check)
}
