//! What is foreseen is what a plan then does.

use super::*;
use crate::core::place::tests::{NOW, app, racks, run, state};

fn told(forecast: &Forecast) -> (u32, u32, String) {
    let places = forecast.places.iter().map(|place| format!("{}:{}", place.hostname, place.n));
    (forecast.report.n_waiting, forecast.n_more, places.collect::<Vec<_>>().join(" "))
}

#[test]
fn places_and_room_are_those_of_the_planner() {
    let nodes = || racks().into_iter().take(2).collect::<Vec<_>>();
    let limits = Limits::default();
    let mut before = state(nodes(), vec![app("/a", 1, 6.0, 64.0, &[])]);
    run(&mut before, &limits);
    let look = |spec: &WorkloadSpec, room| forecast(&before, &[], spec, NOW, &limits, room);
    let more = |without_old| Room { without_old, more: 10 };
    for (n, cpus, wanted) in [
        (2, 2.0, (0, 3, "n1:1 n0:1")),
        (2, 4.0, (0, 0, "n1:2")),
        (4, 4.0, (2, 0, "n1:2")),
        (0, 4.0, (0, 2, "")),
    ] {
        let spec = app("/b", n, cpus, 64.0, &[]);
        let seen = look(&spec, more(false));
        let (waiting, room, places) = told(&seen);
        let sorted = |text: &str| {
            let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            words.sort();
            words
        };
        assert_eq!((waiting, room, sorted(&places)), (wanted.0, wanted.1, sorted(wanted.2)), "{n}");
        let plain = explain_spec(&before, &[], &spec, NOW, &limits);
        let n_each = |report: &Report| (report.n_placed, report.n_waiting);
        assert_eq!(n_each(&seen.report), n_each(&plain), "{n}");
        assert!(seen.limit.is_some_and(|why| why.contains("too few cpus free")), "{n}");
    }
    // The new one goes beside the old one; once that is gone there is room for another.
    let changed = app("/a", 1, 7.0, 64.0, &[]);
    assert_eq!(told(&look(&changed, more(false))), (0, 0, "n1:1".to_owned()));
    assert_eq!(told(&look(&changed, more(true))).1, 1);
    let bounded = look(&app("/b", 1, 0.1, 1.0, &[]), more(false));
    assert_eq!((bounded.n_more, bounded.limit), (10, None));
}
