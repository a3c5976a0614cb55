//! Files of a task's sandbox.

use std::{io::Write as _, path::PathBuf};

use serde_json::Value;

use super::{
    client::{Ask, next_piece, segment},
    error::{CliError, Outcome},
    output::Table,
    run::Context,
    tasks,
    text::{bytes, field, list, number, tame},
};

/// Lines asked for at once.
const HITS: usize = 200;

pub async fn ls(cx: &mut Context, task: &str, path: &str, long: bool) -> Outcome {
    let task = tasks::one(cx, task).await?;
    let id = segment(tasks::id(&task));
    let answer =
        cx.client.get(format!("/tepui/v1/tasks/{id}/files?path={}", segment(path))).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer["entries"])?);
    }
    if !long {
        for entry in list(&answer, "entries") {
            let slash = if entry["directory"] == true { "/" } else { "" };
            cx.printer.line(&format!("{}{slash}", field(entry, "name")))?;
        }
        return Ok(());
    }
    let mut table = Table::new(&["MODE", "OWNER", "SIZE", "CHANGED", "NAME"]);
    for entry in list(&answer, "entries") {
        table.row([
            field(entry, "mode").to_owned(),
            format!("{}:{}", field(entry, "uid"), field(entry, "gid")),
            bytes(entry["size_bytes"].as_u64().unwrap_or(0)),
            field(entry, "modified_at").to_owned(),
            field(entry, "name").to_owned(),
        ]);
    }
    Ok(cx.printer.table(&table)?)
}

/// Lines of a file that match, as they are found.
pub async fn grep(
    cx: &mut Context,
    task: &str,
    path: &str,
    pattern: &str,
    limit: usize,
) -> Outcome {
    let task = tasks::one(cx, task).await?;
    let (id, file, grep) = (segment(tasks::id(&task)), segment(path), segment(pattern));
    let (mut hits, mut offset, mut line) = (Vec::new(), 0, 1);
    let mut n_hits = 0;
    loop {
        let most = limit.saturating_sub(n_hits).clamp(1, HITS);
        let from = format!("offset={offset}&line={line}&limit={most}");
        let path = format!("/tepui/v1/tasks/{id}/files/search?path={file}&grep={grep}&{from}");
        let answer = cx.client.get(path).await?;
        for hit in list(&answer, "hits") {
            n_hits += 1;
            if cx.printer.json {
                hits.push(hit.clone());
            } else {
                cx.printer.line(&format!(
                    "{}:{}",
                    number(&hit["line"]),
                    tame(field(hit, "text"))
                ))?;
            }
        }
        let size = answer["size_bytes"].as_u64().unwrap_or(0);
        let next = answer["offset"].as_u64().unwrap_or(size);
        let is_over = next >= size || next <= offset;
        (offset, line) = (next, answer["line"].as_u64().unwrap_or(1));
        if is_over {
            break;
        }
        if n_hits >= limit {
            let done = format!("{} of {} were looked through", bytes(offset), bytes(size));
            cx.printer.note(&format!("{done}; --limit shows more"))?;
            break;
        }
    }
    if cx.printer.json {
        return Ok(cx.printer.value(&Value::Array(hits))?);
    }
    if n_hits == 0 {
        cx.printer.note(&format!("no line of {path} matches"))?;
    }
    Ok(())
}

pub async fn download(
    cx: &mut Context,
    task: &str,
    path: &str,
    output: Option<PathBuf>,
) -> Outcome {
    let task = tasks::one(cx, task).await?;
    let (id, file) = (segment(tasks::id(&task)), segment(path));
    let ask = Ask::get(format!("/tepui/v1/tasks/{id}/files?path={file}&download=true"));
    let mut body = cx.client.open(ask).await?.into_body();
    let Some(output) = output else {
        while let Some(piece) = next_piece(&mut body).await? {
            cx.printer.raw(&piece)?;
        }
        return Ok(());
    };
    let output = cx.io.cwd.join(output);
    let mut to = std::fs::File::create(&output)
        .map_err(|error| CliError::failure(format!("{}: {error}", output.display())))?;
    let mut n_bytes = 0;
    while let Some(piece) = next_piece(&mut body).await? {
        to.write_all(&piece)?;
        n_bytes += piece.len() as u64;
    }
    Ok(cx.printer.note(&format!("{} saved as {}", bytes(n_bytes), output.display()))?)
}
