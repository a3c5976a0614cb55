//! The series of everything that is measured, in bounded memory.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    names::{Measure, Subject},
    row::Row,
};
use crate::base::{
    clock::Timestamp,
    limit,
    series::{Fold, Grid, Series},
};

/// What was measured last longer ago than this is not measured any more.
const QUIET: Duration = Duration::from_secs(60);
/// What was measured last longer ago than a day has no number left.
const OVER: Duration = Duration::from_secs(86_400);

/// Numbers of one subject at one time.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    pub subject: Subject,
    pub values: Vec<(Measure, u64)>,
}

/// The series of one subject.
#[derive(Debug, Default)]
struct Curves {
    by_measure: Vec<(Measure, Series)>,
    at: Timestamp,
}

/// All series. Shared by who measures, who stores and who asks.
#[derive(Debug)]
pub struct Recorded {
    store: Mutex<Store>,
}

#[derive(Debug)]
struct Store {
    subjects: BTreeMap<Subject, Curves>,
    n_series: usize,
    n_max: usize,
    /// When the present round began.
    now: Timestamp,
    /// What may make room, the quietest first; looked for once in a round, when there is none left.
    quiet: Option<VecDeque<Subject>>,
    n_refused: u64,
}

/// How much there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    pub series: usize,
    /// Series that found no room, since the start.
    pub refused: u64,
}

/// A series between two steps.
#[derive(Clone, PartialEq, Debug)]
pub struct Curve {
    pub measure: Measure,
    pub values: Vec<Option<f64>>,
}

impl Default for Recorded {
    fn default() -> Self {
        Self::with_room_for(limit::SERIES_MAX)
    }
}

impl Recorded {
    /// Nothing yet, and never more than so many series.
    pub fn with_room_for(n_max: usize) -> Self {
        let (subjects, now) = (BTreeMap::new(), Timestamp::EPOCH);
        let store = Store { subjects, n_series: 0, n_max, now, quiet: None, n_refused: 0 };
        Self { store: Mutex::new(store) }
    }

    /// A round of samples begins: what has no number left goes.
    pub fn begin(&self, now: Timestamp) {
        self.store.lock().begin(now);
    }

    /// Takes samples in, all of one time. Those that come first find room first.
    pub fn add(&self, at: Timestamp, samples: &[Sample]) {
        let mut store = self.store.lock();
        for sample in samples {
            store.add(at, sample);
        }
    }

    pub fn size(&self) -> Size {
        let store = self.store.lock();
        Size { series: store.n_series, refused: store.n_refused }
    }

    /// The series of a subject from one step to another; `None` when it was never measured.
    pub fn curves(&self, of: &Subject, grid: Grid, (from, to): (i64, i64)) -> Option<Vec<Curve>> {
        let store = self.store.lock();
        let curves = store.subjects.get(of)?;
        Some(curves.by_measure.iter().map(|(m, s)| curve(*m, s, grid, (from, to))).collect())
    }

    /// What `make` makes of each subject that `pick` picks, the first `n_max` it makes something of.
    pub fn each<T>(
        &self,
        n_max: usize,
        pick: impl Fn(&Subject) -> bool,
        make: impl Fn(&Subject, &dyn Fn(Measure) -> Option<Spark>) -> Option<T>,
        (grid, from, to): (Grid, i64, i64),
    ) -> Vec<T> {
        let store = self.store.lock();
        let picked = store.subjects.iter().filter(|(subject, _)| pick(subject));
        picked
            .filter_map(|(subject, curves)| {
                make(subject, &|measure| {
                    let (_, series) = curves.by_measure.iter().find(|(m, _)| *m == measure)?;
                    Some(spark(measure, series, grid, (from, to)))
                })
            })
            .take(n_max)
            .collect()
    }

    /// All there is in rows for the file; `with` is called for one at a time, and nobody waits for it.
    pub(super) fn rows<E>(&self, mut with: impl FnMut(Row) -> Result<(), E>) -> Result<(), E> {
        let subjects: Vec<Subject> = self.store.lock().subjects.keys().cloned().collect();
        for subject in subjects {
            let row = {
                let store = self.store.lock();
                let Some(curves) = store.subjects.get(&subject) else { continue };
                Row::of(subject, curves.by_measure.iter().map(|(measure, s)| (*measure, s)))
            };
            with(row)?;
        }
        Ok(())
    }

    /// Takes back what was stored, as far as there is room.
    pub(super) fn restore(&self, row: Row) {
        let mut store = self.store.lock();
        let (subject, by_measure) = row.into_series();
        let is_room = store.n_series + by_measure.len() <= store.n_max;
        if is_room && !store.subjects.contains_key(&subject) {
            store.n_series += by_measure.len();
            let at = by_measure.iter().map(|(_, s)| s.newest_at()).max().unwrap_or_default();
            store.subjects.insert(subject, Curves { by_measure, at });
        }
    }
}

impl Store {
    fn begin(&mut self, now: Timestamp) {
        let n_series = &mut self.n_series;
        self.subjects.retain(|_, curves| {
            let is_over = now.since(curves.at) > OVER;
            *n_series -= if is_over { curves.by_measure.len() } else { 0 };
            !is_over
        });
        (self.now, self.quiet) = (now, None);
    }

    /// What was not measured lately, the quietest first.
    fn find_quiet(&self) -> VecDeque<Subject> {
        let quiet = self.subjects.iter().filter(|(_, curves)| self.now.since(curves.at) > QUIET);
        let mut quiet: Vec<_> = quiet.map(|(subject, curves)| (curves.at, subject)).collect();
        quiet.sort_unstable();
        quiet.into_iter().map(|(_, subject)| subject.clone()).collect()
    }

    fn add(&mut self, at: Timestamp, Sample { subject, values }: &Sample) {
        if !self.subjects.contains_key(subject) {
            self.subjects.insert(subject.clone(), Curves::default());
        }
        for (measure, number) in values {
            let Some(curves) = self.subjects.get_mut(subject) else { return };
            curves.at = at;
            let held = curves.by_measure.iter_mut().find(|(held, _)| held == measure);
            if let Some((_, series)) = held {
                series.add(at, *number);
                continue;
            }
            // What never happened needs no series.
            let is_nothing = *number == 0 && measure.fold() == Fold::Sum;
            if is_nothing {
                continue;
            }
            if !self.make_room() {
                self.n_refused += 1;
                continue;
            }
            let mut series = Series::new(measure.fold());
            series.add(at, *number);
            let Some(curves) = self.subjects.get_mut(subject) else { return };
            curves.by_measure.push((*measure, series));
            self.n_series += 1;
        }
        if self.subjects.get(subject).is_some_and(|curves| curves.by_measure.is_empty()) {
            self.subjects.remove(subject);
        }
    }

    /// Room for one series more; what is not measured any more goes for it.
    fn make_room(&mut self) -> bool {
        while self.n_series >= self.n_max {
            if self.quiet.is_none() {
                self.quiet = Some(self.find_quiet());
            }
            let Some(subject) = self.quiet.as_mut().and_then(VecDeque::pop_front) else {
                return false;
            };
            if let Some(gone) = self.subjects.remove(&subject) {
                self.n_series -= gone.by_measure.len();
            }
        }
        true
    }
}

fn curve(measure: Measure, series: &Series, grid: Grid, (from, to): (i64, i64)) -> Curve {
    let steps = (from..=to).map(|step| series.get(grid, step));
    Curve { measure, values: steps.map(|n| n.map(|n| measure.value(n))).collect() }
}

/// A series in so few points that a list of them is small.
#[derive(Clone, PartialEq, Debug)]
pub struct Spark {
    pub measure: Measure,
    /// The newest number, and the greatest.
    pub last: Option<f64>,
    pub max: f64,
    /// The mean of each part of the time, in hundredths of the greatest.
    pub points: Vec<Option<u8>>,
}

/// Points of a spark.
pub const SPARK_POINTS: i64 = 30;

fn spark(measure: Measure, series: &Series, grid: Grid, (from, to): (i64, i64)) -> Spark {
    let per_point = ((to - from + 1) / SPARK_POINTS).max(1);
    let means: Vec<Option<u64>> = (0..SPARK_POINTS)
        .map(|point| {
            let first = from + point * per_point;
            let steps = (first..first + per_point).filter_map(|step| series.get(grid, step));
            let (sum, n) = steps.fold((0, 0), |(sum, n), number| (sum + number, n + 1));
            (n > 0).then(|| sum / n)
        })
        .collect();
    let greatest = means.iter().flatten().copied().max().unwrap_or(0);
    let hundredths = |n: u64| u8::try_from(n * 100 / greatest.max(1)).unwrap_or(100);
    Spark {
        measure,
        last: (from..=to).rev().find_map(|step| series.get(grid, step)).map(|n| measure.value(n)),
        max: measure.value(greatest),
        points: means.into_iter().map(|n| n.map(hundredths)).collect(),
    }
}

#[cfg(test)]
mod tests;
