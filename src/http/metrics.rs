//! What the listeners and the proxy count, and the log lines of the same events.
//!
//! On the way of every request: one counter and one histogram, three relaxed additions and a reading
//! of the clock at each end. A proxied one adds a histogram. Everything else is rare.

use std::{net::IpAddr, time::Duration};

use http::StatusCode;

use super::{
    RequestId,
    upstream::{ConnectError, Failure, Upstream},
};
use crate::base::{
    error::chain,
    metrics::{QUICK, families, label},
};

label! {
    /// Which of this process's doors a request came to.
    #[derive(Default)]
    pub enum Door("listener") {
        /// The front door.
        Front = "front",
        /// The plain port beside it, which sends everybody on to HTTPS.
        Redirect = "redirect",
        /// Marathon's own port.
        Marathon = "marathon",
        /// The port of Mesos' master.
        Mesos = "mesos",
        /// Any other.
        #[default]
        Other = "other",
    }
}

label! {
    /// First digit of an answer's status.
    pub enum Class("status") {
        Informational = "1xx",
        Success = "2xx",
        Redirection = "3xx",
        ClientError = "4xx",
        ServerError = "5xx",
    }
}

impl From<StatusCode> for Class {
    fn from(status: StatusCode) -> Self {
        match status.as_u16() / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

label! {
    /// Why a connection or a request was not served.
    pub enum Why("reason") {
        /// No place for one more connection, and nobody to send away.
        Crowd = "crowd",
        /// Its address is too far ahead of its share of the processor.
        Pace = "pace",
        /// Closed to make room: no request on it had shown a credential.
        SentAway = "sent_away",
        /// No request on it had shown a credential, and it asked for nothing more.
        Idle = "idle",
        /// Requests being received hold all the memory they may.
        Memory = "memory",
        /// The head of the request makes no sense.
        Head = "head",
    }
}

label! {
    /// Why an upstream gave no answer.
    pub enum UpstreamFault("reason") {
        Refused = "refused",
        SlowConnect = "slow_connect",
        Broken = "broken",
        Silent = "silent",
    }
}

families! {
    REQUESTS: Counter<(Door, Class)> = new("tepui_http_requests_total", "Requests answered.");
    DURATION: Histogram<Door> = new(
        "tepui_http_request_duration_seconds",
        "From a request's head to the head of its answer.",
        &QUICK,
    );
    REFUSED: Counter<Why> = new(
        "tepui_http_refused_total",
        "Connections and requests turned away before anybody looked at what they want.",
    );
    CONNECTIONS: Gauge<Door> = new("tepui_http_connections", "Connections open.");
    PANICS: Counter<()> = new(
        "tepui_http_panics_total",
        "Requests whose handler panicked; each is a fault of this program.",
    );
    pub(super) UPSTREAM: Histogram<()> = new(
        "tepui_proxy_upstream_duration_seconds",
        "From passing a request on to the head of the answer, connecting and retries included.",
        &QUICK,
    );
    RETRIES: Counter<()> = new(
        "tepui_proxy_retries_total",
        "Requests sent again, to the same service instance or another.",
    );
    FAILURES: Counter<UpstreamFault> = new(
        "tepui_proxy_failures_total",
        "Requests that no service instance answered.",
    );
    pub(super) CONNECTS: Counter<()> = new(
        "tepui_proxy_connects_total",
        "Connections opened to services.",
    );
    pub(super) TUNNELS: Counter<()> = new(
        "tepui_proxy_tunnels_total",
        "Connections that became tunnels (websockets).",
    );
}

/// A request was answered `took` after its head had come.
pub(super) fn answered(door: Door, status: StatusCode, took: Duration) {
    REQUESTS.inc((door, Class::from(status)));
    DURATION.observe(door, took);
    tracing::debug!(status = status.as_u16(), ?took, "answered");
}

/// A connection or a request of `peer` is not served.
pub(super) fn refused(peer: IpAddr, why: Why) {
    REFUSED.inc(why);
    tracing::debug!(%peer, reason = ?why, "turned away");
}

pub(super) fn connected(door: Door) {
    CONNECTIONS.inc(door);
}

pub(super) fn disconnected(door: Door) {
    CONNECTIONS.dec(door);
}

/// The handler of a request panicked; `route` is the pattern, where one was found.
pub(super) fn panicked(request: RequestId, route: Option<&str>) {
    PANICS.inc(());
    let n = PANICS.get(());
    tracing::error!(%request, route, n, "the handler of a request panicked");
}

/// How many requests of this process ended in a panic of ours: each is a fault to mend.
pub fn n_panics() -> u64 {
    PANICS.get(())
}

/// A request is sent again after `failure`, or because nobody accepts connections at `upstream`.
pub(super) fn retried(upstream: Upstream, failure: &(dyn std::error::Error + 'static)) {
    RETRIES.inc(());
    tracing::debug!(upstream = %upstream.addr, error = chain(failure), "sending again");
}

/// No instance of a service answered.
pub(super) fn failed(upstream: Upstream, failure: &Failure) {
    FAILURES.inc(match failure {
        Failure::Connect(ConnectError::Refused(_)) => UpstreamFault::Refused,
        Failure::Connect(ConnectError::Slow) => UpstreamFault::SlowConnect,
        Failure::Broken(_) => UpstreamFault::Broken,
        Failure::Silent => UpstreamFault::Silent,
    });
    tracing::debug!(upstream = %upstream.addr, error = chain(failure), "upstream failed");
}
