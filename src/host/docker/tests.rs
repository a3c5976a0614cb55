//! Answers of real engines, recorded (`tests/golden/engine`): one of version 20.10 (API 1.41) and one
//! built from the sources of August 2026 (API 1.56). Requests name no version, so each engine answers
//! in its newest.

use bollard::models::{
    ContainerCreateResponse, ContainerInspectResponse, ContainerSummary, EventMessage,
    ExecInspectResponse, ImageInspect, Network, NetworkCreateResponse, SystemInfo,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    EngineError,
    engine::{self, EngineEvent, FoundState},
    networks,
    session::{Stage, stage},
};

/// The answers of one engine by name.
struct Answers(Value);

impl Answers {
    fn all() -> Vec<Self> {
        let texts = [
            include_str!("../../../tests/golden/engine/api-1.41.json"),
            include_str!("../../../tests/golden/engine/api-1.56.json"),
        ];
        texts.into_iter().map(|text| Self(serde_json::from_str(text).unwrap())).collect()
    }

    fn api(&self) -> &str {
        self.0["api"].as_str().unwrap()
    }

    /// As the library reads it.
    fn read<T: DeserializeOwned>(&self, name: &str) -> T {
        let read = serde_json::from_value(self.0[name].clone());
        read.unwrap_or_else(|error| panic!("{name} of {}: {error}", self.api()))
    }

    fn refusal(&self, name: &str) -> EngineError {
        let (status, body): (u16, Value) = self.read(name);
        engine::refused(status, body["message"].as_str().unwrap())
    }
}

#[test]
fn containers_are_listed_with_their_labels_and_states() {
    for answers in Answers::all() {
        let list: Vec<ContainerSummary> = answers.read("list");
        let mut found: Vec<_> = list.into_iter().filter_map(engine::found).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let states: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.state)).collect();
        let expected = [
            ("recorded-end", FoundState::Ended),
            ("recorded-new", FoundState::Created),
            ("recorded-oom", FoundState::Ended),
            ("recorded-pau", FoundState::Running),
            ("recorded-run", FoundState::Running),
        ];
        assert_eq!(states, expected, "{}", answers.api());
        assert!(found.iter().all(|f| f.labels["tepui.instance"] == "web.1" && f.id.len() == 64));
    }
}

#[test]
fn what_a_container_does_and_how_it_ended_is_read() {
    for answers in Answers::all() {
        let api = answers.api();
        let inspected = |name: &str| {
            engine::inspected(answers.read::<ContainerInspectResponse>(&format!("inspect_{name}")))
        };
        let running = inspected("running");
        assert!(running.running && running.pid.is_some() && running.started_at.is_some(), "{api}");
        assert_eq!((running.addresses.len(), running.finished_at), (1, None), "{api}");
        let ended = inspected("ended");
        assert_eq!((ended.running, ended.exit_code, ended.out_of_memory), (false, Some(3), false));
        assert!(ended.finished_at >= ended.started_at && ended.pid.is_none(), "{api}");
        let killed = inspected("out_of_memory");
        assert_eq!((killed.exit_code, killed.out_of_memory), (Some(137), true), "{api}");
        let made = inspected("made");
        assert!(!made.running && made.started_at.is_none(), "{api}");
        assert!(inspected("paused").running, "{api}");
    }
}

#[test]
fn events_are_told() {
    for answers in Answers::all() {
        let messages: Vec<EventMessage> = answers.read("events");
        let events: Vec<EngineEvent> = messages.into_iter().filter_map(engine::event).collect();
        let died: Vec<Option<i32>> = events
            .iter()
            .filter_map(|event| match event {
                EngineEvent::Died { exit_code, .. } => Some(*exit_code),
                _ => None,
            })
            .collect();
        assert_eq!(died, [Some(3), Some(137)], "{}", answers.api());
        let count = |is: fn(&EngineEvent) -> bool| events.iter().filter(|e| is(e)).count();
        assert_eq!(count(|e| matches!(e, EngineEvent::Started { .. })), 4, "{}", answers.api());
        assert_eq!(count(|e| matches!(e, EngineEvent::OutOfMemory { .. })), 1, "{}", answers.api());
    }
}

#[test]
fn commands_that_have_not_begun_run_and_are_over_are_told_apart() {
    for answers in Answers::all() {
        let stage = |name| stage(&answers.read::<ExecInspectResponse>(name));
        assert_eq!(stage("exec_made"), Stage::Unknown, "{}", answers.api());
        assert!(matches!(stage("exec_running"), Stage::Runs(_)), "{}", answers.api());
        assert_eq!(stage("exec_ended"), Stage::Over, "{}", answers.api());
    }
}

#[test]
fn networks_images_and_what_is_made_are_read() {
    for answers in Answers::all() {
        let networks: Vec<Network> = answers.read("networks");
        let found = networks::named(networks, "recorded");
        let made: NetworkCreateResponse = answers.read("network_created");
        assert_eq!(found, [made.id], "{}", answers.api());
        assert!(!answers.read::<ContainerCreateResponse>("created").id.is_empty());
        assert!(answers.read::<ImageInspect>("image").id.is_some());
        let info: SystemInfo = answers.read("info");
        assert_eq!(info.docker_root_dir.as_deref(), Some("/var/lib/docker"));
    }
}

#[test]
fn refusals_are_understood() {
    for answers in Answers::all() {
        let api = answers.api();
        assert!(matches!(answers.refusal("no_such"), EngineError::NoSuch(_)), "{api}");
        assert!(matches!(answers.refusal("no_image"), EngineError::NoSuch(_)), "{api}");
        assert!(matches!(answers.refusal("conflict"), EngineError::Conflict(_)), "{api}");
        assert!(matches!(answers.refusal("not_running"), EngineError::Conflict(_)), "{api}");
        for (name, words) in [
            ("no_source", "bind source path does not exist"),
            ("in_use", "has active endpoints"),
            ("port_taken", "already in use"),
        ] {
            let EngineError::Refused { message, .. } = answers.refusal(name) else {
                panic!("{name} of {api}");
            };
            assert!(message.contains(words), "{name} of {api}: {message}");
        }
    }
}
