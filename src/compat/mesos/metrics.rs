//! `/metrics/snapshot`: the gauges and counters dashboards read. Counters Mesos keeps of its own
//! messages have no counterpart here and are left out (docs/compat/mesos.md, "Metrics").

use super::{history::Counters, json::Json, task::Counts};
use crate::{
    base::{clock::Timestamp, units::Milli},
    core::State,
    model::{Node, Scalars},
};

/// What the state does not tell.
pub struct Own {
    pub started_at: Timestamp,
    pub now: Timestamp,
    pub leads: bool,
}

pub fn snapshot(j: &mut Json<'_>, state: &State, counters: &Counters, own: &Own) {
    j.object(|j| {
        j.float_at("master/uptime_secs", own.now.since(own.started_at).as_secs_f64());
        j.float_at("master/elected", f64::from(u8::from(own.leads)));
        agents(j, state);
        for (name, n) in [("active", 1), ("inactive", 0), ("connected", 1), ("disconnected", 0)] {
            j.float_at(&format!("master/frameworks_{name}"), f64::from(n));
        }
        tasks(j, state);
        for (name, n) in counters.each() {
            j.float_at(&format!("master/{name}"), n as f64);
        }
        // No framework of others is offered anything yet.
        j.float_at("master/outstanding_offers", 0.0);
        resources(j, state);
        machine(j);
    });
}

fn agents(j: &mut Json<'_>, state: &State) {
    let count = |of: &dyn Fn(&Node) -> bool| state.nodes.values().filter(|n| of(n)).count() as f64;
    let active = count(&Node::takes_work);
    let connected = count(&Node::is_reachable);
    for (name, n) in [
        ("active", active),
        ("inactive", connected - active),
        ("connected", connected),
        ("disconnected", 0.0),
        ("unreachable", state.nodes.len() as f64 - connected),
    ] {
        j.float_at(&format!("master/slaves_{name}"), n);
    }
}

fn tasks(j: &mut Json<'_>, state: &State) {
    let mut counts = Counts::default();
    state.instances.values().for_each(|i| counts.add(state, i));
    for word in ["STAGING", "STARTING", "RUNNING", "KILLING", "UNREACHABLE"] {
        let n = counts.of(&format!("TASK_{word}")) as f64;
        j.float_at(&format!("master/tasks_{}", word.to_lowercase()), n);
    }
}

fn resources(j: &mut Json<'_>, state: &State) {
    let sum = |all: &mut dyn Iterator<Item = Scalars>| all.fold(Scalars::default(), |a, b| a + b);
    let total = sum(&mut state.nodes.values().map(|n| n.info.total.scalars()));
    let used = sum(&mut state.index.used.values().map(|p| p.scalars()));
    for (name, total, used) in [
        ("cpus", total.cpus, used.cpus),
        ("gpus", total.gpus, used.gpus),
        ("mem", total.mem, used.mem),
        ("disk", total.disk, used.disk),
    ] {
        j.quantity_at(&format!("master/{name}_total"), total);
        j.quantity_at(&format!("master/{name}_used"), used);
        let share = if total.is_zero() { 0.0 } else { used.as_f64() / total.as_f64() };
        j.float_at(&format!("master/{name}_percent"), share);
    }
}

/// The answering machine; what its kernel does not tell is left out.
fn machine(j: &mut Json<'_>) {
    if let Ok(n) = std::thread::available_parallelism() {
        j.float_at("system/cpus_total", n.get() as f64);
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let loads = load.split_whitespace().filter_map(|n| n.parse::<f64>().ok());
    for (name, value) in ["load_1min", "load_5min", "load_15min"].into_iter().zip(loads) {
        j.float_at(&format!("system/{name}"), value);
    }
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    for (name, key) in [("mem_total_bytes", "MemTotal:"), ("mem_free_bytes", "MemFree:")] {
        let kib = memory.lines().find_map(|line| line.strip_prefix(key));
        let kib = kib.and_then(|text| text.split_whitespace().next()?.parse::<i64>().ok());
        if let Some(kib) = kib {
            j.quantity_at(&format!("system/{name}"), Milli::whole(kib.saturating_mul(1024)));
        }
    }
}
