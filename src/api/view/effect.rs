//! What taking a service to another definition does, in sentences.

use crate::{
    base::units::count,
    core::{State, history::differ::differences},
    model::WorkloadSpec,
};

/// What happens when `new` takes the place of `old`, before it does.
pub fn sentences(state: &State, old: &WorkloadSpec, new: &WorkloadSpec) -> Vec<String> {
    let mut out = Vec::new();
    if differences(old, new).is_empty() {
        out.push("Nothing changes: both versions define the same.".to_owned());
        return out;
    }
    let n_there = state.instances_of(&old.id).filter(|i| !i.is_kept()).count();
    let (from, to) = (old.instances as usize, new.instances as usize);
    if to == 0 {
        out.push(match n_there {
            0 => "The service stays stopped.".to_owned(),
            n => format!("The service stops: {} end.", count(n, "instance")),
        });
    } else if old.config_differs(new) {
        let n = n_there.min(to);
        if n > 0 {
            let verb = if n == 1 { "is" } else { "are" };
            out.push(format!("{} {verb} replaced, {}.", count(n, "instance"), pace(new, n)));
        }
    }
    if to > from {
        out.push(format!("{} more: {to} instead of {from}.", count(to - from, "instance")));
    } else if to < from && to > 0 {
        out.push(format!("{} fewer: {to} instead of {from}.", count(from - to, "instance")));
    }
    if let Some(deployment) = state.index.locks.get(&old.id) {
        out.push(format!(
            "Deployment {deployment} works on the service: it is ended where it stands first."
        ));
    }
    if new.run.is_resident() && to > 0 {
        out.push("Data in its volumes stays as it is.".to_owned());
    }
    out
}

/// How many are replaced at a time.
fn pace(new: &WorkloadSpec, n: usize) -> String {
    let part = |share: f64, round: fn(f64) -> f64| -> usize {
        let of = round(n as f64 * share.clamp(0.0, 1.0));
        // From 0 to `n`, which is a count of instances.
        (0..=n).rev().find(|k| *k as f64 <= of).unwrap_or(0)
    };
    let kept = part(new.upgrade.minimum_health_capacity, f64::ceil);
    let beside = part(new.upgrade.maximum_over_capacity, f64::floor);
    match (n - kept, beside) {
        (0, 0) => "one at a time".to_owned(),
        (0, beside) if beside >= n => "all new ones start before old ones end".to_owned(),
        (0, beside) => format!("{beside} at a time, new ones start before old ones end"),
        (ended, _) if ended >= n => "all at once".to_owned(),
        (ended, _) => format!("{ended} at a time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::clock::Timestamp,
        model::{AppId, workload::UpgradeStrategy},
    };

    #[test]
    fn the_pace_follows_the_upgrade_strategy() {
        let mut spec = WorkloadSpec::new(AppId::parse("/a"), Timestamp::EPOCH);
        for (minimum_health_capacity, maximum_over_capacity, n, told) in [
            (1.0, 1.0, 3, "all new ones start before old ones end"),
            (1.0, 0.34, 3, "1 at a time, new ones start before old ones end"),
            (1.0, 0.0, 3, "one at a time"),
            (0.5, 0.0, 4, "2 at a time"),
            (0.0, 0.0, 4, "all at once"),
        ] {
            spec.upgrade = UpgradeStrategy { minimum_health_capacity, maximum_over_capacity };
            assert_eq!(pace(&spec, n), told);
        }
    }
}
