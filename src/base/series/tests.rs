//! Series against maps without bound.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{packed, *};

#[test]
fn a_series_takes_less_than_six_kilobytes() {
    let series = Series::new(Fold::Mean);
    let held = (series.fine.slots.len() + series.coarse.slots.len()) * 2 + size_of::<Series>();
    assert_eq!(held, Series::BYTES);
    assert!(held < 3_700, "{held} bytes");
}

#[test]
fn numbers_are_packed_exactly_or_to_one_part_in_four_thousand() {
    for number in (0..5_000).chain((0..42).flat_map(|bit| (1 << bit) - 1..(1_u64 << bit) + 2)) {
        let back = packed::unpack(packed::pack(number)).unwrap();
        let off = back.abs_diff(number);
        assert!(if number < 4_096 { off == 0 } else { off <= number / 4_096 }, "{number}: {back}");
    }
    let greatest = packed::unpack(packed::pack(u64::MAX)).unwrap();
    assert_eq!(greatest, 4_094 << 30, "and never a gap");
    let codes: Vec<_> = (0..packed::GAP).map(|code| packed::unpack(code).unwrap()).collect();
    assert!(codes.is_sorted(), "a greater number has a greater code");
}

#[test]
fn numbers_of_one_step_and_steps_of_one_minute_come_together() {
    let all = |fold| {
        let mut series = Series::new(fold);
        for (at_s, number) in [(60, 10), (65, 20), (70, 7), (119, 8)] {
            series.add(Timestamp::from_ms(at_s * 1_000), number);
        }
        let fine = [6, 7, 8, 11].map(|step| series.get(Grid::FINE, step));
        (fine, series.get(Grid::COARSE, 1))
    };
    assert_eq!(all(Fold::Mean), ([Some(15), Some(7), None, Some(8)], Some(10)));
    assert_eq!(all(Fold::Sum), ([Some(30), Some(7), None, Some(8)], Some(45)));
    assert_eq!(all(Fold::Max), ([Some(20), Some(7), None, Some(8)], Some(20)));
}

#[test]
fn a_clock_put_back_takes_out_what_is_to_come() {
    let mut series = Series::new(Fold::Mean);
    let at = |s: i64| Timestamp::from_ms(s * 1_000);
    series.add(at(1_000), 1);
    series.add(at(3_000), 2);
    series.add(at(1_010), 3);
    let fine = [100, 101, 102, 300].map(|step| series.get(Grid::FINE, step));
    assert_eq!(fine, [Some(1), Some(3), None, None]);
    assert_eq!([16, 50].map(|minute| series.get(Grid::COARSE, minute)), [Some(2), None]);
}

/// The same rules over maps that forget nothing by themselves.
#[derive(Default)]
struct Model {
    fine: BTreeMap<i64, (u64, u64)>,
    coarse: BTreeMap<i64, u64>,
    is_open: bool,
    newest: i64,
}

impl Model {
    fn value(fold: Fold, (sum, n): (u64, u64)) -> u64 {
        let value = if fold == Fold::Mean { (sum + n / 2) / n } else { sum };
        packed::unpack(packed::pack(value)).unwrap()
    }

    fn add(&mut self, fold: Fold, at_ms: i64, number: u64) {
        let (step, minute) = (at_ms.div_euclid(10_000), at_ms.div_euclid(60_000));
        self.fine.retain(|other, _| *other <= step && *other > step - 360);
        self.coarse.retain(|other, _| *other <= minute && *other > minute - 1_440);
        if step != self.newest || !self.is_open {
            // What is there already counts as one number.
            self.fine.entry(step).and_modify(|held| *held = (Self::value(fold, *held), 1));
        }
        (self.newest, self.is_open) = (step, true);
        let (sum, n) = self.fine.entry(step).or_insert((0, 0));
        *sum = if fold == Fold::Max { number.max(*sum) } else { *sum + number };
        *n += 1;
        let values: Vec<u64> = self
            .fine
            .range(minute * 6..minute * 6 + 6)
            .map(|(_, held)| Self::value(fold, *held))
            .collect();
        let all = values.iter().sum::<u64>();
        let together = match fold {
            Fold::Mean => (all + values.len() as u64 / 2) / values.len() as u64,
            Fold::Sum => all,
            Fold::Max => values.into_iter().max().unwrap(),
        };
        self.coarse.insert(minute, packed::unpack(packed::pack(together)).unwrap());
    }
}

/// What happens to a series.
#[derive(Clone, Debug)]
enum Event {
    /// So long after the last one; back in time when negative.
    Add(i64, u64),
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let apart = prop_oneof![
        12 => 0..15_000_i64,
        3 => 0..4_000_000_i64,
        1 => 0..100_000_000_i64,
        2 => -70_000..0_i64,
        1 => -100_000_000..0_i64,
    ];
    let number = prop_oneof![0..10_u64, 0..5_000_000_000_u64];
    let add = (apart, number).prop_map(|(apart, number)| Event::Add(apart, number));
    prop::collection::vec(prop_oneof![20 => add, 1 => Just(Event::Restart)], 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_series_is_what_maps_would_hold(
        events in events(),
        fold in prop_oneof![Just(Fold::Mean), Just(Fold::Sum), Just(Fold::Max)],
    ) {
        let (mut series, mut model) = (Series::new(fold), Model::default());
        let mut now = 1_800_000_000_000_i64;
        for event in events {
            match event {
                Event::Add(apart, number) => {
                    now += apart;
                    series.add(Timestamp::from_ms(now), number);
                    model.add(fold, now, number);
                }
                Event::Restart => {
                    let (fine, coarse) = series.keep();
                    series = Series::of(fold, &fine, &coarse);
                    model.is_open = false;
                }
            }
        }
        let at = Timestamp::from_ms(now);
        let (step, minute) = (Grid::FINE.step(at), Grid::COARSE.step(at));
        for step in step - 400..step + 400 {
            let held = model.fine.get(&step).map(|held| Model::value(fold, *held));
            prop_assert_eq!(series.get(Grid::FINE, step), held, "step {}", step);
        }
        for minute in minute - 1_500..minute + 1_500 {
            let held = model.coarse.get(&minute).copied();
            prop_assert_eq!(series.get(Grid::COARSE, minute), held, "minute {}", minute);
        }
    }

    #[test]
    fn whatever_was_stored_is_read(
        newest in any::<i64>(),
        codes in prop::collection::vec(any::<u8>(), 0..4_000),
        at in any::<i64>(),
    ) {
        let kept = Kept { newest, codes };
        let mut series = Series::of(Fold::Mean, &kept, &kept);
        series.add(Timestamp::from_ms(at), 7);
        prop_assert!(series.get(Grid::FINE, Grid::FINE.step(Timestamp::from_ms(at))).is_some());
    }
}
