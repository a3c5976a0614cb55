//! The cluster's level rises when everybody can do it, and who cannot is refused from then on.

use super::world::*;
use crate::{
    core::command::{Command, Rejected},
    model::master::{Addresses, Master},
};

fn master(id: u64, level: u32) -> Command {
    let release = format!("0.{level}.0");
    Command::RegisterMaster(Box::new(Master {
        id,
        release,
        level,
        addresses: Addresses { router: format!("10.0.0.{id}:443"), ..Addresses::default() },
    }))
}

fn agent(n: usize, level: u32) -> Command {
    Command::RegisterNode(Box::new(crate::model::node::NodeInfo { level, ..node(n) }))
}

#[test]
fn the_level_rises_when_every_master_and_agent_can_do_it() {
    let mut w = World::new(0);
    for (id, level) in [(1, 2), (2, 1), (3, 2)] {
        w.ok(master(id, level));
    }
    w.ok(agent(0, 1));
    w.ok(agent(1, 3));
    assert_eq!(w.state.level(), 1);
    let rejected = w.rejected(Command::RaiseLevel(2));
    let Rejected::HeldBack { to: 2, by } = &rejected else { panic!("{rejected}") };
    assert_eq!(by[0], "master 2 (tepui 0.1.0)");
    assert!(by[1].starts_with("node n0"), "{by:?}");
    assert_eq!(by.len(), 2);
    assert!(rejected.to_string().contains("upgrade them first"), "{rejected}");

    // Upgraded one after the other; the same command again changes nothing.
    w.ok(master(2, 2));
    assert!(w.ok(master(2, 2)).is_empty());
    w.rejected(Command::RaiseLevel(2));
    w.ok(agent(0, 2));
    assert_eq!(w.ok(Command::RaiseLevel(2)).len(), 1);
    assert_eq!(w.state.level(), 2);
    assert!(w.ok(Command::RaiseLevel(1)).is_empty(), "it never falls");
    assert_eq!(w.state.level(), 2);
}

#[test]
fn a_node_that_is_gone_for_now_holds_the_level_until_it_is_removed() {
    let mut w = World::new(0);
    w.ok(agent(0, 1));
    w.ok(Command::NodeReach { node: "n0".into(), reachable: false });
    w.rejected(Command::RaiseLevel(2));
    w.ok(Command::RemoveNode("n0".into()));
    w.ok(Command::RaiseLevel(2));
    assert_eq!(w.state.level(), 2);
}

#[test]
fn who_cannot_do_what_the_cluster_does_is_refused_in_words() {
    let mut w = World::new(0);
    w.ok(Command::RaiseLevel(2));
    let rejected = w.rejected(agent(0, 1)).to_string();
    assert_eq!(rejected, "node n0 can do level 1, this cluster is at level 2: upgrade tepui there");
    let rejected = w.rejected(master(4, 1)).to_string();
    assert!(rejected.starts_with("master 4 can do level 1"), "{rejected}");
    w.ok(agent(0, 2));
    w.ok(master(4, 7));
}
