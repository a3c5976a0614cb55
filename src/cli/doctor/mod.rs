//! `tepui doctor`: what keeps this machine, its Docker, the cluster and the way to it from working,
//! each with a way out. Nothing is changed.
//!
//! `machine` looks at disk, ports, descriptors and memory here, `engine` at Docker, `cluster` at the
//! server's answers, `live` at what those tell of masters, nodes and backups. A machine that is no node and
//! has no Docker is no trouble: there those findings are notes. `store` looks at what a node that does not
//! run left behind.

mod cluster;
mod engine;
mod live;
mod machine;
mod store;

use std::path::Path;

use serde_json::json;

use super::{
    args::Global,
    error::{CliError, Exit, Outcome},
    io::Io,
    output::{Printer, Tone, paint},
    session::Session,
    text::count,
};
use crate::base::task::Tasks;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Good,
    /// Worth knowing, and no failure.
    Note,
    Bad,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    level: Level,
    /// What it is about, in a word.
    about: &'static str,
    text: String,
    hint: Option<String>,
}

impl Finding {
    fn new(level: Level, about: &'static str, text: impl Into<String>) -> Self {
        let text = crate::base::error::plain(&text.into());
        Self { level, about, text, hint: None }
    }

    fn good(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Good, about, text)
    }

    fn note(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Note, about, text)
    }

    fn bad(about: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Bad, about, text)
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

pub async fn doctor(global: &Global, io: &Io, printer: &mut Printer, tasks: &Tasks) -> Outcome<u8> {
    let mut findings = Vec::new();
    let settings = machine::Settings::of(io);
    findings.extend(settings.findings.clone());
    let session = Session::find(global, io);
    let is_node = settings.is_node || session.as_ref().is_ok_and(machine::is_here);
    let engine = engine::look(&settings.docker, is_node).await;
    findings.extend(machine::look(&settings, engine.root.as_deref(), is_node).await);
    findings.extend(engine.findings);
    findings.extend(cluster::look(session, global, io, tasks).await);
    tell(&findings, printer)
}

/// What a node that does not run left behind.
pub async fn look_at_store(data_dir: &Path, io: &Io, printer: &mut Printer) -> Outcome<u8> {
    tell(&store::look(data_dir, io.clock.now()).await, printer)
}

fn tell(findings: &[Finding], printer: &mut Printer) -> Outcome<u8> {
    let n_bad = findings.iter().filter(|f| f.level == Level::Bad).count();
    if printer.json {
        printer.value(&as_json(findings))?;
    } else {
        for finding in findings {
            show(printer, finding)?;
        }
    }
    match n_bad {
        0 => Ok(0),
        _ if printer.json => Ok(Exit::Failure as u8),
        n => Err(CliError::new(Exit::Failure, format!("{} to mend", count(n, "thing")))),
    }
}

fn as_json(findings: &[Finding]) -> serde_json::Value {
    let rows = findings.iter().map(|f| {
        let mut row = json!({"level": f.level.word(), "about": f.about, "text": f.text});
        if let Some(hint) = &f.hint {
            row["hint"] = hint.as_str().into();
        }
        row
    });
    let good = findings.iter().all(|f| f.level != Level::Bad);
    json!({"good": good, "findings": rows.collect::<Vec<_>>()})
}

fn show(printer: &mut Printer, finding: &Finding) -> Outcome {
    let tone = match finding.level {
        Level::Good => Tone::Good,
        Level::Note => Tone::Faint,
        Level::Bad => Tone::Bad,
    };
    let word = finding.level.word();
    let pad = " ".repeat(6 - word.len());
    let mark = paint(word, tone, printer.colour.0);
    printer.line(&format!("{mark}{pad}{:<9}  {}", finding.about, finding.text))?;
    if let Some(hint) = &finding.hint {
        printer.line(&format!("{:17}{hint}", ""))?;
    }
    Ok(())
}
