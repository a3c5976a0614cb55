//! Whether what clients were told of one definition fits one order of all they asked: a register that
//! is written, read, and written on the condition that it is still what somebody looked at.
//!
//! Each operation takes effect at one moment between its call and its return. A write whose outcome
//! nobody knows takes effect once, whenever after its call, or never. Each write writes a value of its
//! own, and gives it a version that is greater than the one before.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use todc_utils::{Action, History, Specification, WGLChecker};

/// What a client asked, and what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Write(u64),
    /// Written on the condition that `from` was still there, and taken.
    Swap {
        from: u64,
        to: u64,
    },
    /// The same, and refused as it was there no more.
    NoSwap {
        from: u64,
    },
    Read(u64),
}

/// One operation. Times count from the start of the history.
#[derive(Clone, Debug)]
pub struct Record {
    pub op: Op,
    pub called_at: Duration,
    /// `None` where nobody knows the outcome.
    pub returned_at: Option<Duration>,
    /// The version that was there then, where it was told: after a write, or when a condition failed.
    pub version: Option<u64>,
    /// Through whom, for people.
    pub through: String,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until =
            self.returned_at.map_or("?".to_owned(), |at| format!("{:.4}", at.as_secs_f64()));
        let from = self.called_at.as_secs_f64();
        write!(f, "{from:.4} to {until}: {:?} by {}", self.op, self.through)
    }
}

/// Whether there is such an order, for a register that was 0 at first.
pub fn is_linearizable(records: &[Record]) -> bool {
    let settled = settle(records);
    if settled.iter().all(|record| record.returned_at.is_some()) {
        return check(&settled);
    }
    // What nobody saw may never have happened. Where that explains everything, it need not be tried
    // whether and when each of it did, which would take long.
    let seen: Vec<Record> =
        settled.iter().filter(|record| record.returned_at.is_some()).cloned().collect();
    check(&seen) || check(&settled)
}

/// What happened until the moment at which no order explains it any more, in the order of the calls.
pub fn first_broken(records: &[Record]) -> Vec<Record> {
    let mut ends: Vec<Duration> = records.iter().filter_map(|record| record.returned_at).collect();
    ends.sort();
    let is_well = |end: &Duration| is_linearizable(&until(records, *end));
    let at = ends.partition_point(is_well);
    let mut broken = ends.get(at).map_or_else(|| records.to_vec(), |end| until(records, *end));
    broken.sort_by_key(|record| record.called_at);
    broken
}

/// What was known at a moment: of what was under way the outcome is not.
fn until(records: &[Record], end: Duration) -> Vec<Record> {
    let begun = records.iter().filter(|record| record.called_at <= end);
    let known = begun.map(|record| {
        let returned_at = record.returned_at.filter(|at| *at <= end);
        Record { returned_at, ..record.clone() }
    });
    // A question without an answer tells nothing.
    let tells = |record: &Record| {
        record.returned_at.is_some() || matches!(record.op, Op::Write(_) | Op::Swap { .. })
    };
    known.filter(tells).collect()
}

/// The same said so that fewer orders have to be tried.
///
/// A condition that failed read what was there, where it is known who wrote that. A write of unknown
/// outcome that somebody saw is done, before the return of the first who saw it.
fn settle(records: &[Record]) -> Vec<Record> {
    let told = |record: &Record| match record.op {
        Op::Write(value) | Op::Swap { to: value, .. } | Op::Read(value) => {
            Some((record.version?, value))
        }
        Op::NoSwap { .. } => None,
    };
    let values: BTreeMap<u64, u64> = records.iter().filter_map(told).collect();
    let versions: BTreeMap<u64, u64> =
        values.iter().map(|(version, value)| (*value, *version)).collect();
    let read = |record: &Record| {
        let op = match (record.op, record.version.and_then(|version| values.get(&version))) {
            (Op::NoSwap { from }, Some(value)) if *value != from => Op::Read(*value),
            (op, _) => op,
        };
        Record { op, ..record.clone() }
    };
    let records: Vec<Record> = records.iter().map(read).collect();
    let mut seen: BTreeMap<u64, Duration> = BTreeMap::new();
    for record in &records {
        if let (Op::Read(value) | Op::Swap { from: value, .. }, Some(at)) =
            (record.op, record.returned_at)
        {
            seen.entry(value).and_modify(|first| *first = at.min(*first)).or_insert(at);
        }
    }
    let settled = |record: &Record| {
        let (Op::Write(value) | Op::Swap { to: value, .. }) = record.op else {
            return record.clone();
        };
        let returned_at = record.returned_at.or_else(|| seen.get(&value).copied());
        let version = record.version.or_else(|| versions.get(&value).copied());
        Record { returned_at, version, ..record.clone() }
    };
    telling(&records.iter().map(settled).collect::<Vec<_>>())
}

/// Without reads that say nothing more. A value is there once and without a break, so that of its reads
/// the one that returned first and the one that was called last leave a place for each other.
fn telling(records: &[Record]) -> Vec<Record> {
    let mut kept: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
    for (n, record) in records.iter().enumerate() {
        let Op::Read(value) = record.op else { continue };
        let (first, last) = kept.entry(value).or_insert((n, n));
        if record.returned_at < records[*first].returned_at {
            *first = n;
        }
        if record.called_at > records[*last].called_at {
            *last = n;
        }
    }
    let kept: BTreeSet<usize> =
        kept.into_values().flat_map(|(first, last)| [first, last]).collect();
    let tells =
        |(n, record): &(usize, &Record)| !matches!(record.op, Op::Read(_)) || kept.contains(n);
    records.iter().enumerate().filter(tells).map(|(_, record)| record.clone()).collect()
}

fn check(records: &[Record]) -> bool {
    // At the same moment calls come first: such operations overlap.
    let mut moments = Vec::new();
    for (n, record) in records.iter().enumerate() {
        let (is_known, version) = (record.returned_at.is_some(), record.version);
        let step = Step { op: record.op, is_known, version };
        moments.push((record.called_at, false, n, Action::Call(step)));
        let end = record.returned_at.unwrap_or(Duration::MAX);
        moments.push((end.max(record.called_at), true, n, Action::Response(step)));
    }
    if moments.is_empty() {
        return true;
    }
    moments.sort_by_key(|(at, is_return, n, _)| (*at, *is_return, *n));
    // Each operation is one of a client of its own: what a client knows of its own past is in the
    // times.
    let actions = moments.into_iter().map(|(_, _, n, action)| (n, action)).collect();
    WGLChecker::<Register>::is_linearizable(History::from_actions(actions))
}

#[derive(Clone, Copy, Debug)]
struct Step {
    op: Op,
    is_known: bool,
    version: Option<u64>,
}

struct Register;

impl Specification for Register {
    /// A value and the greatest version that is known to have been there.
    type State = (u64, u64);
    type Operation = Step;

    fn init() -> (u64, u64) {
        (0, 0)
    }

    fn apply(step: &Step, now: &(u64, u64)) -> (bool, (u64, u64)) {
        let (value, version) = *now;
        let is_next = step.version.is_none_or(|next| next > version);
        let to = |value| (is_next, (value, step.version.unwrap_or(version)));
        match step.op {
            Op::Write(next) => to(next),
            Op::Swap { from, to: next } if from == value => to(next),
            Op::Swap { .. } => (!step.is_known, *now),
            Op::NoSwap { from } => (from != value, *now),
            Op::Read(read) => (read == value, *now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation between two moments, in milliseconds; 0 is no return.
    fn record(op: Op, called_at: u64, returned_at: u64) -> Record {
        let ms = Duration::from_millis;
        let returned_at = (returned_at > 0).then(|| ms(returned_at));
        let through = "one".to_owned();
        Record { op, called_at: ms(called_at), returned_at, version: None, through }
    }

    /// Many clients at one register that is as it should be, with faults planted by `change`.
    fn long(change: impl Fn(usize, &mut Record)) -> Vec<Record> {
        let mut records = Vec::new();
        let mut now = 0;
        for n in 0..200_usize {
            let at = n as u64 * 10;
            let to = n as u64 + 1;
            let op = match n % 4 {
                0 => Op::Write(to),
                1 | 3 => Op::Read(now),
                _ => Op::Swap { from: now, to },
            };
            if let Op::Write(value) | Op::Swap { to: value, .. } = op {
                now = value;
            }
            // Each overlaps the two that follow.
            let mut record = record(op, at + 5, at + 29);
            change(n, &mut record);
            records.push(record);
        }
        records
    }

    #[test]
    fn what_overlaps_may_be_in_either_order() {
        let write = record(Op::Write(1), 0, 10);
        for value in [0, 1] {
            assert!(is_linearizable(&[write.clone(), record(Op::Read(value), 5, 15)]));
        }
        assert!(is_linearizable(&long(|_, _| {})));
    }

    #[test]
    fn a_stale_read_is_found() {
        assert!(!is_linearizable(&[record(Op::Write(1), 1, 10), record(Op::Read(0), 11, 20)]));
        // One that was true until 60 ms before it was asked.
        let stale = long(|n, record| {
            if n == 101 {
                record.op = Op::Read(95);
            }
        });
        assert!(!is_linearizable(&stale));
        let broken = first_broken(&stale);
        assert_eq!(broken.last().map(|record| record.op), Some(Op::Swap { from: 101, to: 103 }));
        let read = broken.iter().rfind(|record| record.op == Op::Read(95)).unwrap();
        assert_eq!(read.to_string(), "1.0150 to 1.0390: Read(95) by one");
        // Told as that old, it is right.
        let told = long(|n, record| {
            if n == 101 {
                record.op = Op::Read(95);
                record.called_at -= Duration::from_millis(60);
            }
        });
        assert!(is_linearizable(&told));
    }

    #[test]
    fn a_lost_write_is_found() {
        let lost = [
            record(Op::Write(1), 1, 10),
            record(Op::Swap { from: 0, to: 2 }, 11, 20),
            record(Op::Read(2), 21, 30),
        ];
        assert!(!is_linearizable(&lost));
        // Acknowledged, and never there for those who looked later.
        let mut records = long(|_, _| {});
        let last = records.iter().filter_map(|record| record.returned_at).max().unwrap();
        let at = u64::try_from(last.as_millis()).unwrap();
        records.push(record(Op::Write(900), at + 1, at + 2));
        assert!(is_linearizable(&records));
        let Op::Read(before) = records[199].op else { panic!("no read") };
        records.push(record(Op::Read(before), at + 3, at + 4));
        assert!(!is_linearizable(&records));
    }

    #[test]
    fn two_cannot_both_change_what_one_of_them_has_changed() {
        let both =
            [record(Op::Swap { from: 0, to: 1 }, 1, 9), record(Op::Swap { from: 0, to: 2 }, 1, 9)];
        assert!(!is_linearizable(&both));
        let one = [both[0].clone(), record(Op::NoSwap { from: 0 }, 1, 9)];
        assert!(is_linearizable(&one));
        assert!(!is_linearizable(&[record(Op::NoSwap { from: 0 }, 1, 9)]), "nobody has changed it");
    }

    #[test]
    fn what_nobody_knows_the_outcome_of_may_be_done_or_not_and_not_twice() {
        let maybe = record(Op::Write(1), 1, 0);
        let reads = |values: &[u64]| {
            let mut records = vec![maybe.clone(), record(Op::Write(2), 10, 20)];
            for (n, value) in (3..).zip(values) {
                records.push(record(Op::Read(*value), n * 10, n * 10 + 5));
            }
            records
        };
        assert!(is_linearizable(&reads(&[2, 2])), "never");
        assert!(is_linearizable(&reads(&[2, 1, 1])), "late");
        assert!(!is_linearizable(&reads(&[1, 2, 1])), "twice");
        let swap = record(Op::Swap { from: 0, to: 1 }, 1, 0);
        assert!(is_linearizable(&[swap.clone(), record(Op::Read(1), 2, 3)]));
        assert!(is_linearizable(&[
            swap.clone(),
            record(Op::Write(2), 2, 3),
            record(Op::Read(2), 4, 5)
        ]));
        let late = [swap, record(Op::Write(2), 2, 3), record(Op::Read(2), 4, 5)];
        assert!(!is_linearizable(&[&late[..], &[record(Op::Read(1), 6, 7)]].concat()));
        // Its version was told to one whose condition failed, and then that of another before it.
        let told = |from, version, at| {
            let no = record(Op::NoSwap { from }, at, at + 1);
            Record { version: Some(version), ..no }
        };
        let known = |op, version, at| Record { version: Some(version), ..record(op, at, at + 1) };
        let mut story =
            vec![known(Op::Write(1), 10, 1), known(Op::Write(2), 20, 3), told(0, 20, 5)];
        assert!(is_linearizable(&story));
        story.push(told(0, 10, 7));
        assert!(!is_linearizable(&story));
        assert!(!is_linearizable(&[known(Op::Write(1), 20, 1), known(Op::Write(2), 10, 3)]));
        // Nobody has read it, and yet somebody was refused because of it.
        let refused = [maybe, record(Op::NoSwap { from: 0 }, 2, 3), record(Op::Write(3), 4, 5)];
        assert!(is_linearizable(&[&refused[..], &[record(Op::Read(3), 6, 7)]].concat()));
    }
}
