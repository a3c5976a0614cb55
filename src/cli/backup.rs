//! `tepui backup …`: `create` and `list` ask the cluster, the others work on files of this machine.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use http::header;
use serde_json::{Value, json};

use super::{
    args::{Backup, Lock, Open},
    client::{Ask, next_piece},
    error::{CliError, Exit, Outcome},
    io::Io,
    output::{Printer, Table},
    run::Context,
    text::{age, bytes, count, field, list},
};
use crate::{
    base::{error::chain, rng::Rng, units},
    node::backup::{self as archive, Head, Key, Target},
};

const PATH: &str = "/tepui/v1/backups";
/// One that goes to a store far away takes its time.
const KEPT_WITHIN: Duration = Duration::from_secs(900);
/// A passphrase or a file of keys.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Whether a command needs no cluster.
pub fn is_local(backup: &Backup) -> bool {
    match backup {
        Backup::Create { .. } | Backup::List => false,
        Backup::Verify { .. } | Backup::Restore { .. } | Backup::Key { .. } => true,
    }
}

pub async fn run(cx: &mut Context, backup: Backup) -> Outcome {
    match backup {
        Backup::Create { keep: true, lock, .. } => keep(cx, &lock).await,
        Backup::Create { keep: false, lock, output } => create(cx, &lock, output).await,
        Backup::List => show(cx).await,
        Backup::Verify { .. } | Backup::Restore { .. } | Backup::Key { .. } => {
            Err(CliError::failure("this command has no cluster to ask"))
        }
    }
}

/// What needs no cluster.
pub async fn run_local(backup: &Backup, mut io: Io, printer: &mut Printer) -> Outcome {
    match backup {
        Backup::Verify { file, open } => {
            let (source, key) = (source(&io, file)?, key(&mut io, open)?);
            let file = file.clone();
            let checked = tokio::task::spawn_blocking(move || archive::verify(source, &key)).await;
            let checked = checked.map_err(|error| CliError::failure(error.to_string()))?;
            verified(printer, &checked.map_err(|error| refused(&file, &chain(&error)))?)
        }
        Backup::Restore { file, data_dir, in_place_of, open } => {
            let (source, key) = (source(&io, file)?, key(&mut io, open)?);
            let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
            let target = Target {
                data_dir: io.cwd.join(data_dir),
                in_place_of: *in_place_of,
                host: host.unwrap_or_else(|| "restored".to_owned()),
            };
            let mut rng = Rng::from_os();
            let restored = archive::restore(source, key, target, (io.clock.clone(), &mut rng));
            let restored = restored.await.map_err(|error| refused(file, &format!("{error:#}")))?;
            told(printer, &restored, data_dir)
        }
        Backup::Key { output } => new_key(&io, printer, output),
        Backup::Create { .. } | Backup::List => {
            Err(CliError::failure("this command needs a cluster to ask"))
        }
    }
}

fn refused(file: &Path, why: &str) -> CliError {
    CliError::failure(format!("{}: {why}", file.display()))
}

fn source(io: &Io, file: &Path) -> Outcome<io::BufReader<fs::File>> {
    let path = io.cwd.join(file);
    let opened = fs::File::open(&path);
    opened.map(io::BufReader::new).map_err(|error| refused(file, &error.to_string()))
}

async fn create(cx: &mut Context, lock: &Lock, output: Option<PathBuf>) -> Outcome {
    let asked = asked(&mut cx.io, lock, false)?;
    let answer = cx.client.open(Ask::post(PATH).json(&asked)).await?;
    let name = answer.headers().get(header::CONTENT_DISPOSITION).and_then(|h| h.to_str().ok());
    let name = name.and_then(|text| text.split('"').nth(1)).unwrap_or("tepui.backup").to_owned();
    let mut body = answer.into_body();
    if output.as_deref() == Some(Path::new("-")) {
        while let Some(piece) = next_piece(&mut body).await? {
            cx.printer.raw(&piece)?;
        }
        return Ok(());
    }
    // A name of the server's own is one of this directory.
    let plain = Path::new(&name).file_name().map(PathBuf::from);
    let path = cx.io.cwd.join(output.or(plain).unwrap_or_default());
    let part = path.with_added_extension("part");
    let mut n_bytes = 0;
    let written = async {
        let mut options = fs::OpenOptions::new();
        let mut to = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        while let Some(piece) = next_piece(&mut body).await? {
            to.write_all(&piece)?;
            n_bytes += piece.len() as u64;
        }
        to.sync_all()?;
        fs::rename(&part, &path)?;
        Ok::<_, CliError>(())
    };
    if let Err(error) = written.await {
        // What failed may have been making it.
        let _ = fs::remove_file(&part);
        let message = format!("{}: {}", path.display(), error.message);
        return Err(CliError { message, ..error });
    }
    if cx.printer.json {
        let told = json!({"file": path.display().to_string(), "name": name, "bytes": n_bytes});
        return Ok(cx.printer.value(&told)?);
    }
    let size = bytes(n_bytes);
    let text = format!("{size} saved as {}; tepui backup verify checks it", path.display());
    Ok(cx.printer.note(&text)?)
}

async fn keep(cx: &mut Context, lock: &Lock) -> Outcome {
    let asked = asked(&mut cx.io, lock, true)?;
    let ask = Ask::post(PATH).json(&asked).within(KEPT_WITHIN);
    let kept = cx.client.json(ask).await.map_err(|error| match error.exit {
        Exit::TimedOut => error.hint("it goes on there; tepui backup list shows when it is kept"),
        _ => error,
    })?;
    if cx.printer.json {
        return Ok(cx.printer.value(&kept)?);
    }
    let size = bytes(kept["bytes"].as_u64().unwrap_or(0));
    Ok(cx.printer.note(&format!("{size} kept as {}", field(&kept, "name")))?)
}

/// What the cluster is asked for.
fn asked(io: &mut Io, lock: &Lock, keep: bool) -> Outcome<Value> {
    let mut asked = json!({ "keep": keep });
    if !lock.keys.is_empty() {
        asked["keys"] = json!(lock.keys);
    } else if let Some(file) = &lock.passphrase_file {
        asked["passphrase"] = secret(io, file)?.into();
    } else if !keep {
        asked["passphrase"] = prompt(io, true)?.into();
    }
    Ok(asked)
}

/// What opens a file.
fn key(io: &mut Io, open: &Open) -> Outcome<Key> {
    match (&open.key, &open.passphrase_file) {
        (Some(file), _) => {
            let text = secret(io, file)?;
            Key::of_file(&text).map_err(|error| refused(file, &error.to_string()))
        }
        (None, Some(file)) => Ok(Key::passphrase(&secret(io, file)?)),
        (None, None) => Ok(Key::passphrase(&prompt(io, false)?)),
    }
}

/// A secret from a file, or from standard input.
fn secret(io: &mut Io, file: &Path) -> Outcome<String> {
    let mut text = String::new();
    let read = match file == Path::new("-") {
        true => io.stdin.by_ref().take(SECRET_BYTES_MAX).read_to_string(&mut text),
        false => fs::File::open(io.cwd.join(file))
            .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text)),
    };
    read.map_err(|error| refused(file, &error.to_string()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn prompt(io: &Io, is_new: bool) -> Outcome<String> {
    if !(io.terminal[0] && io.terminal[2]) {
        return Err(CliError::usage("there is no terminal to ask for the passphrase on")
            .hint("pass it by --passphrase-file, or work with keys: tepui backup key"));
    }
    let asked = inquire::Password::new("Passphrase of the backup:");
    let asked = if is_new { asked } else { asked.without_confirmation() };
    asked.prompt().map_err(|error| CliError::failure(error.to_string()))
}

async fn show(cx: &mut Context) -> Outcome {
    let answer = cx.client.get(PATH).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    cx.printer.note(&in_words(&answer))?;
    let now = cx.io.clock.now();
    let mut table = Table::new(&["NAME", "MADE", "AGE", "SIZE"]);
    for kept in list(&answer, "backups") {
        let at = field(kept, "made_at");
        table.row([
            field(kept, "name").to_owned(),
            at.to_owned(),
            age(at, now),
            bytes(kept["bytes"].as_u64().unwrap_or(0)),
        ]);
    }
    Ok(cx.printer.table(&table)?)
}

/// Where, how often, and how the last one went.
fn in_words(answer: &Value) -> String {
    let Some(to) = answer["to"].as_str() else {
        return "no backups are kept: set backup_to on all masters".to_owned();
    };
    let every = match answer["every_s"].as_u64() {
        Some(secs) => format!("every {}", units::duration(Duration::from_secs(secs))),
        None => "only when asked for".to_owned(),
    };
    let last = &answer["last"];
    let last = match (last["good"].as_bool(), last["error"].as_str()) {
        (Some(false), Some(error)) => {
            format!("; the last one failed at {}: {error}", field(last, "at"))
        }
        _ => String::new(),
    };
    format!("kept at {to}, {every}, the newest {}{last}", answer["keep"])
}

fn head_json(head: &Head) -> Value {
    json!({
        "cluster": head.cluster,
        "name": head.name,
        "release": head.release,
        "level": head.level,
        "made_at": head.made_at.to_string(),
        "at": head.at.to_string(),
        "revision": head.revision,
        "term": head.term,
        "index": head.index,
        "master": head.master,
        "node": head.node.as_str(),
    })
}

fn head_lines(head: &Head) -> [String; 3] {
    [
        format!(
            "cluster   {} ({}), tepui {}, level {}",
            head.name, head.cluster, head.release, head.level
        ),
        format!("made      {} by master {}", head.made_at, head.master),
        format!(
            "holds     revision {}, log entry {} of term {}, latest time {}",
            head.revision, head.index, head.term, head.at
        ),
    ]
}

fn verified(printer: &mut Printer, content: &archive::Content) -> Outcome {
    let archive::Content { head, state, n_rows, n_records, fingerprint, .. } = content;
    let (n_apps, n_users) = (state.apps.len(), state.users.len());
    if printer.json {
        let mut told = head_json(head);
        told["good"] = true.into();
        told["rows"] = (*n_rows).into();
        told["records"] = (*n_records).into();
        told["apps"] = n_apps.into();
        told["users"] = n_users.into();
        told["fingerprint"] = format!("{fingerprint:016x}").into();
        return Ok(printer.value(&told)?);
    }
    for line in head_lines(head) {
        printer.line(&line)?;
    }
    let apps = count(n_apps, "app");
    printer.line(&format!("          {apps}, {}, {n_records} records", count(n_users, "user")))?;
    printer.line(&format!("good      {n_rows} rows, fingerprint {fingerprint:016x}"))?;
    Ok(())
}

fn told(printer: &mut Printer, restored: &archive::Restored, data_dir: &Path) -> Outcome {
    let gone: Vec<String> =
        restored.gone.iter().map(|(id, address)| format!("{id} ({address})")).collect();
    if printer.json {
        let mut told = head_json(&restored.head);
        told["restored_master"] = restored.master.into();
        told["restored_node"] = restored.node.as_str().into();
        told["removed_masters"] = json!(restored.gone.iter().map(|(id, _)| id).collect::<Vec<_>>());
        told["apps"] = restored.n_apps.into();
        told["users"] = restored.n_users.into();
        return Ok(printer.value(&told)?);
    }
    for line in head_lines(&restored.head) {
        printer.line(&line)?;
    }
    let (apps, users) = (count(restored.n_apps, "app"), count(restored.n_users, "user"));
    printer.line(&format!(
        "restored  {apps}, {users}, {} rows, {} records into {}",
        restored.n_rows,
        restored.n_records,
        data_dir.display()
    ))?;
    printer.line(&format!("master    {}, which is node {}", restored.master, restored.node))?;
    let gone = gone.join(", ");
    printer.note(&format!(
        "the masters that were there are removed, never start them again: {gone}"
    ))?;
    let next = "start it with the settings of the lost one, its address too; with another address tell \
                the agents: masters: in their settings";
    Ok(printer.note(next)?)
}

fn new_key(io: &Io, printer: &mut Printer, output: &Path) -> Outcome {
    let (secret, public) = archive::new_key();
    let path = io.cwd.join(output);
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = opened.and_then(|mut file| {
        file.write_all(secret.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| refused(output, &error.to_string()))?;
    if printer.json {
        let told = json!({"file": path.display().to_string(), "public_key": public});
        return Ok(printer.value(&told)?);
    }
    printer.line(&public)?;
    let text = format!(
        "the secret key is in {}: keep it away from the cluster; without it no backup opens",
        path.display()
    );
    Ok(printer.note(&text)?)
}
