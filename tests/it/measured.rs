//! What a master measures over time outlives it.

use std::time::Duration;

use tepui::{
    base::{clock::Timestamp, rng::Rng},
    control::series::{self, Measure, Subject},
    core::WorkloadCommand,
    model::{AppId, DeploymentId},
    sim::build,
};

use super::coverage::master::Running;

/// Two rounds of measuring, and as much again for a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// When the first and the last number of how many run were written.
fn measured(running: &Running) -> Option<(Timestamp, Timestamp)> {
    use tepui::{base::series::Grid, control::cluster::Cluster as _};
    let of = Subject::Service(AppId::parse("/web"));
    let now = Grid::FINE.step(running.master.handles.log.state().at);
    let span = (now - 30, now + 30);
    let curves = running.master.handles.recorded()?.curves(&of, Grid::FINE, span)?;
    let curve = curves.into_iter().find(|curve| curve.measure == Measure::Running)?;
    let is_there = |value: &Option<f64>| value.is_some();
    let at = |n: usize| Grid::FINE.begin(span.0 + i64::try_from(n).unwrap());
    let first = curve.values.iter().position(is_there)?;
    Some((at(first), at(curve.values.iter().rposition(is_there)?)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_starts_again_knows_what_was_measured_before() {
    let running = Running::start().await;
    let deployment = DeploymentId::from(Rng::from_seed(1).uuid().to_string());
    let specs = std::iter::once(build::app("/web", 1, 0.5, 32.0, 0));
    running.propose(WorkloadCommand::PutApps(build::new_apps(deployment, specs).into())).await;
    let first = tokio::time::timeout(DEADLINE, async {
        loop {
            if let Some((first, _)) = measured(&running) {
                return first;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let first = first.await.expect("measured within the time");
    let old = running.stop().await;
    // A cluster of its own: the log of before is held until the process ends.
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(series::path(old.path()), series::path(dir.path())).expect("kept at the end");
    let again = Running::start_in(dir).await;
    let kept = tokio::time::timeout(DEADLINE, async {
        loop {
            if let Some((kept, _)) = measured(&again) {
                return kept;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert_eq!(kept.await.expect("read within the time"), first, "the first number is the first");
    again.stop().await;
}
