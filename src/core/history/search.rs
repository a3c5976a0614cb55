//! Searching the history: rows come newest first, each is taken, passed over, or ends the search.
//!
//! Most rows are passed over by a look at their bytes; only what may be wanted is read whole.

use super::{Cursor, Kind, Record, decode, decode_dropped};
use crate::{
    base::{
        clock::Timestamp,
        wire::{Fields, Value as _},
    },
    core::table::RowKey,
    model::Deployment,
};

/// What is looked for. All that is said has to hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Query {
    /// A service, a group with all below it, a node, an instance, a deployment, a user.
    pub of: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// On whose word.
    pub who: Option<String>,
    /// Any of these; empty: all.
    pub kinds: Vec<Kind>,
    /// Text that stands somewhere in it, in any letter case.
    pub grep: Option<String>,
    /// Only what is older than this.
    pub before: Option<Cursor>,
    /// Only what is newer than this.
    pub after: Option<Cursor>,
    pub limit: usize,
}

/// A record with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    pub cursor: Cursor,
    pub record: Record,
}

/// What was found, newest first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Page {
    pub found: Vec<Found>,
    /// Where older ones go on; `None` where there are none.
    pub before: Option<Cursor>,
    /// The time of the oldest record that is kept.
    pub since: Option<Timestamp>,
    /// The oldest were dropped: nothing is known of before `since`.
    pub dropped: bool,
}

/// What becomes of a row.
enum Step {
    Skip,
    Take(Box<Found>),
    /// Nothing older is wanted.
    Stop,
}

/// A search under way: it is shown the rows of the query's range newest first, then all rows from
/// the beginning on, each as long as it wants to go on.
pub struct Search {
    sieve: Sieve,
    limit: usize,
    page: Page,
}

impl Search {
    pub fn new(query: Query) -> Self {
        let limit = query.limit.max(1);
        Self { sieve: Sieve::new(query), limit, page: Page::default() }
    }

    /// Looks at the next older row; whether to go on.
    pub fn row(&mut self, key: &[u8], row: &[u8]) -> bool {
        match self.sieve.judge(key, row) {
            Step::Skip => true,
            Step::Stop => false,
            Step::Take(found) if self.page.found.len() < self.limit => {
                self.page.found.push(*found);
                true
            }
            Step::Take(_) => {
                // One more is there: the next page begins behind the last of this one.
                self.page.before = self.page.found.last().map(|found| found.cursor);
                false
            }
        }
    }

    /// Looks at the next row from the beginning on; whether to go on.
    pub fn beginning(&mut self, key: &[u8], row: &[u8]) -> bool {
        if Cursor::of_row(key) == Some(Cursor::DROPPED) {
            self.page.dropped = decode_dropped(row).is_ok();
            return true;
        }
        self.page.since = decode(row).ok().map(|record| record.at);
        self.page.since.is_none()
    }

    pub fn page(self) -> Page {
        self.page
    }
}

/// A query made ready for many rows.
struct Sieve {
    query: Query,
    grep: Option<Vec<u8>>,
}

impl Query {
    /// For the record of what a deployment began with.
    pub fn beginning(deployment: &Deployment) -> Self {
        Self {
            of: Some(deployment.id.to_string()),
            kinds: vec![Kind::Change],
            since: Some(deployment.started_at),
            limit: 1,
            ..Self::default()
        }
    }

    /// The rows to look at: from the first key on, up to the second and without it.
    pub fn range(&self) -> (RowKey, RowKey) {
        let from = self.after.map_or(Cursor::FIRST, |after| after.next().max(Cursor::FIRST));
        (from.row(), self.before.unwrap_or(Cursor::END).row())
    }
}

impl Sieve {
    fn new(query: Query) -> Self {
        let grep = query.grep.as_ref().map(|text| text.to_ascii_lowercase().into_bytes());
        let grep = grep.filter(|text| !text.is_empty());
        Self { query, grep }
    }

    /// What becomes of one row.
    fn judge(&self, key: &[u8], row: &[u8]) -> Step {
        let Some(cursor) = Cursor::of_row(key) else { return Step::Skip };
        let query = &self.query;
        if query.since.is_some() || query.until.is_some() || !query.kinds.is_empty() {
            let Some((at, kind)) = head(row) else { return Step::Skip };
            if query.since.is_some_and(|since| at < since) {
                return Step::Stop;
            }
            let is_wanted = query.kinds.is_empty() || query.kinds.contains(&kind);
            if query.until.is_some_and(|until| at > until) || !is_wanted {
                return Step::Skip;
            }
        }
        // What stands in a field stands in the row.
        let lacks = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| !holds(row, text.trim_end_matches('/').as_bytes()))
        };
        if lacks(&query.of) || lacks(&query.who) {
            return Step::Skip;
        }
        if self.grep.as_ref().is_some_and(|grep| !holds_any_case(row, grep)) {
            return Step::Skip;
        }
        match decode(row) {
            Ok(record) if self.matches(&record) => Step::Take(Box::new(Found { cursor, record })),
            // One that cannot be read is of a release to come.
            Ok(_) | Err(_) => Step::Skip,
        }
    }

    fn matches(&self, record: &Record) -> bool {
        let by = record.by.as_ref().map(|by| by.uid.as_str());
        self.query.who.as_deref().is_none_or(|who| by == Some(who))
            && self.query.of.as_deref().is_none_or(|of| is_about(record, of))
            && self.grep.as_ref().is_none_or(|grep| says(record, grep))
    }
}

/// Time and kind of a row, which stand first.
fn head(row: &[u8]) -> Option<(Timestamp, Kind)> {
    let (mut at, mut kind) = (None, None);
    for field in Fields::new("Record", row.get(1..)?) {
        let field = field.ok()?;
        match field.number {
            1 => Timestamp::merge(&mut at, &field).ok()?,
            2 => {
                Kind::merge(&mut kind, &field).ok()?;
                break;
            }
            _ => {}
        }
    }
    Some((at.unwrap_or_default(), kind?))
}

fn is_about(record: &Record, of: &str) -> bool {
    let group = of.trim_end_matches('/');
    let below = |path: &str| path.strip_prefix(group).is_some_and(|rest| rest.starts_with('/'));
    record.of == of
        || of.starts_with('/') && below(&record.of)
        || record.instance.as_ref().is_some_and(|id| id.as_str() == of)
        || record.deployment.as_ref().is_some_and(|id| id.as_str() == of)
        || record.attempt.as_ref().is_some_and(|a| a.node.as_str() == of || a.host == of)
}

fn says(record: &Record, grep: &[u8]) -> bool {
    let texts = [Some(record.of.as_str()), Some(record.text.as_str()), record.refused.as_deref()];
    let by = record.by.as_ref().map(|by| by.uid.as_str());
    let ids = [record.instance.as_ref().map(|id| id.as_str()), by];
    let attempt = record.attempt.iter().flat_map(|a| [a.node.as_str(), &a.host, &a.tail]);
    texts
        .into_iter()
        .chain(ids)
        .flatten()
        .chain(attempt)
        .any(|t| holds_any_case(t.as_bytes(), grep))
}

fn holds(text: &[u8], wanted: &[u8]) -> bool {
    let Some((&first, rest)) = wanted.split_first() else { return true };
    find(text, rest, |byte| byte == first, |text, rest| text.starts_with(rest))
}

/// `wanted` in lower case.
fn holds_any_case(text: &[u8], wanted: &[u8]) -> bool {
    let Some((&first, rest)) = wanted.split_first() else { return true };
    find(
        text,
        rest,
        |byte| byte.to_ascii_lowercase() == first,
        |text, rest| text.get(..rest.len()).is_some_and(|t| t.eq_ignore_ascii_case(rest)),
    )
}

fn find(
    text: &[u8],
    rest: &[u8],
    is_first: impl Fn(u8) -> bool,
    goes_on: impl Fn(&[u8], &[u8]) -> bool,
) -> bool {
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(|byte| is_first(*byte)) {
        at += found + 1;
        if goes_on(&text[at..], rest) {
            return true;
        }
    }
    false
}
