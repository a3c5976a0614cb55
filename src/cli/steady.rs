//! Whether what was deployed stays up: a deployment ends when its instances run, and one without a
//! health check may end itself a moment later.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    client::app_path,
    error::{CliError, Exit, Outcome},
    run::Context,
    text::{field, list},
};
use crate::base::clock::Timestamp;

/// Long enough for a program with a wrong argument, a missing file or a taken port to end, and for
/// the agent's report of it.
const WATCHED: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(400);

/// Watches apps for a moment; the first that loses an instance of this version is an error with
/// the cause. Apps with health checks were seen healthy already, unless nothing was changed: then an
/// app that is not well is an error, too.
pub async fn watch<'a>(
    cx: &mut Context,
    apps: impl Iterator<Item = &'a String>,
    version: Option<&str>,
) -> Outcome {
    let Some(since) = version.and_then(Timestamp::parse) else { return Ok(()) };
    let mut open: Vec<&String> = apps.collect();
    let started = Instant::now();
    loop {
        let is_last = started.elapsed() >= WATCHED;
        let mut left = Vec::new();
        for app in open {
            match cx.client.get(format!("/tepui/v1/apps{}", app_path(app)?)).await {
                Ok(shown) => match judge(&shown, since) {
                    Verdict::Fails => return Err(fails(&shown)),
                    Verdict::Runs if is_last && is_unwell(&shown) => return Err(unwell(&shown)),
                    Verdict::Runs => left.push(app),
                    Verdict::Settled => {}
                },
                Err(error) if error.status == Some(404) => {} // removed meanwhile
                Err(error) => return Err(error),
            }
        }
        open = left;
        if open.is_empty() || is_last {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// An instance of this version ended and is not back.
    Fails,
    /// Runs, and may still end.
    Runs,
    /// Nothing to wait for: healthy by its own checks, or stopped.
    Settled,
}

fn judge(app: &Value, since: Timestamp) -> Verdict {
    let n = |name: &str| app["instances"][name].as_u64().unwrap_or(0);
    if n("wanted") == 0 {
        return Verdict::Settled;
    }
    let failure = &app["last_failure"];
    let time = |name: &str| Timestamp::parse(field(failure, name));
    let is_ours = time("at").is_some_and(|at| at >= since);
    let is_up = n("running") >= n("wanted") && !app["waiting"].is_object();
    // An app that ends at once is up again for a moment at each attempt.
    let restarts = list(app, "tasks").any(|t| t["restarts"].as_u64().unwrap_or(0) > 0);
    if is_ours && (!is_up || restarts) {
        return Verdict::Fails;
    }
    let has_checks = app["has_health_checks"].as_bool().unwrap_or(false);
    if has_checks && n("healthy") >= n("wanted") { Verdict::Settled } else { Verdict::Runs }
}

/// What no waiting mends; an app that is only on its way is not among them.
fn is_unwell(app: &Value) -> bool {
    ["unhealthy", "crash_looping", "cannot_start", "engine_down", "stuck"]
        .contains(&field(app, "condition"))
}

fn unwell(app: &Value) -> CliError {
    let (id, verdict) = (field(app, "id"), &app["verdict"]);
    let said = [field(verdict, "sentence"), field(verdict, "cause")];
    let said: Vec<&str> = said.into_iter().filter(|part| !part.is_empty()).collect();
    let text = format!("{id} is as it was asked for, but not well: {}", said.join(": "));
    CliError::new(Exit::NotDeployed, text).hint(field(verdict, "next").to_owned())
}

fn fails(app: &Value) -> CliError {
    let (id, failure) = (field(app, "id"), &app["last_failure"]);
    let next = field(&app["verdict"], "next");
    // What never started has written nothing; what else to do is told with how it is doing.
    let (what, hint) = if next.is_empty() || next.contains("tepui log") {
        ("stay up", format!("what it wrote: tepui log {}", field(failure, "task_id")))
    } else {
        ("start", next.to_owned())
    };
    let text = format!("{id} is deployed but does not {what}: {}", field(failure, "message"));
    CliError::new(Exit::NotDeployed, text).hint(hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_never_started_is_told_with_what_to_do_about_that() {
        let failing = |next: &str| {
            let failure = json!({"task_id": "a.1", "message": "told"});
            fails(&json!({"id": "/a", "last_failure": failure, "verdict": {"next": next}}))
        };
        let (ended, unmet) = (failing("read its output: tepui log /a"), failing("see the name"));
        assert_eq!(ended.message, "/a is deployed but does not stay up: told");
        assert_eq!(ended.hint.as_deref(), Some("what it wrote: tepui log a.1"));
        assert_eq!(unmet.message, "/a is deployed but does not start: told");
        assert_eq!(unmet.hint.as_deref(), Some("see the name"));
    }

    #[test]
    fn an_instance_that_ended_since_is_a_failure_until_it_is_back() {
        let since = Timestamp::parse("2026-01-01T10:00:00.000Z").unwrap();
        let app = |running: u64, at: &str, restarts: u64| {
            json!({
                "id": "/a", "instances": {"wanted": 1, "running": running, "healthy": 0},
                "last_failure": {"at": at, "message": "exit code 3"},
                "tasks": [{"restarts": restarts}],
            })
        };
        let (before, after) = ("2026-01-01T09:59:00.000Z", "2026-01-01T10:00:01.000Z");
        assert_eq!(judge(&app(0, after, 0), since), Verdict::Fails);
        assert_eq!(judge(&app(1, after, 1), since), Verdict::Fails);
        assert_eq!(judge(&app(1, before, 4), since), Verdict::Runs);
        assert_eq!(judge(&app(1, "", 0), since), Verdict::Runs);
        let sick = json!({
            "id": "/a", "condition": "unhealthy",
            "verdict": {"sentence": "it fails its health check", "cause": "refused", "next": "look"},
        });
        assert!(is_unwell(&sick) && !is_unwell(&json!({"condition": "deploying"})));
        let told = unwell(&sick).to_string();
        assert!(told.ends_with("not well: it fails its health check: refused"), "{told}");
        let healthy = json!({
            "instances": {"wanted": 2, "running": 2, "healthy": 2}, "has_health_checks": true,
        });
        assert_eq!(judge(&healthy, since), Verdict::Settled);
        assert_eq!(judge(&json!({"instances": {"wanted": 0}}), since), Verdict::Settled);
    }
}
