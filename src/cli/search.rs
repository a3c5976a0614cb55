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

/// What was found, oldest first, and whose it is.
#[derive(Default)]
pub struct Past {
    pub lines: Vec<Value>,
    /// Task and node.
    pub streams: Vec<(String, String)>,
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
        let since = log.since.map(|ago: Duration| (now - ago).to_string()).unwrap_or_default();
        let path = path(log, of, limit, &[("since", &since), ("before", &before)]);
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
    /// Takes in what an answer says of streams.
    pub fn note_streams(&mut self, answer: &Value) {
        for stream in list(answer, "streams") {
            let (task, host) = (field(stream, "task").to_owned(), field(stream, "host").to_owned());
            if field(stream, "cut") == "unreachable" && !self.away.contains(&host) {
                self.away.push(host.clone());
            }
            if !self.streams.iter().any(|(known, _)| *known == task) {
                self.streams.push((task, host));
            }
        }
    }
}

/// What is asked for, with these moments where they are some.
pub fn path(log: &Log, of: &str, limit: usize, moments: &[(&str, &str)]) -> String {
    let mut path = format!("/tepui/v1/logs?of={}&limit={limit}", segment(of));
    let always = [
        ("stream", log.file.as_str()),
        ("grep", log.grep.as_deref().unwrap_or_default()),
        ("previous", if log.previous { "true" } else { "" }),
    ];
    for (name, value) in always.iter().chain(moments) {
        if !value.is_empty() {
            path.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    path
}

/// Prints lines, with what tells their tasks apart where there are several or may be, and their times if
/// wanted.
pub fn print(cx: &mut Context, past: &Past, times: bool, several: bool) -> Outcome {
    if cx.printer.json {
        return Ok(cx.printer.value(&Value::Array(past.lines.clone()))?);
    }
    let names = if several || past.streams.len() > 1 { names(past) } else { BTreeMap::new() };
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

/// `[host instance] ` of each task, of an earlier attempt with its number.
fn names(past: &Past) -> BTreeMap<String, String> {
    let newest = past.streams.iter().fold(BTreeMap::new(), |mut newest, (task, ..)| {
        let (instance, number) = attempt(task);
        let known = newest.entry(instance).or_insert(number);
        *known = number.max(*known);
        newest
    });
    let name = |(task, host): &(String, String)| {
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
        let stream = |task: &str| (task.to_owned(), "a1".to_owned());
        let tasks = ["web.instance-0123456789._app.3", "web.instance-0123456789._app.2"];
        let past = Past { streams: tasks.map(stream).into(), ..Past::default() };
        let names = names(&past);
        assert_eq!(names[tasks[0]], "[a1 01234567] ");
        assert_eq!(names[tasks[1]], "[a1 01234567 #2] ");
    }
}
