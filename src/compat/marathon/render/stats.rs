//! Task statistics of an app.

use serde::Serialize;

use super::task::Counts;
use crate::{
    base::clock::Timestamp,
    compat::marathon::json::Num,
    core::State,
    model::{instance::Instance, workload::WorkloadSpec},
};

/// Statistics over groups of tasks; a group without tasks is left out.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskStats {
    #[serde(skip_serializing_if = "Option::is_none")]
    started_after_last_scaling: Option<Bucket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_latest_config: Option<Bucket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_outdated_config: Option<Bucket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_summary: Option<Bucket>,
}

#[derive(Clone, Debug, Serialize)]
struct Bucket {
    stats: Stats,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    life_time: Option<LifeTime>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LifeTime {
    average_seconds: Num,
    median_seconds: Num,
}

impl TaskStats {
    /// Of an app at `now`.
    pub fn of(state: &State, spec: &WorkloadSpec, now: Timestamp) -> Self {
        let all: Vec<&Instance> = state
            .instances_of(&spec.id)
            .map(|i| &**i)
            .filter(|i| i.placement().is_some())
            .collect();
        let of = |wanted: &dyn Fn(&Instance) -> bool| {
            let tasks: Vec<&Instance> = all.iter().copied().filter(|i| wanted(i)).collect();
            bucket(state, &tasks, now)
        };
        Self {
            started_after_last_scaling: of(&|i| i.version >= spec.last_scaling_at),
            with_latest_config: of(&|i| i.version >= spec.last_config_change_at),
            with_outdated_config: of(&|i| i.version < spec.last_config_change_at),
            total_summary: of(&|_| true),
        }
    }
}

fn bucket(state: &State, tasks: &[&Instance], now: Timestamp) -> Option<Bucket> {
    if tasks.is_empty() {
        return None;
    }
    let mut counts = Counts::default();
    for task in tasks {
        counts.add(state, task);
    }
    let mut lives: Vec<f64> = tasks
        .iter()
        .filter_map(|task| task.started_at())
        .map(|started| now.since(started).as_secs_f64())
        .collect();
    lives.sort_by(f64::total_cmp);
    let n = lives.len();
    let life_time = (n > 0).then(|| LifeTime {
        average_seconds: Num(lives.iter().sum::<f64>() / n as f64),
        median_seconds: Num((lives[(n - 1) / 2] + lives[n / 2]) / 2.0),
    });
    Some(Bucket { stats: Stats { counts, life_time } })
}
