//! Tasks: launched, reported on, killed, and what time does to those on lost nodes.

use std::time::Duration;

use super::{instance, tx::Tx};
use crate::{
    base::{limit, units::count},
    choice,
    core::{
        Accepted, Rejected,
        told::{Kind, Told},
    },
    message,
    model::{
        instance::{Instance, InstanceId, KillReason, Life, Phase},
        link::Report,
        node::NodeId,
        resource::Pools,
        workload::UnreachableStrategy,
    },
};

/// Commands about tasks.
#[derive(Clone, Debug)]
pub enum TaskCommand {
    /// Ends tasks; their instances are launched again unless `wipe`.
    Kill { instances: Vec<InstanceId>, wipe: bool, reason: KillReason },
    /// Puts waiting instances on nodes. Each stands alone: those that do not fit any more are
    /// skipped and wait on.
    Launch(Vec<Launch>),
    /// News from one agent.
    Report { node: NodeId, reports: Vec<Report> },
    /// Time has passed for instances on lost nodes.
    Expire { inactive: Vec<InstanceId>, expunge: Vec<InstanceId> },
}

/// One instance on one node.
#[derive(Clone, PartialEq, Debug)]
pub struct Launch {
    pub instance: InstanceId,
    pub node: NodeId,
    /// Scalars and host ports, by the role they are taken from.
    pub allocation: Pools,
    /// One per port of the spec, in order.
    pub host_ports: Vec<Option<u16>>,
}

choice!(TaskCommand {
    6: Kill { 1: instances, 2: wipe, 3: reason },
    7: Launch[list],
    8: Report { 1: node, 2: reports },
    17: Expire { 1: inactive, 2: expunge },
});
message!(Launch { 1: instance, 2: node, 3: allocation, 4: host_ports });

pub(super) fn run(tx: &mut Tx<'_>, command: &TaskCommand) -> Result<Accepted, Rejected> {
    match command {
        TaskCommand::Kill { instances, wipe, reason } => {
            instance::kill(tx, instances, *wipe, reason)
        }
        TaskCommand::Launch(launches) => Ok(instance::launch(tx, launches)),
        TaskCommand::Report { node, reports } => Ok(instance::report(tx, node, reports)),
        TaskCommand::Expire { inactive, expunge } => Ok(expire(tx, inactive, expunge)),
    }
}

pub(super) fn told(command: &TaskCommand) -> Told {
    match command {
        TaskCommand::Kill { instances, .. } => {
            Told::new(Kind::Kill, "", format!("end {}", count(instances.len(), "instance")))
        }
        _ => Told::new(Kind::Attempt, "", "instances moved"),
    }
}

/// Unreachable instances whose time has come turn inactive, or are forgotten. A node that came back
/// meanwhile tells itself what became of its tasks.
fn expire(tx: &mut Tx<'_>, inactive: &[InstanceId], expunge: &[InstanceId]) -> Accepted {
    let mut n_done = 0;
    for id in inactive {
        let known = tx.state.instances.get(id).filter(|i| is_away(tx, i));
        let Some(known) = known.filter(|_| tx.state.bound_to(id).is_none()) else { continue };
        if let Life::Placed(Phase::Unreachable, task) = &known.life {
            let life = Life::Placed(Phase::UnreachableInactive, task.clone());
            tx.put_instance(Instance { life, ..(**known).clone() });
            n_done += 1;
        }
    }
    for id in expunge {
        // What it keeps is there, and nowhere else.
        let waits = tx.state.bound_to(id).is_some();
        if !waits
            && tx.state.instances.get(id).is_some_and(|i| i.condition().is_lost() && is_away(tx, i))
        {
            tx.remove_instance(id);
            n_done += 1;
        }
    }
    Accepted { n_done, ..Accepted::default() }
}

fn is_away(tx: &Tx<'_>, instance: &Instance) -> bool {
    let node = instance.placement().and_then(|p| tx.state.nodes.get(&p.node));
    node.is_some_and(|n| !n.is_reachable())
}

/// After which silence of its node an instance turns inactive, which means it is replaced, and from
/// when on it may be forgotten; `None` = never.
pub fn expiry(strategy: UnreachableStrategy) -> Option<(Duration, Duration)> {
    match strategy {
        UnreachableStrategy::Disabled => None,
        UnreachableStrategy::After { inactive_ms, expunge_ms } => Some((
            Duration::from_millis(inactive_ms).max(limit::REPLACE_AFTER),
            Duration::from_millis(expunge_ms).max(limit::FORGET_AFTER),
        )),
    }
}
