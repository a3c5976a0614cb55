//! The one framework there is so far: the built-in scheduler of apps and pods, named `marathon`.

use std::collections::BTreeSet;

use super::{
    facts::Facts,
    history::Past,
    json::Json,
    marathon_id, resource,
    task::{self, Counts, Tasks},
};
use crate::{
    base::{clock::Timestamp, units::Milli},
    core::State,
    model::{NodeId, Resources, Role},
};

/// What it can do, as real ones declare it.
const CAPABILITIES: [&str; 6] = [
    "TASK_KILLING_STATE",
    "PARTITION_AWARE",
    "GPU_RESOURCES",
    "MULTI_ROLE",
    "RESERVATION_REFINEMENT",
    "REGION_AWARE",
];
/// How long tasks of a lost scheduler are kept; here the scheduler cannot be lost alone.
const FAILOVER_TIMEOUT: Milli = Milli::whole(604_800);

/// How much is told.
#[derive(Clone, Copy)]
pub enum Detail<'a> {
    /// With its tasks, also those that have ended.
    Full(&'a Past),
    /// With counts instead of tasks.
    Summary,
}

/// The framework as a list element.
pub fn framework(j: &mut Json<'_>, state: &State, facts: &Facts, detail: Detail<'_>) {
    let id = marathon_id(state);
    let used = used(state);
    j.object(|j| {
        j.text_at("id", &id);
        j.text_at("name", "marathon");
        let (address, port) = (facts.address, facts.marathon_port);
        j.text_at("pid", &format!("scheduler-{id}@{address}:{port}"));
        resource::totals(j, "used_resources", &used);
        resource::totals(j, "offered_resources", &Resources::default());
        j.list_at("capabilities", |j| CAPABILITIES.iter().for_each(|c| j.text(c)));
        j.text_at("hostname", &facts.hostname);
        j.text_at("webui_url", &format!("http://{address}:{port}"));
        for (name, value) in [("active", true), ("connected", true), ("recovered", false)] {
            j.bool_at(name, value);
        }
        match detail {
            Detail::Full(past) => full(j, state, &id, &used, past),
            Detail::Summary => summary(j, state),
        }
    });
}

fn full(j: &mut Json<'_>, state: &State, id: &str, used: &Resources, past: &Past) {
    j.text_at("user", "root");
    j.quantity_at("failover_timeout", FAILOVER_TIMEOUT);
    j.bool_at("checkpoint", true);
    let born = state.cluster.as_ref().map_or(Timestamp::EPOCH, |c| c.created_at);
    j.time_at("registered_time", born);
    j.time_at("unregistered_time", Timestamp::EPOCH);
    resource::totals(j, "resources", used);
    let roles: BTreeSet<&Role> = state.apps.values().map(|a| &a.spec.run.role).collect();
    j.list_at("roles", |j| {
        if roles.is_empty() {
            j.text("*");
        }
        roles.iter().for_each(|r| j.text(r.as_str()));
    });
    let mut tasks = Tasks::new(state, id);
    for (name, lost) in [("tasks", false), ("unreachable_tasks", true)] {
        j.list_at(name, |j| {
            for instance in state.apps_with_instances().flat_map(|app| state.instances_of(app)) {
                if task::is_unreachable(instance) == lost {
                    tasks.write(j, instance);
                    if j.is_gone() {
                        return;
                    }
                }
            }
            // A lost agent's tasks stay listed when others have taken their place.
            for ended in past.ended.iter().filter(|e| lost && task::is_unreachable(&e.instance)) {
                tasks.write_made_from(j, &ended.instance, Some(&ended.spec));
            }
        });
    }
    let completed = || past.ended.iter().filter(|e| !task::is_unreachable(&e.instance));
    j.list_at("completed_tasks", |j| {
        // What ended before this process began is remembered as each app's last failure only.
        let is_known = |id: &str| completed().any(|e| task::has_id(&e.instance, &e.spec, id));
        let older = state.apps.values().filter(|app| {
            app.last_failure.as_ref().is_some_and(|failure| !is_known(&failure.task_id))
        });
        older.for_each(|app| task::ended(j, app, id, &app.spec.run.role));
        let mut tasks = Tasks::new(state, id);
        completed().for_each(|e| tasks.write_made_from(j, &e.instance, Some(&e.spec)));
    });
    for name in ["offers", "executors"] {
        j.list_at(name, |_| {});
    }
}

fn summary(j: &mut Json<'_>, state: &State) {
    let mut counts = Counts::default();
    state.instances.values().for_each(|i| counts.add(state, i));
    counts.write(j);
    let holds = |id: &&NodeId| state.index.by_node.get(*id).is_some_and(|on| !on.is_empty());
    j.list_at("slave_ids", |j| {
        state.nodes.keys().filter(holds).for_each(|id| j.text(id.as_str()));
    });
}

/// What all tasks hold together. Ports of different nodes do not add up and are left out, as Mesos
/// leaves them to the agents.
fn used(state: &State) -> Resources {
    let scalars = state.index.used.values().map(|p| p.scalars());
    let scalars = scalars.fold(crate::model::Scalars::default(), |a, b| a + b);
    Resources { scalars, ..Resources::default() }
}
