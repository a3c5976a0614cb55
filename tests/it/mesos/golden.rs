//! The golden stories of `tests/golden/mesos`: the master's endpoints and, below `/agent/<id>`, an
//! agent's. `{node}` is the agent of the first instance of `/grp/web`, `{task}` that instance's task.
//!
//! Directives: `fail /app` (its first instance), `remove /app`, `drain`, `lose` (the agent `{node}`).

use std::sync::Arc;

use regex::Regex;
use tepui::{
    base::task::Tasks,
    compat::mesos::slave,
    core::NodeCommand,
    model::{NodeId, instance::Condition, node::Duty},
};

use super::{START, World, asked_by, master, world};
use crate::golden::{self, Answer, Asked, Stage};

struct Theatre {
    world: Arc<World>,
    node: NodeId,
    task: String,
}

#[tokio::test]
async fn answers_are_those_of_the_golden_files() {
    let open = async || {
        let world = world();
        world.files.lock().insert("stdout".into(), b"one\ntwo\n".to_vec());
        let first = world.first("/grp/web");
        let node = first.placement().unwrap().node.clone();
        Theatre { world, node, task: first.task_id("") }
    };
    golden::play_all("mesos", open).await;
}

impl Stage for Theatre {
    const SHOWN: &[&str] =
        &["allow", "content-disposition", "content-type", "location", "x-content-type-options"];

    async fn ask(&self, asked: Asked) -> Answer {
        let (tasks, world) = (Tasks::new("test"), &self.world);
        if !asked.target.starts_with("/agent/") {
            return Answer::read(asked_by(master(world, &tasks), asked.request()).await).await;
        }
        let (history, clock) = (world.history.clone(), world.clock.clone());
        let table = slave::table(world.clone(), history, "m1".into(), clock, &tasks);
        Answer::read(asked_by(table, asked.request()).await).await
    }

    fn direct(&self, directive: &str) {
        let world = &self.world;
        match directive.split_once(' ').unwrap_or((directive, "")) {
            ("fail", app) => {
                let message = |r: &mut tepui::model::link::Report| {
                    r.message = "Command exited with status 3".into();
                };
                world.report(world.first(app).id.as_str(), Condition::Failed, message);
            }
            ("remove", app) => {
                world.put(app, None);
                world.settle();
            }
            ("drain", _) => {
                let duty = Duty::Draining { since: START, until: START };
                world.must(NodeCommand::NodeDuty { node: self.node.clone(), duty });
            }
            ("lose", _) => {
                let node = self.node.clone();
                world.must(NodeCommand::NodeReach { node: node.clone(), reachable: false });
                world.away.lock().insert(node);
            }
            (other, _) => panic!("unknown directive {other}"),
        }
    }

    fn filled(&self, text: &str) -> String {
        text.replace("{node}", self.node.as_str()).replace("{task}", &self.task)
    }

    /// What the machine of the test measures.
    fn masked(&self, text: &str) -> String {
        let measured = Regex::new(r#""(system/\w+)":[0-9.]+"#).unwrap();
        measured.replace_all(text, r#""$1":<measured>"#).into_owned()
    }
}
