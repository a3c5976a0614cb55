//! A small cluster in memory: the real state machine, moved by hand, behind the API's handles.
//!
//! Shared by the tests of the API, the Mesos dialect and the command line. Deployments are stepped
//! and instances placed and reported running by `settle`, so every state seen is one that real
//! commands lead to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use tepui::{
    agent::sandbox::search::Wanted,
    base::{
        clock::{Clock, ManualClock, Timestamp},
        pattern::Pattern,
        rng::Rng,
        units::Milli,
    },
    compat::mesos::History,
    control::{
        backup::{Archive, BackupError, Kept, Lock, Overview},
        board::{Activation, Note},
        cluster::{Cluster, Error, Leader, Member},
        links::{Session, SessionOutput, SessionReader},
        reconciler::{Report as Told, Wait},
        series::Recorded,
    },
    core::{
        self, Accepted, AdmissionCommand, ClusterCommand, Command, NodeCommand, Outcome, Stamped,
        State, TaskCommand, WorkloadCommand,
        command::{DeployStep, Edit, Expect, Init, PutApps, Scale, Seat},
        deploy,
        history::{self, Page, Query, Search},
        place,
    },
    http::auth::Principal,
    log::{Contact, Standing},
    model::{
        AppId, Deployment, Instance, InstanceId, NodeId, Pools, Ranges, Resources, Role, RunSpec,
        Scalars, WorkloadSpec,
        access::User,
        by::By,
        container::{
            Command as Run, ContainerSpec, DiskKind, HealthCheck, Image, PersistentVolume, Port,
            Probe, ReadinessCheck, Volume, VolumeSource,
        },
        credential::Invited,
        instance::Condition,
        link::{Answer, AskError, Channel, Question, Report, Usage},
        master::{Addresses, Master},
        node::{Attribute, NodeInfo, NodeKind},
        workload::{Network, NetworkMode, UnreachableStrategy},
    },
};
use tokio::sync::{mpsc, watch};

mod backups;
mod files;

/// Where the clock of every world starts.
pub const START: Timestamp = Timestamp::from_ms(1_800_000_000_000);

/// The cluster and its agents.
pub struct World {
    pub clock: Arc<ManualClock>,
    state: Mutex<Arc<State>>,
    revision: watch::Sender<u64>,
    rng: Mutex<Rng>,
    /// Files of every sandbox, by path.
    pub files: Mutex<BTreeMap<String, Vec<u8>>>,
    reports: Mutex<BTreeMap<AppId, Arc<place::Report>>>,
    /// What the Mesos dialect remembers of ended tasks.
    pub history: Arc<History>,
    /// Rows of the cluster's own history.
    past: Mutex<BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
    pub usage: Mutex<BTreeMap<NodeId, Arc<Usage>>>,
    /// What was measured.
    pub recorded: Arc<Recorded>,
    /// Agents that answer nothing.
    pub away: Mutex<BTreeSet<NodeId>>,
}

impl World {
    /// One user, two agents (`a1` with 4 CPUs, `a2` with 2), no apps.
    pub fn new() -> Arc<Self> {
        let world = Self::empty();
        world.node("a1", 4.0, NodeKind::Agent);
        world.node("a2", 2.0, NodeKind::Agent);
        world
    }

    /// One user and nothing else.
    pub fn empty() -> Arc<Self> {
        Self::empty_at(tepui::base::level::LEVEL)
    }

    /// The same, at an earlier level.
    pub fn empty_at(level: u32) -> Arc<Self> {
        let world = Arc::new(Self {
            clock: ManualClock::new(START),
            state: Mutex::default(),
            revision: watch::Sender::new(0),
            rng: Mutex::new(Rng::from_seed(7)),
            files: Mutex::default(),
            reports: Mutex::default(),
            history: Arc::default(),
            past: Mutex::default(),
            usage: Mutex::default(),
            recorded: Arc::default(),
            away: Mutex::default(),
        });
        let admin = User {
            uid: "admin".into(),
            description: "Superuser".into(),
            password_hash: None,
            public_key: None,
            provider_type: "internal".into(),
            provider_id: String::new(),
            is_remote: false,
            superuser: true,
            generation: 0,
        };
        let (cluster, name) = ("c0ffee00-0000-4000-8000-000000000000".into(), "test".into());
        world.must(ClusterCommand::Init(Init {
            cluster,
            name,
            secret: [7; 32],
            users: vec![admin],
            level,
        }));
        world
    }

    /// A master that is known by its certificate, and a token that waits for its node.
    pub fn seat_and_invite(&self) {
        let expires_at = self.clock.now() + Duration::from_secs(3_600);
        let master = Master { node: Some("m1".into()), ..(*self.state().masters[&1]).clone() };
        let (key, serial, invitation) = ([1; 32], "4a".into(), None);
        let seat = Seat { invitation, key, serial, expires_at, master };
        self.must(AdmissionCommand::SeatMaster(Box::new(seat)));
        let (digest, role) = ([7; 32], Invited::PublicAgent);
        self.must(AdmissionCommand::InviteFor { digest, until: expires_at, role });
    }

    /// Applies a command that must be accepted.
    pub fn must(&self, command: impl Into<Command>) -> Accepted {
        self.apply(command).expect("the command is accepted")
    }

    pub fn apply(&self, command: impl Into<Command>) -> Outcome {
        let command = command.into();
        self.apply_by(None, command)
    }

    pub fn apply_by(&self, by: Option<By>, command: Command) -> Outcome {
        self.clock.advance(Duration::from_millis(10));
        let at = self.clock.now();
        let mut state = self.state.lock();
        let mut next = (**state).clone();
        let entry = Stamped { at, request: None, by, command };
        let (outcome, changes) = core::apply(&mut next, &entry);
        self.past.lock().extend(history::rows(&next, &entry, &outcome, &changes));
        self.history.take(&changes, &next);
        *state = Arc::new(next);
        self.revision.send_replace(state.revision);
        outcome
    }

    /// Adds an agent with 1 GiB a CPU and ports 31000–31999, nothing of it reserved.
    pub fn node(&self, host: &str, cpus: f64, kind: NodeKind) -> NodeId {
        self.register(host, cpus, kind, Role::star())
    }

    /// Adds such an agent as operators make public ones: all of it is reserved.
    pub fn reserved(&self, host: &str, cpus: f64) -> NodeId {
        self.register(host, cpus, NodeKind::PublicAgent, Role::public())
    }

    fn register(&self, host: &str, cpus: f64, kind: NodeKind, role: Role) -> NodeId {
        let n = self.state().nodes.len() + 1;
        let resources = Resources {
            scalars: Scalars::of(cpus, cpus * 1024.0, 10_000.0, 0.0),
            ports: Ranges::of([(31000, 31999)]),
            named: BTreeMap::new(),
        };
        let id = NodeId::from(format!("c0ffee00-0000-4000-8000-000000000000-S{n}"));
        self.must(NodeCommand::RegisterNode(Box::new(NodeInfo {
            id: id.clone(),
            hostname: host.into(),
            address: IpAddr::from([10, 0, 0, u8::try_from(n).unwrap()]),
            kind,
            attributes: BTreeMap::from([("rack".into(), Attribute::Text(format!("r{n}")))]),
            fault_domain: None,
            total: Pools::of(role, resources),
            version: "0.1.0".into(),
            level: tepui::base::level::LEVEL,
        })));
        id
    }

    /// Creates or changes an app and lets its deployment finish.
    pub fn app(&self, id: &str, instances: u32, change: impl FnOnce(&mut WorkloadSpec)) {
        let mut spec = spec(id, instances);
        change(&mut spec);
        self.put(id, Some(spec));
        self.settle();
    }

    /// Begins a deployment.
    pub fn put(&self, id: &str, new: Option<WorkloadSpec>) {
        let deployment = self.rng.lock().uuid().to_string().into();
        let edit =
            Edit { id: AppId::parse(id), new, expect: Expect::Any, base: None, restart: false };
        self.must(WorkloadCommand::PutApps(Box::new(PutApps {
            deployment,
            force: false,
            edits: vec![edit],
            groups: Vec::new(),
            victims: BTreeSet::new(),
        })));
    }

    /// Steps deployments, places what fits and reports it running, until nothing moves.
    pub fn settle(&self) {
        for _ in 0..100 {
            let before = self.state();
            self.step();
            self.place();
            let after = self.state();
            if after.instances == before.instances && after.deployments == before.deployments {
                return;
            }
        }
    }

    /// What the deployment reconciler would do.
    pub fn step(&self) {
        let state = self.state();
        for deployment in state.deployments.values() {
            let due = deploy::due(&state, deployment);
            let advance = due.iter().all(|d| d.done);
            let scales = due
                .into_iter()
                .map(|d| Scale {
                    add: (0..d.n_add).map(|_| self.instance_id(&d.app)).collect(),
                    app: d.app,
                    retire: d.retire,
                })
                .collect();
            let (deployment, step) = (deployment.id.clone(), deployment.current_step);
            self.must(WorkloadCommand::DeployStep(DeployStep {
                deployment,
                step,
                scales,
                advance,
            }));
        }
    }

    /// What the placement reconciler and the agents would do: what fits is launched and reported
    /// up, what is killed is reported dead.
    pub fn place(&self) {
        let plan = place::plan(&self.state(), &[], self.clock.now(), &place::Limits::default());
        if !plan.launches.is_empty() {
            self.must(TaskCommand::Launch(plan.launches));
        }
        let reports = plan.reports.into_iter().map(|(id, report)| (id, Arc::new(report)));
        *self.reports.lock() = reports.collect();
        for instance in self.state().instances.values() {
            let to = match (instance.condition(), instance.kill()) {
                (_, Some(_)) => Condition::Killed,
                (Condition::Provisioned, None) => Condition::Running,
                _ => continue,
            };
            self.report(instance.id.as_str(), to, |_| {});
        }
    }

    /// News of the present incarnation of an instance.
    pub fn report(&self, id: &str, condition: Condition, change: impl FnOnce(&mut Report)) {
        let state = self.state();
        let instance = state.instances.get(id).expect("the instance exists");
        let node = instance.placement().expect("it has a place").node.clone();
        let at = self.clock.now();
        let mut report = Report {
            instance: instance.id.clone(),
            incarnation: instance.incarnation,
            condition,
            at,
            started_at: (condition == Condition::Running).then_some(at),
            message: String::new(),
            addresses: Vec::new(),
            health: Vec::new(),
            ready: condition == Condition::Running,
            readiness: Vec::new(),
            check: None,
            containers: Vec::new(),
            unhealthy: false,
            exit_code: None,
            tail: String::new(),
        };
        change(&mut report);
        self.must(TaskCommand::Report { node, reports: vec![report] });
    }

    pub fn state(&self) -> Arc<State> {
        self.state.lock().clone()
    }

    /// The first instance of an app.
    pub fn first(&self, app: &str) -> Arc<Instance> {
        self.state().instances_of(&AppId::parse(app)).next().expect("it has an instance").clone()
    }

    /// Task id of the only instance of an app.
    pub fn task_id(&self, app: &str) -> String {
        self.first(app).task_id("")
    }

    fn instance_id(&self, app: &AppId) -> InstanceId {
        let uuid = self.rng.lock().uuid();
        format!("{}.instance-{uuid}", app.safe()).into()
    }
}

/// A health check without a grace, once a second.
pub fn health_check(probe: Probe) -> HealthCheck {
    HealthCheck {
        probe,
        agent_semantics: false,
        grace_ms: 0,
        interval_ms: 1000,
        timeout_ms: 1000,
        failures_max: 3,
        delay_ms: 0,
    }
}

/// A persistent volume on the root disk of its node.
pub fn persistent_volume(path: &str, size_mb: u64) -> Volume {
    let kept = PersistentVolume {
        kind: DiskKind::Root,
        size_mb,
        size_mb_max: None,
        profile: None,
        constraints: Vec::new(),
    };
    Volume { container_path: path.into(), read_only: false, source: VolumeSource::Persistent(kept) }
}

/// The readiness check `warm` of `spec`'s port, once a second.
pub fn readiness_check(keep_last_response: bool) -> ReadinessCheck {
    ReadinessCheck {
        name: "warm".into(),
        tls: false,
        path: "/ready".into(),
        port_name: "http".into(),
        interval_ms: 1000,
        timeout_ms: 1000,
        ready_codes: [200].into(),
        keep_last_response,
    }
}

/// An app of an image with one port, 0.5 CPUs and 64 MiB.
pub fn spec(id: &str, instances: u32) -> WorkloadSpec {
    let container = ContainerSpec {
        command: Run::Shell("./serve".into()),
        image: Some(Image {
            name: "web:1".into(),
            force_pull: false,
            privileged: false,
            parameters: Vec::new(),
            pull_secret: None,
            labels: Default::default(),
        }),
        resources: Scalars::of(0.5, 64.0, 0.0, 0.0),
        ports: vec![Port { host_port: Some(0), name: Some("http".into()), ..Port::default() }],
        ..ContainerSpec::default()
    };
    let network = Network { mode: NetworkMode::Host, name: None, labels: BTreeMap::new() };
    WorkloadSpec {
        run: Arc::new(RunSpec {
            containers: vec![container],
            networks: vec![network],
            labels: BTreeMap::from([("tier".into(), "front".into())]),
            ..RunSpec::default()
        }),
        instances,
        unreachable: UnreachableStrategy::After { inactive_ms: 0, expunge_ms: 0 },
        ..WorkloadSpec::new(AppId::parse(id), Timestamp::EPOCH)
    }
}

impl Cluster for World {
    fn state(&self) -> Arc<State> {
        Self::state(self)
    }

    fn backup(&self, lock: Lock) -> BoxFuture<'_, Result<Archive, BackupError>> {
        std::future::ready(backups::archive(&lock)).boxed()
    }

    fn keep_backup(&self, lock: Option<Lock>) -> BoxFuture<'_, Result<Kept, BackupError>> {
        std::future::ready(backups::keep(lock)).boxed()
    }

    fn backups(&self) -> BoxFuture<'_, Result<Overview, BackupError>> {
        std::future::ready(Ok(backups::overview())).boxed()
    }

    fn newer_than(&self, revision: u64) -> BoxFuture<'static, ()> {
        let mut moved = self.revision.subscribe();
        async move {
            if moved.wait_for(|now| *now > revision).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }

    fn propose<'a>(
        &'a self,
        by: &'a Principal,
        command: Command,
    ) -> BoxFuture<'a, Result<Accepted, Error>> {
        let outcome = self.apply_by(Some(by.by()), command).map_err(Into::into);
        std::future::ready(outcome).boxed()
    }

    fn begun_by(&self, deployment: &Deployment) -> Option<By> {
        let page = self.searched(Query::beginning(deployment));
        page.found.into_iter().find_map(|found| found.record.by)
    }

    fn history(&self, query: Query) -> BoxFuture<'static, Result<Page, Error>> {
        std::future::ready(Ok(self.searched(query))).boxed()
    }

    fn ask(&self, node: &NodeId, question: Question) -> BoxFuture<'static, Result<Answer, Error>> {
        let answer = match question {
            _ if self.away.lock().contains(node) => Err(AskError::NotConnected(node.clone())),
            Question::Usage => {
                let usage = self.usage.lock().get(node).cloned().unwrap_or_default();
                Ok(Answer::Usage((*usage).clone()))
            }
            Question::ListFiles { path, .. } => Ok(Answer::Files(self.list(&path))),
            Question::ReadFile { path, offset, bytes_max, .. } => {
                self.read(&path, offset, bytes_max)
            }
            Question::SearchFile { path, pattern, offset, line, hits_max, .. } => {
                let pattern = Pattern::new(&pattern).expect("looked at before");
                let wanted = Wanted { pattern, offset, line, hits_max: hits_max as usize };
                self.search(&path, &wanted)
            }
            Question::Exec { .. } => Err(AskError::Invalid("not here".into())),
        };
        std::future::ready(answer.map_err(Into::into)).boxed()
    }

    /// `cat` gives back its input; anything else prints its arguments and ends with 3.
    fn exec(&self, _: &NodeId, question: Question) -> BoxFuture<'static, Result<Session, Error>> {
        let Question::Exec { command: Run::Args(args), .. } = question else {
            let error = AskError::Invalid("no command".into()).into();
            return std::future::ready(Err(error)).boxed();
        };
        let (input, mut from_client) = mpsc::channel::<(Channel, Vec<u8>)>(8);
        let (to_client, output) = mpsc::channel(8);
        let command = async move {
            if args[0] != "cat" {
                let line = (args.join(" ") + "\n").into_bytes();
                to_client.send(SessionOutput::Data(Channel::Stdout, line)).await.ok();
                to_client.send(SessionOutput::End(Some(3))).await.ok();
                return;
            }
            while let Some((channel, bytes)) = from_client.recv().await {
                if channel == Channel::Stdin && bytes.is_empty() {
                    break;
                }
                to_client.send(SessionOutput::Data(Channel::Stdout, bytes)).await.ok();
            }
            to_client.send(SessionOutput::End(Some(0))).await.ok();
        };
        #[allow(clippy::disallowed_methods)] // a test world ends with its runtime
        tokio::spawn(command);
        std::future::ready(Ok(Session { input, output: SessionReader::of(output) })).boxed()
    }

    fn leader(&self) -> Option<Leader> {
        let at = |port: u16| format!("10.0.0.9:{port}");
        let (peers, router, marathon, mesos) = (at(4433), at(80), at(8080), at(5050));
        let addresses = Addresses { peers, router, marathon, mesos };
        Some(Leader { id: 1, addresses, since: Some(START) })
    }

    fn leads(&self) -> bool {
        true
    }

    fn members(&self) -> Vec<Member> {
        vec![Member { address: [10, 0, 0, 9].into(), is_leader: true, is_serving: true }]
    }

    fn contact(&self) -> Option<Contact> {
        Some(Contact { term: 3, leader: Some(1), ago: Some(Duration::ZERO), is_stale: false })
    }

    fn standings(&self) -> Vec<Standing> {
        let address = "10.0.0.9:4433".to_owned();
        // As another master sees it.
        let silent = Some(Duration::from_millis(20));
        vec![Standing { id: 1, address, is_voter: true, behind: Some(0), silent }]
    }

    fn attempt(&self, app: &AppId) -> Option<Arc<place::Report>> {
        self.reports.lock().get(app).cloned()
    }

    fn notes(&self) -> Vec<(&'static str, Note)> {
        let mut report = Told { looks_at: "1 deployment".into(), ..Told::default() };
        let because = "step 1 of 2: /web: 1 of 2 instances healthy";
        report.wait(|| Wait::of("deployment", "d1", because));
        let latest = Activation {
            at: START,
            took: Duration::from_micros(500),
            n_proposed: 1,
            refused: Some("no master leads at the moment".into()),
        };
        vec![("deploy", Note { report: Arc::new(report), n_runs: 3, latest: Some(latest) })]
    }

    fn usage(&self, node: &NodeId) -> Option<Arc<Usage>> {
        self.usage.lock().get(node).cloned()
    }

    fn recorded(&self) -> Option<Arc<Recorded>> {
        Some(self.recorded.clone())
    }

    fn last_heard(&self, _: &NodeId) -> Option<Timestamp> {
        Some(START)
    }

    fn tasks(&self) -> Vec<(&'static str, &'static str)> {
        vec![("vital", "accept"), ("connection", "http"), ("connection", "http")]
    }
}

impl World {
    fn searched(&self, query: Query) -> Page {
        let past = self.past.lock();
        let (from, to) = query.range();
        let mut search = Search::new(query);
        let rows = past.iter().filter_map(|(key, row)| Some((key, row.as_ref()?)));
        let mut within = rows.clone().rev().filter(|(key, _)| **key >= from && **key < to);
        let _ended = within.all(|(key, row)| search.row(key, row));
        let _ended = rows.clone().all(|(key, row)| search.beginning(key, row));
        search.page()
    }
}

/// One CPU of a node in thousandths, to keep the unit in one place.
pub fn cpus(n: i64) -> Milli {
    Milli::whole(n)
}
