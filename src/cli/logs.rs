//! `tepui log`: what tasks write, the last lines and then on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use regex::Regex;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    args::Log,
    client::{Ask, Client, segment},
    error::{CliError, Exit, Outcome},
    onward,
    run::Context,
    search,
    sse::Events,
    tasks,
    text::{field, list},
};

/// The end of a file that is searched for its last lines: 64 KiB at first, at most 1 MiB.
const TAIL_BYTES: u64 = 64 << 10;
const TAIL_BYTES_MAX: u64 = 1 << 20;
/// How often an app is looked at for new instances.
const LOOK: Duration = Duration::from_secs(2);
/// Connections lost in a row before a stream is given up.
const LOST_MAX: u32 = 5;
/// Tasks followed at a time; more could not be read by anybody.
const FOLLOWED_MAX: usize = 50;

pub async fn run(cx: &mut Context, log: Log) -> Outcome {
    let found = tasks::of_target(cx, &log.target).await?;
    let is_app = found.len() != 1 || field(&found[0], "app_id") == log.target;
    let found = if is_app { tasks::by_container(found) } else { found };
    if log.searches() {
        return searched(cx, &log, &found, is_app).await;
    }
    let mut running: Vec<&Value> =
        found.iter().filter(|t| !is_app || may_write(t)).take(FOLLOWED_MAX).collect();
    if running.is_empty() {
        // Nothing runs: the output of the last one that did is what people look for.
        running.extend(found.iter().find(|t| !field(t, "task_id").is_empty()));
    }
    if running.is_empty() && !log.follow {
        let text = format!("{} has no task whose output could be read", log.target);
        return Err(CliError::new(Exit::NotFound, text).hint(format!("tepui why {}", log.target)));
    }
    let several = is_app && (running.len() > 1 || log.follow);
    let mut tails = Vec::new();
    let mut failed = None;
    for task in &running {
        match tail(&cx.client, tasks::id(task), &log).await {
            Ok(tail) => tails.push((tasks::id(task).to_owned(), prefix(task, several), tail)),
            Err(error) => {
                let error = no_file(error, task, &log.file);
                if !several {
                    return Err(error);
                }
                // Of several tasks the others still count.
                cx.printer.note(&error.message)?;
                failed = Some(error);
            }
        }
    }
    if let Some(error) = failed
        && tails.is_empty()
        && !log.follow
    {
        return Err(error);
    }
    for (_, prefix, tail) in &tails {
        print(cx, prefix, &tail.text)?;
    }
    if !log.follow {
        return Ok(());
    }
    let streams = tails.into_iter().map(|(id, prefix, tail)| Stream::new(id, prefix, tail.next));
    let streams: Vec<Stream> = streams.collect();
    follow(cx, &log, streams, is_app).await
}

/// Lines of all instances in order, as the cluster finds them, and then on.
async fn searched(cx: &mut Context, log: &Log, found: &[Value], is_app: bool) -> Outcome {
    if log.file != "stdout" && log.file != "stderr" {
        return Err(
            CliError::usage("only stdout and stderr are searched").hint("leave --file away")
        );
    }
    let grep = log.grep.as_deref().map(Regex::new).transpose();
    grep.map_err(|error| CliError::usage(format!("--grep: {error}")))?;
    let of = match found.first() {
        Some(task) if is_app => field(task, "app_id").to_owned(),
        Some(task) => tasks::id(task).to_owned(),
        None => format!("/{}", log.target.trim_start_matches('/')),
    };
    let mut past = search::past(&cx.client, log, &of, cx.io.clock.now()).await?;
    // A line that has not ended is followed to its end.
    past.lines.retain(|line| !log.follow || line["partial"] != true);
    search::print(cx, &past, log.times, is_app && log.follow)?;
    if log.follow { onward::follow(cx, log, &of, past).await } else { Ok(()) }
}

/// The agent's "no such file" in words that lead on.
fn no_file(error: CliError, task: &Value, file: &str) -> CliError {
    if error.status != Some(404) {
        return error;
    }
    let id = tasks::id(task);
    CliError { message: format!("{id} has no file {file}"), ..error }
        .hint(format!("tepui task ls {id} shows its files"))
}

/// Whether a task has or will have output worth waiting for.
fn may_write(task: &Value) -> bool {
    matches!(field(task, "condition"), "running" | "starting" | "killing" | "staging")
        && !field(task, "task_id").is_empty()
}

/// Tells the lines of several tasks apart.
fn prefix(task: &Value, several: bool) -> String {
    if !several {
        return String::new();
    }
    let id = field(task, "id");
    let short = id.rsplit_once("instance-").map_or(id, |(_, uuid)| uuid);
    let short = short.get(..8).unwrap_or(short);
    match field(task, "container") {
        "" => format!("[{} {short}] ", field(task, "host")),
        container => format!("[{} {short} {container}] ", field(task, "host")),
    }
}

/// The end of a file.
struct Tail {
    text: String,
    /// Where the file goes on.
    next: u64,
}

/// The last lines of a task's file.
async fn tail(client: &Client, id: &str, log: &Log) -> Outcome<Tail> {
    let n_lines = log.lines.unwrap_or(search::LINES);
    let path = |offset: i64, limit: u64| {
        let (id, file) = (segment(id), segment(&log.file));
        format!("/tepui/v1/tasks/{id}/log?file={file}&offset={offset}&limit={limit}")
    };
    let mut wanted = TAIL_BYTES;
    loop {
        let from = -i64::try_from(wanted).unwrap_or(i64::MAX);
        let chunk = client.get(path(from, wanted)).await?;
        let (text, next) = (field(&chunk, "data"), chunk["next_offset"].as_u64().unwrap_or(0));
        let lines = text.lines().count();
        let whole = chunk["offset"].as_u64() == Some(0);
        if whole || lines > n_lines || wanted >= TAIL_BYTES_MAX {
            return Ok(Tail { text: last_lines(text, n_lines).to_owned(), next });
        }
        wanted = (wanted * 4).min(TAIL_BYTES_MAX);
    }
}

/// The last `n` lines of `text`; an unfinished one counts.
fn last_lines(text: &str, n: usize) -> &str {
    let ends = text.trim_end_matches('\n').rmatch_indices('\n');
    match n {
        0 => "",
        n => ends.map(|(at, _)| at + 1).nth(n - 1).map_or(text, |from| &text[from..]),
    }
}

fn print(cx: &mut Context, prefix: &str, text: &str) -> Outcome {
    if prefix.is_empty() {
        return Ok(cx.printer.raw(text.as_bytes())?);
    }
    for line in text.lines() {
        cx.printer.raw(format!("{prefix}{line}\n").as_bytes())?;
    }
    Ok(())
}

/// One followed task.
struct Stream {
    id: String,
    prefix: String,
    next: u64,
    events: Option<Events>,
    /// The unfinished last line, kept back while lines of several tasks are mixed.
    partial: String,
    n_lost: u32,
}

enum Heard {
    Text(String),
    /// Nothing, the connection is made anew.
    Nothing,
    End,
}

impl Stream {
    fn new(id: String, prefix: String, next: u64) -> Self {
        let (events, partial) = (None, String::new());
        Self { id, prefix, next, events, partial, n_lost: 0 }
    }

    /// The next piece of output; the stream comes back with it, so that many can be waited for.
    async fn hear(mut self, client: &Client, file: &str) -> (Self, Outcome<Heard>) {
        match self.step(client, file).await {
            Ok(heard) => {
                self.n_lost = 0;
                (self, Ok(heard))
            }
            Err(error) if error.status == Some(404) => (self, Ok(Heard::End)),
            Err(error) if self.n_lost >= LOST_MAX => (self, Err(error)),
            Err(_) => {
                self.n_lost += 1;
                self.events = None;
                sleep(Duration::from_millis(200) * self.n_lost).await;
                (self, Ok(Heard::Nothing))
            }
        }
    }

    async fn step(&mut self, client: &Client, file: &str) -> Outcome<Heard> {
        if self.events.is_none() {
            let (id, file) = (segment(&self.id), segment(file));
            let from = self.next;
            let path = format!("/tepui/v1/tasks/{id}/log?file={file}&follow=true&offset={from}");
            let ask = Ask::get(path).header("accept", "text/event-stream");
            self.events = Some(Events::new(client.open(ask).await?.into_body()));
        }
        let Some(events) = &mut self.events else { return Ok(Heard::Nothing) };
        let Some(event) = events.next().await? else {
            return Err(CliError::new(Exit::Unreachable, "the stream broke off"));
        };
        match event.name.as_str() {
            "data" => {
                let chunk: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
                self.next = chunk["next_offset"].as_u64().unwrap_or(self.next);
                Ok(Heard::Text(field(&chunk, "data").to_owned()))
            }
            "end" => Ok(Heard::End),
            _ => Ok(Heard::Nothing),
        }
    }

    /// What can be printed now: everything, or with a prefix whole lines.
    fn ready(&mut self, text: &str) -> String {
        if self.prefix.is_empty() {
            return text.to_owned();
        }
        self.partial.push_str(text);
        match self.partial.rfind('\n') {
            Some(at) => {
                let rest = self.partial.split_off(at + 1);
                std::mem::replace(&mut self.partial, rest)
            }
            None => String::new(),
        }
    }
}

/// Prints what all streams say. Of an app, instances that come later join; a single task's end is
/// the end.
async fn follow(cx: &mut Context, log: &Log, streams: Vec<Stream>, is_app: bool) -> Outcome {
    let mut known: BTreeSet<String> = streams.iter().map(|s| s.id.clone()).collect();
    let Context { client, printer, .. } = cx;
    let client = &*client;
    let mut heard = FuturesUnordered::new();
    for stream in streams {
        heard.push(stream.hear(client, &log.file));
    }
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some((mut stream, outcome)) = heard.next() => {
                let (text, ended) = match outcome? {
                    Heard::Text(text) => (stream.ready(&text), false),
                    Heard::Nothing => (String::new(), false),
                    Heard::End => (std::mem::take(&mut stream.partial), true),
                };
                for line in text.split_inclusive('\n') {
                    printer.raw(stream.prefix.as_bytes())?;
                    printer.raw(line.as_bytes())?;
                }
                if ended {
                    if !is_app {
                        return Ok(());
                    }
                    printer.note(&format!("{}ended", stream.prefix))?;
                } else {
                    heard.push(stream.hear(client, &log.file));
                }
            }
            _ = look.tick(), if is_app => {
                let now = instances(client, &log.target).await?;
                let Some(now) = now else { return Ok(()) };
                for (id, task) in now {
                    if heard.len() < FOLLOWED_MAX && known.insert(id.clone()) {
                        let stream = Stream::new(id, prefix(&task, true), 0);
                        heard.push(stream.hear(client, &log.file));
                    }
                }
            }
        }
    }
}

/// The app's tasks that may write; `None` when the app is gone.
async fn instances(client: &Client, app: &str) -> Outcome<Option<BTreeMap<String, Value>>> {
    let path = format!("/tepui/v1/apps{}", super::client::app_path(app)?);
    match client.get(path).await {
        Ok(app) => {
            let all = tasks::by_container(list(&app, "tasks").cloned().collect());
            let tasks = all.into_iter().filter(may_write);
            Ok(Some(tasks.map(|t| (tasks::id(&t).to_owned(), t)).collect()))
        }
        Err(error) if error.status == Some(404) => Ok(None),
        // Out of reach for a moment; the streams themselves notice when it lasts.
        Err(error) if error.exit == Exit::Unreachable => Ok(Some(BTreeMap::new())),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_cut_out() {
        for (text, n, wanted) in [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\n", 5, "a\n"),
            ("a\nb\n", 0, ""),
            ("", 3, ""),
        ] {
            assert_eq!(last_lines(text, n), wanted, "{text:?} {n}");
        }
    }

    #[test]
    fn with_a_prefix_only_whole_lines_are_ready() {
        let mut stream = Stream::new("t".into(), "[a] ".into(), 0);
        assert_eq!(stream.ready("on"), "");
        assert_eq!(stream.ready("e\ntw"), "one\n");
        assert_eq!(stream.partial, "tw");
    }
}
