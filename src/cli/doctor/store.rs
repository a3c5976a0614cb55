//! What a node that does not run left behind: whose its directory is, its certificate, and for a master its
//! store, row by row and entry by entry. Nothing is changed, and no file is made.

use std::path::Path;

use super::Finding;
use crate::{
    base::{
        clock::Timestamp,
        error::{chain, plain},
        level::LEVEL,
        units,
    },
    cli::text,
    core::{State, invariant},
    host::pki::{Identity, KEY_FILE, NODE_FILE, node::As},
    log::{
        Disk,
        stopped::{Records, Stopped, Whole},
    },
    node::{backup, hold, peers},
};

/// Findings told of one store.
const FINDINGS_MAX: usize = 20;
/// Agents and masters have renewed theirs long before.
const CERTIFICATE_DAYS_MIN: u64 = 14;

pub async fn look(data_dir: &Path, now: Timestamp) -> Vec<Finding> {
    if !data_dir.is_dir() {
        let text = format!("there is no directory {}", data_dir.display());
        return vec![Finding::bad("data", text)];
    }
    let held = match hold::hold_to_look(data_dir) {
        Ok(held) => held,
        Err(error) => {
            let finding = Finding::bad("data", format!("{error:#}"));
            let hint = "a running cluster is looked at without --data-dir: tepui doctor";
            return vec![finding.hint(hint)];
        }
    };
    let mut findings = Vec::new();
    if let Some(why) = backup::unfinished(data_dir) {
        findings.push(Finding::bad("data", why));
    }
    let is_master = certificate(data_dir, now, &mut findings);
    let log = data_dir.join("log");
    match (log.exists(), is_master) {
        (true, _) => findings.extend(store(&log, is_master, now).await),
        (false, Some(_)) => findings.push(
            Finding::bad("store", "a master was here, and its directory log is gone")
                .hint("join again with an empty directory, or restore a backup"),
        ),
        (false, None) => findings.push(Finding::note("store", "there is none: no master was here")),
    }
    drop(held);
    findings
}

/// Whose the directory is; the number of a master.
fn certificate(data_dir: &Path, now: Timestamp, findings: &mut Vec<Finding>) -> Option<u64> {
    let pki = peers::pki_dir(data_dir);
    if !pki.join(NODE_FILE).exists() {
        let text = format!("there is no certificate in {}", pki.display());
        findings.push(Finding::note("identity", text));
        return None;
    }
    let facts = match Identity::load(&pki).and_then(|identity| identity.facts()) {
        Ok(facts) => facts,
        Err(error) => {
            let text = format!("the certificate is of no use: {}", chain(&error));
            findings.push(Finding::bad("identity", text));
            return None;
        }
    };
    let (is, master) = match facts.is {
        As::Master(id) => (format!("master {id}"), Some(id)),
        As::Agent => ("an agent".to_owned(), None),
        As::PublicAgent => ("a public agent".to_owned(), None),
    };
    findings.push(Finding::good("identity", format!("{is}, node {}", facts.node)));
    let left = facts.expires_at.since(now);
    let days = left.as_secs() / 86_400;
    findings.push(match (now >= facts.expires_at, days < CERTIFICATE_DAYS_MIN) {
        (true, _) => {
            let text = format!("the certificate ended at {}", facts.expires_at);
            let finding = Finding::bad("identity", text);
            match master {
                Some(_) => {
                    finding.hint("a master that has the authority makes another at its start")
                }
                None => finding.hint("delete its directory pki and join again with a new token"),
            }
        }
        (false, true) => {
            Finding::note("identity", format!("the certificate is good for {days} days more"))
                .hint("it is renewed while the node runs")
        }
        (false, false) => {
            Finding::good("identity", format!("the certificate is good for {days} days more"))
        }
    });
    if master.is_some() && !pki.join(KEY_FILE).exists() {
        let text = "this master has not got the key of the cluster's authority";
        findings
            .push(Finding::note("identity", text).hint("it finds it in the state at its start"));
    }
    master
}

async fn store(log: &Path, master: Option<u64>, now: Timestamp) -> Vec<Finding> {
    let bad = |text: String| vec![Finding::bad("store", plain(&text))];
    let stopped = match Stopped::look(&Disk::at(log.to_owned())).await {
        Ok(stopped) => stopped,
        Err(error) => return bad(chain(&error)),
    };
    // Reading takes a while for a large state, and nothing else is done meanwhile.
    let (read, records) = (stopped.read::<State>(LEVEL), stopped.read_history());
    stopped.close().await;
    let mut findings = match read {
        Ok(whole) => told(&whole, master, now),
        Err(error) => bad(chain(&error)),
    };
    findings.push(match records {
        Ok(Records { n_rows, n_bytes }) => {
            Finding::good("history", format!("{n_rows} records, {}", text::bytes(n_bytes)))
        }
        Err(error) => Finding::bad("history", chain(&error)),
    });
    findings
}

fn told(whole: &Whole<State>, master: Option<u64>, now: Timestamp) -> Vec<Finding> {
    let state = &whole.machine;
    let cluster = state.cluster.as_deref();
    let name = cluster.map_or("a cluster that was not made yet", |cluster| &cluster.name);
    let id = cluster.map(|cluster| format!(" ({})", cluster.id)).unwrap_or_default();
    let mut findings = vec![
        Finding::good("store", format!("{name}{id} at level {}", state.level())),
        Finding::good(
            "store",
            format!(
                "{} rows: {} apps, {} instances, {} nodes, {} users",
                whole.n_rows,
                state.apps.len(),
                state.instances.len(),
                state.nodes.len(),
                state.users.len()
            ),
        ),
    ];
    let at = |id: &Option<crate::log::types::LogId>| {
        id.map_or((0, 0), |id| (id.index, id.leader_id.term))
    };
    let ((applied, _), (last, term)) = (at(&whole.applied), at(&whole.last));
    findings.push(Finding::good(
        "log",
        format!(
            "{} entries without a hole, the last is {last} of term {term}, the rows are at {applied}",
            whole.n_entries
        ),
    ));
    findings.push(Finding::note(
        "age",
        format!(
            "revision {}, latest time {}, {} ago",
            state.revision,
            state.at,
            units::duration(now.since(state.at))
        ),
    ));
    let fingerprint = format!("{:016x} after entry {last}", state.fingerprint());
    findings.push(Finding::note("state", format!("its fingerprint is {fingerprint}")));
    let wrong = invariant::check(state);
    findings.extend(
        wrong.iter().take(FINDINGS_MAX).map(|finding| {
            Finding::bad("state", format!("{} {}", finding.subject, finding.problem))
        }),
    );
    if wrong.is_empty() {
        findings.push(Finding::good("state", "it holds together"));
    }
    let voters: Vec<String> =
        whole.members.membership().voter_ids().map(|id| id.to_string()).collect();
    let text = format!("of the masters {} decide", voters.join(", "));
    findings.push(match master {
        Some(id) if !state.masters.is_empty() && !state.masters.contains_key(&id) => {
            Finding::bad("masters", format!("{text}; {id}, which this is, was removed"))
                .hint("to bring the machine back: an empty directory and a new token")
        }
        _ => Finding::good("masters", text),
    });
    findings
}
