//! `/service/<name>`: which running instance a name leads to (docs/compat/dcos.md, "Services").
//!
//! A service is an app with the labels `DCOS_SERVICE_NAME`, `DCOS_SERVICE_SCHEME` and
//! `DCOS_SERVICE_PORT_INDEX`. A table of them is made from the state when it has changed, at most
//! a twentieth of the time: with few services it is always fresh, with very many up to `LATE_MAX`
//! late under load. Instances that are healthy and ready are taken in turn; when there is none, any
//! running one, as the original did.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use tokio::time::{Duration, Instant};

use crate::{
    core::{State, state::App},
    http::{
        meter::{Meter, Meters},
        proxy::Upstream,
    },
    model::{
        Instance, WorkloadSpec,
        instance::{Condition, Goal},
        workload::NetworkMode,
    },
};

/// Names of services have at most this many segments.
pub const SEGMENTS_MAX: usize = 10;
/// The table may take one part in this many of the time …
const REBUILD_SHARE: u32 = 20;
/// … but is never later than this: traffic leaves a lost node within a second.
const LATE_MAX: Duration = Duration::from_millis(100);

/// A service with instances to send requests to.
#[derive(Debug)]
pub struct Service {
    tls: bool,
    /// Whether `/service/<name>` is cut off before the request is passed on.
    pub strips_prefix: bool,
    backends: Vec<SocketAddr>,
    next: AtomicUsize,
    meter: Arc<Meter>,
}

impl Service {
    /// The next instance in turn, and another one when there is one.
    pub fn upstreams(&self) -> (Upstream, Option<Upstream>) {
        let n = self.backends.len();
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % n;
        let at = |at: usize| Upstream { addr: self.backends[at], tls: self.tls };
        (at(turn), (n > 1).then(|| at((turn + 1) % n)))
    }

    /// What counts the answers to its requests.
    pub fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }
}

/// All services of one revision of the state.
#[derive(Debug, Default)]
struct Table {
    revision: u64,
    /// Looked in with each request; strangers name services, but put none there.
    by_name: HashMap<String, Service, RandomState>,
    built_at: Option<Instant>,
    took: Duration,
}

/// Services by name, kept up with the state.
#[derive(Debug, Default)]
pub struct Services {
    table: ArcSwap<Table>,
    meters: Arc<Meters>,
}

/// Tries the first segment of `path` as a name, then the first two, and so on. Answers what was
/// found, the name without superfluous slashes, and what follows it in the path.
pub fn search<T>(
    path: &str,
    mut lookup: impl FnMut(&str) -> Option<T>,
) -> Option<(T, String, &str)> {
    let mut name = String::new();
    let mut rest = path;
    for _ in 0..SEGMENTS_MAX {
        rest = rest.trim_start_matches('/');
        if rest.is_empty() {
            return None;
        }
        let (segment, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(segment);
        rest = after;
        if let Some(found) = lookup(&name) {
            return Some((found, name, rest));
        }
    }
    None
}

/// `rest` of a path with exactly one slash in front.
pub fn absolute(rest: &str) -> String {
    format!("/{}", rest.trim_start_matches('/'))
}

impl Services {
    /// None known yet; what is sent to them is counted in `meters`.
    pub fn new(meters: Arc<Meters>) -> Self {
        Self { table: ArcSwap::default(), meters }
    }

    /// Calls `with` on the service of that name. A name that is not there is looked for in the
    /// newest state before the answer is no.
    pub fn lookup<T>(
        &self,
        state: &State,
        name: &str,
        with: impl FnOnce(&Service) -> T,
    ) -> Option<T> {
        let mut table = self.table.load();
        if table.revision != state.revision && (!table.by_name.contains_key(name) || table.is_due())
        {
            self.table.store(Arc::new(Table::build(state, &table, &self.meters)));
            table = self.table.load();
        }
        table.by_name.get(name).map(with)
    }
}

impl Table {
    fn is_due(&self) -> bool {
        self.built_at.is_none_or(|at| at.elapsed() >= (self.took * REBUILD_SHARE).min(LATE_MAX))
    }

    fn build(state: &State, before: &Self, meters: &Meters) -> Self {
        let started = Instant::now();
        let mut by_name = HashMap::default();
        for app in offering(state) {
            let Some((name, service)) = service(state, &app.spec, meters) else { continue };
            let turn = before.by_name.get(&name).map_or(0, |s| s.next.load(Ordering::Relaxed));
            service.next.store(turn, Ordering::Relaxed);
            by_name.insert(name, service);
        }
        let now = Instant::now();
        Self { revision: state.revision, by_name, built_at: Some(now), took: now - started }
    }
}

/// The apps that offer a service, one for each name. Two of one name do not come to be any more;
/// where they are, the one that was there first has the name, whether it runs or not, so that
/// nobody gets its traffic by being there while it is away.
fn offering(state: &State) -> impl Iterator<Item = &App> {
    let since = |app: &App| state.versions_of(&app.id).map(|spec| spec.version).min();
    let mut first: HashMap<&str, &App> = HashMap::new();
    for app in state.apps.values() {
        let Some(name) = app.spec.service_name() else { continue };
        first
            .entry(name)
            .and_modify(|known| {
                if (since(app), &app.id) < (since(known), &known.id) {
                    *known = app;
                }
            })
            .or_insert(app);
    }
    first.into_values()
}

/// The service an app offers; `None` without the labels or without a running instance.
fn service(state: &State, spec: &WorkloadSpec, meters: &Meters) -> Option<(String, Service)> {
    let label = |name: &str| spec.run.labels.get(name).map(|value| value.trim());
    let name = spec.service_name()?;
    let tls = match label("DCOS_SERVICE_SCHEME")? {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    let index: usize = label("DCOS_SERVICE_PORT_INDEX")?.parse().ok()?;
    let strips_prefix = label("DCOS_SERVICE_REWRITE_REQUEST_URLS") != Some("false");
    let running: Vec<_> = state
        .instances_of(&spec.id)
        .filter(|instance| is_running(state, instance))
        .filter_map(|instance| Some((is_good(state, instance), address(state, instance, index)?)))
        .collect();
    let best = running.iter().any(|(good, _)| *good);
    let backends: Vec<_> =
        running.into_iter().filter(|(good, _)| *good == best).map(|(_, addr)| addr).collect();
    if backends.is_empty() {
        return None;
    }
    let (next, meter) = (AtomicUsize::new(0), meters.of(&spec.id));
    Some((name.to_owned(), Service { tls, strips_prefix, backends, next, meter }))
}

fn is_running(state: &State, instance: &Instance) -> bool {
    let on_lost_node = instance
        .placement()
        .and_then(|placement| state.nodes.get(&placement.node))
        .is_some_and(|node| !node.is_reachable());
    instance.condition() == Condition::Running
        && instance.goal == Goal::Running
        && instance.kill().is_none()
        && !on_lost_node
}

/// Healthy by its checks (or without any) and ready.
fn is_good(state: &State, instance: &Instance) -> bool {
    let has_checks = state.spec_of(instance).is_some_and(|spec| spec.run.has_health_checks());
    instance.ready() && (!has_checks || state.healthy(instance) == Some(true))
}

/// Where port number `index` of an instance is reached.
fn address(state: &State, instance: &Instance, index: usize) -> Option<SocketAddr> {
    let placement = instance.placement()?;
    let on_node = placement.host_ports.get(index).copied().flatten();
    let on_node = || Some(SocketAddr::new(placement.address, on_node?));
    let spec = state.spec_of(instance)?;
    let has_own = spec.run.network_mode() == NetworkMode::Container;
    let (true, Some(own)) = (has_own, instance.addresses().first()) else { return on_node() };
    let port = spec.run.ports().nth(index)?.container_port?;
    if port == 0 { on_node() } else { Some(SocketAddr::new(*own, port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tried_from_short_to_long() {
        let known = ["a", "n1/a", "n2/n1/a", "hidden"];
        let lookup = |name: &str| known.contains(&name).then_some(());
        for (path, name, rest) in [
            ("a", "a", "/"),
            ("a/", "a", "/"),
            ("a/foo/bar", "a", "/foo/bar"),
            ("n1/a", "n1/a", "/"),
            ("///n1////a///foo//bar", "n1/a", "/foo//bar"),
            ("n2/n1/a/foo/bar", "n2/n1/a", "/foo/bar"),
            ("hidden/below", "hidden", "/below"),
        ] {
            let ((), found, after) = search(path, lookup).unwrap_or_else(|| panic!("{path}"));
            assert_eq!((found.as_str(), absolute(after).as_str()), (name, rest), "{path}");
        }
        assert!(search("", lookup).is_none());
        assert!(search("n1", lookup).is_none());
        assert!(search("1/2/3/4/5/6/7/8/9/10/a", lookup).is_none());
    }

    use std::collections::BTreeMap;

    use crate::{
        base::clock::Timestamp,
        core::{
            NodeCommand, TaskCommand,
            apply::tests::world::{World, app, checked},
        },
        model::{NodeId, link::Report},
    };

    /// A cluster that runs `n` instances of an app with these labels beside the usual ones.
    fn offering(n: u32, labels: &[(&str, &str)]) -> World {
        let mut spec = checked(app("/web", n));
        let usual = [
            ("DCOS_SERVICE_NAME", "/web/"),
            ("DCOS_SERVICE_SCHEME", "http"),
            ("DCOS_SERVICE_PORT_INDEX", "0"),
        ];
        let labels = usual.iter().chain(labels).map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        spec.run_mut().labels = labels.collect::<BTreeMap<_, _>>();
        let mut w = World::new(2);
        w.put(spec);
        w.settle();
        w
    }

    /// The ports of those who get the next requests.
    fn turns(services: &Services, w: &World, n: usize) -> Vec<u16> {
        let next = |_| services.lookup(&w.state, "web", |s| s.upstreams().0.addr.port());
        (0..n).filter_map(next).collect()
    }

    #[test]
    fn requests_go_to_the_healthy_in_turn() {
        let mut w = offering(3, &[]);
        let services = Services::default();
        assert_eq!(turns(&services, &w, 4), [31_000, 31_001, 31_002, 31_000]);
        let ids: Vec<_> = w.state.instances.keys().cloned().collect();
        w.report_with(&ids[1], Condition::Running, Some(false));
        let fresh = Services::default();
        assert_eq!(turns(&fresh, &w, 3), [31_000, 31_002, 31_000]);
        w.report(&ids[0], Condition::Killing);
        assert_eq!(turns(&Services::default(), &w, 2), [31_002, 31_002]);
        // Rather an ill one than none.
        w.report_with(&ids[2], Condition::Running, Some(false));
        assert_eq!(turns(&Services::default(), &w, 2), [31_001, 31_002]);
        w.ok(NodeCommand::NodeReach { node: NodeId::from("n0"), reachable: false });
        assert_eq!(turns(&Services::default(), &w, 1), [0; 0], "nobody is there");
    }

    #[test]
    fn a_spare_is_another_one() {
        let of = |n: u32| {
            let w = offering(n, &[]);
            Services::default().lookup(&w.state, "web", Service::upstreams).unwrap()
        };
        let (first, spare) = of(2);
        assert_ne!(Some(first.addr), spare.map(|spare| spare.addr));
        assert!(of(1).1.is_none());
    }

    #[test]
    fn labels_say_how_a_service_is_reached() {
        let look = |labels: &[(&str, &str)]| {
            let w = offering(1, labels);
            let how = |s: &Service| (s.upstreams().0.tls, s.strips_prefix);
            Services::default().lookup(&w.state, "web", how)
        };
        let rewrite = "DCOS_SERVICE_REWRITE_REQUEST_URLS";
        assert_eq!(look(&[]), Some((false, true)));
        assert_eq!(look(&[("DCOS_SERVICE_SCHEME", "https")]), Some((true, true)));
        assert_eq!(look(&[(rewrite, "false")]), Some((false, false)));
        assert_eq!(look(&[(rewrite, "0")]), Some((false, true)));
        for wrong in [
            ("DCOS_SERVICE_SCHEME", "ftp"),
            ("DCOS_SERVICE_PORT_INDEX", "1"),
            ("DCOS_SERVICE_PORT_INDEX", "-1"),
            ("DCOS_SERVICE_PORT_INDEX", "http"),
            ("DCOS_SERVICE_NAME", "/"),
        ] {
            assert_eq!(look(&[wrong]), None, "{wrong:?}");
        }
    }

    #[test]
    fn on_its_own_network_a_service_is_reached_at_its_own_address() {
        let mut spec = app("/web", 1);
        let run = spec.run_mut();
        run.networks[0].mode = NetworkMode::Container;
        run.containers[0].ports[0].container_port = Some(80);
        for (name, value) in [("NAME", "web"), ("SCHEME", "http"), ("PORT_INDEX", "0")] {
            run.labels.insert(format!("DCOS_SERVICE_{name}"), value.to_owned());
        }
        let mut w = World::new(1);
        w.put(spec);
        w.settle();
        let at = |w: &World| {
            Services::default().lookup(&w.state, "web", |s| s.upstreams().0.addr.to_string())
        };
        assert_eq!(at(&w).as_deref(), Some("127.0.0.1:31000"), "it has told of no address yet");
        let instance = w.state.instances.values().next().unwrap().clone();
        let report = Report {
            started_at: instance.started_at(),
            addresses: vec!["10.1.0.9".parse().unwrap()],
            ready: true,
            ..Report::new(
                instance.id.clone(),
                instance.incarnation,
                Condition::Running,
                Timestamp::from_ms(w.now),
            )
        };
        w.ok(TaskCommand::Report { node: NodeId::from("n0"), reports: vec![report] });
        assert_eq!(at(&w).as_deref(), Some("10.1.0.9:80"));
    }
}
