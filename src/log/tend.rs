//! Keeps the log and the history short and watches the disk.
//!
//! Entries older than a bounded tail are dropped, by count and by bytes. The state needs none of
//! them, it is written through; the tail is for followers that were away for a while. One that was
//! away longer gets the whole state.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use openraft::Raft;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{history, machine::Machine, raft::Core, replica::Progress, types::Types};
use crate::base::limit;

/// How much of the applied log is kept for followers that lag.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    pub n_entries: u64,
    pub n_bytes: u64,
    /// What the history may take on the disk.
    pub history_bytes: u64,
}

impl Default for Retention {
    /// Seconds to minutes of a busy cluster, at the price of a few table files.
    fn default() -> Self {
        Self { n_entries: 4_096, n_bytes: 32 << 20, history_bytes: limit::HISTORY_BYTES_DEFAULT }
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Starts the tasks that keep log and disk in order.
pub fn start<M: Machine>(
    core: Arc<Core<M>>,
    progress: watch::Receiver<Progress>,
    retention: Retention,
) {
    let tasks = core.tasks().clone();
    tasks.connection("log history", history::keep_within(core.store(), retention.history_bytes));
    tasks.connection("log retention", retain(core.raft.clone(), progress, retention));
    tasks.connection("log disk space", watch_space(core));
}

/// Says when the disk gets full and when it has space again. A leader that cannot write any more
/// gives way to one that can.
async fn watch_space<M: Machine>(core: Arc<Core<M>>) {
    let mut was_low = false;
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let low = core.disk_is_low();
        if low && !was_low {
            tracing::error!("disk almost full, refusing new commands until space is free");
            core.hand_over_and_follow().await;
        } else if !low && was_low {
            tracing::info!("disk has space again, accepting commands");
        }
        was_low = low;
    }
}

async fn retain(raft: Raft<Types>, mut progress: watch::Receiver<Progress>, retention: Retention) {
    let step = (retention.n_entries / 16).max(1);
    let mut marks = VecDeque::from([*progress.borrow()]);
    while progress.changed().await.is_ok() {
        let now = *progress.borrow_and_update();
        if marks.back().is_none_or(|last| now.index >= last.index + step) {
            marks.push_back(now);
        }
        if let Some(upto) = overdue(&mut marks, now, retention)
            && let Err(error) = purge(&raft, upto).await
        {
            tracing::debug!(%error, "old log entries were not dropped");
            return;
        }
    }
}

/// The index up to which entries may go, when that is a step further than the last time.
fn overdue(marks: &mut VecDeque<Progress>, now: Progress, retention: Retention) -> Option<u64> {
    let mut upto = None;
    while let Some(mark) = marks.front() {
        let few = now.index.saturating_sub(mark.index) <= retention.n_entries;
        let light = now.bytes.saturating_sub(mark.bytes) <= retention.n_bytes;
        if few && light {
            break;
        }
        upto = Some(mark.index);
        marks.pop_front();
    }
    upto
}

async fn purge(
    raft: &Raft<Types>,
    upto: u64,
) -> Result<(), openraft::error::Fatal<super::types::MemberId>> {
    raft.trigger().snapshot().await?;
    // openraft drops only what a snapshot covers; taking one costs nothing here.
    let mut metrics = raft.metrics();
    let taken = metrics.wait_for(|m| m.snapshot.is_some_and(|id| id.index >= upto));
    if timeout(Duration::from_secs(10), taken).await.is_ok() {
        raft.trigger().purge_log(upto).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_bounded_by_count_and_by_bytes() {
        let retention = Retention { n_entries: 100, n_bytes: 1_000, ..Retention::default() };
        let check = |per_entry: u64, expected: &[Option<u64>]| {
            let mut marks = VecDeque::new();
            let mut got = Vec::new();
            for index in (0..=300).step_by(50) {
                let now = Progress { index, bytes: index * per_entry };
                marks.push_back(now);
                got.push(overdue(&mut marks, now, retention));
            }
            assert_eq!(got, expected);
        };
        check(1, &[None, None, None, Some(0), Some(50), Some(100), Some(150)]);
        check(15, &[None, None, Some(0), Some(50), Some(100), Some(150), Some(200)]);
    }
}
