//! Launch delay of workloads that fail (docs/compat/marathon.md, "Launch delay").
//!
//! The key is the workload and its last configuration change: a new configuration starts afresh.

use crate::{base::clock::Timestamp, model::workload::Backoff};

/// The delay a failing workload has earned.
#[derive(Clone, PartialEq, Debug)]
pub struct Delay {
    /// The configuration it was earned by.
    pub config: Timestamp,
    pub delay_ms: u64,
    pub failed_at: Timestamp,
    /// Launches wait until here.
    pub until: Timestamp,
    pub n_failures: u32,
    /// When the first of them was; kept from level `level::FIRST_FAILURE` on.
    pub first_at: Option<Timestamp>,
}

impl Delay {
    /// The delay after one more failure at `at`.
    pub fn after(
        previous: Option<&Self>,
        policy: &Backoff,
        config: Timestamp,
        at: Timestamp,
    ) -> Self {
        let before = previous.filter(|d| d.config == config && !d.is_stale(policy, at));
        let delay_ms = match before {
            None => policy.initial_ms.min(policy.ms_max),
            Some(d) => grow(d.delay_ms, policy),
        };
        Self {
            config,
            delay_ms,
            failed_at: at,
            until: at + std::time::Duration::from_millis(delay_ms),
            n_failures: before.map_or(0, |d| d.n_failures) + 1,
            // Of a row that began before anybody kept it, the earliest that is known.
            first_at: Some(before.map_or(at, Self::began_at)),
        }
    }

    /// When the row of failures began, as far as that is known.
    pub fn began_at(&self) -> Timestamp {
        self.first_at.unwrap_or(self.failed_at)
    }

    /// Without a failure for longer than the maximum delay, the record no longer counts.
    pub fn is_stale(&self, policy: &Backoff, now: Timestamp) -> bool {
        now.since(self.until).as_millis() > u128::from(policy.ms_max)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates; factor is ≥ 1
fn grow(delay_ms: u64, policy: &Backoff) -> u64 {
    ((delay_ms as f64 * policy.factor).round() as u64).min(policy.ms_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_the_factor_up_to_the_maximum_and_starts_afresh() {
        let policy = Backoff { initial_ms: 1000, factor: 2.0, ms_max: 5000 };
        let config = Timestamp::from_ms(1);
        let at = Timestamp::from_ms(10_000);
        let mut delay = Delay::after(None, &policy, config, at);
        let mut seen = vec![delay.delay_ms];
        for _ in 0..3 {
            delay = Delay::after(Some(&delay), &policy, config, at);
            seen.push(delay.delay_ms);
        }
        assert_eq!(seen, [1000, 2000, 4000, 5000]);
        let other = Delay::after(Some(&delay), &policy, Timestamp::from_ms(2), at);
        assert_eq!(other.delay_ms, 1000);
        let later = at + std::time::Duration::from_secs(60);
        assert_eq!(Delay::after(Some(&delay), &policy, config, later).delay_ms, 1000);
    }

    #[test]
    fn a_row_of_failures_began_with_the_first() {
        let policy = Backoff { initial_ms: 1000, factor: 2.0, ms_max: 5000 };
        let config = Timestamp::from_ms(1);
        let at = |ms| Timestamp::from_ms(ms);
        let first = Delay::after(None, &policy, config, at(10));
        let second = Delay::after(Some(&first), &policy, config, at(2_000));
        assert_eq!((second.began_at(), second.failed_at), (at(10), at(2_000)));
        // One that was written before this was kept knows its last.
        let old = Delay { first_at: None, ..second };
        assert_eq!(old.began_at(), at(2_000));
        let third = Delay::after(Some(&old), &policy, config, at(4_000));
        assert_eq!(third.first_at, Some(at(2_000)));
        let anew = Delay::after(Some(&third), &policy, config, at(90_000));
        assert_eq!(anew.first_at, Some(at(90_000)), "the row had ended");
    }
}
