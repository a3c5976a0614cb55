//! Following a deployment to its end.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    args::Change,
    client::app_path,
    error::{CliError, Exit, Outcome},
    output::{Tone, paint},
    run::Context,
    steady,
    text::{field, list, number},
};
use crate::{base::clock::Timestamp, model::AppId};

/// How often the deployment is looked at.
const LOOK: Duration = Duration::from_millis(400);

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// The definition in force is older than the deployed one.
    TakenBack,
    /// Somebody deployed another definition meanwhile.
    Overtaken,
}

/// Waits for the deployment named in Marathon's answer, unless told not to.
/// `apps` are those it is about; others may be drawn in.
pub async fn for_change(
    cx: &mut Context,
    answer: &Value,
    change: &Change,
    apps: &[&str],
    what: &str,
) -> Outcome {
    let id = match field(answer, "deploymentId") {
        "" => list(answer, "deployments").next().map_or("", |d| field(d, "id")),
        id => id,
    };
    cx.printer.note(what)?;
    if change.no_wait || id.is_empty() {
        return match cx.printer.json {
            true => Ok(cx.printer.value(answer)?),
            false => Ok(cx.printer.line(&format!("deployment {id}"))?),
        };
    }
    follow(cx, id, apps, Some(field(answer, "version")), change.timeout).await
}

/// Shows a deployment's progress until it ends; an end without its goal is an error.
pub async fn follow(
    cx: &mut Context,
    id: &str,
    apps: &[&str],
    version: Option<&str>,
    timeout: Duration,
) -> Outcome {
    let started = Instant::now();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut version = version.filter(|v| !v.is_empty()).map(str::to_owned);
    let mut shown: Vec<String> = Vec::new();
    loop {
        let all = cx.client.get("/tepui/v1/deployments").await?;
        let Some(row) = list(&all, "deployments").find(|d| field(d, "id") == id) else { break };
        seen.extend(list(row, "app_ids").filter_map(Value::as_str).map(str::to_owned));
        version.get_or_insert_with(|| field(row, "version").to_owned());
        let lines = lines(row);
        if cx.printer.live {
            cx.printer.progress(&lines)?;
        } else {
            let fresh: Vec<String> = lines.iter().filter(|l| !shown.contains(l)).cloned().collect();
            cx.printer.progress(&fresh)?;
        }
        shown = lines;
        if started.elapsed() >= timeout {
            cx.printer.clear()?;
            let text = format!("deployment {id} is not done after {} s", timeout.as_secs());
            return Err(CliError::new(Exit::TimedOut, text).hint(format!(
                "it goes on; follow it with: tepui deployment watch {id}{}",
                seen.first().map(|app| format!("   or ask: tepui why {app}")).unwrap_or_default()
            )));
        }
        sleep(LOOK).await;
    }
    cx.printer.clear()?;
    conclude(cx, id, version.as_deref(), &seen).await?;
    // One that was over before it was looked at is known by what it was asked for.
    seen.extend(apps.iter().map(|app| AppId::parse(app).as_str().to_owned()));
    steady::watch(cx, seen.iter(), version.as_deref()).await?;
    if cx.printer.json {
        let told = json!({"deploymentId": id, "version": version, "done": true});
        return Ok(cx.printer.value(&told)?);
    }
    let done = paint("done", Tone::Good, cx.printer.colour.1);
    Ok(cx.printer.note(&done)?)
}

/// Each action of the present step in a line.
fn lines(row: &Value) -> Vec<String> {
    let (step, steps) = (number(&row["step"]), number(&row["steps"]));
    let mut lines = Vec::new();
    for action in list(row, "actions") {
        let mut line = format!(
            "  step {step}/{steps}  {}  {}  {}/{}",
            field(action, "action"),
            field(action, "app_id"),
            number(&action["done"]),
            number(&action["of"]),
        );
        if let Some(blocked) = action["blocked"].as_str() {
            line.push_str("  ");
            line.push_str(blocked);
        }
        lines.push(line);
    }
    lines
}

/// An end without its goal is an error.
async fn conclude(
    cx: &mut Context,
    id: &str,
    version: Option<&str>,
    apps: &BTreeSet<String>,
) -> Outcome {
    let mut end = End::Done;
    for app in apps {
        match cx.client.get(format!("/tepui/v1/apps{}", app_path(app)?)).await {
            Ok(shown) => end = worse(end, ended(&shown, version)),
            Err(error) if error.status == Some(404) => {} // removed, as it should be
            Err(error) => return Err(error),
        }
    }
    match end {
        End::Done => Ok(()),
        End::TakenBack => {
            let text = format!("deployment {id} was taken back before it was done");
            let first = apps.first().cloned().unwrap_or_default();
            Err(CliError::new(Exit::NotDeployed, text)
                .hint(format!("tepui app show {first} tells what runs and what failed last")))
        }
        End::Overtaken => {
            let text = format!("deployment {id} was overtaken by a newer one");
            Err(CliError::new(Exit::NotDeployed, text).hint("tepui deployment list shows it"))
        }
    }
}

fn worse(a: End, b: End) -> End {
    if a == End::Done { b } else { a }
}

fn ended(app: &Value, version: Option<&str>) -> End {
    let wanted = version.and_then(Timestamp::parse);
    let (Some(wanted), Some(now)) = (wanted, Timestamp::parse(field(app, "version"))) else {
        return End::Done;
    };
    match now.cmp(&wanted) {
        std::cmp::Ordering::Less => End::TakenBack,
        std::cmp::Ordering::Equal => End::Done,
        // A newer definition may have come after this one was done; while it is being deployed
        // nobody can tell, and saying so is the safe answer.
        std::cmp::Ordering::Greater if list(app, "deployments").next().is_none() => End::Done,
        std::cmp::Ordering::Greater => End::Overtaken,
    }
}
