//! Files of a task's sandbox.

use std::{io::Write as _, path::PathBuf};

use super::{
    client::{Ask, next_piece, segment},
    error::{CliError, Outcome},
    output::Table,
    run::Context,
    tasks,
    text::{bytes, field, list},
};

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
