//! Metrics: families of counters, gauges and histograms, each declared once as a static.
//!
//! A subsystem lists its families in its own `metrics.rs` with `families!`, beside the functions that
//! bump them; such a function also writes the log line of its event, so that the two never differ.
//! `api::metrics` lists the subsystems and answers scrapes.
//!
//! **What an event costs.** The cell is found by arithmetic on enums, so a counter is one relaxed
//! addition, a histogram two and a search of 14 bounds. Nothing hashes, allocates or locks. Optimised,
//! on a small machine: some 20 ns each, and 80 ns for the two readings of the clock around a request.
//!
//! **What cannot be written.** Labels are enums declared with `label!`, so a value cannot come from a
//! client and the number of series is known to the compiler, which also refuses a counter that does
//! not end in `_total` and a histogram that does not end in `_seconds`.
//!
//! **Why no crate.** `prometheus-client` is well kept, but each event of a labelled family takes a
//! read-write lock and hashes its labels there, each observation of a histogram takes a mutex, its
//! families are no statics, and it writes OpenMetrics only. What would be left of it is the text
//! format: `text.rs`, some seventy lines.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

pub mod process;
pub mod text;

/// One label: its name and every value it can have. Declared with `label!`.
pub trait Label: Copy + 'static {
    const NAME: &'static str;
    const VALUES: &'static [&'static str];

    /// Which of `VALUES` this is.
    fn index(self) -> usize;
}

/// The labels of a family: none `()`, one, or a pair.
pub trait Labels: Copy + 'static {
    const NAMES: &'static [&'static str];
    /// How many series there are.
    const N: usize;

    /// The series of these values.
    fn index(self) -> usize;

    /// The values of a series, in the order of `NAMES`.
    fn values(series: usize) -> Vec<&'static str>;
}

impl Labels for () {
    const NAMES: &'static [&'static str] = &[];
    const N: usize = 1;

    fn index(self) -> usize {
        0
    }

    fn values(_: usize) -> Vec<&'static str> {
        Vec::new()
    }
}

impl<A: Label> Labels for A {
    const NAMES: &'static [&'static str] = &[A::NAME];
    const N: usize = A::VALUES.len();

    fn index(self) -> usize {
        Label::index(self)
    }

    fn values(series: usize) -> Vec<&'static str> {
        vec![A::VALUES[series]]
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    const NAMES: &'static [&'static str] = &[A::NAME, B::NAME];
    const N: usize = A::VALUES.len() * B::VALUES.len();

    fn index(self) -> usize {
        self.0.index() * B::VALUES.len() + self.1.index()
    }

    fn values(series: usize) -> Vec<&'static str> {
        vec![A::VALUES[series / B::VALUES.len()], B::VALUES[series % B::VALUES.len()]]
    }
}

/// What a family is to a scraper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What is known of a family without its values.
#[derive(Debug, Clone, Copy)]
pub struct About {
    pub name: &'static str,
    /// One line without a backslash.
    pub help: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
}

/// A family, whatever its labels are.
pub trait Family: Sync {
    fn about(&self) -> About;

    /// Writes the samples of every series.
    fn write(&self, to: &mut text::Writer);
}

const fn ends_with(text: &str, end: &str) -> bool {
    let (text, end) = (text.as_bytes(), end.as_bytes());
    let mut n = 0;
    while n < end.len() {
        if text.len() < end.len() || text[text.len() - end.len() + n] != end[n] {
            return false;
        }
        n += 1;
    }
    true
}

/// Counts events since the start of the process.
pub struct Counter<L, const N: usize> {
    about: About,
    cells: [AtomicU64; N],
    labels: PhantomData<fn(L)>,
}

impl<L: Labels, const N: usize> Counter<L, N> {
    /// A family named `name`, which ends in `_total`.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        assert!(N == L::N && ends_with(name, "_total"));
        let about = About { name, help, kind: Kind::Counter, labels: L::NAMES };
        Self { about, cells: [const { AtomicU64::new(0) }; N], labels: PhantomData }
    }

    /// One more.
    pub fn inc(&self, labels: L) {
        self.add(labels, 1);
    }

    /// `n` more.
    pub fn add(&self, labels: L, n: u64) {
        self.cells[labels.index()].fetch_add(n, Relaxed);
    }

    pub fn get(&self, labels: L) -> u64 {
        self.cells[labels.index()].load(Relaxed)
    }
}

impl<L: Labels, const N: usize> Family for Counter<L, N> {
    fn about(&self) -> About {
        self.about
    }

    fn write(&self, to: &mut text::Writer) {
        for (series, cell) in self.cells.iter().enumerate() {
            to.sample(&self.about, "", &L::values(series), None, cell.load(Relaxed));
        }
    }
}

/// How much there is now.
pub struct Gauge<L, const N: usize> {
    about: About,
    cells: [AtomicI64; N],
    labels: PhantomData<fn(L)>,
}

impl<L: Labels, const N: usize> Gauge<L, N> {
    /// A family whose name does not end in `_total`.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        assert!(N == L::N && !ends_with(name, "_total"));
        let about = About { name, help, kind: Kind::Gauge, labels: L::NAMES };
        Self { about, cells: [const { AtomicI64::new(0) }; N], labels: PhantomData }
    }

    /// Past `i64::MAX` it stays there.
    pub fn set(&self, labels: L, n: u64) {
        self.cells[labels.index()].store(i64::try_from(n).unwrap_or(i64::MAX), Relaxed);
    }

    /// One more.
    pub fn inc(&self, labels: L) {
        self.cells[labels.index()].fetch_add(1, Relaxed);
    }

    /// One less.
    pub fn dec(&self, labels: L) {
        self.cells[labels.index()].fetch_sub(1, Relaxed);
    }

    pub fn get(&self, labels: L) -> i64 {
        self.cells[labels.index()].load(Relaxed)
    }
}

impl<L: Labels, const N: usize> Family for Gauge<L, N> {
    fn about(&self) -> About {
        self.about
    }

    fn write(&self, to: &mut text::Writer) {
        for (series, cell) in self.cells.iter().enumerate() {
            to.sample(&self.about, "", &L::values(series), None, cell.load(Relaxed));
        }
    }
}

/// Bounds of a histogram.
const BOUNDS: usize = 14;

/// Upper bounds in microseconds, rising.
pub type Scale = [u64; BOUNDS];

/// For what a request or a step waits for: from the least a proxied request takes to a time-out. Two
/// to three bounds a decade tell a median within its half; more would cost a series each.
pub static QUICK: Scale = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// For what the container engine does: from a create call to the pull of a large image.
pub static SLOW: Scale = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    20_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    600_000_000,
];

/// How long things took.
pub struct Histogram<L, const N: usize> {
    about: About,
    scale: &'static Scale,
    cells: [Times; N],
    labels: PhantomData<fn(L)>,
}

/// One series of a histogram.
struct Times {
    /// Observations up to each bound and above the one before; the last is past all bounds.
    counts: [AtomicU64; BOUNDS + 1],
    /// Full after 584 years of observations.
    sum_ns: AtomicU64,
}

impl Times {
    const fn new() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; BOUNDS + 1], sum_ns: AtomicU64::new(0) }
    }
}

impl<L: Labels, const N: usize> Histogram<L, N> {
    /// A family named `name`, which ends in `_seconds`.
    pub const fn new(name: &'static str, help: &'static str, scale: &'static Scale) -> Self {
        assert!(N == L::N && ends_with(name, "_seconds"));
        let about = About { name, help, kind: Kind::Histogram, labels: L::NAMES };
        Self { about, scale, cells: [const { Times::new() }; N], labels: PhantomData }
    }

    /// Something took this long.
    pub fn observe(&self, labels: L, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.scale.partition_point(|bound| bound * 1_000 < took);
        let cell = &self.cells[labels.index()];
        cell.counts[bucket].fetch_add(1, Relaxed);
        cell.sum_ns.fetch_add(took, Relaxed);
    }

    /// How many things were observed.
    pub fn count(&self, labels: L) -> u64 {
        self.cells[labels.index()].counts.iter().map(|count| count.load(Relaxed)).sum()
    }
}

impl<L: Labels, const N: usize> Family for Histogram<L, N> {
    fn about(&self) -> About {
        self.about
    }

    fn write(&self, to: &mut text::Writer) {
        for (series, cell) in self.cells.iter().enumerate() {
            let values = L::values(series);
            let mut so_far = 0;
            for (n, count) in cell.counts.iter().enumerate() {
                so_far += count.load(Relaxed);
                let bound = self.scale.get(n).map_or(f64::INFINITY, |us| *us as f64 / 1e6);
                to.sample(&self.about, "_bucket", &values, Some(bound), so_far);
            }
            let sum = cell.sum_ns.load(Relaxed) as f64 / 1e9;
            to.sample(&self.about, "_sum", &values, None, sum);
            to.sample(&self.about, "_count", &values, None, so_far);
        }
    }
}

/// Numbers somebody else keeps, read at each scrape.
pub struct Reading<L, const N: usize> {
    about: About,
    read: fn() -> [f64; N],
    labels: PhantomData<fn(L)>,
}

impl<L: Labels, const N: usize> Reading<L, N> {
    /// A number that only grows while the process lives; the name ends in `_total`.
    pub const fn counter(name: &'static str, help: &'static str, read: fn() -> [f64; N]) -> Self {
        assert!(N == L::N && ends_with(name, "_total"));
        Self { about: Self::named(name, help, Kind::Counter), read, labels: PhantomData }
    }

    /// A number that goes up and down. `read` gives the series in their order.
    pub const fn gauge(name: &'static str, help: &'static str, read: fn() -> [f64; N]) -> Self {
        assert!(N == L::N && !ends_with(name, "_total"));
        Self { about: Self::named(name, help, Kind::Gauge), read, labels: PhantomData }
    }

    const fn named(name: &'static str, help: &'static str, kind: Kind) -> About {
        About { name, help, kind, labels: L::NAMES }
    }
}

impl<L: Labels, const N: usize> Family for Reading<L, N> {
    fn about(&self) -> About {
        self.about
    }

    fn write(&self, to: &mut text::Writer) {
        for (series, value) in (self.read)().into_iter().enumerate() {
            to.sample(&self.about, "", &L::values(series), None, value);
        }
    }
}

/// Declares a label: an enum whose variants are all the values there are.
macro_rules! label {
    (
        $(#[$doc:meta])*
        $vis:vis enum $name:ident($label:literal) {
            $($(#[$of:meta])* $variant:ident = $text:expr,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $($(#[$of])* $variant,)+ }

        impl $crate::base::metrics::Label for $name {
            const NAME: &'static str = $label;
            const VALUES: &'static [&'static str] = &[$($text),+];

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use label;

/// Declares the families of a subsystem, and `FAMILIES` with all of them.
macro_rules! families {
    ($(
        $vis:vis $name:ident: $kind:ident<$labels:ty> =
            $new:ident($metric:literal, $help:literal $(, $more:expr)? $(,)?);
    )+) => {
        $(
            #[doc = $help]
            $vis static $name: $crate::base::metrics::$kind<
                $labels,
                { <$labels as $crate::base::metrics::Labels>::N },
            > = $crate::base::metrics::$kind::$new($metric, $help $(, $more)?);
        )+

        /// All families of this subsystem.
        pub static FAMILIES: &[&dyn $crate::base::metrics::Family] = &[$(&$name),+];
    };
}
pub(crate) use families;

#[cfg(test)]
mod tests;
