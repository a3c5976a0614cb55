//! Tasks: of one app, of all apps; killing them, with or without scaling down.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use http::StatusCode;
use serde::Serialize;

use super::{apps, ok, put_apps, started};
use crate::{
    base::limit,
    compat::marathon::{
        error::Error,
        json::{At, Read},
        regroup::edit,
        render::task::{self, Task},
        request,
        service::Marathon,
    },
    core::{
        State, TaskCommand,
        command::{Expect, PutApps},
        state::App,
    },
    http::{Call, Response, auth::Principal},
    model::{
        deployment::DeploymentId,
        instance::{Condition, Instance, InstanceId, KillReason},
        path::AppId,
    },
};

#[derive(Serialize)]
struct Tasks<'a> {
    tasks: Vec<Task<'a>>,
}

/// How tasks are to be killed.
#[derive(Clone, Copy)]
struct Kill {
    scale: bool,
    force: bool,
    wipe: bool,
}

impl Kill {
    fn of(call: &Call) -> Result<Self, Error> {
        let flag = |key| request::flag(call, key, false);
        let kill = Self { scale: flag("scale"), force: flag("force"), wipe: flag("wipe") };
        if kill.scale && kill.wipe {
            let text = "You cannot use scale and wipe at the same time.";
            return Err(Error::BadRequest(text.to_owned()));
        }
        Ok(kill)
    }
}

/// `GET /v2/apps/{id}/tasks` and `GET /v2/apps/{group}/*/tasks`.
pub async fn of_app(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let state = marathon.state();
    let tasks = match apps::group_of(call.param("id")) {
        Some(group) => {
            let below = apps::apps(&state).filter(|app| app.id.is_below(&group));
            below.flat_map(|app| task::of_app(&state, &app.spec)).collect()
        }
        None => task::of_app(&state, &apps::app(&state, &request::id(&call))?.spec),
    };
    Ok(ok(&Tasks { tasks }))
}

/// `GET /v2/tasks`.
pub async fn list(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let query = call.query();
    let wanted: Vec<&str> = query
        .all("status")
        .chain(query.all("status[]"))
        .filter(|status| ["running", "staging"].iter().any(|s| s.eq_ignore_ascii_case(status)))
        .collect();
    let takes = |task: &Task<'_>| {
        wanted.is_empty()
            || wanted.iter().any(|status| {
                task.state.strip_prefix("TASK_").is_some_and(|s| s.eq_ignore_ascii_case(status))
            })
    };
    let state = marathon.state();
    let tasks = apps::apps(&state).flat_map(|app| task::of_app(&state, &app.spec)).filter(takes);
    Ok(ok(&Tasks { tasks: tasks.collect() }))
}

/// `DELETE /v2/apps/{id}/tasks`.
pub async fn kill_all(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let kill = Kill::of(&call)?;
    let state = marathon.state();
    let app = apps::app(&state, &request::id(&call))?;
    let query = call.query();
    let host = query.get("host").filter(|host| *host != "*");
    let of_host = |i: &&Arc<Instance>| {
        let placement = i.placement();
        placement.is_some_and(|p| host.is_none_or(|host| p.hostname == host))
    };
    let chosen: Vec<Arc<Instance>> = state.instances_of(&app.id).filter(of_host).cloned().collect();
    if kill.scale {
        return scale_down(
            &marathon,
            &call.principal,
            kill.force,
            &[(app.id.clone(), ids(&chosen))],
        )
        .await;
    }
    end(&marathon, &call.principal, &chosen, kill.wipe).await?;
    Ok(ok(&Tasks { tasks: shown(&state, app, &chosen) }))
}

/// `DELETE /v2/apps/{id}/tasks/{taskId}`.
pub async fn kill_one(marathon: Arc<Marathon>, call: Call) -> Result<Response, Error> {
    let kill = Kill::of(&call)?;
    let state = marathon.state();
    let app = apps::app(&state, &request::id(&call))?;
    let text = call.param("taskId");
    let instance = instance_id(text)
        .and_then(|id| state.instances.get(&id).cloned())
        .filter(|instance| instance.app() == Some(&app.id) && instance.placement().is_some())
        .ok_or_else(|| Error::NotFound(format!("Task '{text}' does not exist")))?;
    if kill.scale {
        let scaled = [(app.id.clone(), BTreeSet::from([instance.id.clone()]))];
        return scale_down(&marathon, &call.principal, kill.force, &scaled).await;
    }
    let chosen = [instance];
    end(&marathon, &call.principal, &chosen, kill.wipe).await?;
    let shown = shown(&state, app, &chosen).into_iter().next();
    Ok(ok(&apps::json_of("task", &shown)))
}

/// The body of `POST /v2/tasks/delete`.
struct Ids(Vec<String>);

impl Read for Ids {
    fn read(at: At<'_>) -> Option<Self> {
        at.object()?.need("ids").map(Self)
    }
}

/// `POST /v2/tasks/delete`: tasks of any apps; unknown ones are skipped.
pub async fn delete(marathon: Arc<Marathon>, mut call: Call) -> Result<Response, Error> {
    let kill = Kill::of(&call)?;
    let Ids(texts) = request::body_as(&mut call).await?;
    let mut wanted = BTreeSet::new();
    for text in &texts {
        let id = instance_id(text).ok_or_else(|| {
            Error::BadRequest(format!("unable to extract instance id from: {text}"))
        })?;
        wanted.insert(id);
    }
    let state = marathon.state();
    let chosen: Vec<Arc<Instance>> = wanted
        .iter()
        .filter_map(|id| state.instances.get(id))
        .filter(|i| i.placement().is_some() && app_of(&state, i).is_some())
        .cloned()
        .collect();
    if kill.scale {
        let mut of_app: BTreeMap<AppId, BTreeSet<InstanceId>> = BTreeMap::new();
        for instance in &chosen {
            if let Some(app) = instance.app() {
                of_app.entry(app.clone()).or_default().insert(instance.id.clone());
            }
        }
        let scaled: Vec<_> = of_app.into_iter().collect();
        return scale_down(&marathon, &call.principal, kill.force, &scaled).await;
    }
    end(&marathon, &call.principal, &chosen, kill.wipe).await?;
    let task = |i: &'_ Arc<Instance>| app_of(&state, i).map(|app| (app, i.clone()));
    let pairs: Vec<_> = chosen.iter().filter_map(task).collect();
    let tasks = pairs.iter().filter_map(|(app, i)| Task::of(&state, &app.spec, i)).collect();
    Ok(ok(&Tasks { tasks }))
}

/// The app that wants an instance.
fn app_of<'a>(state: &'a State, instance: &Instance) -> Option<&'a Arc<App>> {
    state.apps.get(instance.app()?)
}

fn ids(instances: &[Arc<Instance>]) -> BTreeSet<InstanceId> {
    instances.iter().map(|i| i.id.clone()).collect()
}

/// The tasks as they were before they were killed.
fn shown<'a>(state: &'a State, app: &'a App, instances: &'a [Arc<Instance>]) -> Vec<Task<'a>> {
    instances.iter().filter_map(|i| Task::of(state, &app.spec, i)).collect()
}

/// Ends tasks; their instances come back unless `wipe`.
pub async fn end(
    marathon: &Marathon,
    by: &Principal,
    chosen: &[Arc<Instance>],
    wipe: bool,
) -> Result<(), Error> {
    let instances: Vec<InstanceId> = chosen
        .iter()
        .filter(|i| i.condition() != Condition::Killing || wipe)
        .map(|i| i.id.clone())
        .collect();
    for some in instances.chunks(limit::MOVES_PER_COMMAND_MAX) {
        let instances = some.to_vec();
        let command = TaskCommand::Kill { instances, wipe, reason: KillReason::Request };
        marathon.run(by, command).await?;
    }
    Ok(())
}

/// Lowers the number of instances of each app by those that are to go, and has exactly those go.
async fn scale_down(
    marathon: &Marathon,
    by: &Principal,
    force: bool,
    scaled: &[(AppId, BTreeSet<InstanceId>)],
) -> Result<Response, Error> {
    let make = |state: &State, deployment: DeploymentId| -> Result<PutApps, Error> {
        let mut put = put_apps(deployment, force, Vec::new());
        for (id, victims) in scaled {
            let mut spec = (*apps::app(state, id)?.spec).clone();
            let n = u32::try_from(victims.len()).unwrap_or(u32::MAX);
            spec.instances = spec.instances.saturating_sub(n);
            let version = Some(spec.version);
            put.edits.push(edit(id, Some(spec), Expect::Present, version));
            put.victims.extend(victims.iter().cloned());
        }
        Ok(put)
    };
    let done = marathon.deploy(by, make).await?;
    Ok(started(StatusCode::OK, &done))
}

/// The instance of a task id or an instance id:
/// `<safe path>.instance-<uuid>[.<container>[.<incarnation>]]`; `marathon-` in old ones.
pub fn instance_id(text: &str) -> Option<InstanceId> {
    const UUID_CHARS: usize = 36;
    let at = [".instance-", ".marathon-"]
        .iter()
        .find_map(|prefix| text.find(prefix).filter(|at| *at > 0).map(|at| at + prefix.len()))?;
    let uuid = text.get(at..at + UUID_CHARS)?;
    let rest = &text[at + UUID_CHARS..];
    let is_whole = rest.is_empty() || rest.starts_with('.');
    (is_whole && uuid::Uuid::parse_str(uuid).is_ok())
        .then(|| InstanceId::from(&text[..at + UUID_CHARS]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_ids_are_found_in_task_ids() {
        let uuid = "8e1d4c3a-6f2b-11ea-9d5c-0242ac110002";
        let id = format!("shop_web.instance-{uuid}");
        for suffix in ["", "._app.1", ".ct1.12", ".ct1"] {
            let found = instance_id(&format!("{id}{suffix}"));
            assert_eq!(found, Some(InstanceId::from(id.as_str())), "{suffix}");
        }
        for bad in ["", "x", "shop_web.instance-7", ".instance-8e1d", &format!("{id}x")] {
            assert_eq!(instance_id(bad), None, "{bad}");
        }
    }
}
