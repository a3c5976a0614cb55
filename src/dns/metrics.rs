//! The counters of `stats`, summed over the servers of this process at each scrape: answering a query
//! costs nothing more for it.

use super::stats::{self, Snapshot};
use crate::base::metrics::{families, label};

label! {
    pub enum Transport("transport") {
        Udp = "udp",
        Tcp = "tcp",
    }
}

label! {
    pub enum Code("rcode") {
        NoError = "noerror",
        NxDomain = "nxdomain",
        ServFail = "servfail",
        Refused = "refused",
        /// The query makes no sense or asks for what is not done here.
        FormErr = "formerr",
    }
}

label! {
    /// Why a query got no answer.
    pub enum Lost("reason") {
        /// The message deserves none.
        NoReply = "no_reply",
        /// The answer could not be sent.
        Send = "send",
        /// Too many were in flight.
        Overload = "overload",
    }
}

families! {
    QUERIES: Reading<Transport> = counter("tepui_dns_queries_total", "Queries received.", || {
        let now = now();
        [now.udp_queries, now.tcp_queries].map(count)
    });
    ANSWERS: Reading<Code> = counter(
        "tepui_dns_answers_total",
        "Answers made here, from the zones of the cluster or to refuse.",
        || {
            let n = now();
            [n.replies, n.name_errors, n.failures, n.refusals, n.format_errors].map(count)
        },
    );
    LOST: Reading<Lost> = counter("tepui_dns_unanswered_total", "Queries that got no answer.", || {
        let now = now();
        [now.dropped, now.send_errors, now.overloads].map(count)
    });
    FORWARDED: Reading<()> = counter(
        "tepui_dns_forwarded_total",
        "Queries sent to an upstream.",
        || [count(now().forwarded)],
    );
    JOINED: Reading<()> = counter(
        "tepui_dns_joined_total",
        "Queries that waited for the answer to an equal one on its way.",
        || [count(now().joined)],
    );
    UPSTREAM_ERRORS: Reading<()> = counter(
        "tepui_dns_upstream_errors_total",
        "Upstreams that failed or timed out.",
        || [count(now().upstream_errors)],
    );
}

fn now() -> Snapshot {
    stats::of_process()
}

#[allow(clippy::cast_precision_loss)] // past 2^53 the last queries do not show
fn count(n: u64) -> f64 {
    n as f64
}
