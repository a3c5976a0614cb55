//! From `State` to the tasks and nodes that have names.
//!
//! A task has names while it runs and nobody wants it gone: a kill takes it out of names before
//! the first signal reaches it, a lost node takes its tasks out at once. Health is no condition, as
//! in the original: unhealthy tasks keep their names until they are killed.

use std::net::IpAddr;

use super::{NamedTask, Port, Sink, TaskRecords, cluster_records};
use crate::{
    core::State,
    model::{
        container,
        instance::{Condition, Goal, Instance, Placement},
        names::{Realm, Scheduler, Transport},
        workload::Kind,
    },
};

/// The built-in scheduler of apps and pods, under the name old clients ask for.
pub const MARATHON: &str = "marathon";

/// Sends every record of the cluster: `own` is what the state does not hold (masters, ports, this
/// node); agents are filled in from the state.
pub fn records<S: Sink>(state: &State, own: &Realm, sink: &mut S) {
    cluster_records(&with_agents(state, own), sink);
    let mut tasks = TaskRecords::new(own.rule, sink);
    for app in state.apps_with_instances() {
        let name = app.task_name();
        for instance in state.instances_of(app) {
            each(state, &name, instance, |task| tasks.push(task));
        }
    }
}

/// `own` with the agents of the state.
pub fn with_agents(state: &State, own: &Realm) -> Realm {
    let mut realm = own.clone();
    let reachable = state.nodes.values().filter(|n| n.is_reachable());
    realm.agents.extend(reachable.map(|n| n.info.address));
    realm.agents.sort_unstable();
    realm.agents.dedup();
    realm
}

/// The scheduler's own entry, when the leader is known: its API answers there.
pub fn marathon(leader: IpAddr, port: u16) -> Scheduler {
    Scheduler { name: MARATHON.to_owned(), host: leader, port }
}

/// Where the instance runs, if it has names now.
pub(super) fn named<'a>(state: &State, instance: &'a Instance) -> Option<&'a Placement> {
    let placement = instance.placement()?;
    let is_wanted = instance.goal == Goal::Running && instance.kill().is_none();
    let node = state.nodes.get(&placement.node)?;
    (instance.condition() == Condition::Running && is_wanted && node.is_reachable())
        .then_some(placement)
}

/// The tasks of one instance that have names now: one of an app, one for each container of a pod.
/// `name` is the app's as a task name.
pub fn each(state: &State, name: &str, instance: &Instance, mut take: impl FnMut(&NamedTask<'_>)) {
    let Some(placement) = named(state, instance) else { return };
    let Some(spec) = state.spec_of(instance) else { return };
    let mut host_ports = placement.host_ports.iter().copied().chain(std::iter::repeat(None));
    for container in &spec.run.containers {
        let taken: Vec<_> = host_ports.by_ref().take(container.ports.len()).collect();
        let (container_name, is_discovered) = match spec.run.kind {
            Kind::App => ("", true),
            // A container of a pod announces itself through its endpoints.
            Kind::Pod => (container.name.as_str(), !container.ports.is_empty()),
        };
        let ports: Vec<Port<'_>> = container
            .ports
            .iter()
            .zip(&taken)
            .flat_map(|(port, host)| announced(port, *host))
            .collect();
        let on_host: Vec<u16> = taken.iter().copied().flatten().collect();
        let id = instance.task_id(container_name);
        take(&NamedTask {
            framework: MARATHON,
            name: if is_discovered { name } else { container_name },
            is_discovered,
            id: &id,
            agent_id: placement.node.as_str(),
            agent: placement.address,
            own: instance.addresses(),
            is_mapped: !instance.addresses().is_empty() && !on_host.is_empty(),
            host_ports: &on_host,
            ports: &ports,
        });
    }
}

/// A port as it is announced: the host's when there is one, else the container's.
fn announced(port: &container::Port, host: Option<u16>) -> impl Iterator<Item = Port<'_>> {
    let number = host.or(port.container_port).unwrap_or(0);
    let transports: &[Transport] = match port.protocol {
        container::Protocol::Tcp => &[Transport::Tcp],
        container::Protocol::Udp => &[Transport::Udp],
        container::Protocol::Both => &super::BOTH,
    };
    let name = port.name.as_deref();
    transports.iter().map(move |transport| Port { number, name, transport: Some(*transport) })
}
