//! What should run against what does: the agent's decisions as pure functions.
//!
//! The worker (and the simulator's virtual agents) feed in the leader's messages and the events of
//! the containers, ask `plan` what to do and say with `begin` that they do it. Level-triggered:
//! asking again before anything happened gives nothing new, losing a message gives the same result
//! after the next full one.
//!
//! ```text
//!  order ─► Start ─► Staging ─► Running ─────────────────────► end ─► Forget
//!                       └──────────┴─► Kill ─► Killing ─┬───────┘ (once the leader lets go)
//!                                        grace over ────┴─► Escalate, again every 10 s
//! ```
//! Invariants: an incarnation is started at most once; an older incarnation has ended before a
//! newer one of the same instance starts; nothing unnamed is killed before a full set was heard.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use super::ending;
use crate::{
    base::clock::{Moment, Timestamp},
    model::{
        InstanceId,
        instance::{
            CheckOutcome, CheckStatus, Condition, ContainerStatus, KillReason, ReadinessStatus,
        },
        link::{Desired, Order, Report},
    },
};

/// A container that survives SIGKILL (stuck in the kernel, engine away) is killed again after this.
const ESCALATE_AGAIN: Duration = Duration::from_secs(10);
/// An end the leader has not let go of is told again after this.
const END_AGAIN: Duration = Duration::from_secs(2);
/// Everything is told again after this, so that nothing stays lost.
const ALL_AGAIN: Duration = Duration::from_secs(60);

/// One incarnation of one instance.
pub type Key = (InstanceId, u32);

/// The leader's orders as last heard.
#[derive(Clone, Debug, Default)]
pub struct DesiredSet {
    orders: BTreeMap<InstanceId, Order>,
    heard: bool,
}

/// Everything the agent knows of.
#[derive(Clone, Debug, Default)]
pub struct Actual {
    pub tasks: BTreeMap<Key, Known>,
}

/// What is known of one incarnation.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// As started; `None` for a container found by its labels whose record is lost.
    pub order: Option<Order>,
    pub report: Report,
    pub kill: Option<Kill>,
}

/// An ending under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Kill {
    pub why: Why,
    /// When SIGTERM was sent; after a restart of the agent, the grace begins once more.
    pub at: Moment,
    pub grace_ms: u64,
    /// When SIGKILL was last sent.
    pub escalated_at: Option<Moment>,
}

/// Why an incarnation is ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    Ordered(KillReason),
    /// The leader does not name it any more, or names a newer one.
    NotWanted,
    /// A health check failed; the text says which and why.
    Unhealthy(String),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Start(Order),
    /// Send SIGTERM.
    Kill {
        key: Key,
        why: Why,
        grace: Duration,
    },
    /// Send SIGKILL.
    Escalate {
        key: Key,
    },
    /// Ordered to die before it was ever started here: tell so.
    Deny(Order),
    /// Ended and let go by the leader: drop it; container and sandbox are garbage now.
    Forget {
        key: Key,
    },
}

/// Something that happened to an incarnation.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Getting ready: what it waits for, for people.
    Progress(String),
    Started {
        at: Timestamp,
        addresses: Vec<IpAddr>,
        containers: Vec<ContainerStatus>,
        ready: bool,
    },
    /// Could not be started. `error`: the definition is at fault, trying again is useless.
    NotStarted {
        message: String,
        error: bool,
    },
    /// One container of a pod has ended; the others may go on.
    ContainerEnded(ContainerStatus),
    Exited {
        exit: Exit,
        containers: Vec<ContainerStatus>,
    },
    /// Newest results of all its checks.
    Checked(Checked),
    /// A health check failed too often.
    Unhealthy(String),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Exit {
    /// `None`: nobody can tell any more.
    pub code: Option<i32>,
    /// The end itself was for reaching the limit of memory.
    pub out_of_memory: bool,
    /// When it ended, where the engine was asked.
    pub at: Option<Timestamp>,
    /// A text for people, without what happens on a kill.
    pub message: String,
    /// The last it wrote.
    pub tail: String,
}

/// Results of an incarnation's checks.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Checked {
    pub health: Vec<CheckStatus>,
    pub ready: bool,
    pub readiness: Vec<ReadinessStatus>,
    pub check: Option<CheckOutcome>,
}

/// Takes in a message of the leader.
pub fn apply_message(set: &mut DesiredSet, message: Desired) {
    if message.full {
        set.orders.clear();
        set.heard = true;
    }
    for id in &message.forget {
        set.orders.remove(id);
    }
    for order in message.orders {
        set.orders.insert(order.instance.clone(), order);
    }
}

impl DesiredSet {
    /// The order for an instance.
    pub fn order(&self, id: &InstanceId) -> Option<&Order> {
        self.orders.get(id)
    }

    /// Whether a full set was heard since the agent started.
    pub fn is_heard(&self) -> bool {
        self.heard
    }

    /// The instances wanted here; `None` before a full set was heard.
    pub fn names(&self) -> Option<impl Iterator<Item = &InstanceId>> {
        self.heard.then(|| self.orders.keys())
    }

    fn wants(&self, key: &Key) -> Option<&Order> {
        self.orders.get(&key.0).filter(|o| o.incarnation == key.1)
    }
}

/// What has to be done now. Pure: the same input gives the same actions.
pub fn plan(desired: &DesiredSet, actual: &Actual, now: Moment) -> Vec<Action> {
    let mut actions = Vec::new();
    for (key, known) in &actual.tasks {
        actions.extend(for_known(desired, key, known, now));
    }
    for order in desired.orders.values() {
        let key = (order.instance.clone(), order.incarnation);
        if actual.tasks.contains_key(&key) || actual.has_newer(&key) {
            continue;
        }
        match &order.kill {
            Some(_) => actions.push(Action::Deny(order.clone())),
            None if actual.has_live(&key.0) => {}
            None => actions.push(Action::Start(order.clone())),
        }
    }
    actions
}

fn for_known(desired: &DesiredSet, key: &Key, known: &Known, now: Moment) -> Option<Action> {
    let order = desired.wants(key);
    if known.is_ended() {
        let let_go = desired.heard && order.is_none();
        return let_go.then(|| Action::Forget { key: key.clone() });
    }
    if let Some(kill) = &known.kill {
        return (now >= kill.next_step()).then(|| Action::Escalate { key: key.clone() });
    }
    let why = match order {
        Some(Order { kill: Some(reason), .. }) => Why::Ordered(reason.clone()),
        Some(_) => return None,
        None if desired.heard || desired.orders.contains_key(&key.0) => Why::NotWanted,
        None => return None,
    };
    Some(Action::Kill { key: key.clone(), why, grace: known.grace() })
}

impl Kill {
    /// When the next signal is due.
    fn next_step(&self) -> Moment {
        match self.escalated_at {
            Some(at) => at + ESCALATE_AGAIN,
            None => self.at + Duration::from_millis(self.grace_ms),
        }
    }
}

impl Known {
    /// A container known by its labels alone.
    pub fn found(key: &Key, at: Timestamp) -> Self {
        let report =
            Report { ready: true, ..Report::new(key.0.clone(), key.1, Condition::Running, at) };
        Self { order: None, report, kill: None }
    }

    pub fn is_ended(&self) -> bool {
        self.report.condition.is_terminal()
    }

    /// The time its containers have to end.
    pub fn grace(&self) -> Duration {
        self.order.as_ref().map_or(ending::KILL_GRACE, |order| ending::grace(&order.spec.run))
    }

    fn is_unhealthy(&self) -> bool {
        matches!(self.kill, Some(Kill { why: Why::Unhealthy(_), .. }))
    }

    fn end(&mut self, exit: Exit, containers: Vec<ContainerStatus>, now: Timestamp) {
        // The engine's clock may be another one: an end is never told for later than now.
        let at = exit.at.unwrap_or(now).min(now);
        let is_unhealthy = self.is_unhealthy();
        let report = &mut self.report;
        let (condition, message) = match &self.kill {
            Some(kill) => (Condition::Killed, end_message(kill, &exit)),
            None if exit.out_of_memory => (Condition::Failed, exit.message),
            None if exit.code == Some(0) => (Condition::Finished, exit.message),
            None => (Condition::Failed, exit.message),
        };
        report.exit_code = exit.code;
        let is_bad = condition == Condition::Failed || is_unhealthy;
        report.tail = if is_bad { exit.tail } else { String::new() };
        report.unhealthy = is_unhealthy;
        report.condition = condition;
        report.message = message;
        report.containers = containers;
        report.at = at;
    }
}

/// The message of an incarnation that was ended, with the escalation where there was one.
fn end_message(kill: &Kill, exit: &Exit) -> String {
    let mut text = match &kill.why {
        Why::Unhealthy(cause) => cause.clone(),
        Why::Ordered(_) | Why::NotWanted => exit.message.clone(),
    };
    if kill.escalated_at.is_some() {
        if !text.is_empty() {
            text.push_str("; ");
        }
        let grace = Duration::from_millis(kill.grace_ms);
        text.push_str(&format!("did not stop within {grace:?} of SIGTERM, SIGKILL was sent"));
    }
    text
}

impl Actual {
    /// Notes that an action is being carried out.
    pub fn begin(&mut self, action: &Action, now: Timestamp, moment: Moment) {
        match action {
            Action::Start(order) => {
                let report =
                    Report::new(order.instance.clone(), order.incarnation, Condition::Staging, now);
                let known = Known { order: Some(order.clone()), report, kill: None };
                self.tasks.insert((order.instance.clone(), order.incarnation), known);
            }
            Action::Kill { key, why, grace } => {
                if let Some(known) = self.tasks.get_mut(key) {
                    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
                    known.kill =
                        Some(Kill { why: why.clone(), at: moment, grace_ms, escalated_at: None });
                    known.report.condition = Condition::Killing;
                    if let Why::Unhealthy(cause) = why {
                        known.report.message.clone_from(cause);
                    }
                    known.report.at = now;
                }
            }
            Action::Escalate { key } => {
                if let Some(kill) = self.tasks.get_mut(key).and_then(|k| k.kill.as_mut()) {
                    kill.escalated_at = Some(moment);
                }
            }
            Action::Deny(order) => {
                let mut report =
                    Report::new(order.instance.clone(), order.incarnation, Condition::Staging, now);
                report.condition = Condition::Killed;
                report.message = "killed before it was started".to_owned();
                let known = Known { order: Some(order.clone()), report, kill: None };
                self.tasks.insert((order.instance.clone(), order.incarnation), known);
            }
            Action::Forget { key } => drop(self.tasks.remove(key)),
        }
    }

    /// Takes in an event; events of unknown or ended incarnations change nothing. Returns an
    /// action where one follows at once.
    pub fn happened(&mut self, key: &Key, event: Event, now: Timestamp) -> Option<Action> {
        let known = self.tasks.get_mut(key).filter(|k| !k.is_ended())?;
        match event {
            Event::Progress(message) => {
                if known.report.message != message {
                    known.report.message = message;
                    known.report.at = now;
                }
            }
            Event::Started { at, addresses, containers, ready } => {
                let report = &mut known.report;
                report.started_at = Some(at);
                report.addresses = addresses;
                report.containers = containers;
                report.ready = ready;
                report.at = now;
                report.message.clear();
                if known.kill.is_none() {
                    report.condition = Condition::Running;
                }
            }
            Event::NotStarted { message, error } => {
                known.report.condition = match (&known.kill, error) {
                    (Some(_), _) => Condition::Killed,
                    (None, true) => Condition::Error,
                    (None, false) => Condition::Failed,
                };
                known.report.message = message;
                known.report.at = now;
            }
            Event::ContainerEnded(status) => {
                let report = &mut known.report;
                report.containers.retain(|known| known.name != status.name);
                report.containers.push(status);
                report.containers.sort_by(|a, b| a.name.cmp(&b.name));
                report.at = now;
            }
            Event::Exited { exit, containers } => known.end(exit, containers, now),
            Event::Checked(checked) => {
                let report = &mut known.report;
                report.health = checked.health;
                report.ready = checked.ready;
                report.readiness = checked.readiness;
                report.check = checked.check;
                report.at = now;
            }
            Event::Unhealthy(cause) => {
                if known.kill.is_none() {
                    let grace = known.grace();
                    let why = Why::Unhealthy(cause);
                    return Some(Action::Kill { key: key.clone(), why, grace });
                }
            }
        }
        None
    }

    /// When `plan` has something to do again if nothing happens until then.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.tasks
            .values()
            .filter(|k| !k.is_ended())
            .filter_map(|k| k.kill.as_ref().map(Kill::next_step))
            .min()
    }

    /// Whether some incarnation of an instance has not ended.
    pub fn has_live(&self, id: &InstanceId) -> bool {
        self.incarnations(id).any(|(_, k)| !k.is_ended())
    }

    fn has_newer(&self, key: &Key) -> bool {
        self.incarnations(&key.0).any(|(k, _)| k.1 > key.1)
    }

    fn incarnations(&self, id: &InstanceId) -> impl Iterator<Item = (&Key, &Known)> {
        self.tasks.range((id.clone(), 0)..=(id.clone(), u32::MAX))
    }
}

/// Which reports the leader still has to hear.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    told: BTreeMap<Key, (Report, Moment)>,
}

impl Outbox {
    /// Reports to send now: news, ends the leader has not let go of, and everything once a minute.
    pub fn due(&mut self, desired: &DesiredSet, actual: &Actual, now: Moment) -> Vec<Report> {
        self.told.retain(|key, _| actual.tasks.contains_key(key));
        let mut due = Vec::new();
        for (key, known) in &actual.tasks {
            let is_due = match self.told.get(key) {
                None => true,
                Some((told, _)) if *told != known.report => true,
                Some((_, at)) => {
                    let held = known.is_ended() && desired.wants(key).is_some();
                    let again = if held { END_AGAIN } else { ALL_AGAIN };
                    now >= *at + again
                }
            };
            if is_due {
                self.told.insert(key.clone(), (known.report.clone(), now));
                due.push(known.report.clone());
            }
        }
        due
    }

    /// Takes back that `reports` were told: they did not get onto the link.
    pub fn untell(&mut self, reports: &[Report]) {
        for report in reports {
            self.told.remove(&(report.instance.clone(), report.incarnation));
        }
    }

    /// All reports, as a registration carries them; counts as told.
    pub fn all(&mut self, actual: &Actual, now: Moment) -> Vec<Report> {
        self.told =
            actual.tasks.iter().map(|(k, t)| (k.clone(), (t.report.clone(), now))).collect();
        actual.tasks.values().map(|t| t.report.clone()).collect()
    }
}

#[cfg(test)]
pub mod tests;
