//! Snapshots and deltas as JSON, and the memory that tells what changed.
//!
//! A new kind of row is a `Collection` in `kinds.rs` and a line in the list here.

use std::sync::Arc;

use serde::Serialize;

use super::{
    collection::{Collection, KindMemory, Rows},
    interval::{Interval, Intervals},
    kinds::{Apps, Deployments, Nodes},
    shown::Shown,
};
use crate::{
    api::view::{
        Iso, View,
        status::{self, Status},
        tally::Tally,
    },
    base::clock::Timestamp,
    control::cluster::Cluster,
    core::State,
};

/// What is told of each kind in a snapshot and in a delta, and what is remembered of it.
macro_rules! collections {
    ($($name:ident: $kind:ty,)+) => {
        #[derive(Serialize)]
        struct AllRows<'a> {
            $($name: Vec<<$kind as Collection>::Row<'a>>,)+
        }

        impl<'a> AllRows<'a> {
            fn of(view: &View<'a>) -> Self {
                Self { $($name: <$kind>::rows(view),)+ }
            }
        }

        #[derive(Serialize)]
        struct ChangedRows {
            $(#[serde(skip_serializing_if = "Rows::is_empty")] $name: Rows,)+
        }

        impl ChangedRows {
            fn is_empty(&self) -> bool {
                $(self.$name.is_empty())&&+
            }
        }

        struct Kinds {
            $($name: KindMemory<$kind>,)+
        }

        impl Kinds {
            fn of(view: &View<'_>) -> Self {
                Self { $($name: KindMemory::of(view),)+ }
            }

            fn advance(&mut self, interval: &mut Interval<'_>) -> ChangedRows {
                ChangedRows { $($name: self.$name.advance(interval),)+ }
            }
        }
    };
}

// As members of a snapshot and of a delta; a kind may look at what those before it told.
collections! {
    apps: Apps,
    nodes: Nodes,
    deployments: Deployments,
}

#[derive(Serialize)]
struct Snapshot<'a> {
    revision: u64,
    at: Iso,
    status: Status,
    #[serde(flatten)]
    rows: AllRows<'a>,
}

#[derive(Serialize)]
struct Delta {
    revision: u64,
    at: Iso,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(flatten)]
    rows: ChangedRows,
}

/// What was shown last, as far as the next delta depends on it.
pub struct Memory {
    state: Arc<State>,
    tally: Tally,
    kinds: Kinds,
    status: Status,
    intervals: Intervals,
}

impl Shown for Memory {
    fn of(view: &View<'_>, state: Arc<State>, started_at: Timestamp) -> Self {
        let kinds = Kinds::of(view);
        let tally = Tally::of(&state, state.instances.values().map(|i| &**i));
        let status = status::counted(view, started_at, &tally, &kinds.apps.kind.attention);
        Self { state, tally, kinds, status, intervals: Intervals::from(view) }
    }

    fn snapshot(view: &View<'_>, started_at: Timestamp) -> String {
        let snapshot = Snapshot {
            revision: view.state.revision,
            at: Iso(view.now),
            status: status::status(view, started_at),
            rows: AllRows::of(view),
        };
        serde_json::to_string(&snapshot).unwrap_or_default()
    }

    fn state(&self) -> Arc<State> {
        self.state.clone()
    }

    fn advance(
        &mut self,
        new: Arc<State>,
        now: Timestamp,
        cluster: &dyn Cluster,
        started_at: Timestamp,
    ) -> Option<String> {
        let old = std::mem::replace(&mut self.state, new.clone());
        let view = View { state: &new, now, cluster };
        self.tally.shift(&old, &new);
        let mut interval = self.intervals.next(&old, view);
        let rows = self.kinds.advance(&mut interval);
        let status = self.status(&view, started_at, interval.sampled);
        if status.is_none() && rows.is_empty() {
            return None;
        }
        serde_json::to_string(&Delta { revision: new.revision, at: Iso(now), status, rows }).ok()
    }
}

impl Memory {
    /// The status when something in it changed besides time and, between samples, use.
    fn status(&mut self, view: &View<'_>, started_at: Timestamp, sampled: bool) -> Option<Status> {
        let attention = &self.kinds.apps.kind.attention;
        let fresh = status::counted(view, started_at, &self.tally, attention);
        let mut alike = fresh.clone();
        (alike.revision, alike.at) = (self.status.revision, self.status.at);
        alike.uptime_s = self.status.uptime_s;
        if !sampled {
            alike.used = self.status.used;
        }
        let changed = alike != self.status;
        if changed {
            self.status = fresh.clone();
        }
        changed.then_some(fresh)
    }
}
