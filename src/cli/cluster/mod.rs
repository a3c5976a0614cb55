//! `tepui cluster …`: a cluster as a whole.
//!
//! `level` asks a running one about its masters and the level that mixed releases work at. The rest makes
//! one, or takes it away, from a machine that reaches all hosts by ssh: `document` reads a config.yaml as
//! DC/OS knew it, `keys` says what becomes of each of its keys, `wanted` checks it whole, `bundle` packs what
//! hosts get, `ssh` reaches them, `host` is what is done on one, `kept` what is remembered between runs,
//! `board` shows how far each is. `install`, `upgrade` and `uninstall` go through the steps. What happens on a host is
//! the business of `installer/install.sh`, which is packed into this program.

pub mod keys;
mod document;
mod checks;
mod wanted;
pub mod bundle;
mod ssh;
mod board;
mod kept;
mod host;
mod crew;
mod install;
mod upgrade;
mod uninstall;
pub mod level;

use super::{args::Archive, error::Outcome, output::Printer};

pub use install::install;
pub use uninstall::uninstall;
pub use upgrade::upgrade;

/// `tepui cluster archive`.
pub fn archive(asked: &Archive, printer: &mut Printer) -> Outcome {
    let extras = [("docker", asked.docker.as_deref()), ("images", asked.images.as_deref())];
    bundle::archive(asked.output.as_deref(), asked.binary.as_deref(), &extras, printer)
}

#[cfg(test)]
mod tests;
