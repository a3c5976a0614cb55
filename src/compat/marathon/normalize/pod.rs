//! Pods: every default that does not depend on the cluster.

use crate::compat::marathon::{
    json::Num,
    settings::Settings,
    spec::{
        Pod,
        network::{Mode, Network},
        pod::{Backoff, Scaling, ScalingKind, Upgrade},
        policy::{ExecutorResources, KillSelection, Unreachable},
    },
};

/// Whether the pod uses the node's own network; so it does when it names none.
pub fn is_host(pod: &Pod) -> bool {
    pod.networks.first().is_none_or(|network| network.mode == Mode::Host)
}

/// Fills in what was left out. The role is the caller's.
pub fn complete(pod: &mut Pod, settings: &Settings) {
    if pod.networks.is_empty() {
        pod.networks.push(Network::of(Mode::Host));
    }
    for network in pod.networks.iter_mut().filter(|n| n.mode == Mode::Container) {
        network.name.get_or_insert_with(|| settings.default_network.clone());
    }
    if is_host(pod) {
        for endpoint in pod.containers.iter_mut().flat_map(|c| &mut c.endpoints) {
            endpoint.host_port.get_or_insert(0);
        }
    }
    pod.scaling.get_or_insert(Scaling { kind: ScalingKind::Fixed, instances: 1 });
    let scheduling = pod.scheduling.get_or_insert_default();
    scheduling.backoff.get_or_insert(Backoff::DEFAULT);
    scheduling.upgrade.get_or_insert(Upgrade {
        minimum_health_capacity: Num(1.0),
        maximum_over_capacity: Num(1.0),
    });
    scheduling.placement.get_or_insert_default();
    scheduling.kill_selection.get_or_insert(KillSelection::YoungestFirst);
    scheduling
        .unreachable_strategy
        .get_or_insert(Unreachable::After { inactive_s: 0, expunge_s: 0 });
    pod.executor_resources.get_or_insert(ExecutorResources {
        cpus: Num(0.1),
        mem: Num(32.0),
        disk: Num(10.0),
    });
}
