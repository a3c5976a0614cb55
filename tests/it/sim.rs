//! Simulated clusters: stories with their transcripts, and random worlds by fixed seeds.

use std::{fs, path::Path};

use expect_test::expect_file;
use tepui::sim::{
    self, Args, script,
    trial::{Misfortune, Trial},
};

/// Small worlds, unless `TEPUI_SEEDS` says how many or `TEPUI_SEED` which one.
const SEEDS: u64 = 24;

/// Every story in `tests/sim` comes out as it is written. `UPDATE_EXPECT=1` writes them anew.
#[test]
fn stories() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim");
    let mut stories: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of stories")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    stories.sort();
    assert!(!stories.is_empty());
    for path in stories {
        let transcript = fs::read_to_string(&path).expect("a story");
        let now = script::replay(&transcript, 1);
        assert!(!now.contains("\nbroken: "), "{}:\n{now}", path.display());
        expect_file![path].assert_eq(&now);
    }
}

/// Small worlds with every kind of misfortune; the invariants are checked after every command.
#[test]
fn small_worlds_keep_their_promises() {
    #[allow(clippy::disallowed_methods)] // set by whoever runs the tests
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seeds = match number("TEPUI_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("TEPUI_SEEDS").unwrap_or(SEEDS),
    };
    let (mut n_terms, n_seeds) = (0, seeds.clone().count() as u64);
    for seed in seeds {
        let summary = sim::run(&Args { seed, nodes: 8, instances: 40, seconds: 120 });
        assert!(summary.is_good(), "{summary}");
        n_terms += summary.counts.terms;
    }
    println!("{n_seeds} seeds, {n_terms} leaders lost");
    assert!(n_seeds < SEEDS || n_terms > n_seeds, "leaders are lost in nearly every world");
}

/// Pauses, clocks that are set, slow disks, agents that are away, lost leaders, fifty times each: no healthy
/// container is ended, every count is right ten seconds later, every node is reachable.
#[test]
fn misfortunes_of_time_harm_no_container() {
    use Misfortune as M;
    let mut all = Vec::new();
    for ms in [4_000, 7_000, 20_000, 60_000] {
        all.extend([M::ProcessStops { ms }, M::LeaderStops { ms }, M::AgentStops { ms }]);
        all.push(M::DiskStalls { ms });
    }
    for by_ms in [6_000, -6_000, 3_600_000, -3_600_000] {
        all.extend([M::ClockSteps { by_ms }, M::LeaderClockSteps { by_ms }]);
    }
    all.extend([1_000, 4_000, 10_000, 60_000].map(|ms| M::AgentAway { ms }));
    for ms in [700, 4_000, 60_000] {
        all.extend([M::LeaderLost { ms }, M::LeaderRestarts { ms }]);
    }
    for misfortune in all {
        for seed in 1..=50 {
            let nodes = 1 + u32::try_from(seed % 3).expect("small");
            let trial = Trial { seed, nodes, misfortune };
            trial.run().unwrap_or_else(|problem| panic!("{trial}: {problem}"));
        }
    }
}

/// A world of some size, to meet what only numbers bring.
#[test]
fn a_large_world_keeps_its_promises() {
    let summary = sim::run(&Args { seed: 5, nodes: 300, instances: 4_000, seconds: 30 });
    assert!(summary.is_good(), "{summary}");
}
