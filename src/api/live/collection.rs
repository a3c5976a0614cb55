//! One kind of row of the live view, and the memory that tells which of its rows changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::interval::Interval;
use crate::{api::view::View, core::State};

/// A kind of row: what a row is, and what makes it another one.
pub trait Collection: Sized {
    type Key: Ord + Clone + Display;
    type Row<'a>: Serialize;

    /// What rows depend on besides the state, as somebody knows it who was shown all of `view`.
    fn of(view: &View<'_>) -> Self;

    /// All rows, in the order of a snapshot.
    fn rows<'a>(view: &View<'a>) -> Vec<Self::Row<'a>>;

    /// The row of `key`, if there is one.
    fn row<'a>(view: &View<'a>, key: &'a Self::Key) -> Option<Self::Row<'a>>;

    /// Whose rows may be others after `interval`.
    fn dirty(&mut self, interval: &Interval<'_>) -> BTreeSet<Self::Key>;

    /// Whose rows may be others although nothing made them dirty, because leader memory or mere
    /// time has a say. They are written every time and told when the text is another.
    fn watched(&self, _state: &State) -> BTreeSet<Self::Key> {
        BTreeSet::new()
    }

    /// Takes note of what is told: a row, or that there is none any more.
    fn told(
        &mut self,
        _key: &Self::Key,
        _row: Option<&Self::Row<'_>>,
        _interval: &mut Interval<'_>,
    ) {
    }
}

/// Changed rows of one kind.
#[derive(Default, Serialize)]
pub struct Rows {
    set: Vec<Box<RawValue>>,
    removed: Vec<String>,
}

impl Rows {
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }

    /// This row came or is another one.
    pub fn set(&mut self, row: Box<RawValue>) {
        self.set.push(row);
    }

    /// There is no row of this id any more.
    pub fn remove(&mut self, id: impl Display) {
        self.removed.push(id.to_string());
    }
}

/// What was shown of one kind.
pub struct KindMemory<C: Collection> {
    pub kind: C,
    /// Watched rows as they were told.
    watched: BTreeMap<C::Key, Box<RawValue>>,
}

impl<C: Collection> KindMemory<C> {
    pub fn of(view: &View<'_>) -> Self {
        Self { kind: C::of(view), watched: BTreeMap::new() }
    }

    /// The rows to tell of after `interval`.
    pub fn advance(&mut self, interval: &mut Interval<'_>) -> Rows {
        let mut rows = Rows::default();
        let dirty = self.kind.dirty(interval);
        let watched = self.kind.watched(interval.view.state);
        for key in dirty.union(&watched) {
            let row = C::row(&interval.view, key);
            let text = match row.as_ref().map(to_raw_value).transpose() {
                Ok(text) => text,
                Err(error) => {
                    tracing::error!(%key, %error, "a row cannot be written");
                    continue;
                }
            };
            let before = self.watched.remove(key);
            if let Some(text) = text.as_ref().filter(|_| watched.contains(key)) {
                self.watched.insert(key.clone(), text.clone());
            }
            let is_same = before.as_ref().map(|b| b.get()) == text.as_ref().map(|t| t.get());
            if is_same && !dirty.contains(key) {
                continue;
            }
            self.kind.told(key, row.as_ref(), interval);
            match text {
                Some(text) => rows.set(text),
                None => rows.remove(key),
            }
        }
        rows
    }
}
