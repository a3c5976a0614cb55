//! Searches over a week of a busy cluster: a hundred thousand records in the store of the product.

use std::{sync::Arc, time::Instant};

use tepui::{
    base::clock::Timestamp,
    core::history::{Cursor, Kind, Query, Record, encode},
    log::{
        history::search,
        rocks::RocksStore,
        store::{self, Store, Write},
    },
    model::by::{By, Way},
};

use crate::{Plan, report::Section};

const ROUNDS: usize = 11;

pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut section = Section::new("History", &["search", "found", "median", "most"]);
    let n = plan.load(100_000);
    let dir = tempfile::tempdir()?;
    let store = RocksStore::open(dir.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(fill(&store, n))?;
    let all = || Query { limit: 100, ..Query::default() };
    let of = |text: &str| Query { of: Some(text.into()), ..all() };
    let grep = |text: &str| Query { grep: Some(text.into()), ..all() };
    for (label, query) in [
        ("the newest 100", all()),
        ("100 of one service", of("/shop/group-7/service-7")),
        ("of a service that is not there", of("/shop/nowhere")),
        ("text that is nowhere", grep("no such text")),
        ("text of the oldest record", grep("→ 1.2,")),
        ("who and kind", Query { who: Some("user7".into()), kinds: vec![Kind::Kill], ..all() }),
        ("the first minutes", Query { until: Some(Timestamp::from_ms(600_000)), ..all() }),
    ] {
        let mut times = Vec::new();
        let mut n_found = 0;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            n_found = search(&*store, query.clone())?.found.len();
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let shown = |ms: f64| format!("{ms:.1} ms");
        section.row(vec![
            label.to_owned(),
            n_found.to_string(),
            shown(times[ROUNDS / 2]),
            shown(times[ROUNDS - 1]),
        ]);
    }
    section.note(format!(
        "{n} records in RocksDB as a master keeps them, {} of them attempts with last lines; each search on \
         one thread, {ROUNDS} times.",
        n / 2
    ));
    Ok(section)
}

async fn fill(store: &Arc<dyn Store>, n: u64) -> anyhow::Result<()> {
    for first in (1..=n).step_by(5_000) {
        let row = |n: u64| (Cursor { revision: n, n: 1 }.row(), Some(encode(&record(n))));
        let rows = (first..(first + 5_000).min(n + 1)).map(row).collect();
        store::write(store, Write::Rows { rows, marker: vec![1] }).await?;
    }
    Ok(())
}

fn record(n: u64) -> Record {
    let at = Timestamp::from_ms(6_000 * n.cast_signed());
    let tail =
        "2026-11-28T10:07:06Z ERROR worker: request failed\nFATAL: cannot open /etc/importer.yaml";
    let attempt = n.is_multiple_of(2).then(|| tepui::core::history::Attempt {
        incarnation: 7,
        version: at,
        node: format!("c0ffee00-0000-4000-8000-000000000000-S{}", n % 100).into(),
        host: format!("10.0.0.{}", n % 100),
        placed_at: at,
        started_at: Some(at),
        end: tepui::model::instance::Condition::Failed,
        exit_code: Some(3),
        killed_for: None,
        unhealthy: false,
        tail: tail.into(),
    });
    Record {
        at,
        kind: if attempt.is_some() { Kind::Attempt } else { Kind::ALL[(n / 2 % 8) as usize] },
        of: format!("/shop/group-{}/service-{}", n % 40, n % 400),
        text: format!("changed: image 1.{n} → 1.{}, +1 variable, memory 64 → 128 MiB", n + 1),
        by: Some(By { uid: format!("user{}", n % 30), way: Way::Cli, peer: None }),
        refused: None,
        version: Some(at),
        deployment: Some(format!("7a7f5d3e-0000-4000-8000-{n:012}").into()),
        took_ms: Some(n),
        instance: Some(format!("shop_service.instance-7a7f5d3e-0000-4000-8000-{n:012}").into()),
        attempt,
        bad: n.is_multiple_of(2),
    }
}
