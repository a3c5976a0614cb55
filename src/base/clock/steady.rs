//! The clock of what is written down: delays end in time, whatever happened to the wall clock.
//!
//! What the log holds never goes back in time. If the wall clock was once ahead and was put right,
//! all that was written meanwhile lies in its future: a launch delay of a second, counted from
//! there, would end when the world catches up, in an hour or in ten years. So a master goes on from
//! the newest time it has seen, a little slower than time passes, until the wall clock has caught
//! up. A delay takes a third longer at most while that lasts.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{Clock, Moment, Timestamp};

/// Steps of so much are nothing to complain about: masters are never exactly of one opinion.
const AHEAD_OK: Duration = Duration::from_secs(5);

/// A wall clock that never runs back and never stands still.
#[derive(Debug)]
pub struct SteadyClock {
    wall: Arc<dyn Clock>,
    /// Newest time known, and when that was known.
    newest: Mutex<(Timestamp, Moment)>,
}

impl SteadyClock {
    /// As the wall clock, from now on without its steps back.
    pub fn over(wall: Arc<dyn Clock>) -> Arc<Self> {
        let newest = Mutex::new((wall.now(), wall.moment()));
        Arc::new(Self { wall, newest })
    }

    /// `at` was written down by this master or another: the present is not before that.
    pub fn see(&self, at: Timestamp) {
        let now = self.now();
        if at > now {
            *self.newest.lock() = (at, self.wall.moment());
        }
    }

    /// By how much the wall clock is behind what was written down, when that is worth a word.
    pub fn ahead(&self) -> Option<Duration> {
        let ahead = self.now().since(self.wall.now());
        (ahead > AHEAD_OK).then_some(ahead)
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let mut newest = self.newest.lock();
        let (wall, moment) = (self.wall.now(), self.wall.moment());
        let (at, known) = *newest;
        let going_on = at + moment.since(known) * 3 / 4;
        if wall >= going_on {
            *newest = (wall, moment);
        }
        wall.max(going_on)
    }

    fn moment(&self) -> Moment {
        self.wall.moment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    const START: Timestamp = Timestamp::from_ms(1_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn follows_the_wall_clock_and_its_steps_forward() {
        let wall = ManualClock::new(START);
        let steady = SteadyClock::over(wall.clone());
        wall.advance(HOUR);
        assert_eq!(steady.now(), START + HOUR);
        wall.step_ms(3_600_000);
        assert_eq!(steady.now(), START + HOUR * 2);
        assert_eq!(steady.ahead(), None);
    }

    #[test]
    fn a_step_back_is_made_up_for_slowly_and_nothing_stands_still() {
        let wall = ManualClock::new(START);
        let steady = SteadyClock::over(wall.clone());
        wall.step_ms(-3_600_000);
        let mut last = steady.now();
        assert_eq!(last, START);
        assert_eq!(steady.ahead(), Some(HOUR));
        for _ in 0..4_000 {
            wall.advance(Duration::from_secs(1));
            let now = steady.now();
            assert!(now.since(last) >= Duration::from_millis(749), "{last} to {now}");
            assert!(now.since(last) <= Duration::from_secs(1));
            last = now;
        }
        wall.advance(HOUR * 4);
        assert_eq!(steady.now(), wall.now(), "caught up");
        assert_eq!(steady.ahead(), None);
    }

    #[test]
    fn goes_on_from_what_was_written_while_the_clock_was_wrong() {
        let wall = ManualClock::new(START);
        let steady = SteadyClock::over(wall.clone());
        let wrong = START + HOUR * 24 * 3650;
        steady.see(wrong);
        steady.see(START);
        assert_eq!(steady.now(), wrong);
        wall.advance(Duration::from_secs(4));
        assert_eq!(steady.now(), wrong + Duration::from_secs(3));
        assert!(steady.ahead().is_some());
    }
}
