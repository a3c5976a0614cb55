//! `tepui why APP`: what is wrong with an app, what stands between it and its place.

use serde_json::Value;

use super::{
    apps,
    client::app_path,
    error::Outcome,
    output::Table,
    run::Context,
    text::{age, field, list, mem, number},
    verdict,
};

pub async fn run(cx: &mut Context, app: &str, nodes: bool) -> Outcome {
    apps::must_exist(cx, app).await?;
    let why = cx.client.get(format!("/tepui/v1/apps{}/why", app_path(app)?)).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&why)?);
    }
    let mut told = why["verdict"].clone();
    told["state"] = why["state"].clone();
    // What would place one more has a line of its own, and the nodes follow anyway.
    if nodes || why["change"].is_object() {
        told["next"] = Value::Null;
    }
    verdict::print(cx, field(&why, "app_id"), &told)?;
    if list(&why, "funnel").next().is_none() {
        return Ok(());
    }
    let ago = age(field(&why, "at"), cx.io.clock.now());
    let need = &why["requirement"];
    let (cpus, memory, ports) =
        (number(&need["cpus"]), mem(&need["mem_mb"]), number(&why["ports"]));
    cx.printer.line(&format!("tried      {ago} ago, for {cpus} cpus, {memory}, {ports} ports"))?;
    cx.printer.line("")?;
    funnel(cx, &why)?;
    constraints(cx, &why)?;
    closest(cx, &why)?;
    if let Some(sentence) = why["change"]["sentence"].as_str() {
        cx.printer.line(&format!("smallest change   {sentence}"))?;
    }
    if nodes {
        cx.printer.line("")?;
        every_node(cx, &why)?;
    } else {
        cx.printer.note("tepui why --nodes lists every node")?;
    }
    Ok(())
}

/// Steps that removed nothing are left out; the way from all nodes to those left stays clear.
fn funnel(cx: &mut Context, why: &Value) -> Outcome {
    let mut table = Table::new(&["CHECK", "NODES", "REMOVED", "LEFT", "BECAUSE"]);
    for step in list(why, "funnel").filter(|s| s["removed"].as_u64() > Some(0)) {
        table.row([
            field(step, "reason").to_owned(),
            number(&step["in"]),
            number(&step["removed"]),
            number(&step["out"]),
            field(step, "detail").to_owned(),
        ]);
    }
    let left = number(&why["nodes_fitting"]);
    table.row(["(all)".into(), number(&why["nodes_total"]), String::new(), left, String::new()]);
    Ok(cx.printer.table(&table)?)
}

fn constraints(cx: &mut Context, why: &Value) -> Outcome {
    if list(why, "constraints").next().is_none() {
        return Ok(());
    }
    cx.printer.line("")?;
    let mut table = Table::new(&["CONSTRAINT", "REMOVED", "ONLY THIS ONE"]);
    for row in list(why, "constraints") {
        let words = [field(row, "field"), field(row, "operator"), field(row, "value")];
        let text = words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
        table.row([text, number(&row["removed"]), number(&row["sole"])]);
    }
    Ok(cx.printer.table(&table)?)
}

fn closest(cx: &mut Context, why: &Value) -> Outcome {
    cx.printer.line("")?;
    let closest = &why["closest"];
    if closest.is_object() {
        let missing: Vec<&str> = list(closest, "missing").map(|m| field(m, "message")).collect();
        let host = field(closest, "host");
        cx.printer.line(&format!("closest node      {host}: {}", missing.join("; ")))?;
    }
    Ok(())
}

fn every_node(cx: &mut Context, why: &Value) -> Outcome {
    let mut table = Table::new(&["NODE", "FREE CPUS", "FREE MEM", "STANDS IN THE WAY"]);
    for node in list(why, "nodes") {
        let failed: Vec<&str> = list(node, "failed").map(|f| field(f, "message")).collect();
        let free = &node["free"];
        let failed = if failed.is_empty() { "nothing".to_owned() } else { failed.join("; ") };
        table.row([
            field(node, "host").into(),
            number(&free["cpus"]),
            mem(&free["mem_mb"]),
            failed,
        ]);
    }
    Ok(cx.printer.table(&table)?)
}
