//! Lines of many streams as one answer: in the order of their times, with nothing told twice and
//! nothing left out between two pages.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use super::{
    line::{Found, Line},
    reader::Source,
};
use crate::{api::view::Iso, base::clock::Timestamp};

/// Parts of the histogram.
const BUCKETS: usize = 60;

/// `Logs` of the contract.
#[derive(Debug, Default, Serialize)]
pub struct Logs {
    pub lines: Vec<Row>,
    /// Ask with it for what is older; absent when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Iso>,
    /// Ask with it for what is newer, of an answer that goes onwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Iso>,
    pub searched_bytes: u64,
    pub streams: Vec<StreamRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    histogram: Option<Histogram>,
}

/// `LogLine` of the contract.
#[derive(Debug, Serialize)]
pub struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Iso>,
    task: Arc<str>,
    stream: &'static str,
    offset: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    text: String,
}

impl Row {
    /// A line of a task's stream.
    pub fn new(task: Arc<str>, stream: &'static str, line: Line) -> Self {
        let Line { at, offset, partial, cut, text } = line;
        let at = at.map(|at| Iso(Timestamp::from_ms(at)));
        Self { at, task, stream, offset, partial, cut, text }
    }

    fn ms(&self) -> Option<i64> {
        self.at.map(|Iso(at)| at.as_ms())
    }
}

/// `LogStream` of the contract.
#[derive(Debug, Serialize)]
pub struct StreamRow {
    pub task: Arc<str>,
    pub host: String,
    pub stream: &'static str,
    pub next_offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<&'static str>,
}

/// How many lines of the answer fall into each part of its time.
#[derive(Debug, PartialEq, Serialize)]
struct Histogram {
    from: Iso,
    step_ms: i64,
    stdout: Vec<u32>,
    stderr: Vec<u32>,
}

/// Sorts by time; lines of one stream keep their order within a moment.
pub fn sort(lines: &mut [Row]) {
    lines.sort_by_key(Row::ms);
}

/// Everything that was found from some moment on, oldest first.
pub fn backwards(found: Vec<(Source, Found)>, lines_max: usize) -> Logs {
    // Before this moment some stream was not looked at: what others have there comes with it.
    let mut floor = found.iter().filter_map(|(_, found)| found.until).max();
    let mut logs = together(found, true);
    let lines = &mut logs.lines;
    if let Some(first) = lines.len().checked_sub(lines_max).filter(|first| *first > 0) {
        floor = floor.max(lines.get(first).and_then(Row::ms));
    }
    // A line without a time has its place in the newest page alone.
    lines.retain(|row| row.ms().is_none() || row.ms() >= floor);
    logs.before = floor.map(|at| Iso(Timestamp::from_ms(at)));
    logs.histogram = histogram(&logs.lines);
    logs
}

/// Everything that was found up to some moment, oldest first.
pub fn onwards(found: Vec<(Source, Found)>, lines_max: usize) -> Logs {
    let mut ceiling = found.iter().filter_map(|(_, found)| found.until).min();
    let mut logs = together(found, false);
    let lines = &mut logs.lines;
    if let Some(over) = lines.get(lines_max).and_then(Row::ms) {
        // The first moment is whole, however much was said in it.
        let first = lines.first().and_then(Row::ms).map_or(over, |first| over.max(first + 1));
        ceiling = Some(ceiling.map_or(first, |ceiling| ceiling.min(first)));
    }
    if let Some(ceiling) = ceiling {
        lines.retain(|row| row.ms().is_some_and(|at| at < ceiling));
    }
    logs.after = ceiling.map(|at| Iso(Timestamp::from_ms(at)));
    logs.histogram = histogram(&logs.lines);
    logs
}

/// All lines in order, `reversed` where they were found newest first.
fn together(found: Vec<(Source, Found)>, reversed: bool) -> Logs {
    let mut logs = Logs::default();
    for (source, mut found) in found {
        logs.searched_bytes += found.searched_bytes;
        if reversed {
            found.lines.reverse();
        }
        let task: Arc<str> = source.id.into();
        let rows = found.lines.into_iter().map(|line| Row::new(task.clone(), source.stream, line));
        logs.lines.extend(rows);
        let (host, next_offset) = (source.host, found.next_offset);
        let stream = StreamRow { task, host, stream: source.stream, next_offset, cut: found.cut };
        logs.streams.push(stream);
    }
    sort(&mut logs.lines);
    logs
}

fn histogram(lines: &[Row]) -> Option<Histogram> {
    let times: Vec<(i64, &str)> = lines.iter().filter_map(|r| Some((r.ms()?, r.stream))).collect();
    let (from, to) = (times.first()?.0, times.last()?.0);
    let step_ms = (to - from) / BUCKETS as i64 + 1;
    let n_buckets = usize::try_from((to - from) / step_ms).unwrap_or(0) + 1;
    let mut counts: BTreeMap<&str, Vec<u32>> =
        ["stdout", "stderr"].map(|stream| (stream, vec![0; n_buckets])).into();
    for (at, stream) in times {
        let bucket = usize::try_from((at - from) / step_ms).unwrap_or(0);
        if let Some(n) = counts.get_mut(stream).and_then(|counts| counts.get_mut(bucket)) {
            *n += 1;
        }
    }
    let mut take = |stream| counts.remove(stream).unwrap_or_default();
    let (stdout, stderr) = (take("stdout"), take("stderr"));
    Some(Histogram { from: Iso(Timestamp::from_ms(from)), step_ms, stdout, stderr })
}
