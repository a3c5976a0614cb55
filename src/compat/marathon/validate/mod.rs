//! The rules of a completed definition that types and bounds cannot say.
//!
//! Works on what `normalize::complete` returns, so every default is there. Each rule notes its
//! path and text; all broken ones are told at once (docs/compat/marathon.md, "Errors"). Rules that
//! need the state of the cluster come in as `Context`.

mod container;
mod network;
pub mod placement;
pub mod pod;

use std::collections::{BTreeSet, HashSet};

use super::{
    json::{Num, Violations},
    normalize,
    settings::Settings,
    spec::{
        App,
        container::Engine,
        health::IpProtocol,
        policy::{Artifact, Limit, ResourceLimits, Unreachable},
    },
};
use crate::model::path::PathId;

/// What the cluster says about an app.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    pub settings: &'a Settings,
    /// Roles the app may have (docs/compat/marathon.md, "Roles").
    pub roles: &'a BTreeSet<String>,
    /// The role it has now, when it exists and the request does not force.
    pub role_pinned: Option<&'a str>,
}

/// Segments an id may not end in, because the routes below an app are called so.
const RESERVED: [&str; 3] = ["restart", "tasks", "versions"];

/// How ids are described in answers.
const ID_PATTERN: &str = "must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])\\.)*([a-z0-9]|[a-z0-9][a-z0-9\\-]*[a-z0-9])|(\\.|\\.\\.)$'";

/// All broken rules of `app`.
pub fn validate(app: &App, context: &Context<'_>) -> Violations {
    let mut v = Violations::default();
    identity(app, &mut v);
    command(app, &mut v);
    container::check(app, context.settings, &mut v);
    network::check(app, &mut v);
    checks(app, &mut v);
    resources(app, context.settings, &mut v);
    placement::check(app, context, &mut v);
    secrets(app, context.settings, &mut v);
    strategies(app, &mut v);
    labels(app, &mut v);
    v
}

/// Whether `segment` may stand in an id.
pub fn is_segment(segment: &str) -> bool {
    segment.split('.').all(|part| {
        let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(is_end)
            && part.ends_with(is_end)
            && part.chars().all(|c| is_end(c) || c == '-')
    })
}

/// The rules of an id, at `path`.
pub fn id(id: &PathId, path: &str, v: &mut Violations) {
    v.check(!id.is_root(), path, "must not be root");
    reference(id, path, v);
    if RESERVED.contains(&id.name()) {
        v.add(path, format!("must not end with any of [{}]", RESERVED.join(", ")));
    }
}

/// The same for a reference, which may name the root.
pub fn reference(id: &PathId, path: &str, v: &mut Violations) {
    v.check(id.segments().all(is_segment), path, ID_PATTERN);
    if let Err(problem) = id.check_size() {
        v.add(path, problem.to_string());
    }
}

fn identity(app: &App, v: &mut Violations) {
    if let Some(text) = &app.id {
        id(&PathId::parse(text), "/id", v);
    }
    for (i, text) in app.dependencies.iter().flatten().enumerate() {
        if v.is_full() {
            break;
        }
        reference(&PathId::parse(text), &format!("/dependencies({i})"), v);
    }
}

fn command(app: &App, v: &mut Violations) {
    let has_args = app.args.as_ref().is_some_and(|args| !args.is_empty());
    let has_image = app.container.as_ref().is_some_and(|c| c.docker.is_some());
    let holds = match (app.cmd.is_some(), has_args) {
        (true, true) => false,
        (true, false) | (false, true) => true,
        (false, false) => has_image,
    };
    let is_pod = app.names_containers && app.cmd.is_none() && !has_args && app.container.is_none();
    let told = if is_pod {
        "This is a pod: send it to /v2/pods."
    } else {
        "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."
    };
    v.check(holds, "/", told);
    let is_long = app.cmd.as_ref().is_none_or(|cmd| cmd.chars().count() > 1);
    v.check(is_long, "/", "must not be an empty string");
    artifacts(app.fetch.as_deref().unwrap_or_default(), "/fetch", v);
}

/// What is fetched can be asked for.
fn artifacts(all: &[Artifact], path: &str, v: &mut Violations) {
    for (i, artifact) in all.iter().enumerate() {
        v.check(is_uri(&artifact.uri), format!("{path}({i})/uri"), "URI has invalid syntax.");
    }
}

/// Whether `text` could be a URI or a path: no blanks, no character RFC 3986 excludes, and every
/// `%` followed by two hexadecimal digits.
fn is_uri(text: &str) -> bool {
    let is_excluded = |c: char| c.is_control() || c == ' ' || r#"<>"{}|\^`"#.contains(c);
    let escapes = text.split('%').skip(1);
    !text.is_empty()
        && !text.contains(is_excluded)
        && escapes.into_iter().all(|rest| {
            let hex = rest.as_bytes().get(..2);
            hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
        })
        && !text.starts_with(':')
}

fn checks(app: &App, v: &mut Violations) {
    let n_ports = normalize::n_ports(app);
    let is_docker = app.container.as_ref().is_some_and(|c| c.engine == Some(Engine::Docker));
    let mut n_mesos = 0;
    for (i, check) in app.health_checks.iter().flatten().enumerate() {
        let path = format!("/healthChecks({i})");
        let is_command = check.command.is_some();
        if check.protocol.is_mesos() && !is_command {
            n_mesos += 1;
        }
        if is_command {
            continue;
        }
        if check.protocol == super::spec::health::Protocol::Command {
            v.add(format!("{path}/command"), "not defined");
            continue;
        }
        v.check(
            !(check.port.is_some() && check.port_index.is_some()),
            &path,
            "must contain at most one of port and portIndex",
        );
        let index = check.port_index.or(check.port.is_none().then_some(0));
        v.check(
            index.is_none_or(|index| (index as usize) < n_ports),
            &path,
            "Health check port indices must address an element of the ports array or container port mappings.",
        );
        v.check(
            check.ip_protocol == IpProtocol::V4 || (is_docker && check.protocol.is_mesos()),
            &path,
            "IPv6 can only be used for container type DOCKER and Mesos http/https/tcp health checks",
        );
    }
    v.check(n_mesos <= 1, "/", "AppDefinition can contain at most one Mesos health check");
    info_check(app, is_docker, n_ports, v);
    readiness(app, v);
}

fn info_check(app: &App, is_docker: bool, n_ports: usize, v: &mut Violations) {
    let Some(check) = &app.check else { return };
    v.check(!is_docker, "/check", "checks are not supported with the Docker container type");
    let n = usize::from(check.exec.is_some())
        + usize::from(check.http.is_some())
        + usize::from(check.tcp.is_some());
    v.check(n == 1, "/check", "must contain exactly one of exec, http or tcp");
    let http = check.http.as_ref().map(|c| ("/check/http", c.port, c.port_index));
    let tcp = check.tcp.as_ref().map(|c| ("/check/tcp", c.port, c.port_index));
    for (path, port, index) in http.into_iter().chain(tcp) {
        let index = index.or(port.is_none().then_some(0));
        v.check(
            index.is_none_or(|index| (index as usize) < n_ports),
            path,
            "check port indices must address an element of the ports array or container port mappings.",
        );
    }
}

fn readiness(app: &App, v: &mut Violations) {
    let checks = app.readiness_checks.as_deref().unwrap_or_default();
    v.check(
        checks.len() <= 1,
        "/readinessChecks",
        format!("got {}, expected 1 or less", checks.len()),
    );
    let names: HashSet<&str> = if normalize::is_host(app) {
        app.port_definitions.iter().flatten().filter_map(|p| p.name.as_deref()).collect()
    } else {
        let mappings = app.container.iter().flat_map(|c| c.port_mappings.iter().flatten());
        mappings.filter_map(|p| p.name.as_deref()).collect()
    };
    for (i, check) in checks.iter().enumerate() {
        let path = format!("/readinessChecks({i})");
        v.check(
            names.contains(check.port_name.as_str()),
            format!("{path}/portName"),
            format!("No port definition reference for portName {}", check.port_name),
        );
        ends_before_the_next((check.timeout_seconds, check.interval_seconds), &path, v);
    }
}

/// A check has its answer, or none, before the next one begins.
fn ends_before_the_next((timeout, interval): (u32, u32), path: &str, v: &mut Violations) {
    let text = format!("got {timeout}, expected less than {interval}");
    v.check(timeout < interval, format!("{path}/timeoutSeconds"), text);
}

fn resources(app: &App, settings: &Settings, v: &mut Violations) {
    if app.gpus.is_some_and(|gpus| gpus > 0) {
        let is_docker = app.container.as_ref().is_some_and(|c| c.engine == Some(Engine::Docker));
        v.check(!is_docker, "/", "GPU resources only work with the Mesos containerizer");
        feature(settings, "gpu_resources", "/", v);
    }
    if let Some(limits) = &app.resource_limits {
        limits_cover(limits, (app.cpus, app.mem), "/resourceLimits", v);
    }
}

/// Nobody is limited to less than was asked for, of processors and memory.
fn limits_cover(
    limits: &ResourceLimits,
    (cpus, mem): (Option<Num>, Option<Num>),
    path: &str,
    v: &mut Violations,
) {
    for (name, limit, request) in [("cpus", limits.cpus, cpus), ("mem", limits.mem, mem)] {
        if let (Some(Limit::At(limit)), Some(request)) = (limit, request) {
            let text = format!("got {limit}, expected {request} or more");
            v.check(limit >= request, format!("{path}/{name}"), text);
        }
    }
}

/// Notes a feature that is needed but off.
fn feature(settings: &Settings, name: &str, path: &str, v: &mut Violations) {
    v.check(
        settings.has(name),
        path,
        format!("Feature {name} is not enabled: it is not part of this version"),
    );
}

fn secrets(app: &App, settings: &Settings, v: &mut Violations) {
    use super::spec::app::EnvValue;
    if app.secrets.as_ref().is_some_and(|secrets| !secrets.is_empty()) {
        feature(settings, "secrets", "/secrets", v);
    }
    for (name, value) in app.env.iter().flatten() {
        v.check(!name.is_empty(), "/env", "must not be empty");
        if let EnvValue::Secret { secret } = value {
            feature(settings, "secrets", "/env", v);
            v.check(
                app.secrets.as_ref().is_some_and(|s| s.contains_key(secret)),
                format!("/env/{name}/secret"),
                "references an undefined secret",
            );
        }
    }
}

fn strategies(app: &App, v: &mut Violations) {
    let is_resident = normalize::is_resident(app);
    if let Some(upgrade) = &app.upgrade_strategy {
        let is_single = app.label("MARATHON_SINGLE_INSTANCE_APP") == Some("true");
        let health = upgrade.minimum_health_capacity;
        let over = upgrade.maximum_over_capacity;
        for (name, value) in [("minimumHealthCapacity", health), ("maximumOverCapacity", over)] {
            let path = format!("/upgradeStrategy/{name}");
            v.check(
                (0.0..=1.0).contains(&value.0),
                &path,
                format!("got {value}, expected between 0.0 and 1.0"),
            );
            let is_over = name == "maximumOverCapacity";
            let must_be_zero = is_single || (is_resident && is_over);
            if must_be_zero && (0.0..=1.0).contains(&value.0) {
                v.check(value == Num(0.0), path, format!("got {value}, expected 0.0"));
            }
        }
    }
    match app.unreachable_strategy {
        Some(Unreachable::After { .. }) if is_resident => {
            v.add("/", "unreachableStrategy must be disabled for resident tasks");
        }
        strategy => replaced_before_forgotten(strategy, "/unreachableStrategy", v),
    }
}

/// What is lost is replaced no later than it is forgotten.
fn replaced_before_forgotten(strategy: Option<Unreachable>, path: &str, v: &mut Violations) {
    if let Some(Unreachable::After { inactive_s, expunge_s }) = strategy {
        let text = "inactiveAfterSeconds must be less or equal to expungeAfterSeconds";
        v.check(inactive_s <= expunge_s, path, text);
    }
}

fn labels(app: &App, v: &mut Violations) {
    if app.label("MARATHON_SINGLE_INSTANCE_APP") == Some("true") {
        let is_one = app.instances.is_none_or(|n| n <= 1);
        v.check(is_one, "/", "Single instance app may only have one instance");
    }
    let has = |key: &str| app.label(key).is_some_and(|value| !value.is_empty());
    if has("DCOS_MIGRATION_API_VERSION") {
        let is_known = app.label("DCOS_MIGRATION_API_VERSION") == Some("v1");
        v.check(
            is_known && has("DCOS_PACKAGE_FRAMEWORK_NAME") && has("DCOS_MIGRATION_API_PATH"),
            "/",
            "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using DCOS_MIGRATION_API_VERSION",
        );
    }
    let behavior = app.label("GPU_SCHEDULING_BEHAVIOR");
    v.check(
        behavior.is_none_or(|b| ["restricted", "unrestricted"].contains(&b)),
        "/labels/GPU_SCHEDULING_BEHAVIOR",
        "is not one of (restricted,unrestricted)",
    );
}

#[cfg(test)]
mod tests;
