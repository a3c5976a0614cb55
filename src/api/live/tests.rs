//! Deltas lead where snapshots are: whoever was shown one and all deltas since knows what whoever
//! comes now is shown. Over random lives of a small cluster.

use std::{collections::BTreeMap, sync::Arc};

use http_body_util::BodyExt;
use serde_json::Value;

use super::{HEARTBEAT, Live, REST_AFTER, delta::Memory, placed, shown::Shown};
use crate::{
    api::{
        tests::Leading,
        view::{View, tally::Tally},
    },
    base::{
        clock::{Clock, ManualClock, Timestamp},
        rng::Rng,
        task::Tasks,
        wire::sample::one_of,
    },
    control::cluster::Cluster,
    core::{
        NodeCommand, State, TaskCommand, WorkloadCommand,
        apply::tests::world::{self, World, app, checked},
        command::PutApps,
    },
    http::Body,
    model::{
        AppId, NodeId,
        instance::{Condition, KillReason},
        link::{TaskUsage, Usage},
        node::Duty,
    },
};

const APPS: [&str; 4] = ["/a", "/g/b", "/g/c", "/d"];
const NODES: [&str; 3] = ["n0", "n1", "n2"];
/// Of both feeds.
const KINDS: [&str; 4] = ["apps", "nodes", "deployments", "instances"];

/// What a client knows.
#[derive(PartialEq, Debug)]
struct Known {
    rows: BTreeMap<(String, String), Value>,
    status: Value,
}

impl Known {
    fn of(snapshot: &str) -> Self {
        let mut snapshot: Value = serde_json::from_str(snapshot).unwrap();
        let mut known = Self { rows: BTreeMap::new(), status: snapshot["status"].take() };
        for kind in KINDS {
            for row in snapshot[kind].as_array().into_iter().flatten() {
                known.put(kind, row.clone());
            }
        }
        known.timeless()
    }

    /// Samples of use are shown anew every few seconds only; they have no say here.
    fn put(&mut self, kind: &str, mut row: Value) {
        row.as_object_mut().unwrap().remove("used");
        let id = row["id"].as_str().unwrap().to_owned();
        self.rows.insert((kind.to_owned(), id), row);
    }

    /// Takes a delta in.
    fn learn(self, delta: &str) -> Self {
        let mut known = self;
        let mut delta: Value = serde_json::from_str(delta).unwrap();
        if let Some(status) = delta.get_mut("status") {
            known.status = status.take();
        }
        for kind in KINDS {
            for id in delta[kind]["removed"].as_array().into_iter().flatten() {
                // What came and went between two deltas was never there to be forgotten.
                known.rows.remove(&(kind.to_owned(), id.as_str().unwrap().to_owned()));
            }
            for row in delta[kind]["set"].as_array().into_iter().flatten() {
                known.put(kind, row.clone());
            }
        }
        known.timeless()
    }

    /// Without what goes on by itself.
    fn timeless(mut self) -> Self {
        for key in ["revision", "at", "uptime_s", "used"] {
            self.status[key] = Value::Null;
        }
        self
    }
}

/// One thing that happens; what is refused did not happen.
fn happen(w: &mut World, leading: &mut Leading, rng: &mut Rng) {
    w.now += one_of(&[10, 500, 5_000, 70_000, 400_000], rng);
    let (id, node) = (AppId::parse(one_of::<&str>(&APPS, rng)), *one_of::<&str>(&NODES, rng));
    let n = u32::try_from(rng.below(4)).unwrap();
    match rng.below(12) {
        0..3 => {
            let spec =
                if rng.below(2) == 0 { app(id.as_str(), n) } else { checked(app(id.as_str(), n)) };
            let put = world::put(&w.id(), vec![world::edit(&id, Some(spec))]);
            w.run(WorkloadCommand::PutApps(Box::new(PutApps { force: rng.below(2) == 0, ..put })))
                .0
                .ok();
        }
        3 => {
            let put = world::put(&w.id(), vec![world::edit(&id, None)]);
            w.run(WorkloadCommand::PutApps(Box::new(put))).0.ok();
        }
        4 => w.reconcile(),
        5 => w.launch_on(node),
        6 => w.agents_act(),
        7 => {
            let reachable = rng.below(2) == 0;
            w.run(NodeCommand::NodeReach { node: NodeId::from(node), reachable }).0.ok();
        }
        8 => {
            let (since, until) = (Timestamp::from_ms(w.now), Timestamp::from_ms(w.now + 60_000));
            let duties =
                [Duty::Active, Duty::Draining { since, until }, Duty::Deactivated { since }];
            let duty = *one_of(&duties, rng);
            w.run(NodeCommand::NodeDuty { node: NodeId::from(node), duty }).0.ok();
        }
        9 => {
            if rng.below(2) == 0 {
                leading.no_room(
                    &w.state,
                    id.as_str(),
                    one_of::<&str>(&["no CPUs", "no disk"], rng),
                );
            } else {
                leading.reports.remove(&id);
            }
            leading.engine(node, rng.below(3) != 0);
        }
        _ => one_task(w, rng),
    }
}

/// Something happens to a task.
fn one_task(w: &mut World, rng: &mut Rng) {
    let placed = w.state.instances.values().filter(|i| i.placement().is_some());
    let placed: Vec<_> = placed.map(|i| i.id.clone()).collect();
    if placed.is_empty() {
        return;
    }
    let id = one_of(&placed, rng).clone();
    match rng.below(5) {
        0 => drop(w.report(&id, Condition::Failed)),
        1 => drop(w.report_with(&id, Condition::Running, Some(false))),
        2 => drop(w.report_with(&id, Condition::Running, Some(true))),
        3 => drop(w.report(&id, Condition::Starting)),
        _ => {
            let (wipe, reason) = (rng.below(2) == 0, KillReason::Request);
            w.run(TaskCommand::Kill { instances: vec![id], wipe, reason }).0.ok();
        }
    }
}

#[test]
fn every_delta_leads_to_the_snapshot() {
    deltas_lead_to_snapshots::<Memory>();
}

#[test]
fn every_delta_of_where_instances_are_leads_to_the_snapshot() {
    deltas_lead_to_snapshots::<placed::Memory>();
}

fn deltas_lead_to_snapshots<S: Shown>() {
    let started_at = Timestamp::EPOCH;
    for seed in 0..24 {
        let mut rng = Rng::from_seed(seed);
        let (mut w, mut leading) = (World::new(NODES.len()), Leading::default());
        let state = Arc::new(w.state.clone());
        let now = Timestamp::from_ms(w.now);
        let view = View { state: &state, now, cluster: &leading };
        let mut known = Known::of(&S::snapshot(&view, started_at));
        let mut memory = S::of(&view, state.clone(), started_at);
        for step in 0..80 {
            for _ in 0..=rng.below(3) {
                happen(&mut w, &mut leading, &mut rng);
            }
            let state = Arc::new(w.state.clone());
            let now = Timestamp::from_ms(w.now);
            if let Some(delta) = memory.advance(state.clone(), now, &leading, started_at) {
                known = known.learn(&delta);
            }
            let view = View { state: &state, now, cluster: &leading };
            let fresh = Known::of(&S::snapshot(&view, started_at));
            for (key, row) in &fresh.rows {
                assert_eq!(known.rows.get(key), Some(row), "seed {seed}, step {step}: {key:?}");
            }
            assert_eq!(known, fresh, "seed {seed}, step {step}");
        }
    }
}

#[test]
fn nothing_new_is_no_delta() {
    let (mut w, leading) = (World::new(1), Leading::default());
    w.put(app("/a", 1));
    w.settle();
    let state = Arc::new(w.state.clone());
    let now = Timestamp::from_ms(w.now);
    let view = View { state: &state, now, cluster: &leading };
    let mut memory = Memory::of(&view, state.clone(), Timestamp::EPOCH);
    for later in [0, 1, 1_000, 100_000] {
        let now = Timestamp::from_ms(w.now + later);
        let delta = memory.advance(state.clone(), now, &leading, Timestamp::EPOCH);
        assert_eq!(delta, None, "after {later} ms");
    }
}

#[test]
fn use_is_told_in_tenths_and_again_when_it_has_left_its_tenth() {
    let mut w = World::new(1);
    w.put(app("/a", 1));
    w.settle();
    let state = Arc::new(w.state.clone());
    let instance = state.instances.keys().next().unwrap().clone();
    let demand = state.spec_of(&state.instances[&instance]).unwrap().run.demand();
    let mib = u64::try_from(demand.mem.floor()).unwrap();
    let mut memory: Option<placed::Memory> = None;
    // Of memory, in hundredths of what is reserved: what is used, and what is told.
    let steps =
        [(34, Some(30)), (36, None), (37, None), (39, Some(40)), (34, None), (31, Some(30))];
    for (n, (used, told)) in (0..).zip(steps) {
        let now = Timestamp::from_ms(w.now + n * 10_000);
        let mem_bytes = (mib << 20) * used / 100;
        let tasks = vec![TaskUsage { instance: instance.clone(), cpus: 0.0, mem_bytes }];
        let usage = Arc::new(Usage { tasks, ..Usage::default() });
        let usage = [(NodeId::from("n0"), usage)].into();
        let leading = Leading { usage, ..Leading::default() };
        let text = match &mut memory {
            Some(memory) => memory.advance(state.clone(), now, &leading, Timestamp::EPOCH),
            None => {
                let view = View { state: &state, now, cluster: &leading };
                memory = Some(placed::Memory::of(&view, state.clone(), Timestamp::EPOCH));
                Some(placed::Memory::snapshot(&view, Timestamp::EPOCH))
            }
        };
        let rows =
            text.map(|text| serde_json::from_str::<Value>(&text).unwrap()["instances"].take());
        let row = rows.map(|rows| rows.get("set").unwrap_or(&rows)[0].clone());
        let mem_mb = row.map(|row| row["used"]["mem_mb"].as_f64().unwrap());
        assert_eq!(mem_mb, told.map(|told: u32| mib as f64 * f64::from(told) / 100.0), "{used} %");
    }
}

#[test]
fn counts_that_are_kept_up_are_those_of_a_count() {
    let count = |state: &State| Tally::of(state, state.instances.values().map(|i| &**i));
    for seed in 0..20 {
        let mut rng = Rng::from_seed(seed);
        let (mut w, mut leading) = (World::new(NODES.len()), Leading::default());
        let mut before = w.state.clone();
        let mut kept = count(&before);
        for step in 0..80 {
            happen(&mut w, &mut leading, &mut rng);
            kept.shift(&before, &w.state);
            before = w.state.clone();
            assert_eq!(kept, count(&before), "seed {seed}, step {step}");
        }
    }
}

/// The first event of a stream: its kind and its number.
async fn first_event(body: &mut Body) -> (String, String) {
    let bytes = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let line = |name: &str| text.lines().find_map(|l| Some(l.strip_prefix(name)?.to_owned()));
    (line("event: ").unwrap(), line("id: ").unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_feed_without_readers_rests_and_wakes_for_the_next() {
    let cluster: Arc<dyn Cluster> = Arc::new(Leading::default());
    let clock: Arc<dyn Clock> = ManualClock::new(Timestamp::EPOCH);
    let live = Live::start(&cluster, &clock, Timestamp::EPOCH, &Tasks::new("test"));
    let rests = || live.all.inner.hub.lock().shown.is_none();
    assert!(rests(), "nobody has asked yet");

    let mut reader = live.join(None).await.unwrap();
    let (kind, number) = first_event(&mut reader).await;
    assert_eq!(kind, "snapshot");
    tokio::time::sleep(2 * REST_AFTER).await;
    assert!(!rests(), "somebody listens");
    assert!(live.placed.inner.hub.lock().shown.is_none(), "nobody listens to the other one");

    drop(reader);
    tokio::time::sleep(REST_AFTER / 2).await;
    assert!(!rests(), "a reader comes back soon");
    let mut again = live.join(Some(&number)).await.unwrap();
    assert_eq!(first_event(&mut again).await.0, "heartbeat", "it goes on without a snapshot");

    drop(again);
    tokio::time::sleep(REST_AFTER + 2 * HEARTBEAT).await;
    assert!(rests(), "nobody has come back");
    let mut late = live.join(Some(&number)).await.unwrap();
    let (kind, fresh) = first_event(&mut late).await;
    assert_eq!(kind, "snapshot", "what went on meanwhile was not looked at");
    assert_ne!(fresh, number);
    assert_eq!(first_event(&mut late).await.0, "heartbeat", "it lives again");
}
