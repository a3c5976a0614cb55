//! The cluster's level rises when everybody can do it, and who cannot is refused from then on.

use super::world::*;
use crate::{
    base::level::{FIRST_FAILURE, LEVEL, PODS},
    core::{
        ClusterCommand, Command, NodeCommand, Rejected, WorkloadCommand, backoff::Delay,
        state::Cluster,
    },
    model::{
        instance::Condition,
        master::{Addresses, Master},
        path::AppId,
        workload::Kind,
    },
};

/// What only the next release can do.
const NEXT: u32 = LEVEL + 1;

fn master(id: u64, level: u32) -> Command {
    let release = format!("0.{level}.0");
    let addresses = Addresses { router: format!("10.0.0.{id}:443"), ..Addresses::default() };
    let master = Master::new(id, &release, level, addresses);
    ClusterCommand::RegisterMaster(Box::new(master)).into()
}

fn agent(n: usize, level: u32) -> Command {
    NodeCommand::RegisterNode(Box::new(crate::model::node::NodeInfo { level, ..node(n) })).into()
}

#[test]
fn the_level_rises_when_every_master_and_agent_can_do_it() {
    let mut w = World::new(0);
    for (id, level) in [(1, NEXT), (2, LEVEL), (3, NEXT)] {
        w.ok(master(id, level));
    }
    w.ok(agent(0, LEVEL));
    w.ok(agent(1, NEXT + 1));
    assert_eq!(w.state.level(), LEVEL);
    let rejected = w.rejected(ClusterCommand::RaiseLevel(NEXT));
    let Rejected::HeldBack { to: NEXT, by } = &rejected else { panic!("{rejected}") };
    assert_eq!(by[0], format!("master 2 (tepui 0.{LEVEL}.0)"));
    assert!(by[1].starts_with("node n0"), "{by:?}");
    assert_eq!(by.len(), 2);
    assert!(rejected.to_string().contains("upgrade them first"), "{rejected}");

    // Upgraded one after the other; the same command again changes nothing.
    w.ok(master(2, NEXT));
    assert!(w.ok(master(2, NEXT)).is_empty());
    w.rejected(ClusterCommand::RaiseLevel(NEXT));
    w.ok(agent(0, NEXT));
    assert_eq!(w.ok(ClusterCommand::RaiseLevel(NEXT)).len(), 1);
    assert_eq!(w.state.level(), NEXT);
    assert!(w.ok(ClusterCommand::RaiseLevel(LEVEL)).is_empty(), "it never falls");
    assert_eq!(w.state.level(), NEXT);
}

#[test]
fn a_node_that_is_gone_for_now_holds_the_level_until_it_is_removed() {
    let mut w = World::new(0);
    w.ok(agent(0, LEVEL));
    w.ok(NodeCommand::NodeReach { node: "n0".into(), reachable: false });
    w.rejected(ClusterCommand::RaiseLevel(NEXT));
    w.ok(NodeCommand::RemoveNode("n0".into()));
    w.ok(ClusterCommand::RaiseLevel(NEXT));
    assert_eq!(w.state.level(), NEXT);
}

#[test]
fn who_cannot_do_what_the_cluster_does_is_refused_in_words() {
    let mut w = World::new(0);
    w.ok(ClusterCommand::RaiseLevel(NEXT));
    let rejected = w.rejected(agent(0, LEVEL)).to_string();
    let wanted = format!(
        "node n0 can do level {LEVEL}, this cluster is at level {NEXT}: upgrade tepui there"
    );
    assert_eq!(rejected, wanted);
    let rejected = w.rejected(master(4, LEVEL)).to_string();
    assert!(rejected.starts_with(&format!("master 4 can do level {LEVEL}, ")), "{rejected}");
    w.ok(agent(0, NEXT));
    w.ok(master(4, 70));
}

#[test]
fn when_failures_in_a_row_began_is_kept_from_its_level_on() {
    let mut w = World::new(1);
    w.put(app("/a", 1));
    w.settle();
    let at_level = |w: &mut World, level: u32| {
        let now = w.state.cluster.as_deref().cloned().unwrap();
        w.state.cluster = Some(Cluster { level, ..now }.into());
    };
    let fail = |w: &mut World| -> Delay {
        let id = w.state.instances.keys().next().cloned().unwrap();
        w.launch_all();
        w.report(&id, Condition::Running);
        w.report(&id, Condition::Failed);
        (*w.state.delays[&AppId::parse("/a")]).clone()
    };
    at_level(&mut w, FIRST_FAILURE - 1);
    let first = fail(&mut w);
    assert_eq!((first.n_failures, first.first_at), (1, None), "masters of before have the same");
    at_level(&mut w, FIRST_FAILURE);
    let second = fail(&mut w);
    assert_eq!((second.n_failures, second.first_at), (2, Some(first.failed_at)));
    assert_eq!(fail(&mut w).first_at, Some(first.failed_at));
}

#[test]
fn pods_wait_for_their_level_and_have_no_service_ports() {
    let mut w = World::new(1);
    let mut pod = app("/p", 1);
    pod.run_mut().kind = Kind::Pod;
    let now = w.state.cluster.as_deref().cloned().unwrap();
    w.state.cluster = Some(Cluster { level: PODS - 1, ..now.clone() }.into());
    let put = |w: &mut World| {
        let edits = vec![edit(&pod.id, Some(pod.clone()))];
        WorkloadCommand::PutApps(Box::new(put(&w.id(), edits)))
    };
    let early = put(&mut w);
    let told = w.rejected(early).to_string();
    assert!(
        told.contains(&format!("pods do not run before the cluster is at level {PODS}")),
        "{told}"
    );
    w.state.cluster = Some(now.into());
    let command = put(&mut w);
    w.ok(command);
    let ports: Vec<u16> = w.state.apps[&pod.id].spec.run.ports().map(|p| p.service_port).collect();
    assert_eq!(ports, [0]);
}
