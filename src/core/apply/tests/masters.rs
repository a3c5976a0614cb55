//! Masters join, are known and are removed; invitations are for a role.

use super::world::*;
use crate::{
    base::{
        clock::Timestamp,
        level::{LEVEL, MASTERS, STAND_BY},
    },
    core::{
        Accepted, AdmissionCommand, ClusterCommand, NodeCommand, Rejected,
        apply::{admission, gate::is_removed},
        command::{Join, Seat},
        state::Cluster,
    },
    model::{
        credential::{Digest, Invited},
        master::{Addresses, Envelope, Master},
        node::NodeId,
    },
};

const LATE: Timestamp = Timestamp::from_ms(9_000_000);

fn addresses(n: u8) -> Addresses {
    Addresses { peers: format!("10.0.0.{n}:5070"), ..Addresses::default() }
}

fn seat(invitation: Option<Digest>, n: u8) -> AdmissionCommand {
    let sealed = Some(Envelope { share: vec![n], text: vec![n; 3] });
    let master = Master::new(0, "0.4.0", LEVEL, addresses(n));
    let master = Master { seal: vec![n; 32], sealed, ..master };
    let serial = format!("5e{n:02}").as_str().into();
    AdmissionCommand::SeatMaster(Box::new(Seat {
        invitation,
        key: [n; 32],
        serial,
        expires_at: LATE,
        master,
    }))
}

/// The first master is there, and `n` tokens for others.
fn invited(n: u8) -> World {
    let mut w = World::new(0);
    w.ok(ClusterCommand::RegisterMaster(Box::new(Master::new(1, "0.4.0", LEVEL, addresses(1)))));
    for n in 2..2 + n {
        let (digest, role) = ([n; 32], Invited::Master);
        w.ok(AdmissionCommand::InviteFor { digest, until: LATE, role });
    }
    w
}

fn joined(w: &mut World, n: u8) -> (u64, NodeId) {
    let accepted = w.run(seat(Some([n; 32]), n)).0.expect("accepted");
    let Accepted { master, node, .. } = accepted;
    (master, node.expect("a node"))
}

fn refusal(w: &mut World, command: impl Into<crate::core::Command>) -> String {
    w.rejected(command).to_string()
}

#[test]
fn masters_get_the_next_numbers_and_none_twice() {
    let mut w = invited(3);
    let (two, node) = joined(&mut w, 2);
    assert_eq!((two, node.as_str()), (2, "c-S1"));
    let row = w.state.masters[&2].clone();
    assert_eq!((row.node.as_ref(), row.seal.len()), (Some(&node), 32));
    assert!(admission::check(&w.state, &node, &"5e02".into()).is_ok());
    // The answer got lost: the same key is the same master, another one's none.
    assert_eq!(joined(&mut w, 2), (2, node));
    assert!(refusal(&mut w, seat(Some([2; 32]), 9)).contains("was used already"));
    assert_eq!(joined(&mut w, 3).0, 3);
    w.ok(ClusterCommand::RemoveMaster(3));
    assert_eq!(joined(&mut w, 4).0, 4, "the number of a removed one is not given again");
}

#[test]
fn nobody_is_seated_before_the_first() {
    let mut w = World::new(0);
    let (digest, role) = ([2; 32], Invited::Master);
    w.ok(AdmissionCommand::InviteFor { digest, until: LATE, role });
    assert!(refusal(&mut w, seat(Some(digest), 2)).contains("try again"));
    w.ok(ClusterCommand::RegisterMaster(Box::new(Master::new(1, "0.4.0", LEVEL, addresses(1)))));
    assert_eq!(joined(&mut w, 2).0, 2);
}

#[test]
fn a_removed_master_is_let_in_no_more() {
    let mut w = invited(1);
    assert!(refusal(&mut w, ClusterCommand::RemoveMaster(1)).contains("is the only one"));
    let (id, node) = joined(&mut w, 2);
    assert!(admission::check_member(&w.state, &node).is_ok() && !is_removed(&w.state, id));
    w.ok(ClusterCommand::RemoveMaster(id));
    assert!(is_removed(&w.state, id) && !w.state.masters.contains_key(&id));
    let why = admission::check_member(&w.state, &node).expect_err("refused").to_string();
    assert!(why.contains("was removed from the cluster"), "{why}");
    let back = Master::new(id, "0.4.0", LEVEL, addresses(2));
    let why = refusal(&mut w, ClusterCommand::RegisterMaster(Box::new(back)));
    assert!(why.contains("delete its data directory"), "{why}");
    assert!(refusal(&mut w, seat(Some([2; 32]), 2)).contains("not known"));
    assert!(refusal(&mut w, ClusterCommand::RemoveMaster(id)).contains("no master 2"));
}

#[test]
fn the_first_master_makes_itself_known_and_keeps_that() {
    let mut w = invited(0);
    let said = |serial: &str, node: &str| {
        let known = Master::new(1, "0.4.0", LEVEL, addresses(1));
        let master = Master { node: Some(node.into()), seal: vec![7], ..known };
        let (key, serial) = ([1; 32], serial.into());
        let seat = Seat { invitation: None, key, serial, expires_at: LATE, master };
        AdmissionCommand::SeatMaster(Box::new(seat))
    };
    w.ok(said("aa", "m"));
    let moved = Master::new(1, "0.5.0", LEVEL, addresses(8));
    w.ok(ClusterCommand::RegisterMaster(Box::new(moved)));
    let row = w.state.masters[&1].clone();
    assert_eq!((row.node.as_ref().map(NodeId::as_str), row.seal.len()), (Some("m"), 1));
    assert_eq!(row.addresses, addresses(8));
    // A new certificate takes the place of the one before; nobody takes its place.
    w.ok(said("bb", "m"));
    let node = NodeId::from("m");
    assert!(admission::check(&w.state, &node, &"bb".into()).is_ok());
    let old = admission::check(&w.state, &node, &"aa".into()).expect_err("replaced");
    assert!(old.contains("replaced by a newer one"), "{old}");
    assert!(refusal(&mut w, said("cc", "other")).contains("is not other"));
}

#[test]
fn a_master_is_no_agent_and_its_agent_is_no_other_node() {
    let mut w = invited(1);
    let (invitation, key) = ([2; 32], [9; 32]);
    let join = Join { invitation, key, serial: "9a".into(), expires_at: LATE };
    let why = refusal(&mut w, AdmissionCommand::Join(join));
    assert!(why.contains("the token is for a master"), "{why}");
    let (_, node) = joined(&mut w, 2);
    let mut info = super::world::node(1);
    info.id = node.clone();
    w.ok(NodeCommand::RegisterNode(Box::new(info)));
    let why = refusal(&mut w, NodeCommand::RemoveNode(node.clone()));
    assert!(why.contains("part of a running master"), "{why}");
    w.ok(NodeCommand::NodeReach { node: node.clone(), reachable: false });
    w.ok(NodeCommand::RemoveNode(node.clone()));
    assert!(admission::check_member(&w.state, &node).is_ok(), "the master stays one");
}

#[test]
fn open_invitations_are_taken_back_and_used_ones_are_not() {
    let mut w = invited(2);
    joined(&mut w, 2);
    assert!(refusal(&mut w, AdmissionCommand::Disinvite { digest: [2; 32] }).contains("used"));
    w.ok(AdmissionCommand::Disinvite { digest: [3; 32] });
    assert!(refusal(&mut w, seat(Some([3; 32]), 3)).contains("not known"));
}

#[test]
fn a_master_stands_by_as_long_as_another_is_to_decide() {
    let mut w = invited(1);
    let stand_by = |master, stands_by| ClusterCommand::StandBy { master, stands_by };
    assert!(refusal(&mut w, stand_by(1, true)).contains("the only one that is to decide"));
    joined(&mut w, 2);
    w.ok(stand_by(2, true));
    assert!(w.state.masters[&2].stands_by);
    assert!(refusal(&mut w, stand_by(1, true)).contains("the only one that is to decide"));
    assert!(refusal(&mut w, stand_by(3, true)).contains("no master 3"));
    // What it says of itself later changes nothing of that.
    let again = Master::new(2, "0.5.0", LEVEL, addresses(7));
    w.ok(ClusterCommand::RegisterMaster(Box::new(again)));
    let row = w.state.masters[&2].clone();
    assert!(row.stands_by && row.release == "0.5.0" && row.node.is_some());
    w.ok(stand_by(2, false));
    assert!(!w.state.masters[&2].stands_by);
}

fn at_level(w: &mut World, level: u32) {
    let cluster = w.state.cluster.clone().expect("a cluster");
    w.state.cluster = Some(std::sync::Arc::new(Cluster { level, ..(*cluster).clone() }));
}

#[test]
fn nothing_of_it_happens_before_its_level() {
    let mut w = invited(2);
    joined(&mut w, 3);
    at_level(&mut w, STAND_BY - 1);
    let stand_by = ClusterCommand::StandBy { master: 3, stands_by: true };
    assert!(refusal(&mut w, stand_by).contains("level 5"));
    at_level(&mut w, MASTERS - 1);
    let (digest, role) = ([8; 32], Invited::Agent);
    for refused in [
        w.run(AdmissionCommand::InviteFor { digest, until: LATE, role }),
        w.run(AdmissionCommand::Disinvite { digest: [2; 32] }),
        w.run(seat(Some([2; 32]), 2)),
        w.run(ClusterCommand::RemoveMaster(1)),
        w.run(ClusterCommand::StandBy { master: 1, stands_by: true }),
    ] {
        let why = refused.0.expect_err("refused");
        assert!(matches!(&why, Rejected::Invalid { field, .. } if field == "level"), "{why}");
    }
}
