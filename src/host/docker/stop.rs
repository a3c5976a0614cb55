//! A clean stop: which processes of a container get SIGTERM, and in which order. Pure.
//!
//! A signal is of use to a process that does something about it: the server, its master, an init.
//! Whatever starts such a process and only waits for it must outlive it: a shell that is told with
//! it is gone at once, and when the first process of a container ends, the rest is killed in the
//! middle of its clean-up. So there are three waves, each once the one before is gone:
//!
//! 1. those that handle SIGTERM and are not mere wrappers of one that does;
//! 2. handlers that are left (the wrappers, usually gone by themselves by then);
//! 3. everybody else, but what waits for one that ignores it: that one has its grace.
//!
//! Where nobody handles it, the third wave is the first. An image's processes are told from the
//! top: its master hands the signal on as it sees fit, as its authors mean it to. A plain command's
//! handlers are all told, as the original told its whole process tree.

use std::{collections::HashMap, time::Duration};

use super::processes::{OnTerm, Process};

/// How long what waited for a process may take to end by itself once that process is gone.
const SETTLE: Duration = Duration::from_secs(1);
/// A wrapper starts what it wraps when it begins, not later: a server that runs a tool is none.
/// In ticks.
const WRAPS_WITHIN: u64 = 60 * 100;
/// Chains of wrappers are followed this far (npm in a shell under an init is three).
const CHAIN_MAX: usize = 16;

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send SIGTERM to these.
    Tell(Vec<Process>),
    /// Look again a little later.
    Wait,
    /// What is left can get no SIGTERM: waiting for the grace would change nothing.
    Kill,
    /// Nobody is left.
    Gone,
}

/// One stop of one container.
#[derive(Debug)]
pub struct Stop {
    /// Tell all handlers, not the topmost ones alone.
    all: bool,
    /// Waves told so far.
    n_waves: usize,
    /// Those of the last wave.
    told: Vec<Process>,
    /// Everybody told so far.
    heard: Vec<Process>,
    /// Since when the last wave is gone.
    gone_since: Option<Duration>,
}

impl Stop {
    /// A stop of a plain command, or of an image.
    pub fn new(is_plain: bool) -> Self {
        let (told, heard) = (Vec::new(), Vec::new());
        Self { all: is_plain, n_waves: 0, told, heard, gone_since: None }
    }

    /// What to do about `processes` at `now`, the time since the stop began.
    pub fn next(&mut self, processes: &[Process], now: Duration) -> Step {
        if processes.is_empty() {
            return Step::Gone;
        }
        let lives = |told: &Process| processes.iter().any(|p| p.is(told));
        if self.told.iter().any(lives) {
            return Step::Wait;
        }
        let handled = self.told.iter().any(|p| p.term == OnTerm::Handles);
        let gone_since = *self.gone_since.get_or_insert(now);
        if handled && now < gone_since + SETTLE {
            return Step::Wait;
        }
        self.gone_since = None;
        let tree = Tree::of(processes);
        while self.n_waves < 3 {
            let wave = self.wave(&tree);
            self.n_waves += 1;
            if !wave.is_empty() {
                self.heard.extend(&wave);
                self.told.clone_from(&wave);
                return Step::Tell(wave);
            }
        }
        Step::Kill
    }

    fn wave(&self, tree: &Tree<'_>) -> Vec<Process> {
        let fresh = |p: &Process| !self.heard.iter().any(|heard| heard.is(p));
        let wraps = |p: &Process| self.n_waves == 0 && tree.wraps(p, CHAIN_MAX);
        let leads = |p: &Process| p.term == OnTerm::Handles && !wraps(p);
        let told = |p: &Process| match self.n_waves {
            0 | 1 => leads(p) && (self.all || !tree.above(p).any(leads)),
            _ => p.term != OnTerm::Dies || !(p.is_first || tree.holds(p, OnTerm::Ignores)),
        };
        let mut wave: Vec<Process> =
            tree.processes.iter().filter(|p| fresh(p) && told(p)).copied().collect();
        // A master before its workers, so that it does not replace them.
        wave.sort_by_key(|p| (tree.above(p).count(), p.pid));
        wave
    }
}

struct Tree<'a> {
    processes: &'a [Process],
    by_pid: HashMap<i32, &'a Process>,
    children: HashMap<i32, Vec<&'a Process>>,
}

impl<'a> Tree<'a> {
    fn of(processes: &'a [Process]) -> Self {
        let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
        for process in processes {
            children.entry(process.parent).or_default().push(process);
        }
        Self { processes, by_pid: processes.iter().map(|p| (p.pid, p)).collect(), children }
    }

    /// The parents of `process` within the container, the nearest first.
    fn above(&self, process: &Process) -> impl Iterator<Item = &'a Process> {
        let parent = |p: &&Process| self.by_pid.get(&p.parent).copied();
        let first = parent(&process);
        // Bounded: what is read one by one need not be a tree.
        std::iter::successors(first, parent).take(self.processes.len())
    }

    /// Whether `process` only waits for one child that it started when it began, and which would
    /// not pass a signal on to the process below that handles it.
    fn wraps(&self, process: &Process, depth: usize) -> bool {
        let Some([child]) = self.children.get(&process.pid).map(Vec::as_slice) else {
            return false;
        };
        if depth == 0 || child.started.saturating_sub(process.started) > WRAPS_WITHIN {
            return false;
        }
        match child.term {
            OnTerm::Handles => self.wraps(child, depth - 1),
            OnTerm::Dies | OnTerm::Ignores => self.holds(child, OnTerm::Handles),
        }
    }

    /// Whether a process below `process` does `term`.
    fn holds(&self, process: &Process, term: OnTerm) -> bool {
        let below = |p: &Process| self.above(p).any(|above| above.is(process));
        self.processes.iter().any(|p| p.term == term && below(p))
    }
}

#[cfg(test)]
mod tests {
    use super::{OnTerm::*, *};

    /// `(pid, parent, what it does)`; parent 1 is outside of the container.
    fn tree(rows: &[(i32, i32, OnTerm)]) -> Vec<Process> {
        let process = |&(pid, parent, term): &(i32, i32, OnTerm)| Process {
            pid,
            parent,
            session: 1,
            started: 0,
            is_first: false,
            term,
        };
        rows.iter().map(process).collect()
    }

    /// The same with its first process the first of a namespace.
    fn image(rows: &[(i32, i32, OnTerm)]) -> Vec<Process> {
        let mut processes = tree(rows);
        processes[0].is_first = true;
        processes
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn told(step: Step) -> Vec<i32> {
        match step {
            Step::Tell(wave) => wave.iter().map(|p| p.pid).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn first_wave(processes: &[Process], is_plain: bool) -> Vec<i32> {
        told(Stop::new(is_plain).next(processes, at(0)))
    }

    #[test]
    fn a_server_is_told_and_not_what_waits_for_it() {
        for is_plain in [true, false] {
            for (what, rows, expected) in [
                ("a shell", &[(10, 1, Dies), (11, 10, Handles)][..], &[11][..]),
                ("npm in it", &[(10, 1, Handles), (11, 10, Dies), (12, 11, Handles)], &[12]),
                (
                    "an init, a shell, npm, a shell",
                    &[
                        (10, 1, Handles),
                        (11, 10, Dies),
                        (12, 11, Handles),
                        (13, 12, Dies),
                        (14, 13, Handles),
                    ],
                    &[14],
                ),
                (
                    "an init and npm",
                    &[(10, 1, Handles), (12, 10, Handles), (13, 12, Dies), (14, 13, Handles)],
                    &[14],
                ),
                (
                    "a shell with a reader of its log",
                    &[(10, 1, Dies), (11, 10, Handles), (12, 10, Dies)],
                    &[11],
                ),
            ] {
                assert_eq!(first_wave(&tree(rows), is_plain), expected, "{what}");
            }
        }
    }

    #[test]
    fn a_master_passes_it_on_to_its_workers() {
        let rows = [(10, 1, Dies), (12, 11, Handles), (11, 10, Handles), (13, 11, Handles)];
        assert_eq!(first_wave(&tree(&rows), false), [11]);
        assert_eq!(first_wave(&tree(&rows), true), [11, 12, 13], "the master first");
        let supervisor = [
            (10, 1, Handles),
            (11, 10, Dies),
            (12, 11, Handles),
            (13, 10, Dies),
            (14, 13, Handles),
        ];
        assert_eq!(first_wave(&tree(&supervisor), false), [10], "it knows what to do");
    }

    #[test]
    fn a_server_that_runs_a_tool_is_no_wrapper() {
        let mut rows = tree(&[(10, 1, Handles), (11, 10, Dies), (12, 11, Handles)]);
        for process in &mut rows[1..] {
            process.started = WRAPS_WITHIN + 1;
        }
        assert_eq!(first_wave(&rows, false), [10]);
    }

    #[test]
    fn the_rest_follows_when_it_does_not_end_by_itself() {
        let mut stop = Stop::new(true);
        let all = tree(&[(10, 1, Dies), (11, 10, Handles), (12, 10, Dies)]);
        assert_eq!(told(stop.next(&all, at(0))), [11]);
        assert_eq!(stop.next(&all, at(50)), Step::Wait);
        let rest = [all[0], all[2]];
        assert_eq!(stop.next(&rest, at(100)), Step::Wait, "time to end by itself");
        assert_eq!(stop.next(&rest, at(1_050)), Step::Wait);
        assert_eq!(told(stop.next(&rest, at(1_100))), [10, 12]);
        assert_eq!(stop.next(&[], at(1_200)), Step::Gone);
    }

    #[test]
    fn a_restarted_child_does_not_keep_its_master() {
        let mut stop = Stop::new(false);
        let rows = |n| tree(&[(10, 1, Handles), (n, 10, Dies), (n + 1, n, Handles)]);
        assert_eq!(told(stop.next(&rows(20), at(0))), [21]);
        assert_eq!(stop.next(&rows(30), at(100)), Step::Wait);
        assert_eq!(told(stop.next(&rows(30), at(1_200))), [10]);
    }

    #[test]
    fn what_nobody_handles_ends_at_once() {
        let loops = [(10, 1, Dies), (11, 10, Dies)];
        assert_eq!(first_wave(&tree(&loops), true), [10, 11]);
        let mut stop = Stop::new(false);
        let processes = image(&loops);
        assert_eq!(told(stop.next(&processes, at(0))), [11], "the kernel drops it for the first");
        let next = image(&[(10, 1, Dies), (12, 10, Dies)]);
        assert_eq!(stop.next(&next, at(50)), Step::Kill);
        assert_eq!(Stop::new(false).next(&image(&[(10, 1, Dies)]), at(0)), Step::Kill);
    }

    #[test]
    fn who_ignores_it_has_its_grace() {
        for processes in [
            image(&[(10, 1, Ignores)]),
            image(&[(10, 1, Dies), (11, 10, Ignores)]),
            tree(&[(10, 1, Dies), (11, 10, Ignores)]),
        ] {
            let mut stop = Stop::new(false);
            let wave = told(stop.next(&processes, at(0)));
            assert_eq!(wave.len(), 1, "not what waits for it");
            let ignoring: Vec<Process> =
                processes.iter().filter(|p| p.is_first || p.term == Ignores).copied().collect();
            assert_eq!(stop.next(&ignoring, at(60_000)), Step::Wait);
        }
    }

    #[test]
    fn a_number_given_again_is_another_process() {
        let mut stop = Stop::new(true);
        let all = tree(&[(10, 1, Dies), (11, 10, Dies)]);
        told(stop.next(&all, at(0)));
        let reused = [Process { started: 7, ..all[0] }];
        assert_eq!(stop.next(&reused, at(50)), Step::Kill);
    }
}
