//! The cluster as its answers tell it: way, login, versions, clocks, leader, its own warnings.

use serde_json::Value;

use super::{Finding, live};
use crate::{
    base::{clock::Timestamp, task::Tasks},
    cli::{
        args::Global,
        client::Client,
        error::{CliError, Outcome},
        io::Io,
        session::Session,
        text::{field, list},
    },
};

/// Clocks further apart than this confuse tokens and ages.
const CLOCK_SKEW_MAX_S: i64 = 30;
/// Things told of what one reconciler waits for.
const WAITS_TOLD_MAX: usize = 5;

pub async fn look(
    session: Outcome<Session>,
    global: &Global,
    io: &Io,
    tasks: &Tasks,
) -> Vec<Finding> {
    let session = match session {
        Ok(session) => session,
        Err(error) => return vec![failed("cluster", error)],
    };
    let mut findings =
        vec![Finding::good("address", format!("{} (from {})", session.url, session.source))];
    findings.push(match &session.token {
        Some(_) => Finding::good("login", "there is a token"),
        None => Finding::bad("login", "there is no token").hint("sign in with: tepui login"),
    });
    let client = Client::new(session, global.ca.as_deref(), global.insecure, tasks);
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![failed("cluster", error)],
    };
    match client.get("/tepui/v1/status").await {
        Ok(status) => {
            let text = format!("{} answers and takes the login", field(&status, "name"));
            findings.push(Finding::good("cluster", text));
            let now = io.clock.now();
            findings.extend(told(&status, now));
            findings.extend(live::look(&client, now).await);
            // Without it the rest is as good.
            if let Ok(looked) = client.get("/tepui/v1/debug/reconcilers").await {
                findings.extend(waits(&looked));
            }
        }
        Err(error) => findings.push(failed("cluster", error)),
    }
    findings
}

fn failed(about: &'static str, error: CliError) -> Finding {
    let finding = Finding::bad(about, error.message);
    match error.hint {
        // Doctor is what the general hint sends people to.
        Some(hint) if !hint.contains("tepui doctor") => finding.hint(hint),
        _ => finding,
    }
}

/// What an answer tells.
fn told(status: &Value, now: Timestamp) -> Vec<Finding> {
    let (own, theirs) = (env!("CARGO_PKG_VERSION"), field(status, "version"));
    let mut findings = vec![match own == theirs {
        true => Finding::good("version", format!("both run {own}")),
        false => Finding::bad("version", format!("this is {own}, the cluster runs {theirs}"))
            .hint("use the same on both sides"),
    }];
    if let Some(at) = Timestamp::parse(field(status, "at")) {
        let skew_s = (at.as_ms() - now.as_ms()) / 1000;
        findings.push(match skew_s.abs() <= CLOCK_SKEW_MAX_S {
            true => Finding::good("clock", "this machine's and the cluster's agree"),
            false => {
                let (n, how) = (skew_s.abs(), if skew_s > 0 { "behind" } else { "ahead of" });
                Finding::bad("clock", format!("this machine is {n} s {how} the cluster"))
                    .hint("set the wrong one, best by a time service such as chrony")
            }
        });
    }
    findings.push(match status["leader"].is_object() {
        true => Finding::good("leader", "a master leads"),
        false => Finding::bad("leader", "no master leads")
            .hint("look whether most masters are up: tepui node list"),
    });
    findings.extend(list(status, "warnings").map(|w| {
        let finding = Finding::bad("cluster", field(w, "message"));
        match w["hint"].as_str() {
            Some(hint) => finding.hint(hint),
            None => finding,
        }
    }));
    findings
}

/// What the leader's reconcilers wait for: no trouble by itself, and where to look if it is one.
fn waits(looked: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut n_more = 0;
    for reconciler in list(looked, "reconcilers") {
        let told = list(reconciler, "waits").take(WAITS_TOLD_MAX);
        let told: Vec<Finding> = told
            .map(|wait| {
                let (about, because) = (field(wait, "about"), field(wait, "because"));
                Finding::note("waits", format!("{about}: {because}"))
            })
            .collect();
        let n_waits = reconciler["waits_total"].as_u64().unwrap_or(0);
        n_more += n_waits.saturating_sub(told.len() as u64);
        findings.extend(told);
        if let Some(refused) = reconciler["refused"].as_str() {
            let text =
                format!("{} could not do what it wanted: {refused}", field(reconciler, "name"));
            findings.push(Finding::note("waits", text));
        }
    }
    if n_more > 0 {
        findings.push(Finding::note("waits", format!("{n_more} more")));
    }
    if findings.is_empty() {
        findings.push(Finding::good("waits", "nothing is held up"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::Level, *};

    #[test]
    fn skewed_clocks_other_versions_and_no_leader_are_bad() {
        let now = Timestamp::from_ms(1_000_000_000_000);
        let status = |at_ms: i64, version: &str| {
            let at = Timestamp::from_ms(at_ms).to_string();
            json!({"version": version, "at": at, "leader": {"address": "a"}, "warnings": []})
        };
        let own = env!("CARGO_PKG_VERSION");
        let good = told(&status(now.as_ms() + 2_000, own), now);
        assert!(good.iter().all(|f| f.level == Level::Good), "{good:?}");
        let mut odd = status(now.as_ms() - 60_000, "9.9");
        odd["leader"] = Value::Null;
        odd["warnings"] = json!([{"message": "no room", "hint": "add a node"}]);
        let odd = told(&odd, now);
        assert!(odd.iter().all(|f| f.level == Level::Bad), "{odd:?}");
        assert_eq!(odd[1].text, "this machine is 60 s ahead of the cluster");
        assert_eq!(odd[3].hint.as_deref(), Some("add a node"));
    }

    #[test]
    fn what_waits_is_told_and_what_is_more_is_counted() {
        let wait = |n: usize| json!({"about": format!("app /a{n}"), "because": "no room"});
        let many: Vec<_> = (0..9).map(wait).collect();
        let looked = json!({"reconcilers": [
            {"name": "deploy", "waits": [wait(0)], "waits_total": 1, "refused": "busy"},
            {"name": "place", "waits": many, "waits_total": 200},
        ]});
        let found = waits(&looked);
        assert!(found.iter().all(|f| f.level == Level::Note && f.about == "waits"), "{found:?}");
        let texts: Vec<_> = found.iter().map(|f| f.text.as_str()).collect();
        assert_eq!(
            texts[..3],
            ["app /a0: no room", "deploy could not do what it wanted: busy", "app /a0: no room"]
        );
        assert_eq!((texts.len(), texts[7]), (8, "195 more"));
        let none = waits(&json!({"reconcilers": [{"name": "place", "waits": []}]}));
        assert_eq!((none.len(), none[0].level), (1, Level::Good));
    }
}
