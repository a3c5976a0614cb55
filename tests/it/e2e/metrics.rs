//! Metrics of a running node: the text is what Prometheus reads, the document lists exactly what is
//! there, and the numbers move with what happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpStream,
    path::Path,
};

use hickory_proto::rr::RecordType;
use serde_json::json;
use tepui::http::crowd::Bounds;

use super::{
    apps::{ask, web},
    client::{self, Answer},
    system::{PATIENCE, System, wait},
};

/// What Prometheus sends with every scrape.
const ACCEPT: &str = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.1\r\nUser-Agent: Prometheus/3.5.0\r\n";
const PATH: &str = "/tepui/v1/metrics";

type Labels = BTreeMap<String, String>;

/// One family of an answer.
#[derive(Debug, Default)]
struct Exposed {
    help: String,
    kind: String,
    /// Suffix behind the family's name, labels and value.
    samples: Vec<(String, Labels, f64)>,
}

impl Exposed {
    /// The values of each label, but for the bounds of histograms.
    fn labels(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, value) in self.samples.iter().flat_map(|(_, labels, _)| labels) {
            if name != "le" {
                all.entry(name.clone()).or_default().insert(value.clone());
            }
        }
        all
    }
}

/// A name of a family or a label.
fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_lowercase() || c == '_';
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// `a="b",c="d"`. A value with a quote, a backslash or a line end would need an escape: there is none.
fn labels(text: &str) -> Labels {
    let mut found = Labels::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("labels {text}"));
        let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("labels {text}"));
        assert!(is_name(name) && !value.contains('\\'), "labels {text}");
        assert!(found.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice: {text}");
        rest = after.strip_prefix(',').unwrap_or(after);
        assert!(after.is_empty() || after.starts_with(',') && !rest.is_empty(), "labels {text}");
    }
    found
}

/// Reads a text of version 0.0.4, and is stricter than Prometheus: HELP, TYPE and samples of a family
/// stand together and in this order.
fn parse(text: &str) -> BTreeMap<String, Exposed> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let mut families: BTreeMap<String, Exposed> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (of, help) = help.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(of) && !help.contains('\\') && help.ends_with('.'), "{line}");
            let family = Exposed { help: help.to_owned(), ..Exposed::default() };
            assert!(families.insert(of.to_owned(), family).is_none(), "twice: {line}");
            name = of.to_owned();
            continue;
        }
        let family = families.get_mut(&name).unwrap_or_else(|| panic!("before any HELP: {line}"));
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let kind = kind.strip_prefix(&format!("{name} ")).unwrap_or_else(|| panic!("{line}"));
            assert!(family.kind.is_empty() && family.samples.is_empty(), "{line}");
            family.kind = kind.to_owned();
            continue;
        }
        assert!(!family.kind.is_empty(), "before its TYPE: {line}");
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (full, inside) = match series.strip_suffix('}').and_then(|s| s.split_once('{')) {
            Some((full, inside)) => (full, labels(inside)),
            None => (series, Labels::new()),
        };
        let suffix = full.strip_prefix(&name).unwrap_or_else(|| panic!("not of {name}: {line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let is_new = !family.samples.iter().any(|(s, l, _)| s == suffix && *l == inside);
        assert!(is_new, "twice: {line}");
        family.samples.push((suffix.to_owned(), inside, value));
    }
    families
}

/// What holds for every family of its kind.
fn check(name: &str, family: &Exposed) {
    assert!(!family.samples.is_empty(), "{name} has no sample");
    match family.kind.as_str() {
        "counter" => {
            assert!(name.ends_with("_total"), "counter {name}");
            let fits =
                |(suffix, _, value): &(String, Labels, f64)| suffix.is_empty() && *value >= 0.;
            assert!(family.samples.iter().all(fits), "{name}: {:?}", family.samples);
        }
        "gauge" => {
            assert!(!name.ends_with("_total"), "gauge {name}");
            assert!(family.samples.iter().all(|(suffix, ..)| suffix.is_empty()), "{name}");
        }
        "histogram" => {
            assert!(name.ends_with("_seconds"), "histogram {name}");
            check_histogram(name, family);
        }
        other => panic!("{name} is a {other}"),
    }
}

/// In each series the buckets rise to `+Inf`, which is the count.
fn check_histogram(name: &str, family: &Exposed) {
    let mut series: BTreeMap<Labels, Vec<(String, Option<f64>, f64)>> = BTreeMap::new();
    for (suffix, labels, value) in &family.samples {
        let mut labels = labels.clone();
        let bound = labels.remove("le").map(|le| le.replace("+Inf", "inf").parse().expect("bound"));
        series.entry(labels).or_default().push((suffix.clone(), bound, *value));
    }
    for (labels, samples) in series {
        let (buckets, rest): (Vec<_>, Vec<_>) = samples.iter().partition(|s| s.0 == "_bucket");
        let rising = buckets.windows(2).all(|w| w[0].1 < w[1].1 && w[0].2 <= w[1].2);
        let last = buckets.last().unwrap_or_else(|| panic!("{name} {labels:?} has no bucket"));
        assert!(rising && last.1 == Some(f64::INFINITY), "{name} {labels:?}: {buckets:?}");
        let rest: BTreeMap<&str, f64> =
            rest.iter().map(|(s, _, value)| (s.as_str(), *value)).collect();
        let (sum, count) = (rest["_sum"], rest["_count"]);
        assert!(rest.len() == 2 && count == last.2, "{name} {labels:?}: {samples:?}");
        assert!(sum >= 0. && (count > 0. || sum == 0.), "{name} {labels:?}: {samples:?}");
    }
}

/// One row of docs/metrics.md.
#[derive(Debug)]
struct Documented {
    kind: String,
    labels: BTreeMap<String, BTreeSet<String>>,
    unit: String,
    help: String,
}

fn documented() -> BTreeMap<String, Documented> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let text = fs::read_to_string(path).expect("docs/metrics.md");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, unit, help] = cells[..] else { panic!("{line}") };
        let quoted = |text: &str| -> BTreeSet<String> {
            text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let mut of = BTreeMap::new();
        for label in labels.split(';').filter(|label| label.contains(':')) {
            let (name, values) = label.split_once(':').expect("a colon");
            of.insert(quoted(name).pop_first().expect("a name"), quoted(values));
        }
        let row = Documented {
            kind: kind.to_owned(),
            labels: of,
            unit: unit.to_owned(),
            help: help.to_owned(),
        };
        assert!(rows.insert(name.trim_matches('`').to_owned(), row).is_none(), "twice: {line}");
    }
    rows
}

/// The document and the answer say the same of a family, and its unit stands in its name.
fn compare(name: &str, row: &Documented, family: &Exposed) {
    assert_eq!((&row.kind, &row.help), (&family.kind, &family.help), "{name}");
    let mut told = row.labels.clone();
    if let Some(version) = told.get_mut("version") {
        // One value, which each release has its own of.
        assert!(version.is_empty(), "{name}");
        version.insert(env!("CARGO_PKG_VERSION").to_owned());
    }
    assert_eq!(told, family.labels(), "{name}");
    for (unit, part) in [("seconds", "_seconds"), ("bytes", "_bytes")] {
        assert_eq!(row.unit == unit, name.contains(part), "{name} in {}", row.unit);
    }
}

fn scrape(system: &System) -> BTreeMap<String, Exposed> {
    let answer = system.get(PATH);
    assert_eq!(answer.status, 200, "{}", answer.text());
    parse(&answer.text())
}

/// The sum over the series of a family that have these labels.
fn sum(
    families: &BTreeMap<String, Exposed>,
    name: &str,
    suffix: &str,
    with: &[(&str, &str)],
) -> f64 {
    let family = families.get(name).unwrap_or_else(|| panic!("{name} is missing"));
    let fits = |labels: &Labels| with.iter().all(|(l, v)| labels.get(*l).is_some_and(|x| x == v));
    let samples = family.samples.iter().filter(|(s, labels, _)| s == suffix && fits(labels));
    samples.map(|(_, _, value)| value).sum()
}

fn with(system: &System, headers: &str, path: &str) -> Answer {
    let headers = format!("{headers}{ACCEPT}");
    client::send_with(system.router, &headers, "GET", path, None).expect("an answer")
}

#[test]
fn the_document_lists_what_a_node_tells_and_nothing_else() {
    let system = System::start();
    let (told, rows) = (scrape(&system), documented());
    let (told_names, known): (BTreeSet<_>, BTreeSet<_>) =
        (told.keys().collect(), rows.keys().collect());
    assert_eq!(told_names, known, "told on the left, documented on the right");
    assert!(rows.len() > 40, "only {} families", rows.len());
    for (name, family) in &told {
        check(name, family);
        compare(name, &rows[name], family);
    }
}

#[test]
fn prometheus_is_let_in_as_it_is_usually_configured_and_strangers_are_not() {
    let system = System::start();
    let bearer = format!("Authorization: Bearer {}\r\n", system.token);
    let own = format!("Authorization: token={}\r\n", system.token);
    for path in ["/metrics", PATH] {
        for credential in [&bearer, &own] {
            let answer = with(&system, credential, path);
            let kind = answer.header("content-type").unwrap_or_default();
            assert_eq!((answer.status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"));
            assert!(parse(&answer.text()).contains_key("tepui_build_info"), "{path}");
        }
        for credential in ["", "Authorization: Bearer nonsense\r\n"] {
            let answer = with(&system, credential, path);
            assert_eq!(answer.status, 401, "{path} {credential}");
            assert!(!answer.text().contains("tepui_"), "{path}: {}", answer.text());
        }
    }
    // What had such a name before goes on.
    let marathon = with(&system, &bearer, "/service/marathon/metrics");
    assert!(marathon.json().is_object());
    let mesos = with(&system, &bearer, "/mesos/metrics/snapshot");
    assert!(mesos.json()["master/elected"].is_number(), "{}", mesos.text());
}

#[test]
fn numbers_move_with_what_happens() {
    let system = System::start();
    let before = scrape(&system);
    let app = web("/seen", 1, "up");
    assert_eq!(system.send("POST", "/service/marathon/v2/apps", Some(&app)).status, 201);
    system.wait_running("/seen", 1);
    assert_eq!(system.get("/service/seen/").status, 200);
    assert_eq!(
        client::send(system.router, None, "GET", PATH, None).expect("an answer").status,
        401
    );
    let guess = json!({"uid": "admin", "password": "not this"}).to_string();
    let login = "/acs/api/v1/auth/login";
    let guessed = client::send(system.router, None, "POST", login, Some(guess.as_bytes()));
    assert_eq!(guessed.expect("an answer").status, 401);
    assert!(!ask(&system, "leader.mesos.", RecordType::A).answers.is_empty());
    assert_eq!(system.send("DELETE", "/service/marathon/v2/apps//seen", None).status, 200);
    let ended = "tepui_agent_instances_ended_total";
    wait("the task ends", PATIENCE, || {
        sum(&scrape(&system), ended, "", &[("how", "killed")]) == 1.
    });

    let after = scrape(&system);
    let grown = |name: &str, suffix: &str, with: &[(&str, &str)]| {
        sum(&after, name, suffix, with) - sum(&before, name, suffix, with)
    };
    for (name, labels, least) in [
        ("tepui_http_requests_total", &[("listener", "front"), ("status", "2xx")][..], 4.),
        ("tepui_http_requests_total", &[("listener", "front"), ("status", "4xx")], 2.),
        ("tepui_auth_refused_total", &[("reason", "missing")], 1.),
        ("tepui_auth_sign_ins_total", &[("outcome", "bad")], 1.),
        ("tepui_log_proposals_total", &[("outcome", "applied")], 3.),
        ("tepui_log_applied_entries_total", &[], 3.),
        ("tepui_log_applied_commands_total", &[], 3.),
        ("tepui_control_steps_total", &[("reconciler", "deploy"), ("outcome", "done")], 1.),
        ("tepui_control_steps_total", &[("reconciler", "place"), ("outcome", "done")], 1.),
        ("tepui_control_commands_total", &[("reconciler", "place")], 1.),
        ("tepui_control_reports_total", &[("outcome", "taken")], 2.),
        ("tepui_agent_checks_total", &[("kind", "health"), ("outcome", "passed")], 1.),
        ("tepui_dns_queries_total", &[("transport", "udp")], 1.),
        ("tepui_dns_answers_total", &[("rcode", "noerror")], 1.),
        ("tepui_proxy_connects_total", &[], 1.),
        ("process_cpu_seconds_total", &[], 0.01),
    ] {
        assert!(grown(name, "", labels) >= least, "{name} {labels:?} {}", grown(name, "", labels));
    }
    assert_eq!(grown("tepui_agent_instances_started_total", "", &[]), 1.);
    for histogram in [
        "tepui_http_request_duration_seconds",
        "tepui_proxy_upstream_duration_seconds",
        "tepui_log_proposal_duration_seconds",
        "tepui_control_step_duration_seconds",
        "tepui_agent_start_duration_seconds",
    ] {
        assert!(grown(histogram, "_count", &[]) >= 1., "{histogram}");
        assert!(grown(histogram, "_sum", &[]) > 0., "{histogram}");
    }
    for (gauge, value) in [
        ("tepui_control_is_leader", 1.),
        ("tepui_control_agents_connected", 1.),
        ("tepui_agent_engine_away", 0.),
        ("tepui_http_panics_total", 0.),
        ("tepui_build_info", 1.),
    ] {
        assert_eq!(sum(&after, gauge, "", &[]), value, "{gauge}");
    }
    assert!(grown("tepui_log_revision", "", &[]) >= 3.);
    assert!(sum(&after, "process_resident_memory_bytes", "", &[]) > 1e6);
    assert!(sum(&after, "process_open_fds", "", &[]) > 3.);
}

#[test]
fn at_debug_each_request_and_each_step_is_a_span_and_else_nothing_is() {
    let (loud, quiet) =
        (System::start_with_env(&[("TEPUI_LOG_LEVEL", "tepui=debug")]), System::start());
    for system in [&loud, &quiet] {
        let app = web("/seen", 1, "up");
        assert_eq!(system.send("POST", "/service/marathon/v2/apps", Some(&app)).status, 201);
        system.wait_running("/seen", 1);
        assert_eq!(system.get("/tepui/v1/apps/seen").status, 200);
        assert_eq!(system.get("/service/seen/").status, 200);
    }
    let (loud, quiet) = (loud.stderr(), quiet.stderr());
    for route in ["/v2/apps", "/tepui/v1/apps/{id...}", "/service/{name...}"] {
        let wanted = format!(" route=\"{route}\"}}: ");
        let line = loud.lines().find(|line| line.contains(&wanted));
        let line = line.unwrap_or_else(|| panic!("{wanted} is missing in {loud}"));
        for part in ["request{id=", " method=", " peer=127.0.0.1:"] {
            assert!(line.contains(part), "{line}");
        }
    }
    for name in ["deploy", "place"] {
        assert!(loud.contains(&format!("reconcile{{name=\"{name}\" revision=")), "{loud}");
    }
    for span in ["request{", "reconcile{", "answered"] {
        assert!(!quiet.contains(span), "{quiet}");
    }
}

#[test]
fn who_is_turned_away_is_counted_with_the_reason() {
    let system = System::start();
    let refused =
        |why: &str| sum(&scrape(&system), "tepui_http_refused_total", "", &[("reason", why)]);
    let two_hosts = client::send_with(system.router, "Host: other\r\n", "GET", "/", None);
    assert_eq!(two_hosts.expect("an answer").status, 400);
    assert_eq!(refused("head"), 1.);

    // More than one address may have open without a credential: the oldest leave.
    let bounds = Bounds::of_descriptors(usize::MAX / 2);
    assert_eq!(refused("sent_away"), 0.);
    let open = |_| TcpStream::connect(system.router).expect("a connection");
    let strangers: Vec<TcpStream> = (0..bounds.strangers_local_max + 10).map(open).collect();
    wait("the oldest are sent away", PATIENCE, || refused("sent_away") >= 10.);
    let connections = sum(&scrape(&system), "tepui_http_connections", "", &[("listener", "front")]);
    let (least, most) =
        (bounds.strangers_local_max as f64 - 10., bounds.strangers_local_max as f64 + 10.);
    assert!((least..most).contains(&connections), "{connections} of {}", strangers.len());
    drop(strangers);
    wait("their connections are closed", PATIENCE, || {
        sum(&scrape(&system), "tepui_http_connections", "", &[]) <= 2.
    });
    assert_eq!((refused("crowd"), refused("pace"), refused("memory")), (0., 0., 0.));
}

/// A subsystem with families that nobody is told of would be of no use.
#[test]
fn every_subsystem_with_families_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let list = fs::read_to_string(root.join("api/metrics.rs")).expect("the list");
    let (mut open, mut n_found) = (vec![root.clone()], 0);
    while let Some(dir) = open.pop() {
        for path in
            fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("entry").path())
        {
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source file");
            let is_test = path.ends_with("tests.rs");
            if is_test || !text.lines().any(|line| line == "families! {") {
                continue;
            }
            n_found += 1;
            let module = path.strip_prefix(&root).expect("below src").with_extension("");
            let module: Vec<_> = module.iter().map(|part| part.to_string_lossy()).collect();
            let ending = module[module.len().saturating_sub(2)..].join("::");
            let ending = ending
                .replace("http::metrics", "web::metrics")
                .replace("metrics::process", "process");
            let wanted = format!(" {ending}::FAMILIES,");
            assert!(list.contains(&wanted), "{} is not in api/metrics.rs", path.display());
        }
    }
    assert!(n_found >= 7, "only {n_found} files with families");
}
