//! Completion scripts, made from the command tree.

use clap::CommandFactory as _;

use super::{args::Cli, error::Outcome, output::Printer};

pub fn script(shell: clap_complete::Shell, printer: &mut Printer) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tepui", &mut text);
    Ok(printer.raw(&text)?)
}
