//! The series of one subject as they are stored.

use super::names::{Measure, Subject};
use crate::base::series::{Kept, Series};

/// The series of one subject.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    of: Subject,
    series: Vec<Stored>,
}

/// One series.
#[derive(Clone, PartialEq, Debug)]
struct Stored {
    measure: Measure,
    fine: Kept,
    coarse: Kept,
}

crate::message!(Row { 1: of, 2: series });
crate::message!(Stored { 1: measure, 2: fine, 3: coarse });
crate::message!(Kept { 1: newest, 2: codes });

impl Row {
    pub fn of<'a>(of: Subject, series: impl Iterator<Item = (Measure, &'a Series)>) -> Self {
        let stored = series.map(|(measure, series)| {
            let (fine, coarse) = series.keep();
            Stored { measure, fine, coarse }
        });
        Self { of, series: stored.collect() }
    }

    pub fn into_series(self) -> (Subject, Vec<(Measure, Series)>) {
        let series = self.series.into_iter().map(|stored| {
            let Stored { measure, fine, coarse } = stored;
            (measure, Series::of(measure.fold(), &fine, &coarse))
        });
        (self.of, series.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::wire::sample::{hold, numbered, shape};

    #[test]
    fn what_is_written_of_series_stays_readable() {
        let shapes = [
            shape::<Row>(),
            shape::<Stored>(),
            shape::<Kept>(),
            shape::<Subject>(),
            numbered::<Measure>(),
        ];
        hold("series", &shapes);
    }
}
