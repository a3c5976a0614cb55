//! `tepui master …`.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{
    args::Master,
    client::{Ask, segment},
    error::{CliError, Outcome},
    output::Table,
    run::{Context, confirm, repeat},
    text::{field, list, number},
};
use crate::base::units::duration;

const PATH: &str = "/tepui/v1/masters";

pub async fn run(cx: &mut Context, master: Master) -> Outcome {
    match master {
        Master::List { watch } => repeat(cx, watch, show).await,
        Master::Demote { master } => part(cx, &master, "follows").await,
        Master::Promote { master } => part(cx, &master, "decides").await,
        Master::Remove { master, yes } => remove(cx, &master, yes).await,
        Master::Recover { .. } => Err(CliError::failure("this command has no cluster to ask")),
    }
}

async fn show(cx: &mut Context) -> Outcome {
    let answer = cx.client.get(PATH).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer["masters"])?);
    }
    let columns =
        ["MASTER", "PART", "WANTED", "BEHIND", "HEARD", "RELEASE", "LEVEL", "FRONT DOOR", "PEERS"];
    let mut table = Table::new(&columns);
    for master in list(&answer, "masters") {
        let behind = &master["behind"];
        table.row([
            number(&master["id"]),
            field(master, "part").to_owned(),
            wanted(master),
            if behind.is_null() { "-".to_owned() } else { number(behind) },
            heard(master),
            field(master, "release").to_owned(),
            number(&master["level"]),
            field(master, "router").to_owned(),
            field(master, "peers").to_owned(),
        ]);
    }
    Ok(cx.printer.table(&table)?)
}

/// What somebody wants of a master that it is not yet, or not any more.
fn wanted(master: &Value) -> String {
    let stands_by = master["stands_by"] == true;
    if stands_by { "follows" } else { "-" }.to_owned()
}

/// How long ago a master was heard by the one that answers.
fn heard(master: &Value) -> String {
    match master["silent_ms"].as_u64() {
        Some(ms) => format!("{} ago", duration(Duration::from_millis(ms))),
        None => "-".to_owned(),
    }
}

/// The master that was named, by number or by address.
async fn named(cx: &mut Context, master: &str) -> Result<Value, CliError> {
    let answer = cx.client.get(PATH).await?;
    let mut all = list(&answer, "masters");
    let found = all.find(|m| number(&m["id"]) == master || m["peers"] == master);
    found.cloned().ok_or_else(|| {
        CliError::usage(format!("there is no master {master:?}"))
            .hint("tepui master list shows the masters there are")
    })
}

async fn part(cx: &mut Context, master: &str, part: &str) -> Outcome {
    let found = named(cx, master).await?;
    let id = number(&found["id"]);
    let path = format!("{PATH}/{}/part", segment(&id));
    cx.client.bytes(Ask::post(path).json(&json!({ "part": part }))).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&found)?);
    }
    let text = match part {
        "follows" => format!("master {id} follows as soon as another can decide in its place"),
        _ => format!("master {id} may decide again; it does once there is room for it"),
    };
    Ok(cx.printer.note(&text)?)
}

async fn remove(cx: &mut Context, master: &str, yes: bool) -> Outcome {
    let found = named(cx, master).await?;
    let (id, peers) = (number(&found["id"]), field(&found, "peers"));
    if !yes {
        let question =
            format!("Remove master {id} ({peers})? It can only come back by joining anew.");
        confirm(cx, &question)?;
    }
    cx.client.bytes(Ask::new(Method::DELETE, format!("{PATH}/{}", segment(&id)))).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&found)?);
    }
    let text = format!(
        "master {id} is removed; its disk still holds the key of the cluster's authority: wipe it"
    );
    Ok(cx.printer.note(&text)?)
}
