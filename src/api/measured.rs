//! `/tepui/v1/metrics?of=…`: what was measured of one thing over time, or of all of a kind in few points.

use std::{collections::BTreeSet, sync::Arc};

use http::StatusCode;
use serde::{Serialize, Serializer};

use super::{
    context::Api,
    view::{Decimal, Iso, instance, node},
};
use crate::{
    base::{clock::Timestamp, series::Grid},
    control::{
        cluster::Error,
        series::{
            Measure, Recorded, Subject,
            store::{Curve, SPARK_POINTS, Spark},
        },
    },
    core::State,
    http::{Response, error::ApiError, query::Query, reply},
    model::{AppId, InstanceId, Scalars},
};

/// Rows of a list in one answer, and ids that may be named.
const ROWS_MAX: usize = 500;
/// What the rows of a list show when nothing else is asked for.
const IN_ROWS: [Measure; 3] = [Measure::CpusUsed, Measure::MemUsed, Measure::Requests];
/// Times at which a service became another, of one answer.
const MARKS_MAX: usize = 100;

/// What was measured of one thing.
#[derive(Serialize)]
struct Measured<'a> {
    of: &'a str,
    range: &'static str,
    start: Iso,
    step_s: i64,
    series: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Total>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    marks: Vec<Mark>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    unit: &'static str,
    values: Vec<Option<Number>>,
}

/// A number, whole ones without a fraction.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[allow(clippy::cast_possible_truncation)] // far below 2^52, and whole
        if self.0.fract() == 0.0 {
            to.serialize_i64(self.0 as i64)
        } else {
            to.serialize_f64(self.0)
        }
    }
}

/// What a node or the cluster has, or an instance has reserved.
#[derive(Serialize)]
struct Total {
    cpus: Decimal,
    mem_mb: Decimal,
    disk_mb: Decimal,
}

/// Something that happened to a service.
#[derive(Serialize)]
struct Mark {
    at: Iso,
    /// A version of its definition.
    kind: &'static str,
}

/// Many things in few points.
#[derive(Serialize)]
struct Sparks {
    of: &'static str,
    range: &'static str,
    start: Iso,
    step_s: i64,
    rows: Vec<SparkRow>,
    /// There are more than one answer takes: ask for some by `id`.
    truncated: bool,
}

#[derive(Serialize)]
struct SparkRow {
    id: String,
    series: Vec<SparkOf>,
}

#[derive(Serialize)]
struct SparkOf {
    name: &'static str,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Number>,
    max: Number,
    points: Vec<Option<u8>>,
}

/// Which steps an answer has.
#[derive(Clone, Copy)]
struct Window {
    range: &'static str,
    grid: Grid,
    from: i64,
    to: i64,
}

/// Whether a request wants this and not the metrics of the process.
pub fn is_asked(query: &Query) -> bool {
    ["of", "range", "since", "id", "series"].iter().any(|key| query.has(key))
}

/// The answer to `of`, `range`, `since`, `id` and `series`.
///
/// # Errors
/// When one of them makes no sense, or this master does not lead.
pub fn answer(api: &Api, query: &Query) -> Result<Response, ApiError> {
    let of = query.get("of").unwrap_or_default();
    let window = Window::read(query, api.clock.now())?;
    let kind = List::parse(of);
    let one = if kind.is_none() { Some(Named::parse(&api.state(), of)?) } else { None };
    let recorded = recorded(api)?;
    match (kind, one) {
        (Some(list), _) => list.answer(query, window, &recorded),
        (None, Some(one)) => window.answer(&api.state(), of, one, &recorded),
        (None, None) => Err(no_such_kind()),
    }
}

/// What was measured, which only the leading master knows.
///
/// # Errors
/// When this is another one.
pub fn recorded(api: &Api) -> Result<Arc<Recorded>, ApiError> {
    api.cluster.recorded().ok_or_else(|| {
        let leader = api.cluster.leader().map(|leader| leader.addresses.router);
        Error::Elsewhere(leader.unwrap_or_else(|| "an address nobody knows now".to_owned())).into()
    })
}

impl Window {
    fn read(query: &Query, now: Timestamp) -> Result<Self, ApiError> {
        let (range, grid) = match query.get("range") {
            None | Some("1h") => ("1h", Grid::FINE),
            Some("24h") => ("24h", Grid::COARSE),
            Some(_) => return Err(ApiError::invalid("range", "must be 1h or 24h")),
        };
        let to = grid.step(now);
        let first = to - i64::try_from(grid.n).unwrap_or_default() + 1;
        let since = query.get("since").map(|text| {
            Timestamp::parse(text).ok_or_else(|| {
                ApiError::invalid("since", "must be a time as 2026-11-22T13:14:11Z")
                    .hint("leave it out for the whole range")
            })
        });
        let from = since.transpose()?.map_or(first, |at| grid.step(at).clamp(first, to));
        Ok(Self { range, grid, from, to })
    }

    fn start(self) -> Iso {
        Iso(self.grid.begin(self.from))
    }

    fn step_s(self) -> i64 {
        self.grid.step_ms / 1_000
    }

    /// What was measured of one thing, though it may be gone by now.
    fn answer(
        self,
        state: &State,
        of: &str,
        Named { subject, missing }: Named,
        recorded: &Recorded,
    ) -> Result<Response, ApiError> {
        let found = recorded.curves(&subject, self.grid, (self.from, self.to));
        let curves = match (found, missing) {
            (Some(curves), _) => curves,
            (None, None) => Vec::new(),
            (None, Some(missing)) => return Err(missing),
        };
        let row = |Curve { measure, values }| {
            let values = values.into_iter().map(|n| n.map(Number)).collect();
            Row { name: measure.name(), unit: measure.unit(), values }
        };
        let mut series: Vec<Row> = curves.into_iter().map(row).collect();
        series.sort_unstable_by_key(|row| row.name);
        let (start, step_s) = (self.start(), self.step_s());
        let marks = marks(state, &subject, start.0);
        let total = total(state, &subject);
        let answer = Measured { of, range: self.range, start, step_s, series, total, marks };
        Ok(reply::json(StatusCode::OK, &answer))
    }
}

/// What is meant by `service:/web` and the like.
struct Named {
    subject: Subject,
    /// What is said when nothing was measured of it either; `None` for what there is.
    missing: Option<ApiError>,
}

impl Named {
    fn parse(state: &State, of: &str) -> Result<Self, ApiError> {
        let (kind, name) = of.split_once(':').unwrap_or((of, ""));
        let (subject, is_there, list) = match kind {
            "cluster" if name.is_empty() => (Subject::Cluster, true, ""),
            "service" if !name.is_empty() => {
                let id = AppId::parse(name);
                let is_there = state.apps.contains_key(&id);
                (Subject::Service(id), is_there, "apps")
            }
            "node" if !name.is_empty() => {
                let found = node::find(state, name).map(|node| node.id().clone());
                let is_there = found.is_some();
                (Subject::Node(found.unwrap_or_else(|| name.into())), is_there, "nodes")
            }
            "instance" if !name.is_empty() => {
                let found = instance::locate(state, name).map(|found| found.instance);
                let is_there = found.is_some();
                let id = found.unwrap_or_else(|| InstanceId::from(name));
                (Subject::Instance(id), is_there, "tasks")
            }
            _ => return Err(no_such_kind()),
        };
        let missing = (!is_there).then(|| {
            let hint = format!("GET /tepui/v1/{list} lists what there is");
            ApiError::not_found(format!("{kind} {name}")).hint(hint)
        });
        Ok(Self { subject, missing })
    }
}

fn no_such_kind() -> ApiError {
    let message = "must be service:/ID, instance:ID, node:ID, cluster, services or nodes";
    ApiError::invalid("of", message).hint("as in /tepui/v1/metrics?of=service:/shop/web&range=1h")
}

/// Since when a service has been each of its versions, the newest last.
fn marks(state: &State, of: &Subject, since: Timestamp) -> Vec<Mark> {
    let Subject::Service(id) = of else { return Vec::new() };
    let mut versions: Vec<_> = state.versions_of(id).map(|spec| spec.version).collect();
    versions.retain(|at| *at >= since);
    versions.sort_unstable();
    let n_before = versions.len().saturating_sub(MARKS_MAX);
    versions.drain(..n_before);
    versions.into_iter().map(|at| Mark { at: Iso(at), kind: "version" }).collect()
}

fn total(state: &State, of: &Subject) -> Option<Total> {
    let scalars: Scalars = match of {
        Subject::Cluster => {
            let nodes = state.nodes.values().map(|node| node.info.total.scalars());
            nodes.fold(Scalars::default(), |a, b| a + b)
        }
        Subject::Node(id) => state.nodes.get(id)?.info.total.scalars(),
        Subject::Instance(id) => state.spec_of(state.instances.get(id)?)?.run.demand(),
        // Its reservation is a series.
        Subject::Service(_) => return None,
    };
    let (cpus, mem_mb, disk_mb) =
        (Decimal(scalars.cpus), Decimal(scalars.mem), Decimal(scalars.disk));
    Some(Total { cpus, mem_mb, disk_mb })
}

/// A kind of which all are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Services,
    Nodes,
}

impl List {
    fn parse(of: &str) -> Option<Self> {
        match of {
            "services" => Some(Self::Services),
            "nodes" => Some(Self::Nodes),
            _ => None,
        }
    }

    /// The id of a subject of this kind.
    fn id(self, subject: &Subject) -> Option<&str> {
        match (self, subject) {
            (Self::Services, Subject::Service(id)) => Some(id.as_str()),
            (Self::Nodes, Subject::Node(id)) => Some(id.as_str()),
            _ => None,
        }
    }

    fn answer(
        self,
        query: &Query,
        window: Window,
        recorded: &Recorded,
    ) -> Result<Response, ApiError> {
        let ids: BTreeSet<&str> = query.all("id").collect();
        if ids.len() > ROWS_MAX {
            return Err(ApiError::invalid("id", format!("may come {ROWS_MAX} times, not more"))
                .hint("ask for those that are shown"));
        }
        if query.has("since") {
            return Err(ApiError::invalid("since", "does not go with a list")
                .hint("leave it out: a list is always of the whole range"));
        }
        let is_wanted = |subject: &Subject| {
            self.id(subject).is_some_and(|id| ids.is_empty() || ids.contains(id))
        };
        let named = named(query)?;
        let shown = if named.is_empty() { &IN_ROWS[..] } else { &named[..] };
        let row = |subject: &Subject, spark: &dyn Fn(Measure) -> Option<Spark>| {
            let series: Vec<_> =
                shown.iter().filter_map(|measure| spark(*measure)).map(spark_of).collect();
            // Whoever names what he wants is told of nothing that has none of it.
            (named.is_empty() || !series.is_empty())
                .then(|| SparkRow { id: self.id(subject).unwrap_or_default().to_owned(), series })
        };
        let steps = (window.grid, window.from, window.to);
        let mut rows = recorded.each(ROWS_MAX + 1, is_wanted, row, steps);
        let truncated = rows.len() > ROWS_MAX;
        rows.truncate(ROWS_MAX);
        let per_point = ((window.to - window.from + 1) / SPARK_POINTS).max(1);
        let answer = Sparks {
            of: if self == Self::Services { "services" } else { "nodes" },
            range: window.range,
            start: window.start(),
            step_s: window.step_s() * per_point,
            rows,
            truncated,
        };
        Ok(reply::json(StatusCode::OK, &answer))
    }
}

/// What `series` names.
fn named(query: &Query) -> Result<Vec<Measure>, ApiError> {
    let named = |name| {
        Measure::ALL.into_iter().find(|measure| measure.name() == name).ok_or_else(|| {
            ApiError::invalid("series", format!("{name} is nothing that is measured"))
                .hint("as in series=requests&series=latency_p99")
        })
    };
    query.all("series").map(named).collect()
}

fn spark_of(Spark { measure, last, max, points }: Spark) -> SparkOf {
    let (last, max) = (last.map(Number), Number(max));
    SparkOf { name: measure.name(), unit: measure.unit(), last, max, points }
}
