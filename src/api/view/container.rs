//! Containers of a pod: of its definition, and of one instance.

use serde::Serialize;

use super::{Iso, Resources, verdict::words::condition_word};
use crate::model::{
    Instance, WorkloadSpec,
    container::{Command, ContainerSpec},
    workload::Kind,
};

/// Longest command shown in a row; a page cuts it further.
const CMD_CHARS_MAX: usize = 200;

/// `PodContainer` of the contract: what a pod is made of.
#[derive(Serialize)]
pub struct PartRow<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<String>,
    /// It starts before the others and ends after them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sidecar: bool,
    #[serde(flatten)]
    demand: Resources,
}

/// `Container` of the contract: one of an instance.
#[derive(Serialize)]
pub struct ContainerRow<'a> {
    name: &'a str,
    task_id: String,
    condition: &'static str,
    since: Iso,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

/// The containers of a pod's definition; none of an app's.
pub fn parts(spec: &WorkloadSpec) -> Vec<PartRow<'_>> {
    let pod = (spec.run.kind == Kind::Pod).then_some(&spec.run.containers);
    pod.into_iter()
        .flatten()
        .map(|c| PartRow {
            name: &c.name,
            image: c.image.as_ref().map(|image| image.name.as_str()),
            cmd: command_text(&c.command),
            sidecar: c.is_sidecar(),
            demand: c.resources.into(),
        })
        .collect()
}

/// The containers of an instance of a pod.
pub fn rows<'a>(spec: &'a WorkloadSpec, instance: &'a Instance) -> Vec<ContainerRow<'a>> {
    let row = |c: &'a ContainerSpec| {
        let (condition, since, told) = instance.container(&c.name);
        ContainerRow {
            name: &c.name,
            task_id: instance.task_id(&c.name),
            condition: condition_word(condition),
            since: Iso(since),
            healthy: instance.health_of(&spec.run, &c.name).map(|status| status.alive),
            exit_code: told.and_then(|status| status.exit_code),
            message: told.map_or("", |status| &status.message),
        }
    };
    spec.run.containers.iter().map(row).collect()
}

/// A command in one line.
pub fn command_text(command: &Command) -> Option<String> {
    let text = match command {
        Command::Image => return None,
        Command::Shell(text) => text.clone(),
        Command::Args(args) | Command::Exec(args) => args.join(" "),
    };
    match text.char_indices().nth(CMD_CHARS_MAX) {
        Some((at, _)) => Some(format!("{}…", &text[..at])),
        None => Some(text),
    }
}
