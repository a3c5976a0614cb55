//! Checks in words: which one fails and why, which one has no result yet.

use crate::model::{
    Instance, WorkloadSpec,
    container::{Command, HealthCheck, Probe, ProbePort},
    instance::CheckStatus,
};

/// Longest command told of a check.
const COMMAND_CHARS_MAX: usize = 60;

/// The check that a result is about.
pub fn check_at(spec: &WorkloadSpec, index: u32) -> Option<&HealthCheck> {
    spec.run.containers.iter().flat_map(|c| &c.health_checks).nth(index as usize)
}

/// The protocol of a check, as definitions name it.
pub fn protocol(check: &HealthCheck) -> &'static str {
    match check.probe {
        Probe::Http { tls: false, .. } => "HTTP",
        Probe::Http { tls: true, .. } => "HTTPS",
        Probe::Tcp { .. } => "TCP",
        Probe::Command(_) => "COMMAND",
    }
}

/// The first failing check of an instance with what it found; `None` when none fails.
pub fn failing(instance: &Instance, spec: &WorkloadSpec) -> Option<String> {
    let status = instance.health().iter().find(|status| !status.alive)?;
    let check = check_at(spec, status.index).map_or_else(|| "health check".to_owned(), words);
    Some(match &status.last_failure_cause {
        Some(cause) => format!("{check}: {cause}"),
        None => check,
    })
}

/// What a running instance has still to show before it counts as up: a first result of a health
/// check, a readiness check that has not passed.
pub fn pending(instance: &Instance, spec: &WorkloadSpec) -> Option<String> {
    let open = |index: u32| instance.health().iter().all(|s: &CheckStatus| s.index != index);
    let checks = spec.run.containers.iter().flat_map(|c| &c.health_checks);
    if let Some((_, check)) = (0..).zip(checks).find(|(index, _)| open(*index)) {
        return Some(format!("{} has no result yet", words(check)));
    }
    if instance.ready() {
        return None;
    }
    let mut checks = spec.run.containers.iter().flat_map(|c| &c.readiness);
    let not_ready = checks.find_map(|check| {
        let status = instance.readiness().iter().find(|s| s.name == check.name);
        let found = match status {
            Some(status) if status.ready => return None,
            Some(status) => format!(": {}", status.found),
            None => String::new(),
        };
        let (name, path) = (&check.name, &check.path);
        Some(format!("readiness check {name} ({path}) has not passed{found}"))
    });
    not_ready.or_else(|| spec.run.has_readiness_checks().then(|| "it is not ready yet".to_owned()))
}

/// Whether `pending` has something to say.
pub fn is_pending(instance: &Instance, spec: &WorkloadSpec) -> bool {
    let n_checks = spec.run.containers.iter().map(|c| c.health_checks.len()).sum::<usize>();
    let is_open = |index: u32| instance.health().iter().all(|status| status.index != index);
    (0..).take(n_checks).any(is_open) || !instance.ready() && spec.run.has_readiness_checks()
}

/// As `HTTP check /health on port 8080`.
fn words(check: &HealthCheck) -> String {
    let kind = protocol(check);
    match &check.probe {
        Probe::Http { path, port, .. } => {
            let path = path.as_deref().unwrap_or("/");
            format!("{kind} check {path} on {}", port_words(*port))
        }
        Probe::Tcp { port, .. } => format!("{kind} check on {}", port_words(*port)),
        Probe::Command(command) => match command {
            Command::Shell(text) => format!("{kind} check `{}`", short(text)),
            Command::Args(args) | Command::Exec(args) => {
                format!("{kind} check `{}`", short(&args.join(" ")))
            }
            Command::Image => format!("{kind} check"),
        },
    }
}

fn port_words(port: ProbePort) -> String {
    match port {
        ProbePort::Index(index) => format!("port index {index}"),
        ProbePort::Number(number) => format!("port {number}"),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(COMMAND_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
