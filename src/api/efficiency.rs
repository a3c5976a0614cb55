//! `GET /tepui/v1/efficiency`: what services reserve beside the most they used in the last day, and what
//! would do. The most is the highest minute; a shorter peak is why there is room above it.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::{
    context::Api,
    measured,
    view::{Decimal, lookup::volumes},
};
use crate::{
    base::{clock::Timestamp, series::Grid, units::Milli},
    control::series::{Measure, Recorded, Subject, store::Curve},
    core::{State, state::App},
    http::{Call, Response, error::ApiError, reply},
    model::{AppId, Scalars},
};

/// So many minutes have to be measured before anything is advised: half a day.
const MINUTES_MIN: usize = 12 * 60;
/// Room above the most that was used. A program slows down without processors, and ends without memory:
/// its use also grows slower than it can.
const CPUS_ROOM: f64 = 1.5;
const MEM_ROOM: f64 = 1.25;
/// Less than this is not advised, whatever was used.
const CPUS_MIN: f64 = 0.01;
const MEM_MB_MIN: f64 = 16.0;
/// A change is worth its restart when it gives back this part of what is reserved.
const WORTH: f64 = 0.2;

/// `Efficiency` of the contract.
#[derive(Serialize)]
struct Answer<'a> {
    /// What all nodes have.
    total: Pair,
    services: Vec<Row<'a>>,
    revision: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    app_id: &'a AppId,
    instances: u32,
    /// How long it was measured in the last day.
    measured_s: u64,
    cpus: Advice,
    mem_mb: Advice,
    /// What all its instances reserve beyond what is advised.
    wasted: Pair,
    /// Why nothing is advised.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
}

#[derive(Serialize, Clone, Copy, Default)]
struct Pair {
    cpus: Decimal,
    mem_mb: Decimal,
}

/// Of each instance.
#[derive(Serialize)]
struct Advice {
    reserved: Decimal,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_most: Option<Decimal>,
    /// What would do; missing where that is not clearly less.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested: Option<Decimal>,
}

/// Why nothing is advised.
#[derive(Serialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Held {
    /// It was not measured for long enough.
    History,
    /// What has persistent volumes keeps its resources.
    Volumes,
    /// None of it is wanted.
    Stopped,
    /// It has several containers.
    Containers,
}

pub async fn list(api: Arc<Api>, _: Call) -> Result<Response, ApiError> {
    let recorded = measured::recorded(&api)?;
    let now = api.clock.now();
    api.render(move |_, state| {
        let nodes = state.nodes.values().map(|node| node.info.total.scalars());
        let total = nodes.fold(Scalars::default(), |a, b| a + b);
        let mut services: Vec<Row<'_>> =
            state.apps.values().map(|app| row(state, app, &recorded, now)).collect();
        let share = |part: Decimal, all: Milli| {
            if all > Milli::default() { part.0.as_f64() / all.as_f64() } else { 0.0 }
        };
        let waste = |row: &Row<'_>| {
            share(row.wasted.cpus, total.cpus) + share(row.wasted.mem_mb, total.mem)
        };
        services.sort_by(|a, b| waste(b).total_cmp(&waste(a)).then_with(|| a.app_id.cmp(b.app_id)));
        let total = Pair { cpus: Decimal(total.cpus), mem_mb: Decimal(total.mem) };
        let answer = Answer { total, services, revision: state.revision };
        reply::json(StatusCode::OK, &answer)
    })
    .await
}

fn row<'a>(state: &State, app: &'a App, recorded: &Recorded, now: Timestamp) -> Row<'a> {
    let (spec, most) = (&app.spec, Most::of(state, &app.id, recorded, now));
    let demand = spec.run.demand();
    let held = if spec.instances == 0 {
        Some(Held::Stopped)
    } else if spec.run.containers.len() != 1 {
        Some(Held::Containers)
    } else if volumes(spec).next().is_some() {
        Some(Held::Volumes)
    } else {
        (most.minutes < MINUTES_MIN).then_some(Held::History)
    };
    let advice = |reserved: Milli, most: Option<f64>, would_do: &dyn Fn(f64) -> f64| Advice {
        reserved: Decimal(reserved),
        used_most: most.map(|most| Decimal(Milli::from_f64(most))),
        suggested: most.filter(|_| held.is_none()).and_then(|most| {
            let enough = would_do(most);
            (enough <= reserved.as_f64() * (1.0 - WORTH)).then(|| Decimal(Milli::from_f64(enough)))
        }),
    };
    let cpus = advice(demand.cpus, most.cpus, &cpus_for);
    // What was ended for want of memory has not shown how much it needs.
    let mem = most.mem_mb.filter(|_| !most.was_short);
    let mem_mb = Advice {
        used_most: most.mem_mb.map(|most| Decimal(Milli::from_f64(most))),
        ..advice(demand.mem, mem, &mem_mb_for)
    };
    let wasted = |advice: &Advice| {
        let each = advice.suggested.map_or(0.0, |s| (advice.reserved.0 - s.0).as_f64());
        Decimal(Milli::from_f64(each * f64::from(spec.instances)))
    };
    Row {
        app_id: &app.id,
        instances: spec.instances,
        measured_s: most.minutes as u64 * 60,
        wasted: Pair { cpus: wasted(&cpus), mem_mb: wasted(&mem_mb) },
        cpus,
        mem_mb,
        held,
    }
}

/// The most that one instance of a service used in a minute of the last day.
#[derive(Debug, Default, PartialEq)]
struct Most {
    /// In which it was measured.
    minutes: usize,
    cpus: Option<f64>,
    mem_mb: Option<f64>,
    /// One was ended at its memory limit.
    was_short: bool,
}

impl Most {
    fn of(state: &State, app: &AppId, recorded: &Recorded, now: Timestamp) -> Self {
        let grid = Grid::COARSE;
        let to = grid.step(now);
        let steps = (to - i64::try_from(grid.n).unwrap_or_default() + 1, to);
        let curves = |of: &Subject| recorded.curves(of, grid, steps).unwrap_or_default();
        let service = curves(&Subject::Service(app.clone()));
        let mut most = Self::of_service(&service);
        // The present ones by themselves: a service is not always shared out evenly.
        for instance in state.instances_of(app) {
            let own = curves(&Subject::Instance(instance.id.clone()));
            most.cpus = greater(most.cpus, values(&own, Measure::CpusUsed).flatten());
            most.mem_mb = greater(most.mem_mb, values(&own, Measure::MemUsed).flatten());
        }
        most
    }

    /// From the sums of a service, shared out among those that ran.
    fn of_service(curves: &[Curve]) -> Self {
        let each = |measure| {
            let running = values(curves, Measure::Running);
            values(curves, measure).zip(running).filter_map(|(used, n)| {
                let n = n.filter(|n| *n > 0.0)?;
                Some(used? / n.max(1.0))
            })
        };
        Self {
            minutes: values(curves, Measure::CpusUsed).flatten().count(),
            cpus: greater(None, each(Measure::CpusUsed)),
            mem_mb: greater(None, each(Measure::MemUsed)),
            was_short: values(curves, Measure::OomKills).flatten().any(|n| n > 0.0),
        }
    }
}

fn values(curves: &[Curve], measure: Measure) -> impl Iterator<Item = Option<f64>> {
    curves
        .iter()
        .filter(move |curve| curve.measure == measure)
        .flat_map(|c| c.values.iter().copied())
}

fn greater(known: Option<f64>, more: impl Iterator<Item = f64>) -> Option<f64> {
    known.into_iter().chain(more).max_by(f64::total_cmp)
}

/// A round number of processors with room above `most`.
fn cpus_for(most: f64) -> f64 {
    let wanted = (most * CPUS_ROOM).max(CPUS_MIN);
    let unit = if wanted <= 0.1 {
        0.01
    } else if wanted <= 2.0 {
        0.1
    } else {
        0.5
    };
    up_to(wanted, unit)
}

/// A round number of MiB with room above `most`.
fn mem_mb_for(most: f64) -> f64 {
    let wanted = (most * MEM_ROOM).max(MEM_MB_MIN);
    let unit = if wanted <= 256.0 {
        16.0
    } else if wanted <= 1024.0 {
        64.0
    } else {
        256.0
    };
    up_to(wanted, unit)
}

/// The next whole `unit`; what is one but for the last digits is that.
fn up_to(wanted: f64, unit: f64) -> f64 {
    (wanted / unit - 1e-6).ceil() * unit
}

#[cfg(test)]
mod tests;
