//! The worker on containers in memory: starts, ends, kills, an engine that goes away.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use super::*;
use crate::{
    agent::{self, AgentConfig, desired::tests::order, link, resolver::Resolver},
    base::{clock::SystemClock, rng::Rng},
    model::{
        NodeId, Pools,
        container::Command,
        instance::{Condition, KillReason},
        link::{Desired, FromAgent, Order, Report, ToAgent},
        node::{NodeInfo, NodeKind},
    },
};

struct Rig {
    _dir: tempfile::TempDir,
    tasks: Tasks,
    runtime: MemoryRuntime,
    ends: link::MasterEnds,
    last: BTreeMap<String, Report>,
}

impl Rig {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tasks = Tasks::new("agent-test");
        let runtime = MemoryRuntime::new(&tasks);
        let info = NodeInfo {
            id: NodeId::from("c-S0"),
            hostname: "h".into(),
            address: IpAddr::from([127, 0, 0, 1]),
            kind: NodeKind::Agent,
            attributes: BTreeMap::new(),
            fault_domain: None,
            total: Pools::default(),
            version: "test".into(),
            level: crate::base::level::LEVEL,
        };
        let config = AgentConfig {
            data_dir: dir.path().into(),
            cluster: "c".into(),
            info,
            framework: "f".into(),
            endpoint: None,
            resolver: Resolver::none(),
            dns_search: Vec::new(),
            names: tokio::sync::watch::Sender::default(),
            default_user: None,
            keep: Duration::from_secs(60),
        };
        let (rng, clock) = (Rng::from_seed(1), SystemClock::shared());
        let handle = agent::start(config, Arc::new(runtime.clone()), clock, &rng, &tasks).unwrap();
        let (agent_ends, ends) = link::pair();
        assert!(handle.connect(agent_ends).await);
        Self { _dir: dir, tasks, runtime, ends, last: BTreeMap::new() }
    }

    async fn desire(&self, orders: Vec<Order>) {
        let desired = Desired { full: true, orders, forget: Vec::new() };
        self.ends.to_agent.send(ToAgent::Desired(desired)).await.unwrap();
    }

    async fn until(&mut self, id: &str, done: impl Fn(&Report) -> bool) -> Report {
        let wait = async {
            loop {
                if let Some(report) = self.last.get(id).filter(|r| done(r)) {
                    return report.clone();
                }
                if let Some(FromAgent::Reports(reports)) = self.ends.from_agent.recv().await {
                    self.last.extend(reports.into_iter().map(|r| (r.instance.to_string(), r)));
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the report comes")
    }
}

fn runs(id: &str, script: &str) -> Order {
    let mut order = order(id, 1);
    let spec = Arc::make_mut(&mut order.spec.run);
    spec.containers[0].command = Command::Shell(script.into());
    let grace_ms = if script == "ignore-term" { 50 } else { 60_000 };
    spec.containers[0].kill_grace_ms = Some(grace_ms);
    order
}

fn killed(order: &Order) -> Order {
    Order { kill: Some(KillReason::Request), ..order.clone() }
}

#[tokio::test]
async fn starts_ends_and_kills() {
    let mut rig = Rig::new().await;
    let (short, long, deaf) =
        (runs("short", "exit 3"), runs("long", "serve"), runs("deaf", "ignore-term"));
    rig.desire(vec![short.clone(), long.clone(), deaf.clone()]).await;
    let report = rig.until("short", |r| r.condition.is_terminal()).await;
    assert_eq!(report.condition, Condition::Failed);
    assert_eq!(report.message, "Command exited with status 3");
    rig.until("long", |r| r.condition == Condition::Running).await;
    rig.until("deaf", |r| r.condition == Condition::Running).await;
    rig.desire(vec![short, killed(&long), killed(&deaf)]).await;
    for id in ["long", "deaf"] {
        let report = rig.until(id, |r| r.condition.is_terminal()).await;
        assert_eq!(report.condition, Condition::Killed);
        assert_eq!(report.message.contains("SIGKILL"), id == "deaf", "{}", report.message);
    }
    rig.tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn an_engine_that_is_away_holds_starts_back() {
    let mut rig = Rig::new().await;
    let first = runs("first", "serve");
    rig.desire(vec![first.clone()]).await;
    rig.until("first", |r| r.condition == Condition::Running).await;
    rig.runtime.set_away(true);
    let second = runs("second", "serve");
    rig.desire(vec![first, second]).await;
    rig.until("second", |r| r.message.contains("does not answer")).await;
    rig.runtime.set_away(false);
    rig.until("second", |r| r.condition == Condition::Running).await;
    assert_eq!(rig.runtime.running().len(), 2);
    for id in rig.runtime.running() {
        rig.runtime.finish(&id, 0);
    }
    rig.until("second", |r| r.condition == Condition::Finished).await;
}
