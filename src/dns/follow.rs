//! Keeps the served names equal to the state: wakes on a change, builds a table, publishes it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{
    serve::Handle,
    table::{Builder, Table},
};
use crate::{
    base::task::Tasks,
    core::{
        State,
        naming::{AddressRule, Cluster, tasks},
    },
    log::Feed,
};

/// Shortest time between two tables, so that a burst of launches is one table.
const PAUSE: Duration = Duration::from_millis(20);
/// Building may take this share of the time at most (one part in ...).
const SHARE: u32 = 10;

/// What the state does not say.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub cluster: Cluster,
    pub rule: AddressRule,
    /// Life of every record, in seconds.
    pub ttl_secs: u32,
}

/// Life of records when nothing else is configured: the original had 60 s in zone `mesos` and 5 s
/// elsewhere, and its users waited for the 60.
pub const TTL_SECS: u32 = 5;

impl Facts {
    /// A cluster of one master at `master`, whose scheduler API listens on `scheduler_port`.
    pub fn single(master: IpAddr, master_port: u16, agent_port: u16, scheduler_port: u16) -> Self {
        let cluster = Cluster {
            masters: vec![master],
            leader: Some(master),
            frameworks: vec![tasks::marathon(master, scheduler_port)],
            this_node: Some(master),
            name_servers: vec![master],
            master_port,
            agent_port,
            ..Cluster::default()
        };
        Self { cluster, rule: AddressRule::default(), ttl_secs: TTL_SECS }
    }
}

/// The table of a state. `n_names` is a guess that saves growing.
pub fn table(state: &State, facts: &Facts, n_names: usize) -> Table {
    // Like the original: the time of the last change, in seconds. Wraps in 2106, as serials may.
    let secs = state.at.as_ms().div_euclid(1000).rem_euclid(1 << 32);
    let serial = u32::try_from(secs).expect("reduced to 32 bits");
    let mut builder = Builder::new(facts.ttl_secs, serial, n_names);
    tasks::records(state, &facts.cluster, facts.rule, &mut builder);
    builder.build()
}

/// Whether nothing that names come from has changed: a comparison of roots, not of contents.
fn has_same_names(old: &State, new: &State) -> bool {
    old.instances.ptr_eq(&new.instances)
        && old.nodes.ptr_eq(&new.nodes)
        && old.specs.ptr_eq(&new.specs)
}

/// Keeps `handle` equal to the state in a task of `tasks`, until that is stopped.
pub fn start(feed: Feed, facts: watch::Receiver<Arc<Facts>>, handle: Handle, tasks: &Tasks) {
    let cancelled = tasks.cancelled();
    tasks.vital("names", async move {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = follow(feed, facts, handle) => anyhow::bail!("the feed has ended"),
        }
        Ok(())
    });
}

/// Publishes a table for the present state and for each later one. Facts that nobody can change
/// any more stay as they are. Safe to cancel.
async fn follow(feed: Feed, mut facts: watch::Receiver<Arc<Facts>>, handle: Handle) {
    let mut states = feed.changed();
    let mut last: Option<(Arc<State>, Arc<Facts>)> = None;
    loop {
        states.mark_unchanged();
        let state = feed.latest();
        let known = Arc::clone(&facts.borrow_and_update());
        if last.as_ref().is_none_or(|(s, f)| !has_same_names(s, &state) || !Arc::ptr_eq(f, &known))
        {
            let began = Instant::now();
            let (of, with, n_names) = (state.clone(), known.clone(), handle.table().n_names());
            // Milliseconds at ten thousand tasks: too long for a thread that serves requests.
            let built = tokio::task::spawn_blocking(move || table(&of, &with, n_names)).await;
            let Ok(fresh) = built else { return };
            let took = began.elapsed();
            let elapsed_us = took.as_micros();
            tracing::trace!(names = fresh.n_names(), elapsed_us, "names published");
            handle.publish(fresh);
            last = Some((state, known));
            tokio::time::sleep(PAUSE.max(took * SHARE)).await;
        }
        tokio::select! {
            changed = states.changed() => if changed.is_err() { return },
            Ok(()) = facts.changed() => {}
        }
    }
}
