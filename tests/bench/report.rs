//! Tables, for the terminal and for docs/benchmarks.md, and what is known of the machine.

use std::{fmt, fs, process::Command};

use anyhow::Context as _;

/// The results of one subject.
pub struct Section {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Section {
    /// A table with these columns.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|c| (*c).to_owned()).collect();
        Self { title: title.to_owned(), columns, rows: Vec::new(), notes: Vec::new() }
    }

    /// A subject that could not be measured.
    pub fn failed(name: &str, error: &anyhow::Error) -> Self {
        let mut section = Self::new(name, &[]);
        section.note(format!("not measured: {error:#}"));
        section
    }

    pub fn row<T: fmt::Display>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(|c| c.to_string()).collect());
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    fn widths(&self) -> Vec<usize> {
        let lines = std::iter::once(&self.columns).chain(&self.rows);
        let mut widths = vec![0; self.columns.len()];
        for line in lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    fn line(cells: &[String], widths: &[usize]) -> String {
        let padded = cells.iter().zip(widths).enumerate().map(|(i, (cell, width))| {
            if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        format!("| {} |", padded.collect::<Vec<_>>().join(" | "))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n", self.title)?;
        let widths = self.widths();
        if !self.rows.is_empty() {
            writeln!(f, "{}", Self::line(&self.columns, &widths))?;
            let rule: Vec<String> = widths
                .iter()
                .enumerate()
                .map(|(i, w)| if i == 0 { "-".repeat(*w) } else { "-".repeat(w - 1) + ":" })
                .collect();
            writeln!(f, "| {} |", rule.join(" | "))?;
            for row in &self.rows {
                writeln!(f, "{}", Self::line(row, &widths))?;
            }
            writeln!(f)?;
        }
        for note in &self.notes {
            writeln!(f, "{note}\n")?;
        }
        Ok(())
    }
}

/// What the numbers were measured on.
pub struct Machine {
    lines: Vec<String>,
}

impl Machine {
    pub fn read() -> Self {
        let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let memory_kib: u64 = field("/proc/meminfo", "MemTotal")
            .and_then(|v| v.split_whitespace().next()?.parse().ok())
            .unwrap_or(0);
        let commit = output("git", &["rev-parse", "--short", "HEAD"]);
        let date = output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]);
        let lines = vec![
            format!("- {cpu}, {cores} processors, {:.1} GiB memory", gib(memory_kib)),
            format!("- Linux {}", kernel.trim()),
            format!("- {date}, commit {commit}"),
        ];
        Self { lines }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

#[allow(clippy::cast_precision_loss)] // a number for people
fn gib(kib: u64) -> f64 {
    kib as f64 / (1024.0 * 1024.0)
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output(program: &str, args: &[&str]) -> String {
    let text = Command::new(program).args(args).output().map(|o| o.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().to_owned()
}

const BEGIN: &str = "<!-- results: written by `make bench` -->";
const END: &str = "<!-- end of results -->";

/// Replaces what stands between the marks in the document at `path`.
///
/// # Errors
/// When the file cannot be read or written, or has no marks.
pub fn write(path: &str, machine: &Machine, sections: &[Section]) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let (before, rest) = text.split_once(BEGIN).context("the document has no place for results")?;
    let (_, after) = rest.split_once(END).context("the place for results has no end")?;
    let mut fresh = format!("{before}{BEGIN}\n\n{machine}\n\n");
    for section in sections {
        fresh.push_str(&section.to_string());
    }
    fresh.push_str(END);
    fresh.push_str(after);
    fs::write(path, fresh).with_context(|| format!("cannot write {path}"))
}
