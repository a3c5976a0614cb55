//! Rules of containers and volumes.

use std::collections::BTreeSet;

use super::{feature, placement::is_pattern};
use crate::compat::marathon::{
    json::Violations,
    settings::Settings,
    spec::{
        App,
        container::{Container, Docker, Engine, IpcMode, LinuxInfo},
        volume::{Access, DiskType, External, Persistent, Volume},
    },
};

/// The rules of the app's container.
pub fn check(app: &App, settings: &Settings, v: &mut Violations) {
    let Some(container) = &app.container else { return };
    match (container.engine, &container.docker) {
        (Some(Engine::Mesos), None) => {}
        (Some(Engine::Mesos), Some(docker)) => mesos_image(app, docker, settings, v),
        (Some(Engine::Docker) | None, Some(docker)) => docker_image(docker, v),
        (Some(Engine::Docker) | None, None) => v.add("/container/docker", "not defined"),
    }
    if let Some(linux) = &container.linux_info {
        linux_info(linux, "/container/linuxInfo", v);
    }
    let names = container.volumes.iter().filter_map(|v| v.external.as_ref()?.name.as_deref());
    let mut seen = BTreeSet::new();
    let is_unique = names.into_iter().all(|name| seen.insert(name));
    v.check(is_unique, "/container/volumes", "Volume names must be unique");
    for (i, volume) in container.volumes.iter().enumerate() {
        check_volume(app, container, volume, settings, &format!("/container/volumes({i})"), v);
    }
}

fn image(docker: &Docker, v: &mut Violations) {
    let has_image = docker.image.as_ref().is_some_and(|image| !image.is_empty());
    v.check(has_image, "/container/docker/image", "must not be empty");
    v.check(!docker.has_credential, "/container/docker/credential", "must be empty");
}

fn docker_image(docker: &Docker, v: &mut Violations) {
    image(docker, v);
    v.check(
        docker.pull_config.is_none(),
        "/container/docker/pullConfig",
        "pullConfig is not supported with Docker containerizer",
    );
}

fn mesos_image(app: &App, docker: &Docker, settings: &Settings, v: &mut Violations) {
    image(docker, v);
    v.check(docker.parameters.is_empty(), "/container/docker/parameters", "must be empty");
    v.check(
        !docker.privileged,
        "/container/docker/privileged",
        "privileged is only supported with the Docker containerizer",
    );
    if let Some(pull) = &docker.pull_config {
        feature(settings, "secrets", "/container/docker/pullConfig", v);
        v.check(
            app.secrets.as_ref().is_some_and(|s| s.contains_key(&pull.secret)),
            "/container/docker/pullConfig",
            "pullConfig.secret must refer to an existing secret",
        );
    }
}

/// The rules of kernel settings at `path`.
pub fn linux_info(linux: &LinuxInfo, path: &str, v: &mut Violations) {
    if let Some(seccomp) = &linux.seccomp {
        v.check(
            seccomp.profile_name.is_some() != seccomp.unconfined,
            format!("{path}/seccomp"),
            "exactly one of profileName and unconfined must be set",
        );
    }
    if let Some(ipc) = &linux.ipc_info {
        v.check(
            ipc.mode == IpcMode::Private || ipc.shm_size.is_none(),
            format!("{path}/ipcInfo"),
            "shmSize may only be set with the mode PRIVATE",
        );
    }
}

fn check_volume(
    app: &App,
    container: &Container,
    volume: &Volume,
    settings: &Settings,
    path: &str,
    v: &mut Violations,
) {
    if let Some(persistent) = &volume.persistent {
        let name = volume.container_path.as_str();
        let at = format!("{path}/containerPath");
        v.check(!name.contains('/'), &at, "value must not contain \"/\"");
        v.check(name != "." && name != "..", &at, "is not one of (.,..)");
        let is_writable = volume.mode.is_none_or(|mode| mode == Access::ReadWrite);
        v.check(is_writable, format!("{path}/mode"), "got RO, expected RW");
        check_persistent(persistent, &format!("{path}/persistent"), v);
    } else if let Some(external) = &volume.external {
        feature(settings, "external_volumes", path, v);
        check_external(app, container, external, path, v);
    } else if let Some(secret) = &volume.secret {
        feature(settings, "secrets", "/container/volumes", v);
        v.check(
            app.secrets.as_ref().is_some_and(|s| s.contains_key(secret)),
            path,
            "volume.secret must refer to an existing secret",
        );
        let is_mesos = container.engine == Some(Engine::Mesos);
        v.check(is_mesos, path, "secret volumes are only supported with the Mesos containerizer");
    } else {
        let has_path = volume.host_path.as_ref().is_some_and(|path| !path.is_empty());
        v.check(has_path, format!("{path}/hostPath"), "must not be empty");
    }
}

fn check_persistent(persistent: &Persistent, path: &str, v: &mut Violations) {
    let size = persistent.size;
    v.check(size > 0, format!("{path}/size"), format!("got {size}, expected more than 0"));
    let disk = persistent.disk.unwrap_or(DiskType::Root);
    if let Some(max) = persistent.max_size {
        v.check(disk == DiskType::Mount, path, "Only mount volumes can have maxSize");
        v.check(max > size, path, "Max size must be larger than size");
    }
    let is_free = disk != DiskType::Root || persistent.constraints.is_empty();
    v.check(is_free, path, "Constraints on root volumes are not supported");
    for (i, constraint) in persistent.constraints.iter().enumerate() {
        let problem = match constraint.as_slice() {
            [field, operator, value] if field == "path" => match operator.as_str() {
                "LIKE" | "UNLIKE" if is_pattern(value) => continue,
                "LIKE" | "UNLIKE" => "Invalid regular expression",
                _ => "Operator must be one of LIKE, UNLIKE",
            },
            _ => "Unsupported constraint",
        };
        v.add(format!("{path}/constraints({i})"), problem);
    }
}

fn check_external(
    app: &App,
    container: &Container,
    external: &External,
    path: &str,
    v: &mut Violations,
) {
    let name = external.name.as_deref().unwrap_or_default();
    v.check(!name.is_empty(), format!("{path}/external/name"), "not defined");
    match external.provider.as_deref() {
        None | Some("") => v.add(format!("{path}/external/provider"), "not defined"),
        Some("dvdi") => {
            let has_driver = external.options.contains_key("dvdi/driver");
            v.check(has_driver, format!("{path}/external/options"), "must contain dvdi/driver");
            let is_mesos = container.engine == Some(Engine::Mesos);
            v.check(
                external.size.is_none() || is_mesos,
                format!("{path}/external/size"),
                "must be undefined for Docker containers",
            );
        }
        Some("csi") => {
            let is_mesos = container.engine == Some(Engine::Mesos);
            v.check(is_mesos, path, "CSI volumes are only supported with the Mesos containerizer");
        }
        Some(_) => v.add(format!("{path}/external/provider"), "is not one of (dvdi,csi)"),
    }
    let is_one = external.shared || app.instances.is_none_or(|n| n <= 1);
    v.check(is_one, "/instances", "got more than 1, expected 1 or less with external volumes");
}
