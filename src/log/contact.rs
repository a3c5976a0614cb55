//! How near what a master shows is to the newest: when it was last in touch with a majority.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::types::MemberId;

/// What a master knows of how fresh its state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Grows with each election.
    pub term: u64,
    /// Who leads, as far as this master knows.
    pub leader: Option<MemberId>,
    /// Since when newer changes may be missing here; `None` when nothing was heard since its start.
    pub ago: Option<Duration>,
    /// Whether that is longer than masters that hear each other are silent.
    pub is_stale: bool,
}

/// What a leader has told a follower.
#[derive(Default)]
pub struct Heard {
    last: Mutex<Option<Told>>,
}

#[derive(Clone, Copy)]
struct Told {
    at: Instant,
    /// Index of the last entry that a majority had then.
    committed: u64,
    /// When everything that a majority had was here.
    in_step_at: Option<Instant>,
}

impl Heard {
    /// A leader spoke; this master has applied everything up to `applied`.
    pub fn note(&self, committed: u64, applied: u64) {
        let at = Instant::now();
        let mut last = self.last.lock();
        let before = last.and_then(|told| told.in_step_at);
        let in_step_at = if applied >= committed { Some(at) } else { before };
        *last = Some(Told { at, committed, in_step_at });
    }

    /// Whether a leader spoke within so long.
    pub fn is_within(&self, silence: Duration) -> bool {
        self.last.lock().is_some_and(|told| told.at.elapsed() < silence)
    }

    /// How long ago everything was here, for who has applied everything up to `applied`.
    pub fn ago(&self, applied: u64) -> Option<Duration> {
        let told = (*self.last.lock())?;
        let at = if applied >= told.committed { Some(told.at) } else { told.in_step_at };
        at.map(|at| at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(250);

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_counts_from_when_nothing_was() {
        let heard = Heard::default();
        assert_eq!(heard.ago(7), None, "nobody has spoken");
        heard.note(7, 5);
        assert_eq!(heard.ago(5), None, "it never had everything");
        assert_eq!(heard.ago(7), Some(Duration::ZERO), "what was missing has come");
        tokio::time::advance(STEP).await;
        assert_eq!(heard.ago(7), Some(STEP), "the leader has been silent since");
        heard.note(7, 7);
        tokio::time::advance(STEP).await;
        heard.note(9, 7);
        assert_eq!(heard.ago(7), Some(STEP), "it had everything a step ago");
        assert_eq!(heard.ago(9), Some(Duration::ZERO));
    }
}
