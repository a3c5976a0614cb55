//! What differs between two definitions, in a few words: `image 1.4 → 1.5, +1 variable`.
//!
//! Values of the environment, of labels and of secrets are never told, only how many changed.

use std::{collections::BTreeMap, fmt::Display};

use crate::{
    base::units::{Milli, memory},
    model::{
        container::{Command, ContainerSpec},
        workload::{RunSpec, WorkloadSpec},
    },
};

/// What differs from `old` to `new`, a few words each; nothing where only stamps do.
pub fn differences(old: &WorkloadSpec, new: &WorkloadSpec) -> Vec<String> {
    let mut out = Vec::new();
    moved(&mut out, "instances", &old.instances, &new.instances);
    run(&mut out, &old.run, &new.run);
    let rules = [
        ("constraints", old.constraints == new.constraints),
        ("roles", old.accepted_roles == new.accepted_roles && old.run.role == new.run.role),
        ("dependencies", old.dependencies == new.dependencies),
        ("launch delay", old.backoff == new.backoff),
        ("upgrade strategy", old.upgrade == new.upgrade),
        ("unreachable strategy", old.unreachable == new.unreachable),
        ("kill selection", old.kill_selection == new.kill_selection),
        ("port rules", old.require_ports == new.require_ports),
        ("residency", old.residency == new.residency),
    ];
    changed(&mut out, &rules);
    out
}

fn run(out: &mut Vec<String>, old: &RunSpec, new: &RunSpec) {
    let by_name = |run: &RunSpec| -> BTreeMap<String, ContainerSpec> {
        run.containers.iter().map(|c| (c.name.clone(), c.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let n_more = after.keys().filter(|name| !before.contains_key(*name)).count();
    let n_less = before.keys().filter(|name| !after.contains_key(*name)).count();
    tally(out, (n_more, n_less, 0), "container");
    for (name, container) in &after {
        if let Some(was) = before.get(name) {
            let mut parts = Vec::new();
            self::container(&mut parts, was, container);
            let of = if name.is_empty() { String::new() } else { format!("{name}: ") };
            out.extend(parts.into_iter().map(|part| format!("{of}{part}")));
        }
    }
    entries(out, &old.labels, &new.labels, "label");
    entries(out, &old.secrets, &new.secrets, "secret");
    let others = [
        ("networks", old.networks == new.networks),
        ("kind", old.kind == new.kind),
        (
            "executor",
            old.executor == new.executor && old.executor_resources == new.executor_resources,
        ),
    ];
    changed(out, &others);
}

fn container(out: &mut Vec<String>, old: &ContainerSpec, new: &ContainerSpec) {
    image(out, old, new);
    if old.command != new.command {
        out.push(command(&old.command, &new.command));
    }
    let (was, is) = (&old.resources, &new.resources);
    moved(out, "cpus", &was.cpus, &is.cpus);
    amounts(out, "memory", was.mem, is.mem);
    amounts(out, "disk", was.disk, is.disk);
    moved(out, "gpus", &was.gpus, &is.gpus);
    entries(out, &old.env, &new.env, "variable");
    let lists = [
        ("limits", old.limits == new.limits),
        ("ports", old.ports == new.ports),
        ("volumes", old.volumes == new.volumes),
        ("files to fetch", old.fetch == new.fetch),
        ("user", old.user == new.user),
        ("health checks", old.health_checks == new.health_checks),
        ("check", old.check == new.check),
        ("readiness checks", old.readiness == new.readiness),
        ("time to end", old.kill_grace_ms == new.kill_grace_ms),
        ("kernel settings", old.linux == new.linux && old.tty == new.tty),
        ("engine", old.engine == new.engine),
    ];
    changed(out, &lists);
}

/// The tag alone where only that differs.
fn image(out: &mut Vec<String>, old: &ContainerSpec, new: &ContainerSpec) {
    match (&old.image, &new.image) {
        (Some(was), Some(is)) if was.name != is.name => {
            let tag = |name: &str| {
                let at = name.rfind(':').filter(|at| !name[*at..].contains('/'));
                at.map(|at| (name[..at].to_owned(), name[at + 1..].to_owned()))
            };
            out.push(match (tag(&was.name), tag(&is.name)) {
                (Some((of, from)), Some((same, to))) if of == same => {
                    format!("image {from} → {to}")
                }
                _ => format!("image {} → {}", was.name, is.name),
            });
        }
        (Some(was), Some(is)) if was != is => out.push("image options changed".to_owned()),
        (None, Some(is)) => out.push(format!("image {}", is.name)),
        (Some(was), None) => out.push(format!("no image (was {})", was.name)),
        _ => {}
    }
}

fn command(old: &Command, new: &Command) -> String {
    match (old, new) {
        (Command::Image, _) => "command set",
        (_, Command::Image) => "command removed",
        _ => "command changed",
    }
    .to_owned()
}

fn moved<T: PartialEq + Display>(out: &mut Vec<String>, what: &str, old: &T, new: &T) {
    if old != new {
        out.push(format!("{what} {old} → {new}"));
    }
}

/// Of one unit where both have it: `memory 64 → 128 MiB`.
fn amounts(out: &mut Vec<String>, what: &str, old: Milli, new: Milli) {
    if old == new {
        return;
    }
    let (old, new) = (memory(old), memory(new));
    let unit = |text: &str| text.rsplit_once(' ').map(|(_, unit)| unit.to_owned());
    let old = match unit(&old) == unit(&new) {
        true => old.split(' ').next().unwrap_or_default().to_owned(),
        false => old,
    };
    out.push(format!("{what} {old} → {new}"));
}

fn entries<V: PartialEq>(
    out: &mut Vec<String>,
    old: &BTreeMap<String, V>,
    new: &BTreeMap<String, V>,
    what: &str,
) {
    let n_more = new.keys().filter(|key| !old.contains_key(*key)).count();
    let n_less = old.keys().filter(|key| !new.contains_key(*key)).count();
    let differs = |(key, value): &(&String, &V)| old.get(*key).is_some_and(|was| was != *value);
    tally(out, (n_more, n_less, new.iter().filter(differs).count()), what);
}

fn tally(out: &mut Vec<String>, (more, less, other): (usize, usize, usize), what: &str) {
    let s = |n: usize| if n == 1 { "" } else { "s" };
    if more > 0 {
        out.push(format!("+{more} {what}{}", s(more)));
    }
    if less > 0 {
        out.push(format!("−{less} {what}{}", s(less)));
    }
    if other > 0 {
        out.push(format!("{other} {what}{} changed", s(other)));
    }
}

fn changed(out: &mut Vec<String>, fields: &[(&str, bool)]) {
    let differing = fields.iter().filter(|(_, same)| !same);
    out.extend(differing.map(|(name, _)| format!("{name} changed")));
}
