//! `tepui log` into the past: lines of all instances in order, searched by the cluster.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    args::Log,
    client::{Client, segment},
    error::Outcome,
    run::Context,
    text::{field, list},
};
use crate::base::clock::Timestamp;

/// Lines shown unless another number is asked for.
pub const LINES: usize = 100;
/// Lines asked for at once, and in all when only a time bounds them.
const PAGE: usize = 2_000;
const LINES_MAX: usize = 50_000;
/// Answers in a row: some bring few lines or none, where the search was cut.
const PAGES_MAX: usize = 200;

/// What was found, oldest first, and where each stream goes on.
#[derive(Default)]
pub struct Past {
    pub lines: Vec<Value>,
    /// Task, node and offset.
    pub streams: Vec<(String, String, u64)>,
    /// Nodes that did not answer.
    pub away: Vec<String>,
}

/// The last lines of `of`, an app or a task, that `log` asks for.
pub async fn past(client: &Client, log: &Log, of: &str, now: Timestamp) -> Outcome<Past> {
    let wanted = log.lines.unwrap_or(if log.since.is_some() { LINES_MAX } else { LINES });
    let mut past = Past::default();
    let mut before = String::new();
    for page in 0..PAGES_MAX {
        let limit = wanted.saturating_sub(past.lines.len()).clamp(1, PAGE);
        let path = path(log, of, limit, &before, now);
        let answer = client.get(path).await?;
        if page == 0 {
            past.note_streams(&answer);
        }
        let mut lines: Vec<Value> = list(&answer, "lines").cloned().collect();
        lines.append(&mut past.lines);
        past.lines = lines;
        field(&answer, "before").clone_into(&mut before);
        if before.is_empty() || past.lines.len() >= wanted {
            break;
        }
    }
    let too_many = past.lines.len().saturating_sub(wanted);
    past.lines.drain(..too_many);
    Ok(past)
}

impl Past {
    fn note_streams(&mut self, answer: &Value) {
        for stream in list(answer, "streams") {
            let (task, host) = (field(stream, "task").to_owned(), field(stream, "host").to_owned());
            if field(stream, "cut") == "unreachable" && !self.away.contains(&host) {
                self.away.push(host.clone());
            }
            self.streams.push((task, host, stream["next_offset"].as_u64().unwrap_or(0)));
        }
    }
}

fn path(log: &Log, of: &str, limit: usize, before: &str, now: Timestamp) -> String {
    let since = log.since.map(|ago: Duration| (now - ago).to_string()).unwrap_or_default();
    let mut path = format!("/tepui/v1/logs?of={}&limit={limit}", segment(of));
    for (name, value) in [
        ("stream", log.file.as_str()),
        ("since", &since),
        ("before", before),
        ("grep", log.grep.as_deref().unwrap_or_default()),
        ("previous", if log.previous { "true" } else { "" }),
    ] {
        if !value.is_empty() {
            path.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    path
}

/// Prints lines, with what tells their tasks apart where there are several, and their times if wanted.
pub fn print(cx: &mut Context, past: &Past, times: bool) -> Outcome {
    if cx.printer.json {
        return Ok(cx.printer.value(&Value::Array(past.lines.clone()))?);
    }
    let names = names(past);
    for line in &past.lines {
        let mut text = String::new();
        if times {
            let at = field(line, "at");
            text.push_str(if at.is_empty() { "-" } else { at });
            text.push(' ');
        }
        text.push_str(names.get(field(line, "task")).map_or("", String::as_str));
        text.push_str(field(line, "text"));
        text.push('\n');
        cx.printer.raw(text.as_bytes())?;
    }
    for host in &past.away {
        cx.printer.note(&format!("{host} does not answer: its lines are missing"))?;
    }
    Ok(())
}

/// `[host instance] ` of each task, of an earlier attempt with its number; nothing where there is one.
fn names(past: &Past) -> BTreeMap<String, String> {
    if past.streams.len() < 2 {
        return BTreeMap::new();
    }
    let newest = past.streams.iter().fold(BTreeMap::new(), |mut newest, (task, ..)| {
        let (instance, number) = attempt(task);
        let known = newest.entry(instance).or_insert(number);
        *known = number.max(*known);
        newest
    });
    let name = |(task, host, _): &(String, String, u64)| {
        let (instance, number) = attempt(task);
        let short = instance.rsplit_once("instance-").map_or(instance, |(_, uuid)| uuid);
        let short = short.get(..8).unwrap_or(short);
        let is_old = newest.get(instance).is_some_and(|newest| number < *newest);
        let which = if is_old { format!(" #{number}") } else { String::new() };
        (task.clone(), format!("[{host} {short}{which}] "))
    };
    past.streams.iter().map(name).collect()
}

/// `<instance>.<container>.<number>` in its parts that matter.
fn attempt(task: &str) -> (&str, u32) {
    let Some((rest, number)) = task.rsplit_once('.') else { return (task, 0) };
    let instance = rest.rsplit_once('.').map_or(rest, |(instance, _)| instance);
    (instance, number.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_told_apart_and_earlier_attempts_have_a_number() {
        let stream = |task: &str| (task.to_owned(), "a1".to_owned(), 0);
        let tasks = ["web.instance-0123456789._app.3", "web.instance-0123456789._app.2"];
        let past = Past { streams: tasks.map(stream).into(), ..Past::default() };
        let names = names(&past);
        assert_eq!(names[tasks[0]], "[a1 01234567] ");
        assert_eq!(names[tasks[1]], "[a1 01234567 #2] ");
        let past = Past { streams: vec![stream(tasks[0])], ..Past::default() };
        assert!(super::names(&past).is_empty());
    }
}
