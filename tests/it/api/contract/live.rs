//! The streams of the live view, field by field.

use std::collections::BTreeSet;

use tepui::{base::task::Tasks, core::NodeCommand, model::node::NodeKind};

use super::{Check, everything};
use crate::{
    api::{Events, table},
    world::spec,
};

/// The live view: everything, then what changes.
pub async fn stream(c: &mut Check<'_>) {
    let (world, tasks) = (everything(), Tasks::new("test"));
    let table = table(&world, &tasks);
    let mut events = Events::open(&table, "/events", None).await;
    let (_, snapshot) = events.until("snapshot").await;
    let schemas = &c.contract.0["components"]["schemas"];
    c.value(&schemas["LiveSnapshot"], "LiveSnapshot", &snapshot);
    world.put("/web", None);
    world.put("/new", Some(spec("/new", 1)));
    world.node("a9", 1.0, NodeKind::Agent);
    let is_whole = |seen: &BTreeSet<String>| {
        let parts = ["apps", "nodes", "deployments"].map(|part| format!("LiveDelta.{part}"));
        let is_told = seen.contains("LiveDelta.status");
        is_told
            && parts.iter().all(|part| {
                seen.contains(&format!("{part}.set")) && seen.contains(&format!("{part}.removed"))
            })
    };
    for round in 0..50 {
        let (_, delta) = events.until("delta").await;
        c.value(&schemas["LiveDelta"], "LiveDelta", &delta);
        if is_whole(&c.seen) {
            return;
        }
        world.settle();
        if round > 1 {
            let more = format!("/more{round}");
            world.put(&more, Some(spec(&more, 1)));
        }
        if round == 1 {
            let node = world.state().nodes.values().find(|n| n.info.hostname == "a9").cloned();
            let node = node.unwrap().id().clone();
            world.must(NodeCommand::NodeReach { node: node.clone(), reachable: false });
            world.must(NodeCommand::RemoveNode(node));
        }
    }
    panic!("the stream did not tell of all kinds of changes: {:?}", c.seen);
}

/// The live view of where instances are, and of one node.
pub async fn parts(c: &mut Check<'_>) {
    let (world, tasks) = (everything(), Tasks::new("test"));
    let table = table(&world, &tasks);
    let schemas = &c.contract.0["components"]["schemas"];
    let mut placed = Events::open(&table, "/events?of=placed", None).await;
    let (_, snapshot) = placed.until("snapshot").await;
    c.value(&schemas["PlacedSnapshot"], "PlacedSnapshot", &snapshot);
    let node = world.first("/web").placement().unwrap().node.to_string();
    let mut one = Events::open(&table, &format!("/events?of=node:{node}"), None).await;
    c.value(&schemas["Node"], "Node", &one.until("snapshot").await.1);
    world.put("/web", None);
    world.settle();
    c.value(&schemas["PlacedDelta"], "PlacedDelta", &placed.until("delta").await.1);
    while !["tasks.set", "tasks.removed", "drain"]
        .iter()
        .all(|field| c.seen.contains(&format!("NodeDelta.{field}")))
    {
        world.app("/other", 1, |_| {});
        world.app("/other", 0, |_| {});
        c.value(&schemas["NodeDelta"], "NodeDelta", &one.until("delta").await.1);
    }
    tokio::time::pause();
    c.value(&schemas["NodeMeasured"], "NodeMeasured", &one.until("measured").await.1);
    tokio::time::resume();
}
