//! A number over time in little memory: the last hour in steps of 10 s and the last day in steps of a
//! minute, 3.6 kB whatever happens.
//!
//! ```text
//!  add(at, n) ── step of 10 s: mean, sum or maximum of what came in it ── 360 slots
//!                  └ its minute: mean, sum or maximum of the steps there are ── 1,440 slots
//! ```
//! A slot is sixteen bits: whole numbers to 4,095 as they are, greater ones to one part in 4,096. A step
//! in which nothing came is a gap and no zero. Time may go any way: a clock that is put forward leaves
//! a gap, one that is put back takes out what was written under times that are to come yet.

use super::clock::Timestamp;

/// What becomes of several numbers in one step, and of several steps in a minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fold {
    /// For what goes up and down, rates included.
    Mean,
    /// For what is counted.
    Sum,
    /// For the worst of something.
    Max,
}

/// A resolution and how far back it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    pub step_ms: i64,
    pub n: usize,
}

impl Grid {
    /// An hour.
    pub const FINE: Self = Self { step_ms: 10_000, n: 360 };
    /// A day.
    pub const COARSE: Self = Self { step_ms: 60_000, n: 1_440 };

    /// The number of the step a moment belongs to.
    pub fn step(self, at: Timestamp) -> i64 {
        at.as_ms().div_euclid(self.step_ms)
    }

    /// When a step begins.
    pub fn begin(self, step: i64) -> Timestamp {
        Timestamp::from_ms(step.saturating_mul(self.step_ms))
    }
}

/// Fine steps in a coarse one.
const STEPS_PER_MINUTE: i64 = Grid::COARSE.step_ms / Grid::FINE.step_ms;

/// A number in sixteen bits: five of an exponent, eleven behind the leading one.
mod packed {
    /// No number.
    pub const GAP: u16 = u16::MAX;
    const MANTISSA: u32 = 11;
    const LEADING: u64 = 1 << MANTISSA;

    /// The nearest number there is; the greatest for what is greater (4.4e12).
    #[allow(clippy::cast_possible_truncation)] // bounded below `GAP`
    pub fn pack(number: u64) -> u16 {
        if number < LEADING {
            return number as u16;
        }
        let shift = number.ilog2() - MANTISSA;
        let half = if shift == 0 { 0 } else { 1_u64 << (shift - 1) };
        let rounded = number.saturating_add(half) >> shift;
        // One that is rounded up to the next power of two carries into the exponent by itself.
        let code = (u64::from(shift + 1) << MANTISSA) + (rounded - LEADING);
        code.min(u64::from(GAP) - 1) as u16
    }

    pub fn unpack(code: u16) -> Option<u64> {
        if code == GAP {
            return None;
        }
        let (exponent, mantissa) = (code >> MANTISSA, u64::from(code) % LEADING);
        Some(match exponent {
            0 => mantissa,
            n => (LEADING + mantissa) << (n - 1),
        })
    }
}

/// The newest `n` steps, each in the slot of its number.
#[derive(Clone, PartialEq, Debug)]
struct Ring {
    slots: Box<[u16]>,
    newest: i64,
}

impl Ring {
    fn new(grid: Grid) -> Self {
        Self { slots: vec![packed::GAP; grid.n].into_boxed_slice(), newest: 0 }
    }

    fn n(&self) -> i64 {
        i64::try_from(self.slots.len()).unwrap_or(i64::MAX)
    }

    fn slot(&self, step: i64) -> usize {
        usize::try_from(step.rem_euclid(self.n())).unwrap_or_default()
    }

    fn get(&self, step: i64) -> u16 {
        let is_held = step <= self.newest && step > self.newest.saturating_sub(self.n());
        if is_held { self.slots[self.slot(step)] } else { packed::GAP }
    }

    fn set(&mut self, code: u16) {
        let slot = self.slot(self.newest);
        self.slots[slot] = code;
    }

    /// Makes `step` the newest. What lay between, or comes after it, is a gap.
    fn turn_to(&mut self, step: i64) {
        let apart = step.saturating_sub(self.newest).saturating_abs();
        if apart >= self.n() {
            self.slots.fill(packed::GAP);
        } else {
            for other in self.newest.min(step) + 1..=self.newest.max(step) {
                let slot = self.slot(other);
                self.slots[slot] = packed::GAP;
            }
        }
        self.newest = step;
    }

    /// From the oldest number there is to the newest step.
    fn keep(&self) -> Kept {
        let steps = self.newest - self.n() + 1..=self.newest;
        let codes = steps.map(|step| self.get(step)).skip_while(|code| *code == packed::GAP);
        Kept { newest: self.newest, codes: codes.flat_map(u16::to_le_bytes).collect() }
    }

    fn of(grid: Grid, kept: &Kept) -> Self {
        let newest = kept.newest.clamp(0, i64::MAX / grid.step_ms);
        let mut ring = Self { newest, ..Self::new(grid) };
        let newest_first = kept.codes.as_chunks::<2>().0.iter().rev().take(grid.n);
        for (step, code) in (0..=newest).rev().zip(newest_first) {
            let slot = ring.slot(step);
            ring.slots[slot] = u16::from_le_bytes(*code);
        }
        ring
    }
}

/// A resolution of a series as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    pub newest: i64,
    /// Two bytes a step, lower one first, to the newest; all ones is a gap.
    pub codes: Vec<u8>,
}

/// One number over time.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    fold: Fold,
    fine: Ring,
    coarse: Ring,
    /// What came in the newest fine step.
    sum: u64,
    n: u32,
}

impl Series {
    /// Nothing came yet.
    pub fn new(fold: Fold) -> Self {
        let (fine, coarse) = (Ring::new(Grid::FINE), Ring::new(Grid::COARSE));
        Self { fold, fine, coarse, sum: 0, n: 0 }
    }

    /// A number came at this time.
    pub fn add(&mut self, at: Timestamp, number: u64) {
        let step = Grid::FINE.step(at);
        if step != self.fine.newest {
            self.fine.turn_to(step);
            self.n = 0;
        }
        if self.n == 0 {
            // After a new start, or back in time, there may be a number already.
            let before = packed::unpack(self.fine.get(step));
            (self.sum, self.n) = (before.unwrap_or(0), before.map_or(0, |_| 1));
        }
        self.sum = match self.fold {
            Fold::Mean | Fold::Sum => self.sum.saturating_add(number),
            Fold::Max => self.sum.max(number),
        };
        self.n = self.n.saturating_add(1);
        self.fine.set(packed::pack(match self.fold {
            Fold::Mean => mean(self.sum, u64::from(self.n)),
            Fold::Sum | Fold::Max => self.sum,
        }));
        self.add_up(step.div_euclid(STEPS_PER_MINUTE));
    }

    /// Makes the minute anew from its steps.
    fn add_up(&mut self, minute: i64) {
        if minute != self.coarse.newest {
            self.coarse.turn_to(minute);
        }
        let first = minute * STEPS_PER_MINUTE;
        let steps = (first..first + STEPS_PER_MINUTE).map(|step| self.fine.get(step));
        let numbers = steps.filter_map(packed::unpack);
        let (sum, greatest, n) = numbers.fold((0_u64, 0, 0), |(sum, greatest, n), number| {
            (sum.saturating_add(number), number.max(greatest), n + 1)
        });
        self.coarse.set(packed::pack(match self.fold {
            Fold::Mean => mean(sum, n),
            Fold::Sum => sum,
            Fold::Max => greatest,
        }));
    }

    /// The number of a step; `None` where nothing came.
    pub fn get(&self, grid: Grid, step: i64) -> Option<u64> {
        packed::unpack(if grid == Grid::FINE { &self.fine } else { &self.coarse }.get(step))
    }

    /// The newest step in which something came.
    pub fn newest_at(&self) -> Timestamp {
        Grid::FINE.begin(self.fine.newest)
    }

    /// Both resolutions, to be stored.
    pub fn keep(&self) -> (Kept, Kept) {
        (self.fine.keep(), self.coarse.keep())
    }

    /// What was kept.
    pub fn of(fold: Fold, fine: &Kept, coarse: &Kept) -> Self {
        let (fine, coarse) = (Ring::of(Grid::FINE, fine), Ring::of(Grid::COARSE, coarse));
        Self { fold, fine, coarse, sum: 0, n: 0 }
    }

    /// Bytes of memory one takes.
    pub const BYTES: usize = size_of::<Self>() + size_of::<u16>() * (Grid::FINE.n + Grid::COARSE.n);
}

/// Rounded, and 0 of nothing.
fn mean(sum: u64, n: u64) -> u64 {
    sum.saturating_add(n / 2).checked_div(n).unwrap_or(0)
}

#[cfg(test)]
mod tests;
