//! `tepui doctor`: what keeps this command line from working, step by step, each with a way out.

use serde_json::Value;

use super::{
    args::Global,
    client::Client,
    error::{CliError, Exit, Outcome},
    output::{Printer, Tone, paint},
    run::Io,
    session::Session,
    text::{field, list},
};
use crate::base::{clock::Timestamp, task::Tasks};

/// Clocks further apart than this confuse tokens and ages.
const CLOCK_SKEW_MAX_S: i64 = 30;

pub async fn doctor(global: &Global, io: &Io, printer: &mut Printer, tasks: &Tasks) -> Outcome<u8> {
    let session = Session::find(global, io)?;
    good(printer, &format!("the address is {} (from {})", session.url, session.source))?;
    match &session.token {
        Some(_) => good(printer, "there is a token")?,
        None => bad(printer, "there is no token: sign in with tepui login")?,
    }
    let client = Client::new(session, global.ca.as_deref(), global.insecure, tasks)?;
    let status = client.get("/tepui/v1/status").await?;
    good(printer, &format!("it answers and takes the token: {}", field(&status, "name")))?;
    let mut n_bad = 0;
    for (fine, text) in findings(&status, io.clock.now()) {
        if fine {
            good(printer, &text)?;
        } else {
            n_bad += 1;
            bad(printer, &text)?;
        }
    }
    match n_bad {
        0 => Ok(0),
        n => Err(CliError::new(Exit::Failure, format!("{n} findings"))),
    }
}

/// What an answer tells, good or not.
fn findings(status: &Value, now: Timestamp) -> Vec<(bool, String)> {
    let (own, theirs) = (env!("CARGO_PKG_VERSION"), field(status, "version"));
    let mut findings = vec![match own == theirs {
        true => (true, format!("both run version {own}")),
        false => (false, format!("this is version {own}, the cluster runs {theirs}: use the same")),
    }];
    if let Some(at) = Timestamp::parse(field(status, "at")) {
        let skew_s = (at.as_ms() - now.as_ms()) / 1000;
        findings.push(match skew_s.abs() <= CLOCK_SKEW_MAX_S {
            true => (true, "the clocks agree".to_owned()),
            false => {
                (false, format!("the clocks are {skew_s} s apart: set this machine's or theirs"))
            }
        });
    }
    findings.push(match status["leader"].is_object() {
        true => (true, "there is a leader".to_owned()),
        false => (false, "no master leads: look whether most masters are up".to_owned()),
    });
    findings.extend(list(status, "warnings").map(|w| {
        let hint = w["hint"].as_str().map(|h| format!(": {h}")).unwrap_or_default();
        (false, format!("{}{hint}", field(w, "message")))
    }));
    findings
}

fn good(printer: &mut Printer, text: &str) -> Outcome {
    let mark = paint("ok", Tone::Good, printer.colour.0);
    Ok(printer.line(&format!("{mark}   {text}"))?)
}

fn bad(printer: &mut Printer, text: &str) -> Outcome {
    let mark = paint("bad", Tone::Bad, printer.colour.0);
    Ok(printer.line(&format!("{mark}  {text}"))?)
}
