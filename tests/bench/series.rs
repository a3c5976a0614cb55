//! What it costs a leader to measure a thousand instances over time: processor, memory, the file.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tepui::{
    base::{
        clock::{Moment, Timestamp},
        series::Grid,
    },
    control::series::{
        Measure, Recorded, Subject, file,
        sample::{Sampler, Seen},
        store::Sample,
    },
    http::meter::Meters,
    model::{
        InstanceId, NodeId,
        link::{TaskUsage, Usage},
    },
};

use crate::{
    Plan,
    child::{self, Scratch},
    report::Section,
    world::{self, NOW},
};

/// As the recorder: a round every 5 s, the file every 5 min.
const EVERY: Duration = Duration::from_secs(5);
const SAVE_EVERY: Duration = Duration::from_secs(300);
/// Rounds measured: a day's slots are all written to once, and a tenth of an hour at full pace.
const MINUTES: i64 = 1_440;
const ROUNDS: i64 = 72;

const MEASURES: [Measure; 12] = [
    Measure::CpusUsed,
    Measure::CpusReserved,
    Measure::MemUsed,
    Measure::MemLimit,
    Measure::DiskUsed,
    Measure::Restarts,
    Measure::OomKills,
    Measure::Requests,
    Measure::Errors,
    Measure::LatencyP50,
    Measure::LatencyP99,
    Measure::Running,
];

pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut section = Section::new("Measuring over time", &["what", "value"]);
    let n = plan.load(1_000);
    let recorded = Recorded::default();
    let before = child::rss_bytes(std::process::id());
    let samples = samples(n);
    for minute in 0..MINUTES {
        add(&recorded, NOW + Duration::from_secs(60) * u32::try_from(minute)?, &samples);
    }
    let memory = child::rss_bytes(std::process::id()) - before;
    let end = NOW + Duration::from_secs(60) * u32::try_from(MINUTES)?;
    let began = Instant::now();
    for round in 0..ROUNDS {
        add(&recorded, end + EVERY * u32::try_from(round)?, &samples);
    }
    let adding = began.elapsed() / u32::try_from(ROUNDS)?;
    let sampling = sampling(n)?;
    let scratch = Scratch::new("series")?;
    let path = std::path::PathBuf::from(scratch.file("series"));
    let began = Instant::now();
    file::save(&path, &recorded)?;
    let saving = began.elapsed();
    let n_bytes = std::fs::metadata(&path)?.len();
    let fresh = Recorded::default();
    let began = Instant::now();
    let (n_rows, problem) = file::load(&path, &fresh);
    let loading = began.elapsed();
    anyhow::ensure!(problem.is_none() && n_rows as u64 == n, "{n_rows} rows: {problem:?}");
    let one = Subject::Instance(InstanceId::from("i00000"));
    let step = Grid::FINE.step(end);
    let began = Instant::now();
    let curves = recorded.curves(&one, Grid::FINE, (step - 359, step)).unwrap_or_default();
    let asking = began.elapsed();
    anyhow::ensure!(curves.len() == MEASURES.len(), "{} series", curves.len());
    let share = |took: Duration, of: Duration| took.as_secs_f64() / of.as_secs_f64() * 100.0;
    let whole = share(adding + sampling, EVERY) + share(saving, SAVE_EVERY);
    #[allow(clippy::cast_precision_loss)] // numbers for people
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let ms = |took: Duration| format!("{:.2} ms", took.as_secs_f64() * 1e3);
    let series = recorded.size().series;
    section.row([format!("memory of {series} series, a day full"), mb(memory)]);
    section.row([format!("a round: looking at {n} instances"), ms(sampling)]);
    section.row([format!("a round: writing {series} numbers"), ms(adding)]);
    section.row(["the file, written and synced".to_owned(), ms(saving)]);
    section.row(["the file".to_owned(), mb(n_bytes)]);
    section.row(["the file, read at a start".to_owned(), ms(loading)]);
    section.row(["12 series of an hour, asked for".to_owned(), ms(asking)]);
    section.row(["one processor, all of it".to_owned(), format!("{whole:.2} %")]);
    section.note(format!(
        "{n} instances with {} series each, which is more than the product has of one; a round every \
         {} s, the file every {} s.",
        MEASURES.len(),
        EVERY.as_secs(),
        SAVE_EVERY.as_secs()
    ));
    Ok(section)
}

fn samples(n: u64) -> Vec<Sample> {
    let values = MEASURES.map(|measure| (measure, 1_234_567)).to_vec();
    let subject = |n| Subject::Instance(InstanceId::from(format!("i{n:05}")));
    (0..n).map(|n| Sample { subject: subject(n), values: values.clone() }).collect()
}

fn add(recorded: &Recorded, at: Timestamp, samples: &[Sample]) {
    recorded.begin(at);
    recorded.add(at, samples);
}

/// What a look at so many running instances takes.
fn sampling(n: u64) -> anyhow::Result<Duration> {
    let specs = (0..n / 10).map(|n| world::spec(&format!("/a{n}"), 10, &[]));
    let state = world::running(u32::try_from(n / 20 + 1)?, specs);
    let usage = |node: &NodeId| {
        let task =
            |id: &InstanceId| TaskUsage { instance: id.clone(), cpus: 0.1, mem_bytes: 1 << 20 };
        let tasks = state.instances_on(node).map(|instance| task(&instance.id)).collect();
        Some(Arc::new(Usage { cpus: 1.0, mem_bytes: 1 << 30, tasks, ..Usage::default() }))
    };
    let meters = Meters::default();
    for app in state.apps.keys() {
        meters.of(app);
    }
    let mut sampler = Sampler::default();
    let began = Instant::now();
    for round in 0..ROUNDS.unsigned_abs() {
        let moment = Moment::from_ms(round * 5_000);
        let seen = Seen { state: &state, usage: &usage, meters: &meters, moment };
        anyhow::ensure!(sampler.round(&seen).len() as u64 > n, "too few samples");
    }
    Ok(began.elapsed() / u32::try_from(ROUNDS)?)
}
