//! What a change of one workload does to its instances, told before anything is done.

use std::{collections::BTreeSet, sync::Arc};

use super::{kill, progress::Bounds};
use crate::{
    core::{apply::is_present, state::State},
    model::{
        deployment::ActionKind,
        instance::{Instance, InstanceId},
        workload::WorkloadSpec,
    },
};

/// Instances that are named as those that go first.
const NAMED_MAX: usize = 100;

/// The effect of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preview {
    /// `None` when no instance starts or ends.
    pub kind: Option<ActionKind>,
    pub n_start: u32,
    pub n_stop: u32,
    /// Instances of either configuration that stay healthy meanwhile.
    pub n_healthy_min: u32,
    /// Instances that are there at the same time at most.
    pub n_at_most: u32,
    /// Who ends first.
    pub first: Vec<InstanceId>,
}

/// The effect of `after` in place of `before`. `state` holds `after` already.
pub fn preview(state: &State, before: Option<&WorkloadSpec>, after: &WorkloadSpec) -> Preview {
    let there: Vec<Arc<Instance>> =
        state.instances_of(&after.id).filter(|i| is_present(i)).cloned().collect();
    let (new, old): (Vec<_>, Vec<_>) = there.iter().cloned().partition(|i| state.is_current(i));
    let n = |list: &[Arc<Instance>]| u32::try_from(list.len()).unwrap_or(u32::MAX);
    let wanted = after.instances;
    let none = BTreeSet::new();
    let first = |list: &[Arc<Instance>], n: u32| {
        kill::choose(state, after, list, (n as usize).min(NAMED_MAX), &none)
    };
    let config_differs =
        before.is_some_and(|before| before.last_config_change_at != after.last_config_change_at);
    if config_differs && wanted > 0 && !old.is_empty() {
        let bounds = Bounds::of(after, old.len() + new.len());
        let at_most = bounds.capacity.max(there.len());
        return Preview {
            kind: Some(ActionKind::Restart),
            n_start: wanted.saturating_sub(n(&new)),
            n_stop: n(&old),
            n_healthy_min: u32::try_from(bounds.healthy_min).unwrap_or(u32::MAX),
            n_at_most: u32::try_from(at_most).unwrap_or(u32::MAX),
            first: first(&old, n(&old)),
        };
    }
    let (n_start, n_stop) = (wanted.saturating_sub(n(&there)), n(&there).saturating_sub(wanted));
    let kind = match before {
        None => Some(ActionKind::Start),
        Some(_) if n_start == 0 && n_stop == 0 => None,
        Some(_) => Some(ActionKind::Scale),
    };
    Preview {
        kind,
        n_start,
        n_stop,
        n_healthy_min: n(&there).min(wanted),
        n_at_most: n(&there).max(wanted),
        first: first(&there, n_stop),
    }
}
