//! The large answers: `/state`, `/state-summary`, `/slaves`, `/frameworks`, `/tasks`.

use super::{
    agent::{self, agent},
    facts::Facts,
    framework::{self, framework},
    history::Past,
    json::Json,
    marathon_id,
    task::Tasks,
};
use crate::{
    base::clock::Timestamp,
    core::State,
    model::{Instance, WorkloadSpec},
};

/// What every master can do.
const CAPABILITIES: [&str; 3] = ["AGENT_UPDATE", "AGENT_DRAINING", "QUOTA_V2"];

/// `/state`.
pub fn state(j: &mut Json<'_>, state: &State, facts: &Facts, past: &Past) {
    let cluster = state.cluster.as_deref();
    j.object(|j| {
        j.text_at("version", super::VERSION);
        j.text_at("build_user", "tepui");
        j.time_at("start_time", facts.started_at);
        j.time_at("elected_time", facts.started_at);
        j.text_at("id", cluster.map_or("", |c| &c.id));
        j.text_at("pid", &facts.pid());
        j.text_at("hostname", &facts.address.to_string());
        j.list_at("capabilities", |j| CAPABILITIES.iter().for_each(|c| j.text(c)));
        let count = |of: fn(&crate::model::Node) -> bool| {
            state.nodes.values().filter(|n| of(n)).count() as u64
        };
        j.int_at("activated_slaves", count(crate::model::Node::is_reachable));
        j.int_at("deactivated_slaves", 0);
        j.int_at("unreachable_slaves", count(|n| !n.is_reachable()));
        j.text_at("leader", &facts.pid());
        j.object_at("leader_info", |j| {
            j.text_at("id", cluster.map_or("", |c| &c.id));
            j.text_at("pid", &facts.pid());
            j.int_at("port", u64::from(facts.port));
            j.text_at("hostname", &facts.address.to_string());
        });
        j.text_at("cluster", cluster.map_or("", |c| &c.name));
        j.object_at("flags", |j| j.text_at("cluster", cluster.map_or("", |c| &c.name)));
        agents(j, state, agent::Detail::Plain);
        frameworks(j, state, facts, framework::Detail::Full(past));
        for name in ["orphan_tasks", "unregistered_frameworks"] {
            j.list_at(name, |_| {});
        }
    });
}

/// `/state-summary`.
pub fn summary(j: &mut Json<'_>, state: &State, facts: &Facts) {
    j.object(|j| {
        j.text_at("hostname", &facts.address.to_string());
        j.text_at("cluster", state.cluster.as_deref().map_or("", |c| &c.name));
        j.list_at("slaves", |j| {
            state.nodes.values().for_each(|n| agent(j, state, n, agent::Detail::Summary));
        });
        j.list_at("frameworks", |j| framework(j, state, facts, framework::Detail::Summary));
    });
}

/// `/slaves`, all or one.
pub fn slaves(j: &mut Json<'_>, state: &State, only: Option<&str>) {
    j.object(|j| {
        j.list_at("slaves", |j| {
            let wanted = |id: &str| only.is_none_or(|only| only == id);
            let nodes = state.nodes.values().filter(|n| wanted(n.id().as_str()));
            nodes.for_each(|n| agent(j, state, n, agent::Detail::Full));
        });
        j.list_at("recovered_slaves", |_| {});
    });
}

/// `/frameworks`, all or one.
pub fn framework_list(
    j: &mut Json<'_>,
    state: &State,
    facts: &Facts,
    past: &Past,
    only: Option<&str>,
) {
    j.object(|j| {
        j.list_at("frameworks", |j| {
            if only.is_none_or(|only| only == marathon_id(state)) {
                framework(j, state, facts, framework::Detail::Full(past));
            }
        });
        for name in ["completed_frameworks", "unregistered_frameworks"] {
            j.list_at(name, |_| {});
        }
    });
}

/// Which tasks `/tasks` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub framework: Option<String>,
    pub task: Option<String>,
    /// `None`: all.
    pub limit: Option<usize>,
    pub offset: usize,
    pub ascending: bool,
}

/// `/tasks`: by the time they were launched; those that have ended too, as far as they are
/// remembered.
pub fn tasks(j: &mut Json<'_>, state: &State, past: &Past, wanted: &Wanted) {
    let id = marathon_id(state);
    let framework_fits = wanted.framework.as_deref().is_none_or(|f| f == id);
    // A task's id is its instance's id and more; `Tasks::only` looks at the whole of it.
    let fits = |instance: &Instance| {
        wanted.task.as_deref().is_none_or(|task| task.starts_with(instance.id.as_str()))
    };
    let alive = state.instances.values().map(|i| (&**i, None));
    let ended = past.ended.iter().map(|e| (&*e.instance, Some(&*e.spec)));
    let mut found: Vec<(Timestamp, &Instance, Option<&WorkloadSpec>)> = alive
        .chain(ended)
        .filter(|(i, _)| framework_fits && fits(i))
        .filter_map(|(i, spec)| Some((i.placement()?.launched_at, i, spec)))
        .collect();
    let key = |i: &Instance| (i.id.clone(), i.incarnation);
    found.sort_by(|(a, x, _), (b, y, _)| a.cmp(b).then_with(|| key(x).cmp(&key(y))));
    if !wanted.ascending {
        found.reverse();
    }
    let mut tasks = Tasks::new(state, &id).only(wanted.task.as_deref());
    let limit = wanted.limit.unwrap_or(usize::MAX);
    j.object(|j| {
        j.list_at("tasks", |j| {
            let page = found.into_iter().skip(wanted.offset).take(limit);
            page.for_each(|(_, instance, spec)| tasks.write_made_from(j, instance, spec));
        });
    });
}

fn agents(j: &mut Json<'_>, state: &State, detail: agent::Detail) {
    j.list_at("slaves", |j| {
        for node in state.nodes.values() {
            agent(j, state, node, detail);
            if j.is_gone() {
                return;
            }
        }
    });
    j.list_at("recovered_slaves", |_| {});
}

fn frameworks(j: &mut Json<'_>, state: &State, facts: &Facts, detail: framework::Detail<'_>) {
    j.list_at("frameworks", |j| framework(j, state, facts, detail));
    j.list_at("completed_frameworks", |_| {});
}
