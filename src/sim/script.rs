//! A world by text commands: stories whose whole transcript is compared.
//!
//! A transcript holds comments (`# …`), commands (`> …`) and what each command printed. `replay`
//! runs the commands of a transcript and returns the transcript as it comes out now.
//!
//! ```text
//! > nodes 3 cpus=4 mem=4096 racks=a,b,c
//! > app /web 3 cpus=1 mem=256 ports=1 check constraint=hostname:UNIQUE min=0.5 over=0
//! > app /db 1 data=500                              (a volume of so many MB)
//! > scale /web 5            > upgrade /web [as app]      > restart /web      > delete /web
//! > run 2.5                 > settle                     > show              > why /web
//! > crash n1   boot n1      > cut n1   heal n1           > drain n1   activate n1
//! > exit /web 1             > agent n1 stop|start        > leader [restart]  > nodes?
//! > pause n1   resume n1    (or `leader`, or its `log`)   > clock n1 -3600    (or `leader`)
//! > undo                    the word `force` behind any change overrides running deployments
//! ```

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    build,
    world::{Ix, Settings, Who, World},
};
use crate::{
    agent::desired::Key,
    core::{
        NodeCommand, WorkloadCommand,
        command::{Edit, Expect, PutApps},
    },
    model::{
        deployment::DeploymentId,
        instance::Condition,
        node::{Duty, Reach},
        path::AppId,
        workload::{Constraint, WorkloadSpec},
    },
};

/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(3600);

/// Runs the commands of a transcript in a new world of `seed`; the transcript as it is now.
pub fn replay(transcript: &str, seed: u64) -> String {
    let mut script = Script { world: World::new(seed, Settings::default()), n_deployments: 0 };
    let mut text = String::new();
    for line in transcript.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            text.push_str(line);
            text.push('\n');
            match script.run(command) {
                Ok(output) => text.push_str(&output),
                Err(problem) => text += &format!("error: {problem}\n"),
            }
        } else if line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    for problem in &script.world.oracle.problems {
        text += &format!("broken: {problem}\n");
    }
    text
}

struct Script {
    world: World,
    n_deployments: u32,
}

/// `key=value` words and bare words behind a command's name.
struct Words<'a> {
    bare: Vec<&'a str>,
    named: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let mut words = Self { bare: Vec::new(), named: Vec::new() };
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some((name, value)) => words.named.push((name, value)),
                None => words.bare.push(word),
            }
        }
        words
    }

    fn bare(&self, at: usize) -> Result<&'a str, String> {
        self.bare.get(at).copied().ok_or_else(|| "a word is missing".to_owned())
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.named.iter().find(|(n, _)| *n == name) {
            None => Ok(default),
            Some((_, value)) => parse(value),
        }
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.named.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

impl Script {
    fn run(&mut self, command: &str) -> Result<String, String> {
        let words = Words::of(command);
        match words.bare(0)? {
            "nodes" => self.nodes(&words),
            "app" => self.app(&words),
            "upgrade" => self.upgrade(&words),
            "scale" => {
                let mut spec = self.spec(words.bare(1)?)?;
                spec.instances = parse(words.bare(2)?)?;
                self.put(spec.id.clone(), Some(spec), &words)
            }
            "restart" => {
                let spec = self.spec(words.bare(1)?)?;
                self.put(spec.id.clone(), Some(spec), &words)
            }
            "delete" => self.put(AppId::parse(words.bare(1)?), None, &words),
            "undo" => self.undo(),
            "run" => {
                self.world.run_for(seconds(words.bare(1)?)?);
                Ok(String::new())
            }
            "settle" => match self.world.settle(Duration::from_secs(600)) {
                Ok(after) => Ok(format!("settled after {:.1} s\n", after.as_secs_f64())),
                Err(problem) => Ok(format!("{problem}\n")),
            },
            "show" => Ok(self.show()),
            "nodes?" => Ok(self.show_nodes()),
            "why" => self.why(words.bare(1)?),
            "leader" => {
                match words.bare(1) {
                    Ok("restart") => self.world.restart_leader(),
                    _ => self.world.change_leader(),
                }
                Ok(String::new())
            }
            fault => self.fault(fault, &words),
        }
    }

    fn nodes(&mut self, words: &Words<'_>) -> Result<String, String> {
        let n: usize = parse(words.bare(1)?)?;
        let (cpus, mem) = (words.number("cpus", 4.0)?, words.number("mem", 4096.0)?);
        let racks: Vec<&str> = words.text("racks").map_or(Vec::new(), |r| r.split(',').collect());
        let first = self.world.nodes.len();
        for i in first..first + n {
            let rack = racks.get(i % racks.len().max(1));
            let attributes: Vec<(&str, String)> =
                rack.iter().map(|r| ("rack", (**r).to_owned())).collect();
            self.world.add_node(build::node(i, cpus, mem, &attributes));
        }
        self.world.run_for(Duration::from_millis(500));
        Ok(String::new())
    }

    fn app(&mut self, words: &Words<'_>) -> Result<String, String> {
        let n = parse(words.bare(2)?)?;
        let spec = build::app(words.bare(1)?, n, 1.0, 256.0, 0);
        let spec = options(spec, words)?;
        self.put(spec.id.clone(), Some(spec), words)
    }

    fn upgrade(&mut self, words: &Words<'_>) -> Result<String, String> {
        let mut spec = options(self.spec(words.bare(1)?)?, words)?;
        self.n_deployments += 1;
        spec.run_mut().labels.insert("release".to_owned(), self.n_deployments.to_string());
        self.put(spec.id.clone(), Some(spec), words)
    }

    fn put(
        &mut self,
        id: AppId,
        new: Option<WorkloadSpec>,
        words: &Words<'_>,
    ) -> Result<String, String> {
        self.n_deployments += 1;
        let restart = words.bare.first() == Some(&"restart");
        let put = PutApps {
            deployment: DeploymentId::from(format!("d{}", self.n_deployments)),
            force: words.bare.contains(&"force"),
            edits: vec![Edit { id, new, expect: Expect::Any, base: None, restart }],
            groups: Vec::new(),
            victims: Default::default(),
        };
        let outcome = self.world.ask(WorkloadCommand::PutApps(Box::new(put)));
        outcome.map(|_| String::new()).map_err(|rejected| rejected.to_string())
    }

    /// Takes the running deployment back.
    fn undo(&mut self) -> Result<String, String> {
        let id = self.world.state.deployments.keys().next().cloned();
        let id = id.ok_or_else(|| "no deployment is running".to_owned())?;
        self.n_deployments += 1;
        let undo = Some(DeploymentId::from(format!("d{}", self.n_deployments)));
        let outcome = self.world.ask(WorkloadCommand::CancelDeployment { id, undo });
        outcome.map(|_| String::new()).map_err(|rejected| rejected.to_string())
    }

    fn fault(&mut self, fault: &str, words: &Words<'_>) -> Result<String, String> {
        if fault == "exit" {
            return self.exit(words);
        }
        if ["pause", "resume", "clock"].contains(&fault) {
            return self.time(fault, words);
        }
        let ix = self.ix(words.bare(1)?)?;
        let node = self.world.nodes[ix].info.id.clone();
        let duty = match (fault, words.bare(2)) {
            ("crash", _) => {
                self.world.crash(ix);
                return Ok(String::new());
            }
            ("boot", _) => {
                self.world.boot(ix);
                return Ok(String::new());
            }
            ("cut", _) => {
                self.world.cut(ix);
                return Ok(String::new());
            }
            ("heal", _) => {
                self.world.heal(ix);
                return Ok(String::new());
            }
            ("agent", Ok("stop")) => {
                self.world.stop_agent(ix);
                return Ok(String::new());
            }
            ("agent", Ok("start")) => {
                self.world.start_agent(ix);
                return Ok(String::new());
            }
            ("drain", _) => {
                Duty::Draining { since: self.world.now(), until: self.world.now() + DRAIN }
            }
            ("activate", _) => Duty::Active,
            _ => return Err(format!("no command {fault:?}")),
        };
        let outcome = self.world.ask(NodeCommand::NodeDuty { node, duty });
        outcome.map(|_| String::new()).map_err(|rejected| rejected.to_string())
    }

    /// Somebody stands still, goes on, or has his clock set by seconds.
    fn time(&mut self, what: &str, words: &Words<'_>) -> Result<String, String> {
        let who = match words.bare(1)? {
            "leader" => Who::Leader,
            "log" => Who::Log,
            host => Who::Node(self.ix(host)?),
        };
        match what {
            "pause" => self.world.pause(who),
            "resume" => self.world.resume(who),
            _ => self.world.step_clock(who, parse::<i64>(words.bare(2)?)? * 1000),
        }
        Ok(String::new())
    }

    /// The first task of an app ends by itself.
    fn exit(&mut self, words: &Words<'_>) -> Result<String, String> {
        let (app, code) = (AppId::parse(words.bare(1)?), parse(words.bare(2)?)?);
        let running =
            self.world.state.instances_of(&app).find(|i| i.condition() == Condition::Running);
        let instance = running.cloned().ok_or_else(|| format!("nothing of {app} runs"))?;
        let placement = instance.placement().ok_or("it has no place")?;
        let ix = self.world.by_id[&placement.node];
        let key: Key = (instance.id.clone(), instance.incarnation);
        self.world.exit_container(ix, &key, code);
        Ok(format!("a task of {app} on {} exits with {code}\n", placement.hostname))
    }

    /// One line per app: how many run of how many, where, and what is under way.
    fn show(&self) -> String {
        let state = &self.world.state;
        let mut text = String::new();
        for app in state.apps.values() {
            let (mut nodes, mut n_running) = (BTreeMap::<&str, u32>::new(), 0);
            let mut others = BTreeMap::<&str, u32>::new();
            for i in state.instances_of(&app.id) {
                let host = i.placement().map_or("", |p| p.hostname.as_str());
                let is_old = !state.is_current(i);
                match i.condition() {
                    Condition::Running if i.kill().is_some() => {
                        *others.entry("ending").or_default() += 1
                    }
                    Condition::Running => {
                        n_running += 1;
                        *nodes.entry(host).or_default() += 1;
                        if is_old {
                            *others.entry("old").or_default() += 1;
                        }
                    }
                    other => *others.entry(other.name()).or_default() += 1,
                }
            }
            let at: Vec<String> = nodes
                .iter()
                .map(|(node, n)| if *n == 1 { (*node).to_owned() } else { format!("{node}×{n}") })
                .collect();
            let more: Vec<String> = others.iter().map(|(what, n)| format!("{n} {what}")).collect();
            let more =
                if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
            text +=
                &format!("{} {n_running}/{}{more}: {}\n", app.id, app.spec.instances, at.join(" "));
        }
        for deployment in state.deployments.values() {
            let apps: Vec<&str> = deployment.changes.keys().map(AppId::as_str).collect();
            text += &format!(
                "deployment of {}: step {} of {}\n",
                apps.join(" "),
                deployment.current_step,
                deployment.steps.len()
            );
        }
        text
    }

    fn show_nodes(&self) -> String {
        let state = &self.world.state;
        let mut text = String::new();
        for node in state.nodes.values() {
            let reach = match node.reach {
                Reach::Reachable => "reachable",
                Reach::Unreachable { .. } => "unreachable",
            };
            let duty = match node.duty {
                Duty::Active => "active",
                Duty::Draining { .. } => "draining",
                Duty::Drained { .. } => "drained",
                Duty::Deactivated { .. } => "deactivated",
            };
            let free = state.free(node.id()).scalars();
            let n = state.instances_on(node.id()).count();
            text += &format!(
                "{} {reach} {duty}: {n} tasks, {} cpus and {} MB free\n",
                node.info.hostname, free.cpus, free.mem
            );
        }
        text
    }

    fn why(&self, app: &str) -> Result<String, String> {
        let app = AppId::parse(app);
        let Some(report) = self.world.board().attempt(&app) else {
            return Ok(format!("nothing of {app} waits\n"));
        };
        let mut text = format!("{}\n", report.sentence);
        for row in report.funnel.iter().filter(|r| r.declined > 0) {
            let detail = row.detail.as_deref().unwrap_or("");
            text += &format!(
                "  {}: {} of {} nodes ({detail})\n",
                row.reason.as_str(),
                row.declined,
                row.processed
            );
        }
        for row in &report.constraints {
            let c = &row.constraint;
            let value = c.value.as_deref().map_or(String::new(), |v| format!(" {v}"));
            let name = c.operator.as_str();
            text += &format!(
                "  {} {name}{value}: excludes {} nodes, {} alone\n",
                c.field, row.n_removed, row.n_sole
            );
        }
        if let Some(node) = report.nodes.first() {
            let failed: Vec<&str> = node.failed.iter().map(|s| s.message.as_str()).collect();
            text += &format!("  closest: {}: {}\n", node.hostname, failed.join("; "));
        }
        for advice in &report.advice {
            text += &format!("  could: {}\n", advice.sentence);
        }
        Ok(text)
    }

    fn spec(&self, id: &str) -> Result<WorkloadSpec, String> {
        let spec = self.world.state.spec(&AppId::parse(id));
        spec.map(|s| (**s).clone()).ok_or_else(|| format!("no app {id}"))
    }

    fn ix(&self, hostname: &str) -> Result<Ix, String> {
        let at = self.world.nodes.iter().position(|n| n.info.hostname == hostname);
        at.ok_or_else(|| format!("no node {hostname}"))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = parse(text)?;
    Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
}

/// Applies the options of `app` and `upgrade`.
fn options(mut spec: WorkloadSpec, words: &Words<'_>) -> Result<WorkloadSpec, String> {
    let container = &mut Arc::make_mut(&mut spec.run).containers[0];
    let n_ports = words.number("ports", container.ports.len())?;
    let example = build::app("/x", 1, 0.0, 0.0, 1).run.containers[0].ports[0].clone();
    container.ports.resize(n_ports, example);
    if let Some(port) = words.text("port") {
        container.ports[0].host_port = Some(parse(port)?);
        spec.require_ports = true;
    }
    let resources = &mut container.resources;
    resources.cpus =
        crate::base::units::Milli::from_f64(words.number("cpus", resources.cpus.as_f64())?);
    resources.mem =
        crate::base::units::Milli::from_f64(words.number("mem", resources.mem.as_f64())?);
    let n_volumes = container.volumes.len();
    if words.bare.contains(&"check") {
        container.health_checks = vec![build::health_check()];
    }
    if let (Some(size), 0) = (words.text("data"), n_volumes) {
        spec = build::resident(spec, parse(size)?);
    }
    let upgrade = &mut spec.upgrade;
    upgrade.minimum_health_capacity = words.number("min", upgrade.minimum_health_capacity)?;
    upgrade.maximum_over_capacity = words.number("over", upgrade.maximum_over_capacity)?;
    let texts = words.named.iter().filter(|(n, _)| *n == "constraint").map(|(_, v)| v);
    let constraints: Vec<Constraint> = texts
        .map(|t| build::constraint(&t.replace(':', " ")).ok_or(format!("no constraint {t}")))
        .collect::<Result<_, _>>()?;
    if !constraints.is_empty() {
        spec.constraints = constraints;
    }
    Ok(spec)
}
