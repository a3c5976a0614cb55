//! Stories of one agent: what it hears, what happens, what it decides to do.

use std::sync::Arc;

use super::*;
use crate::model::{AppId, NodeId, Pools, WorkloadSpec, instance::Placement, workload::RunSpec};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn moment(ms: i64) -> Moment {
    Moment::from_ms(u64::try_from(ms).expect("not before the beginning"))
}

/// An order for the app `/a`.
pub fn order(id: &str, incarnation: u32) -> Order {
    let spec = WorkloadSpec {
        run: Arc::new(RunSpec { containers: vec![Default::default()], ..RunSpec::default() }),
        ..WorkloadSpec::new(AppId::parse("/a"), at(0))
    };
    let placement = Placement {
        node: NodeId::from("n"),
        hostname: "h".into(),
        address: IpAddr::from([10, 0, 0, 1]),
        allocation: Pools::default(),
        host_ports: Vec::new(),
        launched_at: at(0),
    };
    Order {
        instance: InstanceId::from(id),
        incarnation,
        spec: spec.task(),
        placement,
        kill: None,
        enforce_role: false,
        volumes: Vec::new(),
    }
}

fn killed(order: Order) -> Order {
    Order { kill: Some(KillReason::Request), ..order }
}

fn full(orders: Vec<Order>) -> Desired {
    Desired { full: true, orders, forget: Vec::new() }
}

fn delta(orders: Vec<Order>, forget: &[&str]) -> Desired {
    Desired { full: false, orders, forget: forget.iter().map(|i| InstanceId::from(*i)).collect() }
}

/// An agent whose every action is carried out at once.
#[derive(Default)]
struct Agent {
    desired: DesiredSet,
    actual: Actual,
}

impl Agent {
    fn hear(&mut self, message: Desired) {
        apply_message(&mut self.desired, message);
    }

    /// Actions due now, named, in order; all begun.
    fn act(&mut self, now: i64) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let actions = plan(&self.desired, &self.actual, moment(now));
            if actions.is_empty() {
                return names;
            }
            for action in actions {
                self.actual.begin(&action, at(now), moment(now));
                names.push(match action {
                    Action::Start(o) => format!("start {}#{}", o.instance, o.incarnation),
                    Action::Kill { key, why, .. } => format!("kill {}#{} {why:?}", key.0, key.1),
                    Action::Escalate { key } => format!("escalate {}#{}", key.0, key.1),
                    Action::Deny(o) => format!("deny {}", o.instance),
                    Action::Forget { key } => format!("forget {}#{}", key.0, key.1),
                });
            }
        }
    }

    fn happens(&mut self, id: &str, n: u32, event: Event, now: i64) -> Option<Action> {
        self.actual.happened(&(InstanceId::from(id), n), event, at(now))
    }

    fn runs(&mut self, id: &str, n: u32) {
        let event =
            Event::Started { at: at(1), addresses: vec![], containers: vec![], ready: true };
        self.happens(id, n, event, 1);
    }

    fn exits(&mut self, id: &str, n: u32, code: i32) {
        let exit = Exit { code: Some(code), message: format!("status {code}"), ..Exit::default() };
        self.happens(id, n, Event::Exited { exit, containers: vec![] }, 2);
    }

    fn report(&self, id: &str, n: u32) -> &Report {
        &self.actual.tasks[&(InstanceId::from(id), n)].report
    }
}

#[test]
fn an_end_is_told_for_when_it_came_but_never_for_later_than_now() {
    for (ended_at, told) in [(Some(at(5)), at(5)), (None, at(9)), (Some(at(99)), at(9))] {
        let mut agent = Agent::default();
        agent.hear(full(vec![order("a", 1)]));
        agent.act(0);
        agent.runs("a", 1);
        let exit = Exit { code: Some(7), at: ended_at, ..Exit::default() };
        agent.happens("a", 1, Event::Exited { exit, containers: vec![] }, 9);
        assert_eq!(agent.report("a", 1).at, told);
    }
}

#[test]
fn an_order_is_started_once_and_forgotten_when_the_leader_lets_go() {
    let mut agent = Agent::default();
    agent.hear(full(vec![order("a", 1)]));
    assert_eq!(agent.act(0), ["start a#1"]);
    assert!(agent.act(0).is_empty());
    agent.hear(full(vec![order("a", 1)]));
    assert!(agent.act(0).is_empty(), "hearing it again changes nothing");
    agent.runs("a", 1);
    agent.exits("a", 1, 0);
    assert_eq!(agent.report("a", 1).condition, Condition::Finished);
    assert!(agent.act(3).is_empty(), "not started again by itself");
    agent.hear(delta(vec![order("a", 2)], &[]));
    assert_eq!(agent.act(4), ["forget a#1", "start a#2"]);
    agent.runs("a", 2);
    agent.exits("a", 2, 5);
    assert_eq!(agent.report("a", 2).condition, Condition::Failed);
    agent.hear(delta(vec![], &["a"]));
    assert_eq!(agent.act(5), ["forget a#2"]);
}

#[test]
fn a_newer_incarnation_waits_for_the_end_of_the_older() {
    let mut agent = Agent::default();
    agent.hear(full(vec![order("a", 1)]));
    agent.act(0);
    agent.runs("a", 1);
    agent.hear(delta(vec![order("a", 2)], &[]));
    assert_eq!(agent.act(1), ["kill a#1 NotWanted"]);
    agent.exits("a", 1, 143);
    assert_eq!(agent.act(3), ["forget a#1", "start a#2"]);
    agent.hear(delta(vec![order("a", 1)], &[]));
    assert!(!agent.act(4).iter().any(|a| a.starts_with("start")), "never back to an older one");
}

#[test]
fn a_kill_escalates_after_the_grace_and_again() {
    let mut agent = Agent::default();
    agent.hear(full(vec![order("a", 1)]));
    agent.act(0);
    agent.runs("a", 1);
    agent.hear(delta(vec![killed(order("a", 1))], &[]));
    assert_eq!(agent.act(100), ["kill a#1 Ordered(Request)"]);
    assert_eq!(agent.report("a", 1).condition, Condition::Killing);
    assert_eq!(agent.actual.next_deadline(), Some(moment(3_100)));
    assert!(agent.act(3_099).is_empty());
    assert_eq!(agent.act(3_100), ["escalate a#1"]);
    assert!(agent.act(13_099).is_empty());
    assert_eq!(agent.act(13_100), ["escalate a#1"]);
    agent.exits("a", 1, 137);
    let report = agent.report("a", 1);
    assert_eq!(report.condition, Condition::Killed);
    assert_eq!(report.message, "status 137; did not stop within 3s of SIGTERM, SIGKILL was sent");
    assert_eq!(agent.actual.next_deadline(), None);
}

#[test]
fn nothing_is_killed_before_a_full_set_was_heard() {
    let mut agent = Agent::default();
    let key = (InstanceId::from("old"), 3);
    agent.actual.tasks.insert(key.clone(), Known::found(&key, at(0)));
    assert!(agent.act(0).is_empty());
    agent.hear(delta(vec![order("a", 1)], &[]));
    assert_eq!(agent.act(0), ["start a#1"]);
    agent.hear(full(vec![order("a", 1)]));
    assert_eq!(agent.act(0), ["kill old#3 NotWanted"]);
}

#[test]
fn an_order_to_die_for_something_never_started_is_answered() {
    let mut agent = Agent::default();
    agent.hear(full(vec![killed(order("a", 1))]));
    assert_eq!(agent.act(0), ["deny a"]);
    assert_eq!(agent.report("a", 1).condition, Condition::Killed);
    assert!(agent.act(1).is_empty());
    agent.hear(full(vec![]));
    assert_eq!(agent.act(2), ["forget a#1"]);
}

#[test]
fn an_unhealthy_task_dies_killed_with_its_cause() {
    let mut agent = Agent::default();
    agent.hear(full(vec![order("a", 1)]));
    agent.act(0);
    agent.runs("a", 1);
    let action = agent.happens("a", 1, Event::Unhealthy("no answer".into()), 5).unwrap();
    agent.actual.begin(&action, at(5), moment(5));
    let report = agent.report("a", 1);
    assert_eq!((report.condition, report.message.as_str()), (Condition::Killing, "no answer"));
    assert!(agent.act(6).is_empty(), "it is being killed already");
    agent.exits("a", 1, 143);
    let report = agent.report("a", 1);
    assert!(report.unhealthy);
    assert_eq!((report.condition, report.message.as_str()), (Condition::Killed, "no answer"));
}

#[test]
fn a_start_that_was_ordered_to_die_meanwhile_ends_killed() {
    let mut agent = Agent::default();
    agent.hear(full(vec![order("a", 1)]));
    agent.act(0);
    agent.hear(full(vec![killed(order("a", 1))]));
    agent.act(1);
    agent.runs("a", 1);
    assert_eq!(agent.report("a", 1).condition, Condition::Killing);
    agent.happens("a", 1, Event::NotStarted { message: "x".into(), error: true }, 2);
    assert_eq!(agent.report("a", 1).condition, Condition::Killed);
}

#[test]
fn news_are_told_once_ends_until_the_leader_lets_go() {
    let mut agent = Agent::default();
    let mut outbox = Outbox::default();
    agent.hear(full(vec![order("a", 1)]));
    agent.act(0);
    let due = |outbox: &mut Outbox, agent: &Agent, now| {
        outbox.due(&agent.desired, &agent.actual, moment(now)).len()
    };
    assert_eq!(due(&mut outbox, &agent, 0), 1);
    assert_eq!(due(&mut outbox, &agent, 1), 0);
    agent.runs("a", 1);
    assert_eq!(due(&mut outbox, &agent, 2), 1);
    assert_eq!(due(&mut outbox, &agent, 30_000), 0);
    assert_eq!(due(&mut outbox, &agent, 60_002), 1, "everything once a minute");
    agent.exits("a", 1, 1);
    assert_eq!(due(&mut outbox, &agent, 60_010), 1);
    assert_eq!(due(&mut outbox, &agent, 61_000), 0);
    assert_eq!(due(&mut outbox, &agent, 62_010), 1, "an end is told again");
    agent.hear(delta(vec![], &["a"]));
    assert_eq!(due(&mut outbox, &agent, 64_010), 0);
    assert_eq!(outbox.all(&agent.actual, moment(0)).len(), 1);
}
