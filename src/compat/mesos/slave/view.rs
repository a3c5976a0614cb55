//! What an agent says of itself: its state, its containers, its gauges.

use std::sync::Arc;

use crate::{
    base::clock::Timestamp,
    compat::mesos::{
        VERSION, agent,
        history::Past,
        json::Json,
        marathon_id, resource,
        task::{self, Counts, Tasks},
    },
    core::State,
    model::{
        Instance, Node, Resources, WorkloadSpec,
        link::{TaskUsage, Usage},
        workload::Kind,
    },
};

/// Where sandboxes seem to be: what `directory` of an executor begins with, and what the file
/// endpoints understand. Nothing is there on the machine.
const WORK_DIR: &str = "/var/lib/mesos/slave";

/// `/state`.
pub fn state(j: &mut Json<'_>, state: &State, node: &Node, master: &str, past: &Past) {
    let info = &node.info;
    let used = state.index.used.get(&info.id);
    j.object(|j| {
        j.text_at("version", VERSION);
        j.text_at("build_user", "tepui");
        j.time_at("start_time", node.reregistered_at.unwrap_or(node.registered_at));
        j.text_at("id", info.id.as_str());
        j.text_at("pid", &agent::pid(info.address));
        j.text_at("hostname", &info.hostname);
        j.list_at("capabilities", |j| agent::CAPABILITIES.iter().for_each(|c| j.text(c)));
        if let Some(domain) = &info.fault_domain {
            agent::domain(j, domain);
        }
        agent::drain(j, node);
        resource::totals(j, "resources", &resource::sum(&info.total));
        agent::reservations(j, state, node);
        agent::reservations_full(j, state, node);
        j.object_at("reserved_resources_allocated", |j| {
            let reserved = used.into_iter().flat_map(|pools| &pools.0);
            for (role, resources) in reserved.filter(|(role, _)| !role.is_star()) {
                resource::totals(j, role.as_str(), resources);
            }
        });
        let star = crate::model::Role::star();
        let free = used.and_then(|pools| pools.0.get(&star)).cloned().unwrap_or_default();
        resource::totals(j, "unreserved_resources_allocated", &free);
        agent::attributes(j, node);
        j.text_at("master_hostname", master);
        j.object_at("flags", |j| flags_of(j, node));
        j.list_at("frameworks", |j| framework(j, state, node, past));
        j.list_at("completed_frameworks", |_| {});
    });
}

/// The body of `/flags`.
pub fn flags(j: &mut Json<'_>, node: &Node) {
    j.object_at("flags", |j| flags_of(j, node));
}

fn flags_of(j: &mut Json<'_>, node: &Node) {
    j.text_at("hostname", &node.info.hostname);
    j.text_at("work_dir", WORK_DIR);
}

/// The one framework, where it has or had tasks here.
fn framework(j: &mut Json<'_>, state: &State, node: &Node, past: &Past) {
    let id = marathon_id(state);
    let running: Vec<&Arc<Instance>> = state.instances_on(node.id()).collect();
    let ended = past.ended.iter().filter(|ended| {
        !task::is_unreachable(&ended.instance)
            && ended.instance.placement().is_some_and(|place| place.node == *node.id())
    });
    let ended: Vec<_> = ended.collect();
    if running.is_empty() && ended.is_empty() {
        return;
    }
    let mut tasks = Tasks::new(state, &id);
    j.object(|j| {
        j.text_at("id", &id);
        j.text_at("name", "marathon");
        j.text_at("user", "root");
        j.bool_at("checkpoint", true);
        j.text_at("hostname", &node.info.hostname);
        j.list_at("executors", |j| {
            for instance in running {
                let Some(spec) = state.spec_of(instance) else { continue };
                executor(j, &id, node, instance, spec, &mut tasks, "tasks");
            }
        });
        let mut tasks = Tasks::new(state, &id);
        j.list_at("completed_executors", |j| {
            for ended in ended {
                let (instance, spec) = (&ended.instance, &ended.spec);
                executor(j, &id, node, instance, spec, &mut tasks, "completed_tasks");
            }
        });
    });
}

/// One instance: of an app the executor is named like its task.
fn executor<'a>(
    j: &mut Json<'_>,
    framework: &str,
    node: &Node,
    instance: &'a Instance,
    spec: &'a WorkloadSpec,
    tasks: &mut Tasks<'a>,
    filled: &str,
) {
    let of = Executor::of(instance, spec);
    j.object(|j| {
        j.text_at("id", &of.id);
        j.text_at("name", &of.name);
        j.text_at("source", &of.id);
        j.text_at("container", &of.run);
        let (node, id, run) = (node.id(), &of.id, &of.run);
        let directory =
            format!("{WORK_DIR}/slaves/{node}/frameworks/{framework}/executors/{id}/runs/{run}");
        j.text_at("directory", &directory);
        let resources = Resources { scalars: spec.run.demand(), ..Resources::default() };
        resource::totals(j, "resources", &resources);
        j.text_at("role", spec.run.role.as_str());
        j.text_at("type", if spec.run.kind == Kind::Pod { "DEFAULT" } else { "DOCKER" });
        for name in ["tasks", "queued_tasks", "completed_tasks"] {
            j.list_at(name, |j| {
                if name == filled {
                    tasks.write_made_from(j, instance, Some(spec));
                }
            });
        }
    });
}

/// What an instance's executor is called.
struct Executor {
    id: String,
    name: String,
    run: String,
}

impl Executor {
    fn of(instance: &Instance, spec: &WorkloadSpec) -> Self {
        let run = task::container_id(instance, "");
        match spec.run.kind {
            Kind::Pod => Self { id: instance.id.to_string(), name: spec.id.task_name(), run },
            Kind::App => {
                let id = instance.task_id("");
                let name = format!("Command Executor (Task: {id})");
                Self { id, name, run }
            }
        }
    }
}

/// Containers that were asked for.
pub struct Listed<'a> {
    pub state: &'a State,
    pub node: &'a Node,
    pub usage: &'a Usage,
    pub now: Timestamp,
    pub executor: Option<String>,
    pub container: Option<String>,
    /// Whether the framework asked for is the one there is.
    pub is_ours: bool,
}

/// `/containers`, and without `whole` `/monitor/statistics`.
pub fn containers(j: &mut Json<'_>, listed: &Listed<'_>, whole: bool) {
    let framework = marathon_id(listed.state);
    let running = listed.state.instances_on(listed.node.id()).filter(|_| listed.is_ours);
    j.list(|j| {
        for instance in running.filter(|i| i.condition().is_active()) {
            let Some(spec) = listed.state.spec_of(instance) else { continue };
            let of = Executor::of(instance, spec);
            let is = |wanted: &Option<String>, id: &str| wanted.as_deref().is_none_or(|w| w == id);
            if !is(&listed.executor, &of.id) || !is(&listed.container, &of.run) {
                continue;
            }
            let usage = listed.usage.tasks.iter().find(|usage| usage.instance == instance.id);
            j.object(|j| {
                j.text_at("executor_id", &of.id);
                j.text_at("executor_name", &of.name);
                j.text_at("framework_id", &framework);
                j.text_at("source", &of.id);
                j.object_at("statistics", |j| sample(j, spec, usage, listed.now));
                if whole {
                    j.text_at("container_id", &of.run);
                    j.object_at("status", |j| {
                        j.object_at("container_id", |j| j.text_at("value", &of.run));
                    });
                }
            });
        }
    });
}

/// Limits and the latest sample; what is not measured is left out.
fn sample(j: &mut Json<'_>, spec: &WorkloadSpec, usage: Option<&TaskUsage>, now: Timestamp) {
    const MIB: i64 = 1 << 20;
    let demand = spec.run.demand();
    j.time_at("timestamp", now);
    j.quantity_at("cpus_limit", demand.cpus);
    let bytes = u64::try_from(demand.mem.floor().saturating_mul(MIB)).unwrap_or(0);
    j.int_at("mem_limit_bytes", bytes);
    if let Some(usage) = usage {
        for name in ["mem_rss_bytes", "mem_total_bytes"] {
            j.int_at(name, usage.mem_bytes);
        }
    }
}

/// `/metrics/snapshot`.
pub fn metrics(j: &mut Json<'_>, state: &State, node: &Node, usage: &Usage, now: Timestamp) {
    let since = node.reregistered_at.unwrap_or(node.registered_at);
    j.object(|j| {
        j.float_at("slave/registered", 1.0);
        j.float_at("slave/uptime_secs", now.since(since).as_secs_f64());
        let mut counts = Counts::default();
        state.instances_on(node.id()).for_each(|instance| counts.add(state, instance));
        for word in ["STAGING", "STARTING", "RUNNING", "KILLING"] {
            let n = counts.of(&format!("TASK_{word}")) as f64;
            j.float_at(&format!("slave/tasks_{}", word.to_lowercase()), n);
        }
        let n_executors =
            state.instances_on(node.id()).filter(|i| i.condition().is_active()).count();
        j.float_at("slave/executors_running", n_executors as f64);
        j.float_at("slave/frameworks_active", f64::from(u8::from(n_executors > 0)));
        let total = node.info.total.scalars();
        let used = state.index.used.get(node.id()).map(|p| p.scalars()).unwrap_or_default();
        for (name, total, used) in [
            ("cpus", total.cpus, used.cpus),
            ("gpus", total.gpus, used.gpus),
            ("mem", total.mem, used.mem),
            ("disk", total.disk, used.disk),
        ] {
            j.quantity_at(&format!("slave/{name}_total"), total);
            j.quantity_at(&format!("slave/{name}_used"), used);
            let share = if total.is_zero() { 0.0 } else { used.as_f64() / total.as_f64() };
            j.float_at(&format!("slave/{name}_percent"), share);
        }
        j.float_at("system/load_1min", usage.load_1m);
    });
}
