//! Which records a command makes. Pure: from the command, its outcome and its changes.

use std::{collections::BTreeMap, sync::Arc};

use super::{Attempt, Kind, Record, differ::differences};
use crate::{
    base::{clock::Timestamp, limit, units::count},
    core::{
        AdmissionCommand, Change, ClusterCommand, Command, Outcome, Rejected, Stamped, State,
        TaskCommand, WorkloadCommand, change::End, command::GroupChange, state::App, told::Told,
    },
    model::{
        AppId, Deployment, Instance, InstanceId, Node, WorkloadSpec,
        instance::{Condition, KillReason, Life},
        node::{Duty, Reach},
    },
};

/// Records of one command; a change of a whole tree is not told app by app without end.
const RECORDS_MAX: usize = 1_000;
/// Bytes of a text.
const TEXT_BYTES_MAX: usize = 400;

/// The records of a command that was applied to what is now `state`.
pub fn records(
    state: &State,
    entry: &Stamped,
    outcome: &Outcome,
    changes: &[Change],
) -> Vec<Record> {
    let known = |request| state.index.requests.get(&request) != Some(&state.revision);
    if entry.request.is_some_and(known) {
        return Vec::new(); // asked again: told already
    }
    let mut made = Made { state, entry, outcome, all: Vec::new() };
    match outcome {
        Ok(_) => made.done(changes),
        Err(Rejected::Locked { .. }) => made.refused("a deployment works on it".to_owned()),
        Err(rejected) => made.refused(rejected.to_string()),
    }
    let n = made.all.len();
    if n > RECORDS_MAX {
        made.all.truncate(RECORDS_MAX);
        let text = format!("{} are not told one by one", count(n - RECORDS_MAX, "more change"));
        made.tell(Kind::Cluster, String::new(), text);
    }
    made.all
}

struct Made<'a> {
    state: &'a State,
    entry: &'a Stamped,
    outcome: &'a Outcome,
    all: Vec<Record>,
}

impl Made<'_> {
    fn tell(&mut self, kind: Kind, of: String, text: impl Into<String>) -> &mut Record {
        self.all.push(Record {
            at: self.state.at,
            kind,
            of,
            text: cut(text.into(), TEXT_BYTES_MAX),
            by: self.entry.by.clone(),
            refused: None,
            version: None,
            deployment: None,
            took_ms: None,
            instance: None,
            attempt: None,
            bad: false,
        });
        self.all.last_mut().expect("one was just put there")
    }

    /// What somebody wanted and did not get. The cluster's own tries are no news.
    fn refused(&mut self, why: String) {
        if self.entry.by.is_none() {
            return;
        }
        let Told { kind, of, text } = self.entry.command.told();
        let record = self.tell(kind, of, text);
        (record.refused, record.bad) = (Some(cut(why, TEXT_BYTES_MAX)), true);
    }

    fn done(&mut self, changes: &[Change]) {
        self.of_command();
        self.of_apps(changes);
        for change in changes {
            match change {
                Change::Deployment { old: Some(old), new: None, end, .. } => {
                    self.of_deployment(old, end.as_ref());
                }
                Change::Instance { id, old, new } => self.of_instance(id, old, new),
                Change::Node { old, new, .. } => self.of_node(old.as_deref(), new.as_deref()),
                _ => {}
            }
        }
    }

    /// What is told by the command itself.
    fn of_command(&mut self) {
        let command = &self.entry.command;
        match command {
            Command::Access(_)
            | Command::Cluster(
                ClusterCommand::RaiseLevel(_)
                | ClusterCommand::Init(_)
                | ClusterCommand::RemoveMaster(_)
                | ClusterCommand::StandBy { .. },
            ) => {
                let Told { kind, of, text } = command.told();
                self.tell(kind, of, text);
            }
            Command::Workload(WorkloadCommand::PutApps(put)) => {
                for edit in &put.groups {
                    let text = match edit.change {
                        GroupChange::Put { .. } => "group settings changed",
                        GroupChange::Delete => "group deleted",
                    };
                    self.tell(Kind::Change, edit.id.to_string(), text);
                }
            }
            Command::Admission(AdmissionCommand::SeatMaster(seat)) if seat.invitation.is_some() => {
                let id = self.outcome.as_ref().map_or(0, |done| done.master);
                let at = &seat.master.addresses.peers;
                self.tell(Kind::Cluster, id.to_string(), format!("master joined at {at}"));
            }
            Command::Workload(WorkloadCommand::ResetBackoff(app)) => {
                self.tell(Kind::Change, app.to_string(), "launch delay ended");
            }
            _ => {}
        }
    }

    /// Services before and after, as a whole.
    fn of_apps(&mut self, changes: &[Change]) {
        let Command::Workload(command) = &self.entry.command else { return };
        type Ends<'a> = (Option<&'a Arc<App>>, Option<&'a Arc<App>>);
        let mut ends: BTreeMap<&AppId, Ends<'_>> = BTreeMap::new();
        for change in changes {
            if let Change::App { id, old, new } = change {
                ends.entry(id).or_insert((old.as_ref(), None)).1 = new.as_ref();
            }
        }
        for (id, (old, new)) in ends {
            let (old, new) = (old.map(|app| &*app.spec), new.map(|app| &*app.spec));
            let Some(text) = self.change_of(old, new) else { continue };
            let text = match command {
                WorkloadCommand::CancelDeployment { .. } => format!("deployment undone: {text}"),
                _ => text,
            };
            let deployment = self.outcome.as_ref().ok().and_then(|done| done.deployment.clone());
            let record = self.tell(Kind::Change, id.to_string(), text);
            record.version = new.map(|spec| spec.version);
            record.deployment = deployment.map(|(id, _)| id);
        }
    }

    fn change_of(&self, old: Option<&WorkloadSpec>, new: Option<&WorkloadSpec>) -> Option<String> {
        let (old, new) = match (old, new) {
            (None, None) => return None,
            (Some(old), None) => {
                return Some(format!("deleted; it had {}", instances(old.instances)));
            }
            (None, Some(new)) => {
                let image = new.run.containers.first().and_then(|c| c.image.as_ref());
                let of = image.map(|image| format!(" of {}", image.name)).unwrap_or_default();
                return Some(format!("created with {}{of}", instances(new.instances)));
            }
            (Some(old), Some(new)) if old.version == new.version => return None,
            (Some(old), Some(new)) => (old, new),
        };
        let parts = differences(old, new);
        let is_scaling = parts.len() == 1 && old.instances != new.instances;
        Some(match (is_scaling, old.instances, new.instances) {
            (true, from, 0) => format!("stopped; it had {}", instances(from)),
            (true, 0, to) => format!("resumed with {}", instances(to)),
            (true, from, to) => format!("scaled from {from} to {to}"),
            _ if parts.is_empty() => "restarted".to_owned(),
            _ => match self.earlier(old, new) {
                Some(version) => {
                    format!("rolled back to version {version}: {}", parts.join(", "))
                }
                None => format!("changed: {}", parts.join(", ")),
            },
        })
    }

    /// The stored version that a new definition goes back to.
    fn earlier(&self, old: &WorkloadSpec, new: &WorkloadSpec) -> Option<Timestamp> {
        let versions: Vec<_> =
            self.state.versions_of(&new.id).filter(|v| v.version < old.version).collect();
        let same = |v: &&&Arc<WorkloadSpec>| !v.config_differs(new);
        versions.iter().rev().find(same).map(|v| v.version).filter(|_| old.config_differs(new))
    }

    fn of_deployment(&mut self, old: &Deployment, end: Option<&End>) {
        let took = u64::try_from(self.state.at.since(old.started_at).as_millis()).ok();
        for (app, change) in &old.changes {
            let (text, bad) = match end {
                Some(End::Cancelled(why)) => (format!("deployment ended early: {why}"), true),
                Some(End::Success) | None => ("deployment done".to_owned(), false),
            };
            let record = self.tell(Kind::Deployment, app.to_string(), text);
            record.deployment = Some(old.id.clone());
            record.version = change.after.as_ref().map(|spec| spec.version);
            (record.took_ms, record.bad) = (took, bad);
        }
    }

    fn of_instance(
        &mut self,
        id: &InstanceId,
        old: &Option<Arc<Instance>>,
        new: &Option<Arc<Instance>>,
    ) {
        match (old.as_deref(), new.as_deref()) {
            (_, Some(new)) if matches!(new.life, Life::Ended(..)) => self.of_attempt(new),
            (Some(old), None) if matches!(old.life, Life::Placed(..)) => self.of_attempt(old),
            (Some(old), Some(new)) if old.incarnation == new.incarnation => {
                self.of_kill(id, old, new);
                self.of_health(id, old, new);
            }
            _ => {}
        }
    }

    fn of_attempt(&mut self, instance: &Instance) {
        let Some(task) = instance.task() else { return };
        let report = self.report_of(instance);
        let of_pod = || task.seen.containers.iter().find_map(|c| c.exit_code);
        let exit_code = report.and_then(|report| report.exit_code).or_else(of_pod);
        let attempt = Attempt {
            incarnation: instance.incarnation,
            version: instance.version,
            node: task.place.node.clone(),
            host: task.place.hostname.clone(),
            placed_at: task.place.launched_at,
            started_at: task.seen.started_at,
            end: instance.condition(),
            exit_code,
            killed_for: task.kill.as_ref().map(|kill| kill.reason.clone()),
            unhealthy: report.is_some_and(|report| report.unhealthy),
            tail: report.map(|report| tail(&report.tail)).unwrap_or_default(),
        };
        let began = attempt.started_at.unwrap_or(attempt.placed_at);
        let took = u64::try_from(self.state.at.since(began).as_millis()).ok();
        let was_wanted = attempt.killed_for.is_some() && !attempt.unhealthy;
        let failed = instance.condition().end().is_none_or(|end| end.is_failure());
        let text = match (instance.message.is_empty(), instance.condition()) {
            (false, condition) if condition.is_terminal() => instance.message.clone(),
            (_, Condition::Finished) => "finished".to_owned(),
            (_, condition) if condition.is_terminal() => "ended".to_owned(),
            _ => "given up with its node".to_owned(),
        };
        let of = owner_text(instance);
        let by = self.entry.by.clone();
        let record = self.tell(Kind::Attempt, of, text);
        // Whoever asked for its end is told with the asking; the end comes from its agent.
        record.by = by.filter(|_| was_wanted);
        record.instance = Some(instance.id.clone());
        (record.took_ms, record.bad) = (took, failed && !was_wanted);
        record.version = Some(instance.version);
        record.attempt = Some(attempt);
    }

    /// What an agent told with this command about an instance.
    fn report_of(&self, instance: &Instance) -> Option<&crate::model::link::Report> {
        let Command::Task(TaskCommand::Report { reports, .. }) = &self.entry.command else {
            return None;
        };
        let is_of_it = |report: &&crate::model::link::Report| {
            report.instance == instance.id && report.incarnation == instance.incarnation
        };
        reports.iter().find(is_of_it)
    }

    fn of_kill(&mut self, id: &InstanceId, old: &Instance, new: &Instance) {
        let Some(kill) = new.kill().filter(|_| old.kill().is_none()) else { return };
        let text = match kill.reason {
            KillReason::Request => "instance ended on request",
            KillReason::Overdue => "instance ended: it did not get running in time",
            // Told by the deployment, or by the node's drain.
            KillReason::Deployment | KillReason::Drain => return,
        };
        let bad = kill.reason == KillReason::Overdue;
        let record = self.tell(Kind::Kill, owner_text(new), text);
        (record.instance, record.bad) = (Some(id.clone()), bad);
    }

    fn of_health(&mut self, id: &InstanceId, old: &Instance, new: &Instance) {
        let (was, is) = (self.state.healthy(old), self.state.healthy(new));
        let (text, bad) = match (was, is) {
            (Some(true) | None, Some(false)) => {
                let failing = new.health().iter().find(|check| !check.alive);
                let cause = failing.and_then(|check| check.last_failure_cause.as_deref());
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                (format!("fails its health check{cause}"), true)
            }
            (Some(false), Some(true)) => ("passes its health checks again".to_owned(), false),
            _ => return,
        };
        let record = self.tell(Kind::Health, owner_text(new), text);
        (record.instance, record.bad) = (Some(id.clone()), bad);
    }

    fn of_node(&mut self, old: Option<&Node>, new: Option<&Node>) {
        let Some(node) = new.or(old) else { return };
        let (id, host) = (node.id().to_string(), &node.info.hostname);
        let mut say = |text: String, bad: bool| {
            self.tell(Kind::Node, id.clone(), format!("{host} {text}")).bad = bad;
        };
        let (Some(old), Some(new)) = (old, new) else {
            let text = if new.is_some() { "joined" } else { "removed" };
            say(text.to_owned(), false);
            return;
        };
        match (old.reach, new.reach) {
            (Reach::Reachable, Reach::Unreachable { .. }) => {
                say("is not heard of any more".to_owned(), true);
            }
            (Reach::Unreachable { since }, Reach::Reachable) => {
                let away = took(self.state.at.since(since).as_millis());
                self.tell(Kind::Node, id.clone(), format!("{host} is heard again after {away}"));
            }
            _ => {}
        }
        let is_same = std::mem::discriminant(&old.duty) == std::mem::discriminant(&new.duty);
        if !is_same {
            let text = match new.duty {
                Duty::Active => "takes work again",
                Duty::Draining { .. } => "is being drained",
                Duty::Drained { .. } => "is drained",
                Duty::Deactivated { .. } => "takes no new work",
            };
            self.tell(Kind::Node, id.clone(), format!("{host} {text}"));
        }
        if old.info.version != new.info.version {
            let (from, to) = (&old.info.version, &new.info.version);
            self.tell(Kind::Node, id, format!("{host} upgraded from tepui {from} to {to}"));
        }
    }
}

fn owner_text(instance: &Instance) -> String {
    instance.app().map(ToString::to_string).unwrap_or_default()
}

fn instances(n: u32) -> String {
    count(n as usize, "instance")
}

/// A time for people: `0.4 s`, `12 s`, `1 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn took(ms: impl TryInto<u64>) -> String {
    let ms = ms.try_into().unwrap_or(u64::MAX);
    let s = ms / 1000;
    match s {
        0..10 => format!("{}.{} s", s, ms % 1000 / 100),
        10..60 => format!("{s} s"),
        60..3_600 => two(s / 60, "min", s % 60, "s"),
        3_600..86_400 => two(s / 3_600, "h", s % 3_600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

fn two(large: u64, unit: &str, small: u64, of: &str) -> String {
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {of}") }
}

/// At most so many bytes, cut at a character.
fn cut(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// The end of an output, from the beginning of a line where it is cut.
fn tail(text: &str) -> String {
    let text = text.trim_end();
    let from = text.len().saturating_sub(limit::TAIL_BYTES_MAX);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let rest = &text[from..];
    match rest.find('\n').filter(|_| from > 0) {
        Some(at) => rest[at + 1..].to_owned(),
        None => rest.to_owned(),
    }
}
