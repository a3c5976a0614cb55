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

impl Contact {
    /// What it was, so long after it was asked for.
    pub fn aged(self, by: Duration) -> Self {
        Self { ago: self.ago.map(|ago| ago + by), ..self }
    }
}

/// What leaders have told a follower.
#[derive(Default)]
pub struct Heard {
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    spoke_at: Option<Instant>,
    told: Option<Told>,
    /// When everything that was acknowledged was here, of all that was told before.
    in_step_at: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Told {
    /// Index of an entry …
    committed: u64,
    /// … before or at which everything stands that was acknowledged before.
    as_of: Instant,
}

impl Last {
    fn in_step_at(&self, applied: u64) -> Option<Instant> {
        let told = self.told.filter(|told| applied >= told.committed).map(|told| told.as_of);
        told.max(self.in_step_at)
    }
}

impl Heard {
    /// A leader spoke, and told where everything stands that was acknowledged before `as_of`; this
    /// master has applied everything up to `applied`.
    pub fn note(&self, committed: u64, applied: u64, as_of: Option<Instant>) {
        let mut last = self.last.lock();
        last.spoke_at = Some(Instant::now());
        last.in_step_at = last.in_step_at(applied);
        let Some(as_of) = as_of else { return };
        if last.told.is_none_or(|told| told.as_of < as_of) {
            last.told = Some(Told { committed, as_of });
        }
    }

    /// Whether a leader spoke within so long.
    pub fn is_within(&self, silence: Duration) -> bool {
        self.last.lock().spoke_at.is_some_and(|at| at.elapsed() < silence)
    }

    /// How long ago everything was here, for who has applied everything up to `applied`.
    pub fn ago(&self, applied: u64) -> Option<Duration> {
        self.last.lock().in_step_at(applied).map(|at| at.elapsed())
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
        heard.note(7, 5, Some(Instant::now()));
        assert_eq!(heard.ago(5), None, "it never had everything");
        assert_eq!(heard.ago(7), Some(Duration::ZERO), "what was missing has come");
        tokio::time::advance(STEP).await;
        assert_eq!(heard.ago(7), Some(STEP), "the leader has been silent since");
        heard.note(7, 7, Some(Instant::now()));
        tokio::time::advance(STEP).await;
        heard.note(9, 7, Some(Instant::now()));
        assert_eq!(heard.ago(7), Some(STEP), "it had everything a step ago");
        assert_eq!(heard.ago(9), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_that_was_long_on_its_way_makes_nothing_fresh() {
        let (heard, sent_at) = (Heard::default(), Instant::now());
        heard.note(7, 7, Some(sent_at));
        tokio::time::advance(40 * STEP).await;
        heard.note(7, 7, Some(sent_at + STEP));
        assert!(heard.is_within(STEP), "a leader was heard");
        assert_eq!(heard.ago(7), Some(39 * STEP));
        heard.note(9, 7, None);
        assert_eq!(heard.ago(9), Some(39 * STEP), "it did not say as of when");
        heard.note(7, 9, Some(sent_at));
        assert_eq!(heard.ago(9), Some(39 * STEP), "an older word takes nothing back");
    }
}
