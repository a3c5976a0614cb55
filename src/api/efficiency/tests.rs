//! What is advised from made-up days.

use super::*;
use crate::{
    control::series::store::Sample,
    core::apply::tests::world::{World, app},
};

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

/// Two instances that reserve 2 cpus and 1,024 MiB each.
fn world() -> World {
    let mut spec = app("/web", 2);
    spec.run_mut().containers[0].resources = Scalars::of(2.0, 1_024.0, 0.0, 0.0);
    let mut w = World::new(1);
    w.put(spec);
    w.settle();
    w
}

/// What was used together for so many minutes up to now.
fn used(minutes: i64, cpus: f64, mem_mb: f64) -> Recorded {
    let recorded = Recorded::default();
    for minute in (0..minutes).rev() {
        let at = Timestamp::from_ms(NOW.as_ms() - minute * 60_000);
        recorded.add(at, &[sample(cpus, mem_mb)]);
    }
    recorded
}

fn sample(cpus: f64, mem_mb: f64) -> Sample {
    let subject = Subject::Service(AppId::parse("/web"));
    let values = [(Measure::CpusUsed, cpus), (Measure::MemUsed, mem_mb), (Measure::Running, 2.0)];
    Sample { subject, values: values.map(|(m, n)| (m, m.whole(n))).to_vec() }
}

fn told(w: &World, recorded: &Recorded) -> serde_json::Value {
    let app = w.state.apps.values().next().expect("an app");
    serde_json::to_value(row(&w.state, app, recorded, NOW)).expect("JSON")
}

#[test]
fn what_lies_idle_is_told_with_what_would_do() {
    let told = told(&world(), &used(900, 0.2, 400.0));
    assert_eq!(
        told["cpus"],
        serde_json::json!({"reserved": 2, "used_most": 0.1, "suggested": 0.2})
    );
    assert_eq!(told["mem_mb"]["suggested"], 256, "{told}");
    assert_eq!(told["wasted"], serde_json::json!({"cpus": 3.6, "mem_mb": 1_536}));
    assert_eq!(told["measured_s"], 900 * 60);
    assert!(told.get("held").is_none());
}

#[test]
fn nothing_is_advised_before_half_a_day() {
    let told = told(&world(), &used(700, 0.2, 400.0));
    assert_eq!((&told["held"], &told["cpus"]["used_most"]), (&"history".into(), &0.1.into()));
    assert!(told["cpus"].get("suggested").is_none());
    assert_eq!(told["wasted"]["cpus"], 0);
}

#[test]
fn one_busy_instance_counts_more_than_the_mean() {
    let (w, recorded) = (world(), used(900, 0.2, 400.0));
    let busy = w.state.instances.keys().next().expect("an instance").clone();
    let values = vec![(Measure::CpusUsed, Measure::CpusUsed.whole(1.4))];
    recorded.add(NOW, &[Sample { subject: Subject::Instance(busy), values }]);
    let told = told(&w, &recorded);
    assert_eq!(told["cpus"]["used_most"], 1.4);
    assert!(told["cpus"].get("suggested").is_none(), "2.1 is no less than 2: {told}");
}

#[test]
fn who_was_ended_for_want_of_memory_is_not_given_less() {
    let recorded = used(900, 0.2, 400.0);
    let subject = Subject::Service(AppId::parse("/web"));
    recorded.add(NOW, &[Sample { subject, values: vec![(Measure::OomKills, 1)] }]);
    let told = told(&world(), &recorded);
    assert_eq!(told["mem_mb"]["used_most"], 200);
    assert!(told["mem_mb"].get("suggested").is_none());
    assert_eq!(told["cpus"]["suggested"], 0.2);
}

#[test]
fn numbers_are_round_and_never_too_small() {
    let cpus = [(0.0, 0.01), (0.02, 0.03), (0.1, 0.2), (0.9, 1.4), (3.0, 4.5)];
    for (most, would_do) in cpus {
        assert!((cpus_for(most) - would_do).abs() < 1e-9, "{most}: {}", cpus_for(most));
    }
    let mem = [(1.0, 16.0), (100.0, 128.0), (500.0, 640.0), (2_000.0, 2_560.0)];
    for (most, would_do) in mem {
        assert!((mem_mb_for(most) - would_do).abs() < 1e-9, "{most}: {}", mem_mb_for(most));
    }
}
