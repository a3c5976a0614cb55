//! How far each host is: redrawn in place on a terminal, elsewhere a line for each step.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::wanted::Host;
use crate::cli::output::Printer;

/// How often times are redrawn.
const REDRAW_EVERY: Duration = Duration::from_millis(500);
/// Hosts that a terminal shows at a time; of more, those that have something to tell.
const SHOWN_MAX: usize = 30;

/// What is known of one host.
struct Row {
    host: Host,
    text: String,
    since: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Busy,
    Done,
    Failed,
}

/// The board, shared by all that work.
pub struct Board<'p> {
    inner: Mutex<Inner<'p>>,
}

struct Inner<'p> {
    printer: &'p mut Printer,
    rows: BTreeMap<(usize, Ipv4Addr), Row>,
    heading: String,
}

impl<'p> Board<'p> {
    pub fn new(printer: &'p mut Printer, hosts: &[Host]) -> Self {
        let row = |host: &Host| Row {
            host: *host,
            text: String::new(),
            since: Instant::now(),
            state: State::Waiting,
        };
        let rows = hosts.iter().enumerate().map(|(n, host)| ((n, host.address), row(host)));
        let (rows, heading) = (rows.collect(), String::new());
        Self { inner: Mutex::new(Inner { printer, rows, heading }) }
    }

    /// What all work at now.
    pub fn step(&self, heading: &str) {
        let mut inner = self.inner.lock();
        heading.clone_into(&mut inner.heading);
        inner.say(&format!("-- {heading}"));
    }

    /// A host begins something.
    pub fn begin(&self, host: Host, text: impl Into<String>) {
        self.inner.lock().set(host, text.into(), State::Busy, true);
    }

    /// It is as far with it as `text` says.
    pub fn now(&self, host: Host, text: impl Into<String>) {
        self.inner.lock().set(host, text.into(), State::Busy, false);
    }

    /// It is done with it.
    pub fn done(&self, host: Host, text: impl Into<String>) {
        self.inner.lock().end(host, text.into(), State::Done);
    }

    pub fn failed(&self, host: Host, text: impl Into<String>) {
        self.inner.lock().end(host, text.into(), State::Failed);
    }

    /// Waits for the work while the board is kept up to date.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    // What comes next is written below it.
                    let _ = self.inner.lock().printer.clear();
                    return done;
                }
                () = sleep(REDRAW_EVERY) => self.inner.lock().redraw(),
            }
        }
    }
}

impl Inner<'_> {
    fn set(&mut self, host: Host, text: String, state: State, is_new: bool) {
        if let Some(row) = self.row(host) {
            if is_new {
                row.since = Instant::now();
            }
            row.text = text;
            row.state = state;
        }
        // Between two redraws much may happen.
        if is_new {
            self.redraw();
        }
    }

    fn end(&mut self, host: Host, text: String, state: State) {
        let Some(row) = self.row(host) else { return };
        let took = row.since.elapsed().as_secs_f64();
        row.text = match took >= 0.05 {
            true => format!("{text} ({took:.1} s)"),
            false => text,
        };
        row.state = state;
        let line = line(row, false);
        self.say(&line);
        self.redraw();
    }

    fn row(&mut self, host: Host) -> Option<&mut Row> {
        self.rows.values_mut().find(|row| row.host == host)
    }

    /// A line where nothing can be redrawn. With standard error gone there is nobody to tell.
    fn say(&mut self, line: &str) {
        if !self.printer.live {
            let _ = self.printer.progress(&[line.to_owned()]);
        }
    }

    fn redraw(&mut self) {
        if !self.printer.live {
            return;
        }
        let mut rows: Vec<&Row> = self.rows.values().collect();
        let n_all = rows.len();
        if n_all > SHOWN_MAX {
            rows.retain(|row| matches!(row.state, State::Busy | State::Failed));
            rows.truncate(SHOWN_MAX);
        }
        let mut lines = vec![self.heading.clone()];
        lines.extend(rows.iter().map(|row| line(row, row.state == State::Busy)));
        if n_all > SHOWN_MAX {
            let n_done = self.rows.values().filter(|row| row.state == State::Done).count();
            lines.push(format!("{n_done} of {n_all} hosts done"));
        }
        let _ = self.printer.progress(&lines);
    }
}

fn line(row: &Row, is_busy: bool) -> String {
    let mark = match row.state {
        State::Waiting => " ",
        State::Busy => "…",
        State::Done => "✓",
        State::Failed => "✗",
    };
    let passed = match is_busy {
        true => format!(" {} s", row.since.elapsed().as_secs()),
        false => String::new(),
    };
    let address = row.host.address.to_string();
    let text = row.text.lines().next().unwrap_or_default();
    format!("{mark} {address:<15} {:<13} {text}{passed}", row.host.role.as_str())
}
