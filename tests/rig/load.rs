//! Changes without a pause, by threads of their own, and what became of each.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{client, cluster::Cluster};

/// Between a change that was not taken and the next attempt.
const AGAIN: Duration = Duration::from_millis(20);
/// Of services, each with a thread that changes it.
const N_WRITERS: u32 = 10;
/// Instances a change sets: a number below this.
const N_INSTANCES: u64 = 4;

/// One change: when it was first asked for, when in the way that was taken, and when acknowledged.
pub struct Change {
    pub asked_at: Instant,
    pub tried_at: Instant,
    pub done_at: Instant,
}

/// What one writer has done.
pub struct Written {
    pub app: String,
    /// What the last acknowledged change set.
    pub instances: u64,
    pub generation: u64,
    pub changes: Vec<Change>,
}

/// Writers that go on until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Written>>,
}

impl Load {
    /// Each writer changes a service of its own, below `/load`, through all masters in turn: a change
    /// that is not acknowledged is asked for again at the next one, until it is.
    pub fn start(cluster: &Cluster, masters: &[usize]) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let routers: Vec<SocketAddr> =
            masters.iter().map(|at| cluster.hosts[*at].router()).collect();
        let threads = (0..N_WRITERS).map(|n| {
            let writer = Writer {
                app: format!("/load/a{n}"),
                routers: routers.clone(),
                token: cluster.token.clone(),
                stop: stop.clone(),
                done: done.clone(),
            };
            thread::spawn(move || writer.run(n))
        });
        Self { threads: threads.collect(), stop, done }
    }

    pub fn n_done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub fn stop(self) -> Result<Vec<Written>> {
        self.stop.store(true, Ordering::Relaxed);
        let joined = self.threads.into_iter().map(JoinHandle::join);
        let written: Vec<_> = joined.filter_map(Result::ok).collect();
        ensure!(written.len() == N_WRITERS as usize, "a writer panicked");
        Ok(written)
    }
}

struct Writer {
    app: String,
    routers: Vec<SocketAddr>,
    token: String,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Writer {
    fn run(self, n: u32) -> Written {
        let app = self.app.clone();
        let mut written = Written { app, instances: 0, generation: 0, changes: Vec::new() };
        let mut through = n as usize;
        // Started apart from each other, or all would ask at the same moments.
        thread::sleep(Duration::from_millis(u64::from(n) * 37));
        while !self.stop.load(Ordering::Relaxed) {
            let generation = written.generation + 1;
            let instances = (generation * 7 + u64::from(n)) % N_INSTANCES;
            let asked_at = Instant::now();
            // Also when told to stop: what was asked for has to end as something known.
            let mut tried_at = asked_at;
            while !self.put(through, instances, generation) {
                through += 1;
                thread::sleep(AGAIN);
                tried_at = Instant::now();
            }
            written.changes.push(Change { asked_at, tried_at, done_at: Instant::now() });
            (written.instances, written.generation) = (instances, generation);
            self.done.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(700));
        }
        written
    }

    fn put(&self, through: usize, instances: u64, generation: u64) -> bool {
        let router = self.routers[through % self.routers.len()];
        let labels = json!({"labels": {"generation": generation.to_string()}});
        let app = Cluster::app(&self.app, u32::try_from(instances).unwrap_or(0), &labels);
        let path = format!("/service/marathon/v2/apps{}?force=true", self.app);
        let body = app.to_string();
        let sent = client::send(router, Some(&self.token), "PUT", &path, Some(body.as_bytes()));
        sent.is_ok_and(|answer| answer.status == 200 || answer.status == 201)
    }
}

/// Value below which so many hundredths of `times` are.
pub fn quantile(times: &mut [Duration], hundredths: usize) -> Duration {
    times.sort();
    let last = times.len().saturating_sub(1);
    times.get((times.len() * hundredths / 100).min(last)).copied().unwrap_or_default()
}
