//! What the front door measures of each service: answers, how many of them were errors, and how long
//! they took to begin.
//!
//! A request finds the meter with the service it goes to. Counting is two or three relaxed additions; a
//! place in the table of times is arithmetic on the leading bits, four places between a number and its
//! double. Whoever reads takes the difference to what was read before.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;
use parking_lot::Mutex;

use crate::model::AppId;

/// Places between a number and its double, as a power of two.
const FINENESS: u32 = 2;
const PER_DOUBLE: u32 = 1 << FINENESS;
/// Places for times up to 134 s; what is longer counts there.
const PLACES: usize = 104;

/// The measures of one service, from the start of the process on.
#[derive(Debug)]
pub struct Meter {
    /// Answers by the microseconds to their head.
    times: [AtomicU32; PLACES],
    /// Answers that were no better than 500, our own for a service that gave none included.
    errors: AtomicU32,
}

impl Default for Meter {
    fn default() -> Self {
        Self { times: [const { AtomicU32::new(0) }; PLACES], errors: AtomicU32::new(0) }
    }
}

impl Meter {
    /// A request was answered with `status`, `took` after it was passed on.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.times[place(us)].fetch_add(1, Relaxed);
        if status.is_server_error() {
            self.errors.fetch_add(1, Relaxed);
        }
    }

    /// What was counted so far.
    pub fn read(&self) -> Reading {
        let times = self.times.each_ref().map(|n| n.load(Relaxed));
        Reading { times, errors: self.errors.load(Relaxed) }
    }
}

/// Counts of a meter, since the start or between two readings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    times: [u32; PLACES],
    pub errors: u32,
}

impl Reading {
    /// What came since `before`. The counters may have gone round once.
    pub fn since(&self, before: &Self) -> Self {
        let mut times = self.times;
        for (now, before) in times.iter_mut().zip(before.times) {
            *now = now.wrapping_sub(before);
        }
        Self { times, errors: self.errors.wrapping_sub(before.errors) }
    }

    pub fn requests(&self) -> u64 {
        self.times.iter().map(|n| u64::from(*n)).sum()
    }

    /// The microseconds in which `share` of the answers came, to a tenth or so; `None` without any.
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        let wanted = self.requests() as f64 * share;
        let mut so_far = 0.0;
        for (at, n) in self.times.iter().enumerate().filter(|(_, n)| **n > 0) {
            let n = f64::from(*n);
            if so_far + n >= wanted {
                let (low, high) = (first_of(at) as f64, first_of(at + 1) as f64);
                let part = ((wanted - so_far) / n).clamp(0.0, 1.0);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                // small, positive
                return Some((low + (high - low) * part) as u64);
            }
            so_far += n;
        }
        None
    }
}

/// The place of so many microseconds.
fn place(us: u32) -> usize {
    let double = us.max(1).ilog2();
    let place = match double.checked_sub(FINENESS) {
        Some(shift) => shift * PER_DOUBLE + (us >> shift),
        None => us,
    };
    (place as usize).min(PLACES - 1)
}

/// The least that belongs to a place.
fn first_of(place: usize) -> u64 {
    let (place, per_double) = (place as u64, u64::from(PER_DOUBLE));
    match (place / per_double).checked_sub(1) {
        Some(shift) => (per_double + place % per_double) << shift,
        None => place,
    }
}

/// The meters of all services, by app: shared by the front door and whoever reads them.
#[derive(Debug, Default)]
pub struct Meters {
    by_app: Mutex<BTreeMap<AppId, Arc<Meter>>>,
}

impl Meters {
    /// The meter of an app. Asked when a service becomes known, not for each request.
    pub fn of(&self, app: &AppId) -> Arc<Meter> {
        let mut by_app = self.by_app.lock();
        if let Some(meter) = by_app.get(app) {
            return meter.clone();
        }
        by_app.entry(app.clone()).or_default().clone()
    }

    /// Reads every meter, and forgets those of apps that are no more.
    pub fn read(&self, is_there: impl Fn(&AppId) -> bool) -> Vec<(AppId, Reading)> {
        let mut by_app = self.by_app.lock();
        by_app.retain(|app, _| is_there(app));
        by_app.iter().map(|(app, meter)| (app.clone(), meter.read())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_a_place_with_its_bounds() {
        let times = (0..20_000).chain((0..27).flat_map(|bit| (1_u32 << bit) - 1..(1 << bit) + 2));
        for us in times {
            let at = place(us);
            assert!((first_of(at)..first_of(at + 1)).contains(&u64::from(us)), "{us} at {at}");
        }
        assert_eq!(place(u32::MAX), PLACES - 1);
        assert!((0..PLACES).all(|at| first_of(at + 1) > first_of(at)));
        assert!((100_000_000..140_000_000).contains(&first_of(PLACES)));
    }

    #[test]
    fn quantiles_are_near_those_of_the_sorted_times() {
        let meter = Meter::default();
        let mut times: Vec<u64> = (1..=1_000_u64).map(|n| n * n / 3).collect();
        for us in &times {
            meter.answered(StatusCode::OK, Duration::from_micros(*us));
        }
        times.sort_unstable();
        let reading = meter.read();
        assert_eq!(reading.requests(), 1_000);
        for (share, at) in [(0.5, 499), (0.9, 899), (0.99, 989)] {
            let (told, exact) = (reading.quantile_us(share).unwrap(), times[at]);
            assert!(told.abs_diff(exact) <= exact / 10, "{share}: {told}, exactly {exact}");
        }
        assert_eq!(Meter::default().read().quantile_us(0.5), None);
    }

    #[test]
    fn what_came_between_two_readings_is_told_across_the_end_of_the_counters() {
        let meter = Meter::default();
        meter.errors.store(u32::MAX, Relaxed);
        let before = meter.read();
        meter.answered(StatusCode::BAD_GATEWAY, Duration::from_millis(3));
        meter.answered(StatusCode::INTERNAL_SERVER_ERROR, Duration::from_millis(3));
        meter.answered(StatusCode::NOT_FOUND, Duration::from_millis(3));
        let came = meter.read().since(&before);
        assert_eq!((came.requests(), came.errors), (3, 2));
    }

    #[test]
    fn the_meter_of_an_app_stays_as_long_as_the_app() {
        let (meters, web) = (Meters::default(), AppId::parse("/web"));
        meters.of(&web).answered(StatusCode::OK, Duration::ZERO);
        meters.of(&AppId::parse("/gone"));
        let read = meters.read(|app| *app == web);
        assert_eq!(
            read.iter().map(|(app, r)| (app, r.requests())).collect::<Vec<_>>(),
            [(&web, 1)]
        );
        assert_eq!(meters.of(&web).read().requests(), 1);
    }
}
