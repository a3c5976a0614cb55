//! How an end is judged and told (docs/compat/containers.md, "How a task ends"). Pure.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::desired::{Exit, Known};
use crate::{
    base::clock::Timestamp,
    model::{
        container::{Command, ContainerSpec, EnvValue, Limit},
        instance::{Condition, ContainerStatus, OUT_OF_MEMORY},
        workload::Kind,
    },
};

/// A process ended by the kernel's memory killer takes its container along at once, or not at all.
const MEMORY_TO_END: Duration = Duration::from_secs(10);
/// What a process ended with SIGKILL leaves, a shell around it too.
const KILLED: i32 = 137;
/// Programs of Node.js, as commands and images name them.
const NODE_WORDS: [&str; 6] = ["node", "nodejs", "npm", "npx", "yarn", "pnpm"];

/// What was seen of a container and its limit of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemorySeen {
    /// The engine's flag: some process of it was ended for memory, at some time.
    pub flag: bool,
    /// How long before its end such a process was last heard of.
    pub before: Option<Duration>,
}

impl MemorySeen {
    fn any(self) -> bool {
        self.flag || self.before.is_some()
    }

    /// Whether the end itself was by memory, and not one of its processes earlier.
    pub fn was_the_end(self, code: Option<i32>) -> bool {
        let just_now = self.before.is_none_or(|before| before <= MEMORY_TO_END);
        code == Some(KILLED) && self.any() && just_now
    }
}

/// What people read about an end.
pub fn text(exit: &Exit, seen: MemorySeen, is_plain: bool, spec: Option<&ContainerSpec>) -> String {
    if exit.out_of_memory {
        let limit = spec.and_then(limit_mb);
        let limit = limit.map(|mb| format!(" of {mb} MB")).unwrap_or_default();
        let hint = node_hint(spec);
        return format!("{OUT_OF_MEMORY}: the limit{limit} was reached{hint}");
    }
    let what = if is_plain { "Command" } else { "Container" };
    let end = match exit.code {
        None => return "The container is gone, nobody knows how it ended".to_owned(),
        Some(code) if is_plain && code > 128 => match signal_name(code - 128) {
            Some(name) => format!("{what} terminated with signal {name}"),
            None => format!("{what} exited with status {code}"),
        },
        Some(code) => format!("{what} exited with status {code}"),
    };
    match exit.code {
        // Not its cause for certain, but the first thing to look at.
        Some(1..) if seen.any() => {
            format!("{end}; one of its processes had been ended for reaching the limit of memory")
        }
        Some(ABORTED) => format!("{end}{}", node_hint(spec)),
        _ => end,
    }
}

/// The limit of memory that was named, in MB.
fn limit_mb(spec: &ContainerSpec) -> Option<i64> {
    let asked = spec.resources.mem;
    match spec.limits.mem {
        Some(Limit::Unlimited) => None,
        Some(Limit::At(mem)) => Some(mem.max(asked).floor()),
        None => Some(asked.floor()),
    }
}

/// What Node.js leaves when its heap is full.
const ABORTED: i32 = 134;
/// Its option for the size of the heap.
const HEAP_OPTION: &str = "--max-old-space-size";

/// For a Node.js program: raising the limit alone changes nothing, its heap's size is its own.
fn node_hint(spec: Option<&ContainerSpec>) -> String {
    let Some(spec) = spec.filter(|spec| is_node(spec)) else { return String::new() };
    let sized = spec.env.get("NODE_OPTIONS").is_some_and(
        |options| matches!(options, EnvValue::Text(text) if text.contains(HEAP_OPTION)),
    );
    if sized || texts(spec).iter().any(|text| text.contains(HEAP_OPTION)) {
        return String::new();
    }
    let Some(limit_mb) = limit_mb(spec) else { return String::new() };
    let heap_mb = (limit_mb * 2 / 3).max(1);
    format!(
        ". Node.js sets the size of its heap by itself and little by this limit: tell it with \
         NODE_OPTIONS={HEAP_OPTION}={heap_mb} (about two thirds of `mem`)"
    )
}

/// What a container runs, as far as its definition says.
fn texts(spec: &ContainerSpec) -> Vec<&str> {
    match &spec.command {
        Command::Shell(text) => vec![text],
        Command::Args(args) | Command::Exec(args) => args.iter().map(String::as_str).collect(),
        Command::Image => Vec::new(),
    }
}

fn is_node(spec: &ContainerSpec) -> bool {
    let name_of =
        |path: &str| path.rsplit('/').next().is_some_and(|name| NODE_WORDS.contains(&name));
    let is_image = spec.image.iter().any(|image| {
        let end = image.name.rsplit('/').next().unwrap_or_default();
        end.split([':', '@']).next().is_some_and(|name| NODE_WORDS.contains(&name))
    });
    let words = |text: &str| {
        text.split(|c: char| c.is_whitespace() || ";&|()'\"`".contains(c)).any(name_of)
    };
    is_image || texts(spec).into_iter().any(words)
}

/// How a container is reported that has ended. Who was told to end did not fail.
pub fn status(name: &str, exit: &Exit, is_told: bool, now: Timestamp) -> ContainerStatus {
    let condition = match (is_told, exit.code) {
        (true, _) => Condition::Killed,
        (false, Some(0)) => Condition::Finished,
        (false, _) => Condition::Failed,
    };
    ContainerStatus {
        name: name.to_owned(),
        condition,
        since: exit.at.unwrap_or(now).min(now),
        exit_code: exit.code,
        message: exit.message.clone(),
    }
}

/// The definition of a container by its name within a pod; an app has one only.
pub fn spec_of<'a>(known: &'a Known, container: &str) -> Option<&'a ContainerSpec> {
    let order = known.order.as_ref()?;
    let is_pod = order.spec.run.kind == Kind::Pod;
    order.spec.run.containers.iter().find(|c| !is_pod || c.name == container)
}

fn signal_name(number: i32) -> Option<&'static str> {
    let signal = Signal::try_from(number).ok()?;
    Some(match signal {
        Signal::SIGTERM => "Terminated",
        Signal::SIGKILL => "Killed",
        Signal::SIGINT => "Interrupt",
        Signal::SIGHUP => "Hangup",
        Signal::SIGABRT => "Aborted",
        Signal::SIGSEGV => "Segmentation fault",
        other => other.as_str(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::units::Milli,
        model::{Scalars, container::Image},
    };

    fn spec(command: &str) -> ContainerSpec {
        ContainerSpec {
            command: Command::Shell(command.into()),
            resources: Scalars::of(0.1, 128.0, 0.0, 0.0),
            ..ContainerSpec::default()
        }
    }

    const FLAG: MemorySeen = MemorySeen { flag: true, before: None };

    #[test]
    fn ends_in_words() {
        let spec = spec("./serve");
        let exit = |code| Exit { code, ..Exit::default() };
        for (exit, plain, expected) in [
            (exit(Some(3)), true, "Command exited with status 3"),
            (exit(Some(143)), true, "Command terminated with signal Terminated"),
            (exit(Some(137)), false, "Container exited with status 137"),
            (exit(None), false, "The container is gone, nobody knows how it ended"),
            (
                Exit { code: Some(137), out_of_memory: true, ..Exit::default() },
                false,
                "Memory limit exceeded: the limit of 128 MB was reached",
            ),
        ] {
            assert_eq!(text(&exit, MemorySeen::default(), plain, Some(&spec)), expected);
        }
        let mut raised = spec.clone();
        raised.limits.mem = Some(Limit::At(Milli::whole(512)));
        let killed = Exit { code: Some(137), out_of_memory: true, ..Exit::default() };
        let told = text(&killed, FLAG, false, Some(&raised));
        assert_eq!(told, "Memory limit exceeded: the limit of 512 MB was reached");
        let other = text(&exit(Some(3)), FLAG, false, Some(&spec));
        assert!(other.starts_with("Container exited with status 3; one of its"), "{other}");
        assert_eq!(text(&exit(Some(0)), FLAG, true, None), "Command exited with status 0");
    }

    #[test]
    fn only_an_end_by_memory_is_one() {
        let heard = |s| MemorySeen { flag: true, before: Some(Duration::from_secs(s)) };
        for (seen, code, expected) in [
            (FLAG, Some(137), true),
            (heard(0), Some(137), true),
            (heard(3600), Some(137), false),
            (FLAG, Some(0), false),
            (FLAG, Some(3), false),
            (FLAG, None, false),
            (MemorySeen::default(), Some(137), false),
        ] {
            assert_eq!(seen.was_the_end(code), expected, "{seen:?} {code:?}");
        }
    }

    #[test]
    fn nodes_heap_is_named_where_it_is_the_matter() {
        let told = |spec: &ContainerSpec, code, out_of_memory| {
            let exit = Exit { code: Some(code), out_of_memory, ..Exit::default() };
            text(&exit, MemorySeen::default(), false, Some(spec))
                .contains("--max-old-space-size=85")
        };
        assert!(told(&spec("cd /app && npm start"), 137, true));
        assert!(told(&spec("node server.js"), 134, false), "its own abort");
        assert!(!told(&spec("node server.js"), 1, false));
        assert!(told(&spec("exec /usr/bin/node server.js"), 137, true));
        for other in
            ["./node_exporter", "/bin/node-exporter --web", "node --max-old-space-size=9 x"]
        {
            assert!(!told(&spec(other), 137, true), "{other}");
        }
        let mut image = spec("./serve");
        for (name, is_node) in [
            ("node:20-slim", true),
            ("hub:5000/bitnami/node@sha256:0", true),
            ("prom/node-exporter:v1", false),
        ] {
            image.image = Some(Image {
                name: name.into(),
                force_pull: false,
                privileged: false,
                parameters: Vec::new(),
                pull_secret: None,
                labels: Default::default(),
            });
            assert_eq!(told(&image, 137, true), is_node, "{name}");
        }
        let mut sized = spec("node server.js");
        let options = EnvValue::Text("--max-old-space-size=64".into());
        sized.env.insert("NODE_OPTIONS".into(), options);
        assert!(!told(&sized, 137, true));
    }

    #[test]
    fn who_was_told_to_end_did_not_fail() {
        let exit = |code| Exit { code: Some(code), ..Exit::default() };
        let condition = |code, told| status("c", &exit(code), told, Timestamp::EPOCH).condition;
        assert_eq!(condition(0, false), Condition::Finished);
        assert_eq!(condition(1, false), Condition::Failed);
        assert_eq!(condition(143, true), Condition::Killed);
        assert_eq!(condition(0, true), Condition::Killed);
    }
}
