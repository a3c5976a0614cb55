//! Keeps the served names equal to the state, or on an agent to what the leader told it: wakes on a
//! change, builds a table, publishes it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{
    serve::Handle,
    table::{Builder, Table},
};
use crate::{
    base::{clock::Timestamp, task::Tasks},
    core::{
        State,
        naming::{known::Known, tasks},
    },
    log::Feed,
    model::names::Realm,
};

/// Shortest time between two tables, so that a burst of launches is one table.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a node that starts waits for a leader to tell it the names.
const TELL_TIME: Duration = Duration::from_secs(3);
/// Building may take this share of the time at most (one part in ...).
const SHARE: u32 = 10;

/// Life of records when nothing else is configured: the original had 60 s in zone `mesos` and 5 s
/// elsewhere, and its users waited for the 60.
pub const TTL_SECS: u32 = 5;

/// A cluster of one master at `master`, whose scheduler API listens on `scheduler_port`.
pub fn single(master: IpAddr, master_port: u16, agent_port: u16, scheduler_port: u16) -> Realm {
    Realm {
        masters: vec![master],
        leader: Some(master),
        frameworks: vec![tasks::marathon(master, scheduler_port)],
        this_node: Some(master),
        name_servers: vec![master],
        master_port,
        agent_port,
        ttl_secs: TTL_SECS,
        ..Realm::default()
    }
}

/// The table of a state. `n_names` is a guess that saves growing.
pub fn table(state: &State, realm: &Realm, n_names: usize) -> Table {
    let mut builder = Builder::new(realm.ttl_secs, serial(state.at), n_names);
    tasks::records(state, realm, &mut builder);
    builder.build()
}

/// The table of what an agent was told, as the node at `this_node` answers it.
pub fn told(known: &Known, this_node: IpAddr, n_names: usize) -> Table {
    let mut builder = Builder::new(known.ttl_secs(), serial(known.at), n_names);
    known.records(this_node, &mut builder);
    builder.build()
}

/// Like the original: the time of the last change, in seconds. Wraps in 2106, as serials may.
fn serial(at: Timestamp) -> u32 {
    let secs = at.as_ms().div_euclid(1000).rem_euclid(1 << 32);
    u32::try_from(secs).expect("reduced to 32 bits")
}

/// Whether nothing that names come from has changed: a comparison of roots, not of contents.
fn has_same_names(old: &State, new: &State) -> bool {
    old.instances.ptr_eq(&new.instances)
        && old.nodes.ptr_eq(&new.nodes)
        && old.specs.ptr_eq(&new.specs)
}

/// Keeps `handle` equal to the state in a task of `tasks`, until that is stopped.
pub fn start(feed: Feed, realm: watch::Receiver<Arc<Realm>>, handle: Handle, tasks: &Tasks) {
    let cancelled = tasks.cancelled();
    tasks.vital("names", async move {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = follow(feed, realm, handle) => anyhow::bail!("the feed has ended"),
        }
        Ok(())
    });
}

/// Keeps `handle` equal to what the agent at `this_node` was told last, in a task of `tasks`. Ends
/// with the agent; what it was told goes on being served.
///
/// `last` is what was known when the node ran before. It is served when no news come within
/// `TELL_TIME`; until then the masters are asked.
pub fn start_told(
    mut news: watch::Receiver<Option<Known>>,
    last: Option<Known>,
    this_node: IpAddr,
    handle: Handle,
    tasks: &Tasks,
) {
    tasks.connection("names", async move {
        if let Some(last) = last
            && tokio::time::timeout(TELL_TIME, news.changed()).await.is_err()
        {
            tracing::info!(
                "no leader tells the names of the cluster: those of last time are served"
            );
            publish(&handle, move || told(&last, this_node, 0)).await;
        } else {
            news.mark_changed();
        }
        while news.changed().await.is_ok() {
            let Some(known) = news.borrow_and_update().clone() else { continue };
            let n_names = handle.table().n_names();
            let built = publish(&handle, move || told(&known, this_node, n_names)).await;
            let Some(took) = built else { return };
            tokio::time::sleep(PAUSE.max(took * SHARE)).await;
        }
    });
}

/// Builds a table and serves it; answers how long that took, or nothing when the runtime ends.
/// Milliseconds at ten thousand tasks: too long for a thread that serves requests.
async fn publish(
    handle: &Handle,
    build: impl FnOnce() -> Table + Send + 'static,
) -> Option<Duration> {
    let began = Instant::now();
    let fresh = tokio::task::spawn_blocking(build).await.ok()?;
    let took = began.elapsed();
    let elapsed_us = took.as_micros();
    tracing::trace!(names = fresh.n_names(), elapsed_us, "names published");
    handle.publish(fresh);
    Some(took)
}

/// Publishes a table for the present state and for each later one. A realm that nobody can change
/// any more stays as it is. Safe to cancel.
async fn follow(feed: Feed, mut realms: watch::Receiver<Arc<Realm>>, handle: Handle) {
    let mut states = feed.changed();
    let mut last: Option<(Arc<State>, Arc<Realm>)> = None;
    loop {
        states.mark_unchanged();
        let state = feed.latest();
        let realm = Arc::clone(&realms.borrow_and_update());
        if last.as_ref().is_none_or(|(s, r)| !has_same_names(s, &state) || !Arc::ptr_eq(r, &realm))
        {
            let (of, with, n_names) = (state.clone(), realm.clone(), handle.table().n_names());
            let built = publish(&handle, move || table(&of, &with, n_names)).await;
            let Some(took) = built else { return };
            last = Some((state, realm));
            tokio::time::sleep(PAUSE.max(took * SHARE)).await;
        }
        tokio::select! {
            changed = states.changed() => if changed.is_err() { return },
            Ok(()) = realms.changed() => {}
        }
    }
}
