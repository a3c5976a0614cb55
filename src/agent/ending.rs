//! How the containers of an instance end together: who is told when, and how long each has. Pure.
//!
//! A container that fails takes the others along. Sidecars are told last, when all the others have ended;
//! when those have ended by themselves, so is the instance.

use std::time::Duration;

use crate::model::{container::ContainerSpec, workload::RunSpec};

/// Time between SIGTERM and SIGKILL unless the spec says otherwise.
pub const KILL_GRACE: Duration = Duration::from_secs(3);

/// What is known of one container of an instance.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub is_sidecar: bool,
    pub is_told: bool,
    pub is_over: bool,
}

/// Which of `parts` are told to end now; `stopping`: all are to end.
pub fn to_tell(parts: &[Part], stopping: bool) -> Vec<usize> {
    let others_left = parts.iter().any(|part| !part.is_sidecar && !part.is_over);
    let has_others = parts.iter().any(|part| !part.is_sidecar);
    let is_due = |part: &Part| {
        let is_its_turn = match part.is_sidecar {
            true => !others_left && (stopping || has_others),
            false => stopping,
        };
        is_its_turn && !part.is_told && !part.is_over
    };
    (0..parts.len()).filter(|&i| is_due(&parts[i])).collect()
}

/// Time between SIGTERM and SIGKILL of a container.
pub fn grace_of(container: Option<&ContainerSpec>) -> Duration {
    let asked = container.and_then(|container| container.kill_grace_ms);
    asked.map_or(KILL_GRACE, Duration::from_millis)
}

/// From the order to end until the last container has had its time.
pub fn grace(run: &RunSpec) -> Duration {
    let longest = |is_sidecar: bool| {
        let all = run.containers.iter().filter(|c| c.is_sidecar() == is_sidecar);
        all.map(|c| grace_of(Some(c))).max()
    };
    match (longest(false), longest(true)) {
        (None, None) => KILL_GRACE,
        (others, sidecars) => others.unwrap_or_default() + sidecars.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::container::SIDECAR;

    const OTHER: Part = Part { is_sidecar: false, is_told: false, is_over: false };
    const SIDE: Part = Part { is_sidecar: true, ..OTHER };

    #[test]
    fn sidecars_are_told_when_the_others_have_ended() {
        let over = |part: Part| Part { is_over: true, ..part };
        let told = |part: Part| Part { is_told: true, ..part };
        for (parts, stopping, expected) in [
            (vec![OTHER, SIDE, OTHER], false, vec![]),
            (vec![OTHER, SIDE, OTHER], true, vec![0, 2]),
            (vec![told(OTHER), SIDE, over(OTHER)], true, vec![]),
            (vec![over(told(OTHER)), SIDE, over(OTHER)], true, vec![1]),
            (vec![over(OTHER), SIDE, over(OTHER)], false, vec![1]),
            (vec![over(OTHER), told(SIDE)], true, vec![]),
            // Where all are sidecars nobody is waited for.
            (vec![SIDE, over(SIDE)], true, vec![0]),
            (vec![SIDE, SIDE], false, vec![]),
        ] {
            assert_eq!(to_tell(&parts, stopping), expected, "{parts:?} {stopping}");
        }
    }

    #[test]
    fn an_instance_has_the_time_of_its_slowest_containers_one_after_the_other() {
        let container = |ms: Option<u64>, sidecar: &str| ContainerSpec {
            kill_grace_ms: ms,
            labels: BTreeMap::from([(SIDECAR.to_owned(), sidecar.to_owned())]),
            ..ContainerSpec::default()
        };
        let run = |containers| RunSpec { containers, ..RunSpec::default() };
        let ms = |run: RunSpec| grace(&run).as_millis();
        assert_eq!(ms(run(vec![])), 3_000);
        assert_eq!(ms(run(vec![container(None, ""), container(Some(9_000), "")])), 9_000);
        assert_eq!(ms(run(vec![container(Some(500), ""), container(None, "true")])), 3_500);
    }
}
