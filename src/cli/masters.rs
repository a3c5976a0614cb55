//! `tepui master …`.

use http::Method;

use super::{
    args::Master,
    client::{Ask, segment},
    error::{CliError, Outcome},
    output::Table,
    run::{Context, confirm, repeat},
    text::{field, list, number},
};

const PATH: &str = "/tepui/v1/masters";

pub async fn run(cx: &mut Context, master: Master) -> Outcome {
    match master {
        Master::List { watch } => repeat(cx, watch, show).await,
        Master::Remove { master, yes } => remove(cx, &master, yes).await,
    }
}

async fn show(cx: &mut Context) -> Outcome {
    let answer = cx.client.get(PATH).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer["masters"])?);
    }
    let columns = ["MASTER", "PART", "BEHIND", "RELEASE", "LEVEL", "FRONT DOOR", "PEERS"];
    let mut table = Table::new(&columns);
    for master in list(&answer, "masters") {
        let behind = &master["behind"];
        table.row([
            number(&master["id"]),
            field(master, "part").to_owned(),
            if behind.is_null() { "-".to_owned() } else { number(behind) },
            field(master, "release").to_owned(),
            number(&master["level"]),
            field(master, "router").to_owned(),
            field(master, "peers").to_owned(),
        ]);
    }
    Ok(cx.printer.table(&table)?)
}

async fn remove(cx: &mut Context, master: &str, yes: bool) -> Outcome {
    let answer = cx.client.get(PATH).await?;
    let mut all = list(&answer, "masters");
    let Some(found) = all.find(|m| number(&m["id"]) == master || m["peers"] == master) else {
        let error = CliError::usage(format!("there is no master {master:?}"));
        return Err(error.hint("tepui master list shows the masters there are"));
    };
    let (id, peers) = (number(&found["id"]), field(found, "peers"));
    if !yes {
        let question =
            format!("Remove master {id} ({peers})? It can only come back by joining anew.");
        confirm(cx, &question)?;
    }
    cx.client.bytes(Ask::new(Method::DELETE, format!("{PATH}/{}", segment(&id)))).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(found)?);
    }
    let text = format!(
        "master {id} is removed; its disk still holds the key of the cluster's authority: wipe it"
    );
    Ok(cx.printer.note(&text)?)
}
