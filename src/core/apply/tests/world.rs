//! A state moved by hand: the commands reconcilers and agents would send, one at a time.

use std::{collections::BTreeMap, sync::Arc};

use super::super::*;
use crate::{
    base::clock::Timestamp,
    core::{
        ClusterCommand, NodeCommand, Rejected, TaskCommand, WorkloadCommand,
        command::{DeployStep, Edit, Expect, Init, Launch, PutApps, Scale},
        deploy, invariant,
        shapes::rejected::{OTHER, number},
    },
    model::{
        access::Role,
        container::{Command as Run, ContainerSpec, HealthCheck, Port, Probe, ProbePort},
        deployment::DeploymentId,
        instance::{CheckStatus, Condition, Instance, InstanceId},
        link::Report,
        node::{NodeId, NodeInfo, NodeKind},
        path::{AppId, PathId},
        resource::{Pools, Ranges, Resources, Scalars},
        workload::{Network, NetworkMode, RunSpec, UnreachableStrategy, WorkloadSpec},
    },
};

/// A state with a hand on the clock. Every command is followed by the invariants.
pub struct World {
    pub state: State,
    pub now: i64,
    next: u32,
}

impl World {
    pub fn new(n_nodes: usize) -> Self {
        let mut world = Self { state: State::default(), now: 1_000, next: 0 };
        let init = Init {
            cluster: "c".to_owned(),
            name: "test".to_owned(),
            secret: [7; 32],
            users: Vec::new(),
            level: crate::base::level::LEVEL,
        };
        world.ok(ClusterCommand::Init(init));
        for n in 0..n_nodes {
            world.ok(NodeCommand::RegisterNode(Box::new(node(n))));
        }
        world
    }

    pub fn run(&mut self, command: impl Into<Command>) -> (Outcome, Vec<Change>) {
        let command = command.into();
        self.now += 10;
        let at = Timestamp::from_ms(self.now);
        let result = apply(&mut self.state, &Stamped { at, request: None, by: None, command });
        assert_eq!(invariant::check(&self.state), []);
        assert_eq!(invariant::check_touched(&self.state, &result.1), []);
        if let Err(rejected) = &result.0 {
            let is_known = number(rejected) != OTHER;
            assert!(is_known, "{rejected}: an older release cannot read this refusal");
        }
        result
    }

    pub fn ok(&mut self, command: impl Into<Command>) -> Vec<Change> {
        let (outcome, changes) = self.run(command);
        outcome.expect("accepted");
        changes
    }

    pub fn rejected(&mut self, command: impl Into<Command>) -> Rejected {
        self.run(command).0.expect_err("rejected")
    }

    pub fn put(&mut self, spec: WorkloadSpec) -> DeploymentId {
        let edit = edit(&spec.id.clone(), Some(spec));
        self.deploy(vec![edit])
    }

    pub fn deploy(&mut self, edits: Vec<Edit>) -> DeploymentId {
        let id = self.id();
        self.ok(WorkloadCommand::PutApps(Box::new(put(&id, edits))));
        id
    }

    pub fn id(&mut self) -> DeploymentId {
        self.next += 1;
        DeploymentId::from(format!("d{}", self.next))
    }

    /// Does what the deployment reconciler would do, once.
    pub fn reconcile(&mut self) {
        for deployment in self.state.deployments.values().cloned().collect::<Vec<_>>() {
            let due = deploy::due(&self.state, &deployment);
            let advance = due.iter().all(|d| d.done);
            let scales = due
                .into_iter()
                .map(|d| {
                    let add = (0..d.n_add).map(|_| self.instance_id(&d.app)).collect();
                    Scale { app: d.app, add, retire: d.retire }
                })
                .collect();
            let step = DeployStep {
                deployment: deployment.id.clone(),
                step: deployment.current_step,
                scales,
                advance,
            };
            self.ok(WorkloadCommand::DeployStep(step));
        }
    }

    pub fn instance_id(&mut self, app: &AppId) -> InstanceId {
        self.next += 1;
        InstanceId::from(format!("{}.instance-{:04}", app.safe(), self.next))
    }

    /// Puts every waiting instance on the first node.
    pub fn launch_all(&mut self) {
        self.launch_on("n0");
    }

    pub fn launch_on(&mut self, node: &str) {
        let waiting: Vec<Arc<Instance>> =
            self.state.instances.values().filter(|i| i.waits_for_place()).cloned().collect();
        for instance in waiting {
            let node = NodeId::from(node);
            let spec = self.state.task_of(&instance).expect("definition");
            let free = self.state.free(&node).ports();
            let ports: Vec<u16> = free
                .numbers()
                .take(spec.run.ports().count())
                .map(|p| u16::try_from(p).expect("port"))
                .collect();
            let allocation = Resources {
                scalars: spec.run.demand(),
                ports: Ranges::of_numbers(ports.iter().map(|p| u64::from(*p))),
                named: BTreeMap::new(),
            };
            self.ok(TaskCommand::Launch(vec![Launch {
                instance: instance.id.clone(),
                node,
                allocation: Pools::of(Role::star(), allocation),
                host_ports: ports.into_iter().map(Some).collect(),
            }]));
        }
    }

    pub fn report(&mut self, id: &InstanceId, condition: Condition) -> Vec<Change> {
        self.report_with(id, condition, None)
    }

    pub fn report_with(
        &mut self,
        id: &InstanceId,
        condition: Condition,
        healthy: Option<bool>,
    ) -> Vec<Change> {
        let instance = self.state.instances.get(id).expect("instance").clone();
        let node = instance.placement().expect("placement").node.clone();
        let health = healthy
            .map(|alive| CheckStatus { alive, ..CheckStatus::default() })
            .into_iter()
            .collect();
        let report = Report {
            started_at: (condition == Condition::Running).then(|| Timestamp::from_ms(self.now)),
            message: "told".to_owned(),
            health,
            ready: true,
            ..Report::new(id.clone(), instance.incarnation, condition, Timestamp::from_ms(self.now))
        };
        self.ok(TaskCommand::Report { node, reports: vec![report] })
    }

    /// Reports every launched instance running and healthy, and every killed one gone.
    pub fn agents_act(&mut self) {
        for i in self.state.instances.values().cloned().collect::<Vec<_>>() {
            if i.placement().is_none() {
                continue;
            }
            if i.kill().is_some() {
                self.report(&i.id, Condition::Killed);
            } else if i.condition() != Condition::Running {
                self.report_with(&i.id, Condition::Running, Some(true));
            }
        }
    }

    pub fn settle(&mut self) {
        for _ in 0..100 {
            if self.state.deployments.is_empty() {
                return;
            }
            self.reconcile();
            self.launch_all();
            self.agents_act();
        }
        panic!("deployments did not end: {:?}", self.state.deployments);
    }

    pub fn running(&self, app: &str) -> Vec<Arc<Instance>> {
        let app = PathId::parse(app);
        let running = |i: &&Arc<Instance>| i.condition() == Condition::Running;
        self.state.instances_of(&app).filter(running).cloned().collect()
    }
}

pub fn node(n: usize) -> NodeInfo {
    let resources = Resources {
        scalars: Scalars::of(100.0, 100_000.0, 100_000.0, 0.0),
        ports: Ranges::of([(31_000, 32_000)]),
        named: BTreeMap::new(),
    };
    NodeInfo {
        id: NodeId::from(format!("n{n}")),
        hostname: format!("host{n}"),
        address: "127.0.0.1".parse().expect("address"),
        kind: NodeKind::Agent,
        attributes: BTreeMap::new(),
        fault_domain: None,
        total: Pools::of(Role::star(), resources),
        version: "0".to_owned(),
        level: crate::base::level::LEVEL,
    }
}

pub fn app(id: &str, instances: u32) -> WorkloadSpec {
    WorkloadSpec {
        run: Arc::new(RunSpec {
            containers: vec![ContainerSpec {
                command: Run::Shell("sleep 1000".to_owned()),
                resources: Scalars::of(0.1, 32.0, 0.0, 0.0),
                ports: vec![Port { host_port: Some(0), ..Port::default() }],
                ..ContainerSpec::default()
            }],
            networks: vec![Network {
                mode: NetworkMode::Host,
                name: None,
                labels: BTreeMap::new(),
            }],
            ..RunSpec::default()
        }),
        instances,
        unreachable: UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 },
        ..WorkloadSpec::new(PathId::parse(id), Timestamp::EPOCH)
    }
}

pub fn checked(mut spec: WorkloadSpec) -> WorkloadSpec {
    spec.run_mut().containers[0].health_checks.push(HealthCheck {
        probe: Probe::Tcp { port: ProbePort::Index(0), ipv6: false },
        agent_semantics: false,
        grace_ms: 0,
        interval_ms: 1000,
        timeout_ms: 1000,
        failures_max: 3,
        delay_ms: 0,
    });
    spec
}

pub fn edit(id: &AppId, new: Option<WorkloadSpec>) -> Edit {
    Edit { id: id.clone(), new, expect: Expect::Any, base: None, restart: false }
}

pub fn put(id: &DeploymentId, edits: Vec<Edit>) -> PutApps {
    PutApps {
        deployment: id.clone(),
        force: false,
        edits,
        groups: Vec::new(),
        victims: Default::default(),
    }
}
