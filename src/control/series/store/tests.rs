//! The store: its bound, and what is told of a series.

use super::*;
use crate::model::{AppId, InstanceId};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(1_800_000_000_000 + seconds * 1_000)
}

fn instance(n: usize) -> Subject {
    Subject::Instance(InstanceId::from(format!("i{n:03}")))
}

fn sample(n: usize) -> Sample {
    Sample { subject: instance(n), values: vec![(Measure::CpusUsed, 5), (Measure::MemUsed, 7)] }
}

fn round(recorded: &Recorded, seconds: i64, which: impl Iterator<Item = usize>) {
    recorded.begin(at(seconds));
    recorded.add(at(seconds), &which.map(sample).collect::<Vec<_>>());
}

fn is_there(recorded: &Recorded, n: usize) -> bool {
    recorded.curves(&instance(n), Grid::FINE, (0, 0)).is_some()
}

#[test]
fn the_quietest_make_room_and_the_living_never_do() {
    let recorded = Recorded::with_room_for(8);
    round(&recorded, 0, 0..2);
    round(&recorded, 10, 2..4);
    assert_eq!(recorded.size(), Size { series: 8, refused: 0 });
    // Everybody was measured a moment ago: newcomers wait.
    round(&recorded, 20, 2..6);
    assert_eq!(recorded.size(), Size { series: 8, refused: 4 });
    assert!((0..4).all(|n| is_there(&recorded, n)) && !is_there(&recorded, 4));
    // A minute later the first two are quiet, the second two are not.
    round(&recorded, 80, 2..5);
    assert_eq!(recorded.size(), Size { series: 8, refused: 4 });
    let there: Vec<usize> = (0..6).filter(|n| is_there(&recorded, *n)).collect();
    assert_eq!(there, [1, 2, 3, 4], "one went for one");
}

#[test]
fn what_has_no_number_left_goes() {
    let recorded = Recorded::default();
    round(&recorded, 0, 0..3);
    round(&recorded, 86_400, 1..2);
    assert_eq!(recorded.size().series, 6);
    round(&recorded, 86_401, 1..2);
    assert_eq!(recorded.size().series, 2);
}

#[test]
fn what_never_happened_takes_no_series() {
    let (recorded, subject) = (Recorded::default(), instance(0));
    let restarts = |n| Sample { subject: subject.clone(), values: vec![(Measure::Restarts, n)] };
    recorded.add(at(0), &[restarts(0)]);
    assert_eq!((recorded.size().series, is_there(&recorded, 0)), (0, false));
    recorded.add(at(10), &[restarts(2)]);
    recorded.add(at(20), &[restarts(0)]);
    let first = Grid::FINE.step(at(0));
    let curves = recorded.curves(&subject, Grid::FINE, (first, first + 2)).unwrap();
    let values = vec![None, Some(2.0), Some(0.0)];
    assert_eq!(curves, [Curve { measure: Measure::Restarts, values }]);
}

#[test]
fn a_spark_is_thirty_points_beside_the_greatest() {
    let recorded = Recorded::default();
    let subject = Subject::Service(AppId::parse("/web"));
    for step in 0..360 {
        let values = vec![(Measure::CpusUsed, if step < 120 { 500 } else { 2_000 })];
        // A gap of ten minutes.
        if !(180..240).contains(&step) {
            recorded.add(at(step * 10), &[Sample { subject: subject.clone(), values }]);
        }
    }
    let first = Grid::FINE.step(at(0));
    let is_service = |subject: &Subject| matches!(subject, Subject::Service(_));
    let sparks = recorded.each(
        9,
        is_service,
        |_, spark| spark(Measure::CpusUsed),
        (Grid::FINE, first, first + 359),
    );
    let [spark] = &sparks[..] else { panic!("{} sparks", sparks.len()) };
    assert_eq!((spark.last, spark.max), (Some(2.0), 2.0));
    let expected = (0..30).map(|point| match point {
        0..10 => Some(25),
        15..20 => None,
        _ => Some(100),
    });
    assert_eq!(spark.points, expected.collect::<Vec<_>>());
}
