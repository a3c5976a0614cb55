//! Docker here: does it answer, is it new enough, has it a bridge, does anything slow it down.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    models::VolumeCreateRequest,
    query_parameters::{InspectNetworkOptions, RemoveVolumeOptions},
};

use super::{Finding, Level};

/// For each question; a healthy engine answers in milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);
/// The oldest engine tasks are tested with.
const VERSION_MIN: (u32, u32) = (20, 10);
/// What a change may take that everybody who reads the engine's events is told of. One reader that
/// stopped reading makes it a hundred milliseconds longer.
const EVENT_MAX: Duration = Duration::from_millis(90);

/// What was found, and where the engine keeps its data.
pub struct Looked {
    pub findings: Vec<Finding>,
    pub root: Option<PathBuf>,
}

/// Looks at the engine behind `socket`. `needed`: this machine is a node.
pub async fn look(socket: &Path, needed: bool) -> Looked {
    let level = if needed { Level::Bad } else { Level::Note };
    let nothing = |finding: Finding| Looked { findings: vec![finding], root: None };
    let shown = socket.display();
    if !socket.exists() {
        let text = format!("there is no socket {shown}");
        return nothing(Finding::new(level, "docker", text).hint(
            "nodes that run tasks need Docker 20.10 or newer; name another socket with --docker",
        ));
    }
    let client = match Docker::connect_with_unix(
        &socket.to_string_lossy(),
        DEADLINE.as_secs(),
        API_DEFAULT_VERSION,
    ) {
        Ok(client) => client,
        Err(error) => return nothing(Finding::new(level, "docker", error.to_string())),
    };
    let version = match within(client.version()).await {
        Ok(version) => version.version.unwrap_or_default(),
        Err(why) => {
            let finding = Finding::new(level, "docker", format!("{shown} does not answer: {why}"));
            return nothing(match why.contains("ermission") {
                true => finding.hint("be root, or a member of the group docker"),
                false => finding.hint("look at it with: systemctl status docker"),
            });
        }
    };
    let mut findings = vec![version_finding(&version, level)];
    let mut root = None;
    if let Ok(info) = within(client.info()).await {
        root = info.docker_root_dir.map(PathBuf::from);
        if needed && info.live_restore_enabled != Some(true) {
            let text = "containers end when Docker itself is restarted";
            let hint = "\"live-restore\": true in /etc/docker/daemon.json lets them go on";
            findings.push(Finding::note("docker", text).hint(hint));
        }
        findings.extend(info.warnings.into_iter().flatten().map(|w| Finding::note("docker", w)));
    }
    findings.push(bridge(&client, level).await);
    if needed {
        findings.push(events(&client).await);
    }
    Looked { findings, root }
}

fn version_finding(version: &str, level: Level) -> Finding {
    let mut numbers = version.split(['.', '-', '+']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < VERSION_MIN => {
            let text = format!("version {version} is older than 20.10");
            Finding::new(level, "docker", text).hint("take a newer one")
        }
        _ => Finding::good("docker", format!("version {version} answers")),
    }
}

/// Containers with ports of their own are joined by the bridge.
async fn bridge(client: &Docker, level: Level) -> Finding {
    let network =
        match within(client.inspect_network("bridge", None::<InspectNetworkOptions>)).await {
            Ok(network) => network,
            Err(why) => {
                return Finding::new(level, "bridge", format!("there is no network bridge: {why}"))
                    .hint("start Docker without --bridge=none; host networking works without it");
            }
        };
    let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    match configs.into_iter().find_map(|c| c.subnet) {
        Some(subnet) => Finding::good("bridge", format!("containers get addresses of {subnet}")),
        None => Finding::new(level, "bridge", "the network bridge has no addresses"),
    }
}

/// Times changes that cause events, on a volume of our own that is removed again.
async fn events(client: &Docker) -> Finding {
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let begun = Instant::now();
        let request = VolumeCreateRequest::default();
        let made = match within(client.create_volume(request)).await {
            Ok(volume) => volume,
            Err(why) => return Finding::bad("docker", format!("it refuses changes: {why}")),
        };
        let took = begun.elapsed();
        let removed = within(client.remove_volume(&made.name, None::<RemoveVolumeOptions>)).await;
        if let Err(why) = removed {
            return Finding::bad("docker", format!("it refuses changes: {why}"));
        }
        fastest = fastest.min(took);
    }
    let ms = fastest.as_millis();
    match fastest < EVENT_MAX {
        true => Finding::good("docker", format!("changes take {ms} ms")),
        false => Finding::bad("docker", format!("every change takes {ms} ms"))
            .hint("usually a program that listens to its events and no longer reads them; end it"),
    }
}

async fn within<T>(
    call: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, String> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(crate::base::error::chain(&error)),
        Err(_) => Err(format!("nothing within {} s", DEADLINE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_engines_are_told() {
        for (version, level) in [
            ("20.10.24+dfsg1", Level::Good),
            ("29.1.0", Level::Good),
            ("19.03.5", Level::Bad),
            ("dev", Level::Good),
        ] {
            assert_eq!(version_finding(version, Level::Bad).level, level, "{version}");
        }
    }
}
