//! Fixed-point quantities. Resources are counted in thousandths: sums are exact and compare, and
//! three decimals are what Mesos prints anyway.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Sub, SubAssign},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// A quantity in thousandths of its unit (a CPU, a megabyte, a GPU).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Milli(i64);

impl Milli {
    pub const ZERO: Self = Self(0);

    /// `n` thousandths.
    pub const fn new(n: i64) -> Self {
        Self(n)
    }

    /// `n` whole units.
    pub const fn whole(n: i64) -> Self {
        Self(n.saturating_mul(1000))
    }

    /// The nearest thousandth to `value`; NaN and infinities become zero.
    #[allow(clippy::cast_possible_truncation)] // the cast saturates, which is what is wanted
    pub fn from_f64(value: f64) -> Self {
        if value.is_finite() { Self((value * 1000.0).round() as i64) } else { Self(0) }
    }

    /// The number of thousandths.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The quantity in whole units, with its fraction.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The whole units, rounded down.
    pub const fn floor(self) -> i64 {
        self.0.div_euclid(1000)
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self - other`, never below zero.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }

    /// `self × n`.
    pub const fn times(self, n: i64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl Add for Milli {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Milli {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Milli {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Milli {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Milli {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Milli {
    /// At most three decimals, no trailing zeros: `1`, `0.5`, `0.001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        if rest == 0 {
            write!(f, "{sign}{whole}")
        } else {
            let digits = format!("{rest:03}");
            write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
        }
    }
}

impl fmt::Debug for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `1 node`, `2 nodes`, `1,515 services`.
pub fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{} {what}s", grouped(n)) }
}

/// A whole number with a comma every three digits.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `50 %`; what is not nothing never reads as 0, and what is not all never as 100.
pub fn percent(part: f64, whole: f64) -> String {
    if whole <= 0.0 {
        return "–".to_owned();
    }
    match part / whole * 100.0 {
        share if share > 0.0 && share < 1.0 => "<1 %".to_owned(),
        share if share < 100.0 => format!("{} %", share.round().min(99.0)),
        share => format!("{} %", share.round()),
    }
}

/// `12 s`, `5 min`, `3 h`, `2 d`: the largest whole unit.
pub fn duration(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s @ 3600..86_400 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

/// Thousandths of a MiB in a tenth of a MiB, of a GiB and of a TiB. Amounts are divided by them and
/// never multiplied first: what a definition asks for may be as large as can be counted.
const TENTHS: [(i64, &str); 3] = [(100, "MiB"), (100 * 1024, "GiB"), (100 * 1024 * 1024, "TiB")];

/// Mebibytes for people: `512 MiB`, `0.5 MiB`, from 1 GiB on in GiB and from 1 TiB on in TiB, with
/// one decimal.
pub fn memory(mib: Milli) -> String {
    if mib < Milli::whole(1) {
        return format!("{mib} MiB");
    }
    let (tenth, unit) = unit_of(mib);
    tenths(mib.get() / tenth, unit)
}

/// As `memory`, never less than `mib`: what must be there.
pub fn memory_needed(mib: Milli) -> String {
    let (tenth, unit) = unit_of(mib);
    if unit == TENTHS[0].1 {
        return format!("{mib} MiB");
    }
    tenths(mib.get() / tenth + i64::from(mib.get() % tenth != 0), unit)
}

fn unit_of(mib: Milli) -> (i64, &'static str) {
    let fits = |(tenth, _): &&(i64, &str)| mib.get() >= tenth * 10;
    *TENTHS.iter().rev().find(fits).unwrap_or(&TENTHS[0])
}

fn tenths(n: i64, unit: &str) -> String {
    if n % 10 == 0 { format!("{} {unit}", n / 10) } else { format!("{}.{} {unit}", n / 10, n % 10) }
}

/// Two amounts that differ, so that the difference shows.
pub fn memories(a: Milli, b: Milli) -> (String, String) {
    let (short_a, short_b) = (memory(a), memory(b));
    if a != b && short_a == short_b {
        return (format!("{a} MiB"), format!("{b} MiB"));
    }
    (short_a, short_b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_print_without_trailing_zeros() {
        for (value, text) in
            [(0, "0"), (1, "0.001"), (500, "0.5"), (1000, "1"), (-1250, "-1.25"), (128_000, "128")]
        {
            assert_eq!(Milli::new(value).to_string(), text);
        }
    }

    /// The page is held to the same table (ui/src/lib/format.test.ts).
    #[test]
    fn quantities_are_told_as_the_table_says() {
        let table = include_str!("../../tests/golden/quantities.json");
        let table: serde_json::Value = serde_json::from_str(table).unwrap();
        let told = |kind: &str, tell: &dyn Fn(&[f64], &str) -> String| {
            for row in table[kind].as_array().unwrap() {
                let row = row.as_array().unwrap();
                let (text, given) = row.split_last().unwrap();
                let numbers: Vec<f64> = given.iter().filter_map(|v| v.as_f64()).collect();
                let word = given.iter().find_map(|v| v.as_str()).unwrap_or_default();
                assert_eq!(tell(&numbers, word), text.as_str().unwrap(), "{kind} {row:?}");
            }
        };
        let whole = |n: f64| Milli::from_f64(n).floor().unsigned_abs();
        told("memory_mib", &|n, _| memory(Milli::from_f64(n[0])));
        told("cpus", &|n, _| Milli::from_f64(n[0]).to_string());
        told("percent", &|n, _| percent(n[0], n[1]));
        told("duration_ms", &|n, _| duration(Duration::from_millis(whole(n[0]))));
        told("count", &|n, what| count(usize::try_from(whole(n[0])).unwrap(), what));
    }

    #[test]
    fn what_is_needed_is_never_told_as_less_and_differences_show() {
        assert_eq!(
            (memory(Milli::whole(3800)), memory_needed(Milli::whole(3800))),
            ("3.7 GiB".into(), "3.8 GiB".into())
        );
        assert_eq!(memory_needed(Milli::whole(4096)), "4 GiB");
        let near = memories(Milli::whole(16_063), Milli::new(16_062_750));
        assert_eq!(near, ("16063 MiB".to_owned(), "16062.75 MiB".to_owned()));
    }

    #[test]
    fn tenths_add_up_exactly() {
        let sum: Milli = std::iter::repeat_n(Milli::from_f64(0.1), 10).sum();
        assert_eq!(sum, Milli::whole(1));
    }

    fn unit_size(unit: &str) -> i128 {
        match unit {
            "TiB" => 1024 * 1024,
            "GiB" => 1024,
            _ => 1,
        }
    }

    /// Thousandths of a MiB that a text of `memory` stands for.
    fn read_back(text: &str) -> i128 {
        let (number, unit) = text.split_once(' ').unwrap();
        let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
        let thousandths: i128 = format!("{whole}{rest:0<3}").parse().unwrap();
        thousandths * unit_size(unit)
    }

    proptest::proptest! {
        /// What a node has is never told as more, what is needed never as less, and either is right
        /// to a tenth of its unit; whatever number somebody wrote into a definition.
        #[test]
        fn memory_is_rounded_to_the_safe_side(bits in 0..63_u32, any in 0..i64::MAX) {
            let mib = Milli::new(any >> bits);
            let exact = i128::from(mib.get());
            let (has, needs) = (read_back(&memory(mib)), read_back(&memory_needed(mib)));
            proptest::prop_assert!(has <= exact && exact <= needs, "{mib}: {has} {needs}");
            let unit = memory_needed(mib).rsplit(' ').next().map_or(1, unit_size);
            proptest::prop_assert!(needs - has <= unit * 100, "{mib}: {has} {needs}");
            let (a, b) = memories(mib, mib + Milli::new(1));
            proptest::prop_assert!(a != b || mib + Milli::new(1) == mib, "{a} {b}");
        }
    }

    #[test]
    fn quantities_stay_at_the_ends_of_what_can_be_counted() {
        let (most, least) = (Milli::new(i64::MAX), Milli::new(i64::MIN));
        assert_eq!((most + most, least - most, most.times(3)), (most, least, most));
        assert_eq!(Milli::ZERO.saturating_sub(most), Milli::ZERO);
        assert_eq!(most.saturating_sub(least), most);
        assert_eq!([most, most].into_iter().sum::<Milli>(), most);
        for (value, becomes) in [
            (f64::MAX, most),
            (f64::MIN, least),
            (f64::NAN, Milli::ZERO),
            (f64::INFINITY, Milli::ZERO),
            (0.0004, Milli::ZERO),
            (0.0005, Milli::new(1)),
            (-0.0005, Milli::new(-1)),
            (0.1, Milli::new(100)),
        ] {
            assert_eq!(Milli::from_f64(value), becomes, "{value}");
        }
        assert_eq!((Milli::new(-1).floor(), Milli::new(1_999).floor()), (-1, 1));
        assert_eq!(least.to_string(), "-9223372036854775.808");
    }
}
