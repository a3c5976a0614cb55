//! `tepui cluster show|raise`: the masters, and the level that mixed releases work at.

use serde_json::{Value, json};

use crate::cli::{
    client::Ask,
    error::Outcome,
    output::Table,
    run::{Context, confirm},
    text::{field, list, number},
};

const PATH: &str = "/tepui/v1/level";

pub async fn show(cx: &mut Context) -> Outcome {
    let answer = cx.client.get(PATH).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    cx.printer.line(&in_words(&answer))?;
    for who in list(&answer, "held_back_by").filter_map(Value::as_str) {
        cx.printer.line(&format!("held back by {who}"))?;
    }
    cx.printer.line("")?;
    let mut table = Table::new(&["MASTER", "RELEASE", "LEVEL", "FRONT DOOR", "PEERS"]);
    for master in list(&answer, "masters") {
        table.row([
            number(&master["id"]),
            field(master, "release").to_owned(),
            number(&master["level"]),
            field(master, "router").to_owned(),
            field(master, "peers").to_owned(),
        ]);
    }
    Ok(cx.printer.table(&table)?)
}

fn in_words(answer: &Value) -> String {
    let (level, known) = (number(&answer["level"]), number(&answer["known"]));
    if answer["level"].as_u64() >= answer["known"].as_u64() {
        return format!("level {level}, the highest this release knows");
    }
    let next = match list(answer, "held_back_by").next() {
        None => "tepui cluster raise lets in what is new",
        Some(_) => "older releases have to be upgraded, or removed, first",
    };
    format!("level {level} of {known}: {next}")
}

pub async fn raise(cx: &mut Context, yes: bool) -> Outcome {
    if !yes {
        confirm(cx, "From then on no older release works with this cluster, on no node.")?;
    }
    let answer = cx.client.json(Ask::post(PATH).json(&json!({}))).await?;
    match cx.printer.json {
        true => Ok(cx.printer.value(&answer)?),
        false => Ok(cx.printer.note(&in_words(&answer))?),
    }
}
