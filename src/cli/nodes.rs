//! `tepui node …`.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    args::{ForWhom, Node},
    client::{Ask, segment},
    error::{CliError, Exit, Outcome},
    output::Table,
    run::{Context, confirm, repeat},
    tasks,
    text::{count, field, list, mem, number, share},
    verdict,
};
use crate::base::alike;

pub async fn run(cx: &mut Context, node: Node) -> Outcome {
    match node {
        Node::List { watch } => repeat(cx, watch, show_list).await,
        Node::Show { node } => show(cx, &node).await,
        Node::Drain { node, dry_run, no_wait, timeout, deadline } => {
            let asked = json!({ "dry_run": dry_run, "deadline_s": deadline.as_secs() });
            drain(cx, &node, &asked, (!no_wait).then_some(timeout)).await
        }
        Node::Undrain { node } => undrain(cx, &node).await,
        Node::Invite { invite: asked } => invite(cx, &asked).await,
        Node::Remove { node, yes } => remove(cx, &node, yes).await,
    }
}

async fn show_list(cx: &mut Context) -> Outcome {
    let answer = cx.client.get("/tepui/v1/nodes").await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer["nodes"])?);
    }
    let mut table =
        Table::new(&["HOST", "STATUS", "ROLE", "TASKS", "CPUS", "MEM", "RELEASE", "LEVEL", "ID"]);
    for node in list(&answer, "nodes") {
        let (total, used) = (&node["total"], &node["allocated"]);
        let roles: Vec<&str> = list(node, "roles").filter_map(Value::as_str).collect();
        table.row([
            field(node, "host").to_owned(),
            field(node, "condition").to_owned(),
            roles.join(","),
            number(&node["instances"]),
            share(&used["cpus"], &total["cpus"]),
            format!("{} of {}", mem(&used["mem_mb"]), mem(&total["mem_mb"])),
            field(node, "version").to_owned(),
            number(&node["level"]),
            field(node, "id").to_owned(),
        ]);
    }
    Ok(cx.printer.table(&table)?)
}

async fn get(cx: &mut Context, node: &str) -> Outcome<Value> {
    if node.is_empty() {
        // The path would be that of the list.
        let error = CliError::usage("\"\" names no node");
        return Err(error.hint("tepui node list shows the nodes there are"));
    }
    match cx.client.get(format!("/tepui/v1/nodes/{}", segment(node))).await {
        Err(error) if error.status == Some(404) => short(cx, node, error).await,
        other => other,
    }
}

/// The node whose id begins, or behind its last dash ends, like this; or one that may be meant.
async fn short(cx: &mut Context, name: &str, error: CliError) -> Outcome<Value> {
    let all = cx.client.get("/tepui/v1/nodes").await?;
    let is_meant = |node: &Value| {
        let id = field(node, "id");
        id.starts_with(name) || id.rsplit('-').next() == Some(name)
    };
    let found: Vec<&Value> = list(&all, "nodes").filter(|n| is_meant(n)).collect();
    match found.as_slice() {
        [only] => {
            let path = format!("/tepui/v1/nodes/{}", segment(field(only, "id")));
            cx.client.get(path).await
        }
        [] => {
            let hosts = list(&all, "nodes").map(|n| field(n, "host"));
            Err(match alike::nearest(name, hosts) {
                Some(host) => error.hint(format!("did you mean {host}?")),
                None => error.hint("tepui node list shows the nodes there are"),
            })
        }
        several => {
            let mut error = CliError::usage(format!("{name} may mean several nodes"));
            let line = |n: &&Value| format!("{}  {}", field(n, "host"), field(n, "id"));
            error.details = several.iter().map(line).collect();
            Err(error.hint("write a few more letters"))
        }
    }
}

/// The id of the node that a name means.
pub async fn id_of(cx: &mut Context, name: &str) -> Outcome<String> {
    Ok(field(&get(cx, name).await?, "id").to_owned())
}

async fn show(cx: &mut Context, node: &str) -> Outcome {
    let answer = get(cx, node).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    verdict::print(cx, field(&answer, "host"), &answer["verdict"])?;
    let (total, held) = (&answer["total"], &answer["allocated"]);
    cx.printer.line(&format!("id         {}", field(&answer, "id")))?;
    cx.printer.line(&format!("address    {}", field(&answer, "address")))?;
    cx.printer.line(&format!("cpus       {} held", share(&held["cpus"], &total["cpus"])))?;
    let memory = format!("{} of {}", mem(&held["mem_mb"]), mem(&total["mem_mb"]));
    cx.printer.line(&format!("memory     {memory} held"))?;
    cx.printer.line(&format!("ports      {}", field(&answer, "ports")))?;
    for name in ["region", "zone"] {
        if let Some(value) = answer[name].as_str() {
            cx.printer.line(&format!("{name:<9}  {value}"))?;
        }
    }
    for (name, value) in answer["attributes"].as_object().into_iter().flatten() {
        cx.printer.line(&format!("attribute  {name}={}", value.as_str().unwrap_or_default()))?;
    }
    if list(&answer, "tasks").next().is_some() {
        cx.printer.line("")?;
        let table = tasks::table(list(&answer, "tasks"), cx.io.clock.now(), true);
        cx.printer.table(&table)?;
    }
    Ok(())
}

async fn drain(cx: &mut Context, node: &str, asked: &Value, wait: Option<Duration>) -> Outcome {
    let id = id_of(cx, node).await?;
    let path = format!("/tepui/v1/nodes/{}/drain", segment(&id));
    if asked["dry_run"] == true {
        return preview(cx, &path).await;
    }
    let answer = cx.client.json(Ask::post(&path).json(asked)).await?;
    let n = list(&answer, "instances").count();
    cx.printer.note(&format!("{} drains: {} to move", node, count(n, "task")))?;
    let Some(timeout) = wait else {
        return if cx.printer.json { Ok(cx.printer.value(&answer)?) } else { Ok(()) };
    };
    until_empty(cx, &id, node, timeout).await
}

/// Where each task would go, and what finds no place; changes nothing.
async fn preview(cx: &mut Context, path: &str) -> Outcome {
    let answer = cx.client.get(path).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    let mut reasons: Vec<(&str, &str)> = Vec::new();
    let mut table = Table::new(&["TASK", "APP", "GOES TO"]);
    for row in list(&answer, "instances") {
        let to = match field(row, "fate") {
            "moves" => field(row, "to_host"),
            "no_place" => "no place",
            "waited_for" => "not moved",
            _ => "ends",
        };
        table.row([tasks::id(row), field(row, "app_id"), to]);
        let reason = (field(row, "app_id"), field(row, "because"));
        if !reason.1.is_empty() && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    if list(&answer, "instances").next().is_some() {
        cx.printer.table(&table)?;
    }
    cx.printer.note(field(&answer, "sentence"))?;
    for (app, reason) in reasons {
        cx.printer.note(&format!("{app}: {reason}"))?;
    }
    for row in list(&answer, "instances") {
        let kept: Vec<&str> = list(row, "leaves_volumes").filter_map(Value::as_str).collect();
        if !kept.is_empty() {
            let (task, kept) = (tasks::id(row), kept.join(", "));
            cx.printer.note(&format!("{task}: its data in {kept} stays behind"))?;
        }
    }
    Ok(())
}

async fn until_empty(cx: &mut Context, id: &str, node: &str, timeout: Duration) -> Outcome {
    let started = Instant::now();
    let mut shown = Vec::new();
    loop {
        let answer = get(cx, id).await?;
        let left = answer["instances"].as_u64().unwrap_or(0);
        if left == 0 {
            cx.printer.clear()?;
            return match cx.printer.json {
                true => Ok(cx.printer.value(&answer)?),
                false => Ok(cx.printer.note(&format!("nothing runs on {node} any more"))?),
            };
        }
        if field(&answer, "condition") == "deactivated" {
            cx.printer.clear()?;
            let stay = if left == 1 { "stays" } else { "stay" };
            let left = count(usize::try_from(left).unwrap_or(usize::MAX), "task");
            let text = format!("the drain met its deadline; {left} {stay} on {node}");
            return Err(CliError::new(Exit::TimedOut, text).hint(
                "it takes no new work; make room elsewhere and drain it again, or undrain it",
            ));
        }
        let mut lines = vec![format!("  {left} left on {node}")];
        lines.extend(waits(&answer));
        if lines != shown {
            cx.printer.progress(&lines)?;
            shown = lines;
        }
        if started.elapsed() >= timeout {
            let text = format!("{left} tasks are still on {node} after {} s", timeout.as_secs());
            let reasons: String = waits(&answer).map(|line| format!("\n{line}")).collect();
            return Err(CliError::new(Exit::TimedOut, text + &reasons)
                .hint(format!("it goes on; tepui node show {node} shows what is left")));
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// What still stands on a draining node, and what it waits for.
fn waits(node: &Value) -> impl Iterator<Item = String> + '_ {
    list(&node["drain"], "waits").map(|wait| {
        format!(
            "  {} of {}: {}",
            number(&wait["instances"]),
            field(wait, "app"),
            field(wait, "reason")
        )
    })
}

async fn undrain(cx: &mut Context, node: &str) -> Outcome {
    let id = id_of(cx, node).await?;
    let path = format!("/tepui/v1/nodes/{}/drain", segment(&id));
    let answer = cx.client.json(Ask::post(&path).json(&json!({"cancel": true}))).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    Ok(cx.printer.note(&format!("{node} takes work again"))?)
}

async fn remove(cx: &mut Context, node: &str, yes: bool) -> Outcome {
    let shown = get(cx, node).await?;
    let (host, id) = (field(&shown, "host"), field(&shown, "id"));
    if !yes {
        confirm(cx, &format!("Remove node {host} ({id})? It can only come back by joining anew."))?;
    }
    cx.client.bytes(Ask::new(Method::DELETE, format!("/tepui/v1/nodes/{}", segment(id)))).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&shown)?);
    }
    Ok(cx.printer.note(&format!("{host} is removed; its certificate lets nobody in any more"))?)
}

/// Prints settings for the new node's file; the token alone would leave open where it goes.
pub async fn invite(cx: &mut Context, asked: &ForWhom) -> Outcome {
    let mut body = json!({ "ttl_s": asked.ttl.as_secs() });
    if let Some(role) = &asked.role {
        body["role"] = json!(role);
    }
    let answer = cx.client.json(Ask::post("/tepui/v1/nodes/invite").json(&body)).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    cx.printer.line(&format!("masters: [\"{}\"]", field(&answer, "master")))?;
    cx.printer.line(&format!("join_token: {}", field(&answer, "token")))?;
    let until = field(&answer, "expires_at");
    Ok(cx.printer.note(&format!(
        "good for one node until {until}; put both lines in its settings, or there: install.sh {} \
         --join {} --token …",
        asked.role.as_deref().unwrap_or("agent"),
        field(&answer, "master")
    ))?)
}
