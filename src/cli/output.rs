//! The one printer: data to standard output, everything else to standard error.
//!
//! It alone decides what `--quiet`, `--json`, colour and a missing terminal mean. Colour only ever
//! repeats what the words say; tables are plain text with two blanks between columns, the same on
//! a terminal and in a pipe, so that they can be cut by scripts.

use std::io::{self, Write};

use serde_json::Value;

use super::error::CliError;
use crate::base::error::plain;

/// Where output goes and how.
pub struct Printer {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    pub json: bool,
    pub quiet: bool,
    /// Colour on standard output, on standard error.
    pub colour: (bool, bool),
    /// Standard error is a terminal that can be redrawn.
    pub live: bool,
    n_drawn: usize,
}

/// The colour of a word, by what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Moving,
    Attention,
    Bad,
    Faint,
    Plain,
}

impl Tone {
    /// How a status word is felt. The server says the same of its words (`Verdict.tone`).
    pub fn of(word: &str) -> Self {
        match word {
            "engine_down" | "unreachable" | "unhealthy" | "crash_looping" | "cannot_start"
            | "failed" | "lost" => Self::Bad,
            "stuck" | "delayed" | "waiting" | "degraded" => Self::Attention,
            "deleting" | "stopping" | "draining" | "deploying" | "starting" | "staging"
            | "scheduled" | "killing" => Self::Moving,
            "running" | "active" | "satisfied" | "healthy" => Self::Good,
            "stopped" | "drained" | "deactivated" | "finished" | "killed" | "gone" => Self::Faint,
            _ => Self::Plain,
        }
    }

    fn code(self) -> Option<&'static str> {
        match self {
            Self::Good => Some("32"),
            Self::Moving => Some("36"),
            Self::Attention => Some("33"),
            Self::Bad => Some("31"),
            Self::Faint => Some("2"),
            Self::Plain => None,
        }
    }
}

impl Printer {
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        let (json, quiet, live) = (false, false, false);
        Self { out, err, json, quiet, colour: (false, false), live, n_drawn: 0 }
    }

    /// A line of data.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.clear()?;
        writeln!(self.out, "{text}")
    }

    /// Bytes of data as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// Bytes for standard error as they are (a remote command's).
    pub fn raw_err(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.err.write_all(bytes)?;
        self.err.flush()
    }

    /// An answer as JSON, indented.
    pub fn value(&mut self, value: &Value) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.line(&text)
    }

    /// A table; its words of status in colour.
    pub fn table(&mut self, table: &Table) -> io::Result<()> {
        let text = table.text(self.colour.0);
        self.clear()?;
        self.out.write_all(text.as_bytes())
    }

    /// Something said by the way: not data, silenced by `--quiet`.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        if self.quiet || self.json {
            return Ok(());
        }
        self.clear()?;
        writeln!(self.err, "{text}")
    }

    /// The present state of a wait: redrawn in place on a terminal, else one line per change.
    pub fn progress(&mut self, lines: &[String]) -> io::Result<()> {
        if self.quiet || self.json {
            return Ok(());
        }
        self.clear()?;
        for line in lines {
            writeln!(self.err, "{line}")?;
        }
        if self.live {
            self.n_drawn = lines.len();
        }
        self.err.flush()
    }

    /// Takes the last drawn progress off the screen.
    pub fn clear(&mut self) -> io::Result<()> {
        if self.n_drawn > 0 {
            write!(self.err, "\x1b[{}A\x1b[J", self.n_drawn)?;
            self.n_drawn = 0;
        }
        Ok(())
    }

    /// Empties the screen before a repeated view.
    pub fn fresh_screen(&mut self) -> io::Result<()> {
        if self.colour.0 { self.raw(b"\x1b[H\x1b[2J") } else { Ok(()) }
    }

    /// A word in its colour on standard output.
    pub fn toned(&self, word: &str) -> String {
        paint(word, Tone::of(word), self.colour.0)
    }

    /// The last words of a failed command.
    pub fn error(&mut self, error: &CliError) -> io::Result<()> {
        self.clear()?;
        if self.json {
            return writeln!(self.err, "{}", error.json());
        }
        let head = paint("error:", Tone::Bad, self.colour.1);
        writeln!(self.err, "{head} {}", plain(&error.message))?;
        for detail in &error.details {
            writeln!(self.err, "  {}", plain(detail))?;
        }
        if let Some(hint) = &error.hint {
            let head = paint("hint:", Tone::Good, self.colour.1);
            writeln!(self.err, "{head} {hint}")?;
        }
        Ok(())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.err.flush()
    }
}

/// `text` in the colour of `tone`.
pub fn paint(text: &str, tone: Tone, colour: bool) -> String {
    match tone.code().filter(|_| colour) {
        Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
        None => text.to_owned(),
    }
}

/// Rows under a heading, columns as wide as their widest cell.
#[derive(Debug, Default)]
pub struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(heads: &[&'static str]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    pub fn row<I, T>(&mut self, cells: I)
    where
        I: IntoIterator<Item = T>,
        T: Into<String>,
    {
        self.rows.push(cells.into_iter().map(|cell| one_line(cell.into())).collect());
    }

    /// The table as text, a line each. An empty cell shows `-`, so that columns can be counted.
    pub fn text(&self, colour: bool) -> String {
        let mut widths: Vec<usize> = self.heads.iter().map(|h| h.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count().max(1));
            }
        }
        let mut text = String::new();
        let heads: Vec<String> = self.heads.iter().map(|h| (*h).to_owned()).collect();
        push_row(&mut text, &heads, &widths, false);
        for row in &self.rows {
            push_row(&mut text, row, &widths, colour);
        }
        text
    }
}

/// A cell without line breaks, and without what moves a terminal: commands of apps and messages of
/// tasks are anybody's.
fn one_line(cell: String) -> String {
    if !cell.contains(char::is_control) {
        return cell;
    }
    let parts = cell.split(char::is_control).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

fn push_row(text: &mut String, cells: &[String], widths: &[usize], colour: bool) {
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = if cell.is_empty() { "-" } else { cell };
        let last = at + 1 == cells.len();
        text.push_str(&paint(cell, Tone::of(cell), colour));
        if !last {
            let pad = width.saturating_sub(cell.chars().count()) + 2;
            text.extend(std::iter::repeat_n(' ', pad));
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_tone_that_the_server_gives_them() {
        use crate::api::view::verdict::{Standing, Tone as Told};
        for standing in Standing::ALL {
            let wanted = match standing.tone() {
                Told::Bad => Tone::Bad,
                Told::Attention => Tone::Attention,
                Told::Moving => Tone::Moving,
                Told::Good => Tone::Good,
                Told::Neutral => Tone::Faint,
            };
            assert_eq!(Tone::of(standing.word()), wanted, "{}", standing.word());
        }
    }

    #[test]
    fn tables_line_up_and_show_empty_cells() {
        let mut table = Table::new(&["ID", "STATUS"]);
        table.row(["/web", "running"]);
        table.row(["/grüße", ""]);
        assert_eq!(table.text(false), "ID      STATUS\n/web    running\n/grüße  -\n");
        assert!(table.text(true).contains("\x1b[32mrunning\x1b[0m"));
    }
}
