//! One round of measuring: from the state, the agents' samples and the front door's meters to numbers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    names::{Measure, Subject},
    store::Sample,
};
use crate::{
    base::{
        clock::{Moment, Timestamp},
        limit,
    },
    core::{State, state::TaskFailure},
    http::meter::{Meters, Reading},
    model::{
        AppId, Instance, InstanceId, NodeId, RunSpec,
        container::Limit,
        instance::OUT_OF_MEMORY,
        link::{TaskUsage, Usage},
    },
};

/// What a round looks at.
pub struct Seen<'a> {
    pub state: &'a State,
    /// The newest sample of a node.
    pub usage: &'a dyn Fn(&NodeId) -> Option<Arc<Usage>>,
    pub meters: &'a Meters,
    pub moment: Moment,
}

/// What is remembered from round to round, to tell what happened between two.
#[derive(Debug, Default)]
pub struct Sampler {
    incarnations: HashMap<InstanceId, u32>,
    failures: HashMap<AppId, Timestamp>,
    readings: HashMap<AppId, Reading>,
    /// When the readings were taken.
    read_at: Option<Moment>,
}

/// What comes together for a service.
#[derive(Debug, Default)]
struct Sums {
    running: u64,
    /// How many have a place.
    n_placed: u64,
    cpus_reserved: u64,
    /// `None`: of one of them there is no limit.
    mem_limit: Option<u64>,
    cpus_used: f64,
    mem_used: u64,
    /// How many were measured.
    n_measured: u64,
    restarts: u64,
}

impl Sampler {
    /// The numbers of now: of the cluster, the nodes, the services, the instances.
    pub fn round(&mut self, seen: &Seen<'_>) -> Vec<Sample> {
        let state = seen.state;
        let mut samples = Vec::new();
        let usages: Vec<_> =
            state.nodes.keys().filter_map(|node| Some((node, (seen.usage)(node)?))).collect();
        let usages: Vec<_> = usages.into_iter().filter(|(_, usage)| usage.mem_bytes > 0).collect();
        nodes(&usages, &mut samples);
        let by_instance: HashMap<&InstanceId, &TaskUsage> = usages
            .iter()
            .flat_map(|(_, usage)| &usage.tasks)
            .filter(|task| task.mem_bytes > 0)
            .map(|task| (&task.instance, task))
            .collect();
        let (mut services, mut instances) = (BTreeMap::new(), Vec::new());
        let before = std::mem::take(&mut self.incarnations);
        for (id, instance) in &state.instances {
            let used = by_instance.get(id).copied();
            let restarts = restarts(instance, before.get(id).copied());
            self.incarnations.insert(id.clone(), instance.incarnation);
            if let Some(app) = instance.app() {
                let sums = services.entry(app).or_insert_with(Sums::begin);
                let run = state.spec_of(instance).map(|spec| &*spec.run);
                sums.add(instance, run, used, restarts);
            }
            // More than that find no room in any case.
            if instances.len() < limit::SERIES_MAX / 2 {
                instances.extend(of_instance(id, used, restarts));
            }
        }
        let mut met = self.met(seen);
        let whole = cluster(&usages, services.values(), met.values());
        samples.insert(0, Sample { subject: Subject::Cluster, values: whole });
        for id in state.apps.keys() {
            let sums = services.remove(id).unwrap_or_else(Sums::begin);
            let failure = state.apps.get(id).and_then(|app| app.last_failure.as_ref());
            let mut values = sums.values();
            values.push((Measure::OomKills, self.oom_kills(id, failure)));
            values.extend(met.remove(id).into_iter().flatten());
            samples.push(Sample { subject: Subject::Service(id.clone()), values });
        }
        self.failures.retain(|app, _| state.apps.contains_key(app));
        samples.extend(instances);
        samples
    }

    /// One when an app's last failure is a new one for want of memory.
    fn oom_kills(&mut self, app: &AppId, failure: Option<&TaskFailure>) -> u64 {
        let Some(failure) = failure else { return 0 };
        let before = self.failures.insert(app.clone(), failure.at);
        // Of the first round it is not known whether it was told before.
        let is_news = self.read_at.is_some() && before != Some(failure.at);
        u64::from(is_news && failure.message.contains(OUT_OF_MEMORY))
    }

    /// What the front door met of each service since the last round.
    fn met(&mut self, seen: &Seen<'_>) -> HashMap<AppId, Vec<(Measure, u64)>> {
        let now = seen.meters.read(|app| seen.state.apps.contains_key(app));
        let seconds = self.read_at.replace(seen.moment).map(|at| seen.moment.since(at));
        let seconds = seconds.unwrap_or_default().as_secs_f64();
        let mut met = HashMap::new();
        for (app, reading) in &now {
            // The first reading of a meter has nothing to be compared with.
            if let Some(before) = self.readings.get(app).filter(|_| seconds > 0.0) {
                met.insert(app.clone(), rates(&reading.since(before), seconds));
            }
        }
        self.readings = now.into_iter().collect();
        met
    }
}

/// Numbers of what was met in so many seconds.
fn rates(met: &Reading, seconds: f64) -> Vec<(Measure, u64)> {
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    let rate = |n: u64| Measure::Requests.whole(n as f64 / seconds);
    let (requests, errors) = (rate(met.requests()), rate(u64::from(met.errors)));
    let mut values = vec![(Measure::Requests, requests), (Measure::Errors, errors)];
    let quantiles = [(Measure::LatencyP50, 0.5), (Measure::LatencyP99, 0.99)];
    values.extend(quantiles.into_iter().filter_map(|(m, q)| Some((m, met.quantile_us(q)?))));
    values
}

/// What a node's machine uses, or several together.
fn machine<'a>(usages: impl Iterator<Item = &'a Usage>) -> Vec<(Measure, u64)> {
    let (cpus, mem, disk) = usages.fold((0.0, 0, 0), |(cpus, mem, disk), usage| {
        (cpus + usage.cpus, mem + usage.mem_bytes, disk + usage.disk_bytes)
    });
    let cpus = (Measure::CpusUsed, Measure::CpusUsed.whole(cpus));
    vec![cpus, (Measure::MemUsed, mem / 1024), (Measure::DiskUsed, disk / 1024)]
}

fn nodes(usages: &[(&NodeId, Arc<Usage>)], samples: &mut Vec<Sample>) {
    samples.extend(usages.iter().map(|(node, usage)| Sample {
        subject: Subject::Node((*node).clone()),
        values: machine(std::iter::once(&**usage)),
    }));
}

/// The cluster: its machines together, and what its services are and are asked together.
fn cluster<'a>(
    usages: &[(&NodeId, Arc<Usage>)],
    services: impl Iterator<Item = &'a Sums>,
    met: impl Iterator<Item = &'a Vec<(Measure, u64)>>,
) -> Vec<(Measure, u64)> {
    let counted = [Measure::Running, Measure::Restarts, Measure::CpusReserved];
    let mut sums = BTreeMap::from(counted.map(|measure| (measure, 0)));
    for Sums { running, restarts, cpus_reserved, .. } in services {
        for (measure, n) in counted.into_iter().zip([running, restarts, cpus_reserved]) {
            *sums.entry(measure).or_default() += n;
        }
    }
    // Of times there is no sum.
    let rates = met.flatten().filter(|(m, _)| matches!(m, Measure::Requests | Measure::Errors));
    for (measure, n) in rates {
        *sums.entry(*measure).or_default() += n;
    }
    if !usages.is_empty() {
        sums.extend(machine(usages.iter().map(|(_, usage)| &**usage)));
    }
    sums.into_iter().collect()
}

/// Nothing of an instance that is not measured and was not made anew.
fn of_instance(id: &InstanceId, used: Option<&TaskUsage>, restarts: u64) -> Option<Sample> {
    let mut values = Vec::new();
    if let Some(used) = used {
        values.push((Measure::CpusUsed, Measure::CpusUsed.whole(used.cpus)));
        values.push((Measure::MemUsed, used.mem_bytes / 1024));
    }
    if used.is_some() || restarts > 0 {
        values.push((Measure::Restarts, restarts));
        return Some(Sample { subject: Subject::Instance(id.clone()), values });
    }
    None
}

/// How often an instance was made anew; its first incarnation is none.
fn restarts(instance: &Instance, before: Option<u32>) -> u64 {
    before.map_or(0, |before| u64::from(instance.incarnation.saturating_sub(before.max(1))))
}

impl Sums {
    fn begin() -> Self {
        Self { mem_limit: Some(0), ..Self::default() }
    }

    fn add(
        &mut self,
        instance: &Instance,
        run: Option<&RunSpec>,
        used: Option<&TaskUsage>,
        restarts: u64,
    ) {
        self.restarts += restarts;
        if let Some(used) = used {
            self.n_measured += 1;
            self.cpus_used += used.cpus;
            self.mem_used += used.mem_bytes / 1024;
        }
        if instance.placement().is_none() || instance.condition().is_terminal() {
            return;
        }
        self.n_placed += 1;
        self.running += u64::from(instance.started_at().is_some());
        if let Some(run) = run {
            self.cpus_reserved += Measure::CpusReserved.whole(run.demand().cpus.as_f64());
            self.mem_limit = self.mem_limit.zip(mem_limit(run)).map(|(a, b)| a + b);
        }
    }

    fn values(&self) -> Vec<(Measure, u64)> {
        let mut values = vec![(Measure::Running, self.running), (Measure::Restarts, self.restarts)];
        // A bound of nothing would pull down the mean of a step in which something starts anew.
        if self.n_placed > 0 {
            values.push((Measure::CpusReserved, self.cpus_reserved));
            values.extend(self.mem_limit.map(|limit| (Measure::MemLimit, limit)));
        }
        if self.n_measured > 0 {
            values.push((Measure::CpusUsed, Measure::CpusUsed.whole(self.cpus_used)));
            values.push((Measure::MemUsed, self.mem_used));
        }
        values
    }
}

/// KiB an instance may use; `None` without a limit.
fn mem_limit(run: &RunSpec) -> Option<u64> {
    let each = run.containers.iter().map(|container| {
        let mib = match container.limits.mem {
            Some(Limit::Unlimited) => return None,
            Some(Limit::At(mib)) => mib,
            None => container.resources.mem,
        };
        Some(Measure::MemLimit.whole(mib.as_f64()))
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::*;
    use crate::{
        core::{
            TaskCommand,
            apply::tests::world::{World, app},
        },
        model::{instance::Condition, link::Report},
    };

    /// A cluster that runs two instances of an app with 0.5 CPUs and 64 MiB each.
    fn running() -> World {
        let mut spec = app("/web", 2);
        spec.run_mut().containers[0].resources = crate::model::Scalars::of(0.5, 64.0, 0.0, 0.0);
        let mut w = World::new(1);
        w.put(spec);
        w.settle();
        w
    }

    struct Stage {
        w: World,
        sampler: Sampler,
        meters: Meters,
        seconds: u64,
        /// CPUs and MiB of each instance.
        use_of_each: Option<(f64, u64)>,
    }

    impl Stage {
        fn new() -> Self {
            let (sampler, meters) = (Sampler::default(), Meters::default());
            Self { w: running(), sampler, meters, seconds: 0, use_of_each: Some((0.25, 10)) }
        }

        /// Five seconds on: the numbers, by subject.
        fn round(&mut self) -> BTreeMap<Subject, BTreeMap<Measure, u64>> {
            self.seconds += 5;
            let state = &self.w.state;
            let task = |id: &InstanceId| {
                let (cpus, mib) = self.use_of_each?;
                Some(TaskUsage { instance: id.clone(), cpus, mem_bytes: mib << 20 })
            };
            let tasks = state.instances.keys().filter_map(task).collect();
            let (cpus, mem_bytes, disk_bytes) = (1.5, 1 << 30, 1 << 31);
            let usage = Arc::new(Usage { cpus, mem_bytes, disk_bytes, tasks, ..Usage::default() });
            let samples = self.sampler.round(&Seen {
                state,
                usage: &|_| Some(usage.clone()),
                meters: &self.meters,
                moment: Moment::from_ms(self.seconds * 1_000),
            });
            let by_measure = |s: Sample| (s.subject, s.values.into_iter().collect());
            samples.into_iter().map(by_measure).collect()
        }

        /// What has ended is started again.
        fn again(&mut self) {
            self.w.launch_all();
            self.w.agents_act();
        }

        fn report(&mut self, condition: Condition, message: &str) {
            let instance = self.w.state.instances.values().next().unwrap().clone();
            let at = Timestamp::from_ms(self.w.now);
            let report = Report {
                started_at: Some(at),
                message: message.to_owned(),
                ..Report::new(instance.id.clone(), instance.incarnation, condition, at)
            };
            let node = instance.placement().unwrap().node.clone();
            self.w.ok(TaskCommand::Report { node, reports: vec![report] });
        }
    }

    fn web() -> Subject {
        Subject::Service(AppId::parse("/web"))
    }

    #[test]
    fn a_service_is_the_sum_of_its_instances() {
        let mut stage = Stage::new();
        let told = stage.round();
        let service = &told[&web()];
        for (measure, number) in [
            (Measure::Running, 2),
            (Measure::CpusReserved, 1_000),
            (Measure::CpusUsed, 500),
            (Measure::MemUsed, 20 << 10),
            (Measure::MemLimit, 128 << 10),
            (Measure::Restarts, 0),
        ] {
            assert_eq!(service.get(&measure), Some(&number), "{measure:?}");
        }
        assert!(!service.contains_key(&Measure::Requests), "nobody may ask it");
        let of_instances = told.iter().filter(|(of, _)| matches!(of, Subject::Instance(_)));
        let of_instances: Vec<_> = of_instances.map(|(_, values)| values).collect();
        assert_eq!(of_instances.len(), 2);
        assert_eq!(of_instances[0][&Measure::MemUsed], 10 << 10);
        for machine in [Subject::Cluster, Subject::Node(NodeId::from("n0"))] {
            assert_eq!(told[&machine][&Measure::CpusUsed], 1_500, "{machine:?}");
            assert_eq!(told[&machine][&Measure::DiskUsed], 2 << 20, "{machine:?}");
        }
        let cluster = &told[&Subject::Cluster];
        assert_eq!((cluster[&Measure::CpusReserved], cluster[&Measure::Running]), (1_000, 2));
        // What nobody measures has a gap, and goes on being reserved.
        stage.use_of_each = None;
        let told = stage.round();
        assert!(!told[&web()].contains_key(&Measure::CpusUsed));
        assert_eq!(told[&web()][&Measure::CpusReserved], 1_000);
    }

    #[test]
    fn restarts_and_kills_for_memory_are_counted_once() {
        let mut stage = Stage::new();
        stage.round();
        stage
            .report(Condition::Failed, &format!("{OUT_OF_MEMORY}: the limit of 64 MB was reached"));
        stage.again();
        let told = stage.round();
        let count = |told: &BTreeMap<Subject, BTreeMap<Measure, u64>>| {
            [Measure::Restarts, Measure::OomKills].map(|measure| told[&web()][&measure])
        };
        assert_eq!(count(&told), [1, 1]);
        assert_eq!(count(&stage.round()), [0, 0]);
        let bound = |told: &BTreeMap<Subject, BTreeMap<Measure, u64>>| {
            told[&web()].get(&Measure::MemLimit).copied()
        };
        assert_eq!(bound(&stage.round()), Some(128 << 10));
        stage.report(Condition::Failed, "Command exited with status 1");
        stage.again();
        assert_eq!(count(&stage.round()), [1, 0]);
    }

    #[test]
    fn the_front_door_is_told_as_rates_and_times() {
        let mut stage = Stage::new();
        let meter = stage.meters.of(&AppId::parse("/web"));
        meter.answered(StatusCode::OK, Duration::from_secs(1));
        let told = stage.round();
        assert!(!told[&web()].contains_key(&Measure::Requests), "since when is not known");
        for _ in 0..9 {
            meter.answered(StatusCode::OK, Duration::from_millis(10));
        }
        meter.answered(StatusCode::BAD_GATEWAY, Duration::from_millis(500));
        let told = stage.round();
        let service = &told[&web()];
        assert_eq!((service[&Measure::Requests], service[&Measure::Errors]), (2_000, 200));
        let cluster = &told[&Subject::Cluster];
        assert_eq!((cluster[&Measure::Requests], cluster[&Measure::Errors]), (2_000, 200));
        assert!(!cluster.contains_key(&Measure::LatencyP50), "a sum of times says nothing");
        assert!((8_000..12_000).contains(&service[&Measure::LatencyP50]), "{service:?}");
        assert!((400_000..600_000).contains(&service[&Measure::LatencyP99]), "{service:?}");
        let told = stage.round();
        assert_eq!(told[&web()][&Measure::Requests], 0, "nobody asked");
        assert!(!told[&web()].contains_key(&Measure::LatencyP50));
    }
}
