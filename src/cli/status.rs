//! `tepui status` and `tepui version`.

use serde_json::{Value, json};

use super::{
    args::Watch,
    error::Outcome,
    output::{Printer, Tone, paint},
    run::{Context, repeat},
    text::{field, list, mem, number, share},
    verdict,
};

pub async fn run(cx: &mut Context, watch: Watch) -> Outcome {
    repeat(cx, watch, show).await
}

async fn show(cx: &mut Context) -> Outcome {
    let status = cx.client.get("/tepui/v1/status").await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&status)?);
    }
    let counts = &status["counts"];
    let n = |name: &str| number(&counts[name]);
    let name = field(&status, "name");
    cx.printer.line(&format!("{name}  at {}", cx.client.session.url))?;
    let told = &status["verdict"];
    let state = cx.printer.toned(field(told, "state"));
    cx.printer.line(&format!("{:<9}  {state}: {}", "state", field(told, "sentence")))?;
    let leader = field(&status["leader"], "address");
    let leader = if leader.is_empty() { "none at the moment" } else { leader };
    let version = field(&status, "version");
    let (total, held) = (&status["total"], &status["allocated"]);
    let memory = format!("{} of {}", mem(&held["mem_mb"]), mem(&total["mem_mb"]));
    let need = if counts["apps_attention"] == 1 { "needs" } else { "need" };
    for (what, text) in [
        ("leader", format!("{leader}, version {version}")),
        ("nodes", format!("{} of {} take work", n("nodes_active"), n("nodes"))),
        ("apps", format!("{}, {} {need} attention", n("apps"), n("apps_attention"))),
        (
            "tasks",
            format!(
                "{} running, {} on their way{}",
                n("instances_running"),
                n("instances_staging"),
                stopping(counts)
            ),
        ),
        (
            "health",
            format!("{} healthy, {} unhealthy", n("instances_healthy"), n("instances_unhealthy")),
        ),
        ("changes", format!("{} under way", n("deployments"))),
        ("cpus", format!("{} held", share(&held["cpus"], &total["cpus"]))),
        ("memory", format!("{memory} held")),
    ] {
        cx.printer.line(&format!("{what:<9}  {text}"))?;
    }
    warnings(cx, &status)?;
    troubles(cx, &status)
}

/// What has been told to end and is still there.
fn stopping(counts: &Value) -> String {
    match counts["instances_stopping"].as_u64() {
        None | Some(0) => String::new(),
        Some(n) => format!(", {n} stopping"),
    }
}

/// What is wrong, one by one; a node is not told of again by a warning.
fn troubles(cx: &mut Context, status: &Value) -> Outcome {
    for trouble in list(status, "troubles") {
        cx.printer.line("")?;
        verdict::print(cx, field(trouble, "name"), &trouble["verdict"])?;
    }
    let counts = &status["counts"];
    let all = ["nodes_attention", "apps_attention"].map(|n| counts[n].as_u64().unwrap_or(0));
    let told = list(status, "troubles").count() as u64;
    if all.iter().sum::<u64>() > told {
        cx.printer.note(&format!("{} more: tepui app list", all.iter().sum::<u64>() - told))?;
    }
    Ok(())
}

fn warnings(cx: &mut Context, status: &Value) -> Outcome {
    for warning in list(status, "warnings").filter(|w| !w["node_id"].is_string()) {
        let head = paint("warning", Tone::Bad, cx.printer.colour.0);
        cx.printer.line(&format!("{head}    {}", field(warning, "message")))?;
        if let Some(hint) = warning["hint"].as_str() {
            cx.printer.line(&format!("           {hint}"))?;
        }
    }
    Ok(())
}

/// Both versions; a cluster out of reach is no failure of this command.
pub async fn version(cx: &mut Context) -> Outcome {
    let status = cx.client.get("/tepui/v1/status").await.unwrap_or(Value::Null);
    if cx.printer.json {
        let cluster = status["version"].clone();
        let own = env!("CARGO_PKG_VERSION");
        return Ok(cx.printer.value(&json!({"version": own, "cluster_version": cluster}))?);
    }
    cx.printer.line(concat!("tepui ", env!("CARGO_PKG_VERSION")))?;
    let cluster = match field(&status, "version") {
        "" => format!("cluster at {} does not answer", cx.client.session.url),
        version => format!("cluster {} runs {version}", field(&status, "name")),
    };
    Ok(cx.printer.line(&cluster)?)
}

/// Without any cluster to ask.
pub fn own_version(printer: &mut Printer) -> Outcome {
    if printer.json {
        return Ok(printer.value(&json!({"version": env!("CARGO_PKG_VERSION")}))?);
    }
    Ok(printer.line(concat!("tepui ", env!("CARGO_PKG_VERSION")))?)
}
