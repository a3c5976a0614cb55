//! Time: `Timestamp` (when, for people and files), `Moment` (how long ago) and the clocks that make
//! both.
//!
//! A wall clock is put right by its owner, by hours and in both directions. So a `Timestamp` says
//! when something happened and nothing about how long ago that was; whatever waits, or holds
//! silence against somebody, counts in `Moment`s.
//!
//! Only this file reads the machine's clocks. Everything else is handed a reading or an
//! `Arc<dyn Clock>`, so that simulation and tests own time.

mod steady;

use std::{
    fmt,
    ops::{Add, Sub},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

pub use steady::SteadyClock;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Prints as `yyyy-MM-ddTHH:mm:ss.SSSZ`, always UTC and always three digits of milliseconds, the
/// only form old clients are known to parse (docs/compat/marathon.md, "JSON rules").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const EPOCH: Self = Self(0);

    /// The point `ms` milliseconds after the Unix epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch with a fraction, as Mesos prints times.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Time passed since `earlier`; zero when `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Parses any ISO-8601 date-time with an offset or `Z`; fractions beyond milliseconds are cut.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let parsed: Result<jiff::Timestamp, _> = text.parse();
        parsed.ok().map(|t| Self(t.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => f.write_str(&t.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, before: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(before.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A point on a clock that nobody sets: time passed since this process began, in milliseconds.
///
/// Means nothing in another process: it is never sent, and where it is stored it reads back as the
/// beginning, so that what was being waited for is waited for once more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The beginning of this process.
    pub const START: Self = Self(0);

    /// The moment `ms` milliseconds after the beginning.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Time passed since `earlier`; zero when `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}ms", self.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// A source of time. `SystemClock` in the product, `ManualClock` in tests and simulation.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present, as the wall clock has it. May jump in both directions.
    fn now(&self) -> Timestamp;

    /// As `now`, a tick of the kernel late at most (10 ms), for a quarter of the price.
    fn roughly(&self) -> Timestamp {
        self.now()
    }

    /// The present, on the clock that nobody sets.
    fn moment(&self) -> Moment;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// A shared handle, the form constructors take.
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that may ask the machine
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Timestamp::EPOCH + since_epoch
    }

    fn roughly(&self) -> Timestamp {
        let tick = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME_COARSE);
        let tick = tick.map(|at| Timestamp(at.tv_sec() * 1000 + at.tv_nsec() / 1_000_000));
        tick.unwrap_or_else(|_| self.now())
    }

    fn moment(&self) -> Moment {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let start = *START;
        Moment::START + start.elapsed()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    passed_ms: AtomicU64,
}

impl ManualClock {
    /// A clock standing at `start`.
    pub fn new(start: Timestamp) -> Arc<Self> {
        Arc::new(Self { wall_ms: AtomicI64::new(start.as_ms()), ..Self::default() })
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.passed_ms
            .fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
        self.step_ms(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Sets the wall clock forward, or back, by so many milliseconds; no time passes.
    pub fn step_ms(&self, by_ms: i64) {
        self.wall_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall_ms.load(Ordering::SeqCst))
    }

    fn moment(&self) -> Moment {
        Moment(self.passed_ms.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_three_digits_and_parses_back() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_500_000_000_007, "2017-07-14T02:40:00.007Z"),
            (1_700_000_000_120, "2023-11-14T22:13:20.120Z"),
        ] {
            assert_eq!(Timestamp::from_ms(ms).to_string(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp::from_ms(ms)));
        }
        assert_eq!(
            Timestamp::parse("2017-07-14T04:40:00+02:00"),
            Some(Timestamp::from_ms(1_500_000_000_000))
        );
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn since_never_goes_below_zero() {
        let (a, b) = (Timestamp::from_ms(5), Timestamp::from_ms(9));
        assert_eq!(b.since(a), Duration::from_millis(4));
        assert_eq!(a.since(b), Duration::ZERO);
    }

    #[test]
    fn the_rough_time_is_late_by_a_tick_at_most() {
        for _ in 0..1000 {
            let before = SystemClock.now();
            let rough = SystemClock.roughly();
            assert!(rough <= SystemClock.now() && before.since(rough) <= Duration::from_millis(10));
        }
    }

    #[test]
    fn a_step_of_the_wall_clock_lets_no_time_pass() {
        let clock = ManualClock::new(Timestamp::from_ms(10_000));
        let before = clock.moment();
        clock.advance(Duration::from_secs(2));
        clock.step_ms(-3_600_000);
        assert_eq!(clock.moment().since(before), Duration::from_secs(2));
        assert_eq!(clock.now(), Timestamp::from_ms(12_000 - 3_600_000));
        assert_eq!(before.since(clock.moment()), Duration::ZERO);
        assert!(SystemClock.moment() <= SystemClock.moment());
    }
}
