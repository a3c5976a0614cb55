//! Simulated clusters: stories with their transcripts, and random worlds by fixed seeds.

use std::{fs, path::Path};

use expect_test::expect_file;
use tepui::sim::{self, Args, script};

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

/// A world of some size, to meet what only numbers bring.
#[test]
fn a_large_world_keeps_its_promises() {
    let summary = sim::run(&Args { seed: 5, nodes: 300, instances: 4_000, seconds: 30 });
    assert!(summary.is_good(), "{summary}");
}
