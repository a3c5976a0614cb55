//! A cluster in memory: one state, commands applied as they come, agents that do as they are told.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tepui::{
    base::{
        clock::{Clock as _, ManualClock, Timestamp},
        rng::Rng,
    },
    compat::marathon::{Dialect, Hub, Marathon, Settings},
    control::cluster::{self, Cluster as _},
    core::{
        self, Accepted, ClusterCommand, Command, NodeCommand, Outcome, Stamped, State, TaskCommand,
        WorkloadCommand,
        command::{DeployStep, Init, Scale},
        deploy,
        place::{self, Report as PlaceReport},
    },
    http::auth::{Principal, Rights, Trusted},
    model::{
        access::Role,
        container::ContainerSpec,
        instance::{CheckStatus, Condition, ContainerStatus, Instance, InstanceId},
        link::Report,
        master::Addresses,
        node::{FaultDomain, NodeId, NodeInfo, NodeKind},
        path::AppId,
        resource::{Pools, Ranges, Resources, Scalars},
        workload::Kind,
    },
};

/// Midnight of some day: the clock's start.
pub const START: Timestamp = Timestamp::from_ms(1_588_586_400_000);

/// The log of one master, decided at once.
pub struct Cluster {
    state: Mutex<Arc<State>>,
    reports: Mutex<BTreeMap<AppId, Arc<PlaceReport>>>,
    rng: Mutex<Rng>,
    clock: Arc<ManualClock>,
    hub: Arc<Hub>,
}

impl cluster::Cluster for Cluster {
    fn propose<'a>(
        &'a self,
        _: &'a Principal,
        command: Command,
    ) -> BoxFuture<'a, Result<Accepted, cluster::Error>> {
        Box::pin(std::future::ready(self.apply(command).map_err(Into::into)))
    }

    fn state(&self) -> Arc<State> {
        self.state.lock().clone()
    }

    fn leader(&self) -> Option<cluster::Leader> {
        let marathon = "master.test:8080".to_owned();
        let addresses = Addresses { marathon, ..Addresses::default() };
        Some(cluster::Leader { id: 1, addresses, since: None })
    }

    fn leads(&self) -> bool {
        true
    }

    fn attempt(&self, app: &AppId) -> Option<Arc<PlaceReport>> {
        self.reports.lock().get(app).cloned()
    }
}

impl Cluster {
    /// A cluster with `n_nodes` agents of 4 CPUs and 8 GB.
    pub fn new(n_nodes: usize) -> Arc<Self> {
        let cluster = Arc::new(Self {
            state: Mutex::default(),
            reports: Mutex::default(),
            rng: Mutex::new(Rng::from_seed(7)),
            clock: ManualClock::new(START),
            hub: Arc::new(Hub::default()),
        });
        let init = Init {
            cluster: "c0".to_owned(),
            name: "test".to_owned(),
            secret: [7; 32],
            users: Vec::new(),
            level: tepui::base::level::LEVEL,
        };
        cluster.ok(ClusterCommand::Init(init));
        for n in 0..n_nodes {
            cluster.ok(NodeCommand::RegisterNode(Box::new(node(n))));
        }
        cluster
    }

    /// The dialect over this cluster.
    pub fn dialect(self: &Arc<Self>) -> Dialect {
        let settings = Settings::default();
        let rng = Rng::from_seed(1);
        let marathon =
            Marathon::new(self.clone(), self.clock.clone(), rng, settings, self.hub.clone());
        let guard = Trusted(Principal::new("test", Rights::All));
        Dialect::new(Arc::new(marathon), Some(Arc::new(guard)))
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Applies a command and tells its events.
    pub fn apply(&self, command: impl Into<Command>) -> Outcome {
        let command = command.into();
        self.clock.advance(Duration::from_millis(10));
        let at = self.clock.now();
        let mut state = (**self.state.lock()).clone();
        let (outcome, changes) =
            core::apply(&mut state, &Stamped { at, request: None, by: None, command });
        let state = Arc::new(state);
        *self.state.lock() = state.clone();
        self.hub.tell(state.revision, &changes, &state, at);
        outcome
    }

    fn ok(&self, command: impl Into<Command>) {
        self.apply(command).expect("accepted");
    }

    /// Deployments advance, waiting instances start and get healthy, killed ones end, until
    /// nothing moves any more.
    pub fn settle(&self) {
        for _ in 0..200 {
            let before = self.state().revision;
            self.deploy();
            self.place();
            self.run_agents(Condition::Running);
            let state = self.state();
            let is_quiet = state.revision == before;
            if is_quiet {
                return;
            }
        }
        panic!("the cluster does not settle");
    }

    /// One round of deployment steps.
    pub fn deploy(&self) {
        let state = self.state();
        for deployment in state.deployments.values() {
            let due = deploy::due(&state, deployment);
            let advance = due.iter().all(|d| d.done && d.n_add == 0 && d.retire.is_empty());
            let scales: Vec<Scale> = due
                .into_iter()
                .filter(|d| d.n_add > 0 || !d.retire.is_empty())
                .map(|d| {
                    let add = (0..d.n_add).map(|_| self.instance_id(&d.app)).collect();
                    Scale { app: d.app, add, retire: d.retire }
                })
                .collect();
            if scales.is_empty() && !advance {
                continue;
            }
            let (deployment, step) = (deployment.id.clone(), deployment.current_step);
            self.ok(WorkloadCommand::DeployStep(DeployStep { deployment, step, scales, advance }));
        }
    }

    /// One round of placement; keeps the reports.
    pub fn place(&self) {
        let state = self.state();
        let plan = place::plan(&state, &[], self.clock.now(), &place::Limits::default());
        let mut reports = self.reports.lock();
        for (_, report) in plan.reports {
            reports.insert(report.app.clone(), Arc::new(report));
        }
        drop(reports);
        if !plan.launches.is_empty() {
            self.ok(TaskCommand::Launch(plan.launches));
        }
    }

    /// Agents bring launched instances to `target` and end the killed ones.
    pub fn run_agents(&self, target: Condition) {
        let state = self.state();
        for instance in state.instances.values() {
            let condition = match instance.condition() {
                _ if instance.kill().is_some() && instance.placement().is_some() => {
                    Condition::Killed
                }
                Condition::Provisioned | Condition::Staging => target,
                _ => continue,
            };
            self.report(instance, condition, true);
        }
    }

    /// An agent's word about one instance.
    pub fn report(&self, instance: &Instance, condition: Condition, alive: bool) {
        let node = instance.placement().expect("placed").node.clone();
        let state = self.state();
        let spec = state.spec_of(instance).expect("spec").clone();
        let at = self.clock.now();
        let n_checks: usize = spec.run.containers.iter().map(|c| c.health_checks.len()).sum();
        let is_running = condition == Condition::Running;
        let health = |index| CheckStatus {
            index,
            alive,
            first_success: alive.then_some(at),
            last_success: alive.then_some(at),
            consecutive_failures: u32::from(!alive),
            ..CheckStatus::default()
        };
        let n_checks = u32::try_from(n_checks).expect("few");
        let is_pod = spec.run.kind == Kind::Pod;
        let of_container = |container: &ContainerSpec| ContainerStatus {
            name: container.name.clone(),
            condition,
            since: at,
            exit_code: (condition == Condition::Failed).then_some(1),
            message: String::new(),
        };
        let report = Report {
            instance: instance.id.clone(),
            incarnation: instance.incarnation,
            condition,
            at,
            started_at: is_running.then_some(at),
            message: String::new(),
            addresses: Vec::new(),
            health: (0..n_checks).filter(|_| is_running).map(health).collect(),
            ready: is_running,
            readiness: Vec::new(),
            check: None,
            containers: spec.run.containers.iter().filter(|_| is_pod).map(of_container).collect(),
            unhealthy: false,
            exit_code: None,
            tail: String::new(),
        };
        self.ok(TaskCommand::Report { node, reports: vec![report] });
    }

    fn instance_id(&self, app: &AppId) -> InstanceId {
        let uuid = self.rng.lock().uuid_at(self.clock.now());
        InstanceId::from(format!("{}.instance-{uuid}", app.safe()))
    }
}

fn node(n: usize) -> NodeInfo {
    let resources = Resources {
        scalars: Scalars::of(4.0, 8192.0, 10_000.0, 0.0),
        ports: Ranges::of([(31_000, 31_999)]),
        named: BTreeMap::new(),
    };
    let last = u8::try_from(n + 1).expect("few nodes");
    NodeInfo {
        id: NodeId::from(format!("c0-S{n}")),
        hostname: format!("10.0.0.{last}"),
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
        kind: NodeKind::Agent,
        attributes: BTreeMap::new(),
        fault_domain: Some(FaultDomain { region: "r1".into(), zone: "z1".into() }),
        total: Pools::of(Role::star(), resources),
        version: "0".to_owned(),
        level: tepui::base::level::LEVEL,
    }
}
