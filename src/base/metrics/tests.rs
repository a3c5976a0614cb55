//! Families and their text, on families of these tests.

use std::time::Duration;

use expect_test::expect;

use super::{Family, Kind, QUICK, process, text::render};

label! {
    enum Size("size") {
        Small = "small",
        Large = "large",
    }
}

label! {
    enum Colour("colour") {
        Red = "red",
        Green = "green",
        Blue = "blue",
    }
}

families! {
    BOXES: Counter<(Size, Colour)> = new("test_boxes_total", "Boxes seen.");
    OPEN: Gauge<Size> = new("test_open", "Boxes open.");
    WAITED: Histogram<()> = new("test_wait_seconds", "Waits.", &QUICK);
    WEIGHT: Reading<Size> = gauge("test_weight_bytes", "Weights.", || [1.5, f64::NAN]);
}

#[test]
fn each_series_has_its_own_cell_and_its_line() {
    BOXES.inc((Size::Small, Colour::Blue));
    BOXES.add((Size::Large, Colour::Red), 41);
    BOXES.inc((Size::Large, Colour::Red));
    OPEN.set(Size::Large, 7);
    OPEN.dec(Size::Large);
    OPEN.dec(Size::Small);
    assert_eq!(BOXES.get((Size::Large, Colour::Red)), 42);
    assert_eq!(BOXES.get((Size::Small, Colour::Green)), 0);
    let shown = FAMILIES.iter().copied().filter(|family| family.about().kind != Kind::Histogram);
    expect![[r#"
        # HELP test_boxes_total Boxes seen.
        # TYPE test_boxes_total counter
        test_boxes_total{size="small",colour="red"} 0
        test_boxes_total{size="small",colour="green"} 0
        test_boxes_total{size="small",colour="blue"} 1
        test_boxes_total{size="large",colour="red"} 42
        test_boxes_total{size="large",colour="green"} 0
        test_boxes_total{size="large",colour="blue"} 0
        # HELP test_open Boxes open.
        # TYPE test_open gauge
        test_open{size="small"} -1
        test_open{size="large"} 6
        # HELP test_weight_bytes Weights.
        # TYPE test_weight_bytes gauge
        test_weight_bytes{size="small"} 1.5
        test_weight_bytes{size="large"} NaN
    "#]]
    .assert_eq(&render(shown));
}

#[test]
fn a_time_falls_under_the_first_bound_it_does_not_pass() {
    for us in [0, 100, 101, 10_000_000, 10_000_001] {
        WAITED.observe((), Duration::from_micros(us));
    }
    assert_eq!(WAITED.count(()), 5);
    let text = render(std::iter::once::<&dyn Family>(&WAITED));
    for line in [
        "test_wait_seconds_bucket{le=\"0.0001\"} 2",
        "test_wait_seconds_bucket{le=\"0.00025\"} 3",
        "test_wait_seconds_bucket{le=\"2.5\"} 3",
        "test_wait_seconds_bucket{le=\"10\"} 4",
        "test_wait_seconds_bucket{le=\"+Inf\"} 5",
        "test_wait_seconds_count 5",
        "test_wait_seconds_sum 20.000202",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
}

#[test]
fn the_process_knows_itself() {
    let text = render(process::FAMILIES.iter().copied());
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is missing in\n{text}")).parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_open_fds") >= 3.0);
    assert!(value("process_max_fds") >= value("process_open_fds"));
    assert!(value("process_cpu_seconds_total") >= 0.0);
    let now = crate::base::clock::SystemClock::shared().now().as_ms() as f64 / 1e3;
    let age = now - value("process_start_time_seconds");
    assert!((-2.0..86_400.0).contains(&age), "started {age} s ago");
    assert!(text.contains(concat!(
        "tepui_build_info{version=\"",
        env!("CARGO_PKG_VERSION"),
        "\"} 1"
    )));
}
