//! A verdict of the server as lines: the word, the sentence, since when, what causes it, what to do.

use serde_json::Value;

use super::{
    error::Outcome,
    run::Context,
    text::{ago, field},
};

/// The lines of `verdict` under `head`, which names what it is about. An older master tells none.
pub fn print(cx: &mut Context, head: &str, verdict: &Value) -> Outcome {
    if !verdict.is_object() {
        return Ok(cx.printer.line(head)?);
    }
    let state = cx.printer.toned(field(verdict, "state"));
    let since = match ago(field(verdict, "since"), cx.io.clock.now()) {
        Some(ago) => format!(" ({ago})"),
        None => String::new(),
    };
    let sentence = field(verdict, "sentence");
    cx.printer.line(&format!("{head}  {state}: {sentence}{since}"))?;
    beside(cx, verdict)
}

/// What stands beside the sentence: its cause, unless the sentence names it, and the next step.
pub fn beside(cx: &mut Context, verdict: &Value) -> Outcome {
    let cause = field(verdict, "cause");
    if !cause.is_empty() && !field(verdict, "sentence").contains(cause) {
        cx.printer.line(&format!("because    {cause}"))?;
    }
    match field(verdict, "next") {
        "" => Ok(()),
        next => Ok(cx.printer.line(&format!("next       {next}"))?),
    }
}

/// Whether somebody should look at what the verdict is about.
pub fn needs_attention(verdict: &Value) -> bool {
    matches!(field(verdict, "tone"), "bad" | "attention")
}
