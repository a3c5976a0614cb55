//! `tepui node …`.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    args::Node,
    client::{Ask, segment},
    error::{CliError, Exit, Outcome},
    output::Table,
    run::{Context, confirm, repeat},
    tasks,
    text::{count, field, list, mem, number, share},
};

pub async fn run(cx: &mut Context, node: Node) -> Outcome {
    match node {
        Node::List { watch } => repeat(cx, watch, show_list).await,
        Node::Show { node } => show(cx, &node).await,
        Node::Drain { node, dry_run, no_wait, timeout } => {
            drain(cx, &node, dry_run, (!no_wait).then_some(timeout)).await
        }
        Node::Undrain { node } => undrain(cx, &node).await,
        Node::Invite => invite(cx).await,
        Node::Remove { node, yes } => remove(cx, &node, yes).await,
    }
}

async fn show_list(cx: &mut Context) -> Outcome {
    let answer = cx.client.get("/tepui/v1/nodes").await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer["nodes"])?);
    }
    let mut table = Table::new(&["HOST", "STATUS", "ROLE", "TASKS", "CPUS", "MEM", "ID"]);
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
            field(node, "id").to_owned(),
        ]);
    }
    Ok(cx.printer.table(&table)?)
}

async fn get(cx: &mut Context, node: &str) -> Outcome<Value> {
    let found = cx.client.get(format!("/tepui/v1/nodes/{}", segment(node))).await;
    found.map_err(|error| match error.status {
        Some(404) => error.hint("tepui node list shows the nodes there are"),
        _ => error,
    })
}

async fn show(cx: &mut Context, node: &str) -> Outcome {
    let answer = get(cx, node).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    let condition = cx.printer.toned(field(&answer, "condition"));
    cx.printer.line(&format!("{}  {condition}", field(&answer, "host")))?;
    let (total, held) = (&answer["total"], &answer["allocated"]);
    cx.printer.line(&format!("id         {}", field(&answer, "id")))?;
    cx.printer.line(&format!("address    {}", field(&answer, "address")))?;
    cx.printer.line(&format!("cpus       {} held", share(&held["cpus"], &total["cpus"])))?;
    let memory = format!("{} of {}", mem(&held["mem_mb"]), mem(&total["mem_mb"]));
    cx.printer.line(&format!("memory     {memory} held"))?;
    cx.printer.line(&format!("ports      {}", field(&answer, "ports")))?;
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

async fn drain(cx: &mut Context, node: &str, dry_run: bool, wait: Option<Duration>) -> Outcome {
    get(cx, node).await?;
    let path = format!("/tepui/v1/nodes/{}/drain", segment(node));
    let answer = cx.client.json(Ask::post(&path).json(&json!({ "dry_run": dry_run }))).await?;
    let n = list(&answer, "instances").count();
    if dry_run {
        if cx.printer.json {
            return Ok(cx.printer.value(&answer)?);
        }
        cx.printer.note(&format!("{} would move", count(n, "task")))?;
        for id in list(&answer, "instances").filter_map(Value::as_str) {
            cx.printer.line(id)?;
        }
        return Ok(());
    }
    cx.printer.note(&format!("{} drains: {} to move", node, count(n, "task")))?;
    let Some(timeout) = wait else {
        return if cx.printer.json { Ok(cx.printer.value(&answer)?) } else { Ok(()) };
    };
    until_empty(cx, node, timeout).await
}

async fn until_empty(cx: &mut Context, node: &str, timeout: Duration) -> Outcome {
    let started = Instant::now();
    let mut shown = u64::MAX;
    loop {
        let answer = get(cx, node).await?;
        let left = answer["instances"].as_u64().unwrap_or(0);
        if left == 0 {
            cx.printer.clear()?;
            return match cx.printer.json {
                true => Ok(cx.printer.value(&answer)?),
                false => Ok(cx.printer.note(&format!("nothing runs on {node} any more"))?),
            };
        }
        if left != shown {
            cx.printer.progress(&[format!("  {left} left on {node}")])?;
            shown = left;
        }
        if started.elapsed() >= timeout {
            let text = format!("{left} tasks are still on {node} after {} s", timeout.as_secs());
            return Err(CliError::new(Exit::TimedOut, text)
                .hint(format!("it goes on; tepui node show {node} shows what is left")));
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn undrain(cx: &mut Context, node: &str) -> Outcome {
    get(cx, node).await?;
    let path = format!("/tepui/v1/nodes/{}/drain", segment(node));
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
async fn invite(cx: &mut Context) -> Outcome {
    let answer = cx.client.json(Ask::post("/tepui/v1/nodes/invite").json(&json!({}))).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    cx.printer.line(&format!("masters: [\"{}\"]", field(&answer, "master")))?;
    cx.printer.line(&format!("join_token: {}", field(&answer, "token")))?;
    let until = field(&answer, "expires_at");
    Ok(cx
        .printer
        .note(&format!("good for one node until {until}; put both lines in its settings"))?)
}
