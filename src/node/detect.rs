//! Programs of the operator's that tell a node what only its machine knows: the address it has, the one
//! the world knows it by, the region and zone it stands in.
//!
//! They run before the settings are checked, at each start, and keep what the original's detection
//! scripts kept (docs/compat/installer.md). What is written in the settings goes over what they print,
//! and they are not run for it.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{sys::signal, unistd::Pid};
use serde::Deserialize;
use tokio::process::Command;

use super::{
    config::ConfigError,
    settings::{Layers, Raw, Source},
};
use crate::base::error::plain;

/// How long each may take: it asks a cloud's metadata service at most, perhaps more than once.
const DEADLINE: Duration = Duration::from_secs(30);
/// What of its words is told.
const WORDS_MAX: usize = 200;

const ADDRESS_FIX: &str = "it has to print one IP address, as 10.0.0.5, and nothing else";
const DOMAIN_FIX: &str =
    "it has to print {\"fault_domain\": {\"region\": {\"name\": …}, \"zone\": {\"name\": …}}}";

/// Runs the programs that the settings name and puts what they print over the built-in values.
///
/// # Errors
/// Of each program that fails, takes too long or prints something else.
pub fn run(layers: &mut Layers) -> Result<(), Vec<ConfigError>> {
    let raw = layers.merged();
    let wanted = |program: &Option<PathBuf>, is_written: bool| match is_written {
        true => None,
        false => program.clone(),
    };
    let address = wanted(&raw.ip_detect, raw.address.is_some());
    let public = wanted(&raw.public_ip_detect, raw.public_address.is_some());
    let has_domain = raw.region.is_some() || raw.zone.is_some();
    let domain = wanted(&raw.fault_domain_detect, has_domain);
    if [&address, &public, &domain].iter().all(|program| program.is_none()) {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let said = match runtime {
        Ok(runtime) => runtime.block_on(async {
            tokio::join!(printed(&address), printed(&public), printed(&domain))
        }),
        Err(error) => {
            let none = || Some(Err(format!("no program can be run: {error}")));
            (none(), none(), none())
        }
    };
    let mut errors = Vec::new();
    let mut take =
        |key: &'static str, fix, program: &Option<PathBuf>, raw: Result<Raw, String>| match raw {
            Ok(raw) => layers.over(&raw, |_| Source::Program(program.clone().unwrap_or_default())),
            Err(problem) => {
                let origin = layers.source(key).to_string();
                errors.push(ConfigError { key, origin, problem, fix });
            }
        };
    if let Some(said) = said.0 {
        let raw = said.and_then(|text| one_address(&text).map_err(by(&address)));
        let raw = raw.map(|ip| Raw { address: Some(ip.to_string()), ..Raw::default() });
        take("ip_detect", ADDRESS_FIX, &address, raw);
    }
    if let Some(said) = said.1 {
        let raw = said.and_then(|text| one_address(&text).map_err(by(&public)));
        let raw = raw.map(|ip| Raw { public_address: Some(ip.to_string()), ..Raw::default() });
        take("public_ip_detect", ADDRESS_FIX, &public, raw);
    }
    if let Some(said) = said.2 {
        let raw = said.and_then(|text| place(&text).map_err(by(&domain)));
        take("fault_domain_detect", DOMAIN_FIX, &domain, raw);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// What a program did, with its name.
fn by(program: &Option<PathBuf>) -> impl Fn(String) -> String {
    let name = program.as_deref().unwrap_or(Path::new("")).display().to_string();
    move |did| format!("{name} {did}")
}

/// The one address that a program of the operator's printed.
///
/// # Errors
/// What it printed instead, in words.
pub fn one_address(text: &str) -> Result<IpAddr, String> {
    let ip: Option<IpAddr> = text.trim().parse().ok();
    match ip.filter(|ip| !ip.is_unspecified()) {
        Some(ip) => Ok(ip),
        None if text.trim().is_empty() => Err("printed nothing".to_owned()),
        None => Err(format!("printed {:?}", beginning(text.trim()))),
    }
}

/// What `fault-domain-detect` prints.
#[derive(Deserialize)]
struct Printed {
    fault_domain: Domain,
}

#[derive(Deserialize)]
struct Domain {
    region: Named,
    zone: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// Region and zone, of the JSON that a program printed.
fn place(text: &str) -> Result<Raw, String> {
    let printed: Result<Printed, _> = serde_json::from_str(text);
    let printed =
        printed.map_err(|error| format!("printed {:?} ({error})", beginning(text.trim())))?;
    let Printed { fault_domain: Domain { region, zone } } = printed;
    if region.name.trim().is_empty() || zone.name.trim().is_empty() {
        return Err("printed an empty name".to_owned());
    }
    Ok(Raw { region: Some(region.name), zone: Some(zone.name), ..Raw::default() })
}

fn beginning(text: &str) -> String {
    text.chars().take(WORDS_MAX).collect()
}

async fn printed(program: &Option<PathBuf>) -> Option<Result<String, String>> {
    match program {
        Some(program) => Some(output(program).await),
        None => None,
    }
}

/// What a program printed to its standard output.
async fn output(program: &Path) -> Result<String, String> {
    let shown = program.display();
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What it started itself ends with it.
    command.kill_on_drop(true).process_group(0);
    let child = command.spawn().map_err(|error| {
        format!(
            "{shown} cannot be run ({}): chmod +x, and #!/bin/sh first",
            plain(&error.to_string())
        )
    })?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let Ok(done) = tokio::time::timeout(DEADLINE, child.wait_with_output()).await else {
        if let Some(group) = group {
            let _ = signal::killpg(group, signal::Signal::SIGKILL);
        }
        return Err(format!("{shown} did not end within {} s", DEADLINE.as_secs()));
    };
    let done = done.map_err(|error| format!("{shown}: {error}"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let last = said.trim().lines().last().map(beginning).unwrap_or_default();
        return Err(format!("{shown} ended with {}: {last}", done.status));
    }
    String::from_utf8(done.stdout).map_err(|_| format!("{shown} printed what is no UTF-8"))
}

#[cfg(test)]
mod tests;
