//! Counters of the DNS servers: plain atomics that any thread adds to, read as one snapshot.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;

use super::wire::Rcode;

/// The counters. Adding is one relaxed atomic operation.
#[derive(Debug, Default)]
pub struct Stats {
    udp_queries: AtomicU64,
    tcp_queries: AtomicU64,
    replies: AtomicU64,
    failures: AtomicU64,
    name_errors: AtomicU64,
    refusals: AtomicU64,
    format_errors: AtomicU64,
    dropped: AtomicU64,
    send_errors: AtomicU64,
    forwarded: AtomicU64,
    joined: AtomicU64,
    overloads: AtomicU64,
    upstream_errors: AtomicU64,
}

/// All counters at about the same moment; each counts since the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    pub udp_queries: u64,
    pub tcp_queries: u64,
    /// Answers from our own zones with code NOERROR.
    pub replies: u64,
    pub failures: u64,
    pub name_errors: u64,
    pub refusals: u64,
    pub format_errors: u64,
    /// Messages that deserved no reply.
    pub dropped: u64,
    pub send_errors: u64,
    /// Queries sent to an upstream.
    pub forwarded: u64,
    /// Queries that waited for the answer to an equal one already on its way.
    pub joined: u64,
    /// Queries dropped because too many were in flight.
    pub overloads: u64,
    /// Upstreams that failed or timed out.
    pub upstream_errors: u64,
}

/// The counters of every server of this process that is still there.
static SERVERS: Mutex<Vec<Weak<Stats>>> = Mutex::new(Vec::new());

/// The sums over all servers of this process. A node has one, which lives as long as it.
pub fn of_process() -> Snapshot {
    let servers = SERVERS.lock();
    servers.iter().filter_map(Weak::upgrade).fold(Snapshot::default(), |sum, s| sum + s.snapshot())
}

impl Stats {
    /// Counters that `of_process` sums up while somebody holds them.
    pub(super) fn of_server() -> Arc<Self> {
        let stats = Arc::new(Self::default());
        let mut servers = SERVERS.lock();
        servers.retain(|server| server.strong_count() > 0);
        servers.push(Arc::downgrade(&stats));
        stats
    }

    pub(super) fn udp_query(&self) {
        self.udp_queries.fetch_add(1, Relaxed);
    }

    pub(super) fn tcp_query(&self) {
        self.tcp_queries.fetch_add(1, Relaxed);
    }

    pub(super) fn reply(&self, rcode: Rcode) {
        let counter = match rcode {
            Rcode::NoError => &self.replies,
            Rcode::NxDomain => &self.name_errors,
            Rcode::ServFail => &self.failures,
            Rcode::Refused => &self.refusals,
            Rcode::FormErr | Rcode::NotImp | Rcode::BadVers => &self.format_errors,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    pub(super) fn send_error(&self) {
        self.send_errors.fetch_add(1, Relaxed);
    }

    pub(super) fn forwarded(&self) {
        self.forwarded.fetch_add(1, Relaxed);
    }

    pub(super) fn joined(&self) {
        self.joined.fetch_add(1, Relaxed);
    }

    pub(super) fn overload(&self) {
        self.overloads.fetch_add(1, Relaxed);
    }

    pub(super) fn upstream_error(&self) {
        self.upstream_errors.fetch_add(1, Relaxed);
    }

    /// Reads every counter.
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Snapshot {
            udp_queries: read(&self.udp_queries),
            tcp_queries: read(&self.tcp_queries),
            replies: read(&self.replies),
            failures: read(&self.failures),
            name_errors: read(&self.name_errors),
            refusals: read(&self.refusals),
            format_errors: read(&self.format_errors),
            dropped: read(&self.dropped),
            send_errors: read(&self.send_errors),
            forwarded: read(&self.forwarded),
            joined: read(&self.joined),
            overloads: read(&self.overloads),
            upstream_errors: read(&self.upstream_errors),
        }
    }
}

impl std::ops::Add for Snapshot {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            udp_queries: self.udp_queries + other.udp_queries,
            tcp_queries: self.tcp_queries + other.tcp_queries,
            replies: self.replies + other.replies,
            failures: self.failures + other.failures,
            name_errors: self.name_errors + other.name_errors,
            refusals: self.refusals + other.refusals,
            format_errors: self.format_errors + other.format_errors,
            dropped: self.dropped + other.dropped,
            send_errors: self.send_errors + other.send_errors,
            forwarded: self.forwarded + other.forwarded,
            joined: self.joined + other.joined,
            overloads: self.overloads + other.overloads,
            upstream_errors: self.upstream_errors + other.upstream_errors,
        }
    }
}
