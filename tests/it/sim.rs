//! Simulated clusters: stories with their transcripts, and random worlds by fixed seeds.

use std::{fs, path::Path};

use expect_test::expect_file;
use tepui::sim::{
    self, Args, script,
    trial::{Misfortune, Trial},
};

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
    for seed in 1..=24 {
        let summary = sim::run(&Args { seed, nodes: 8, instances: 40, seconds: 120 });
        assert!(summary.is_good(), "{summary}");
    }
}

/// Pauses, clocks that are set, slow disks and agents that are away, fifty times each: no healthy
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
