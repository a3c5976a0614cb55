//! The golden stories of `tests/golden/marathon`, over a cluster in memory.
//!
//! Directives: `settle`, `place`, `deploy`, `fail /app`, `advance SECONDS`.

use std::{sync::Arc, time::Duration};

use regex::Regex;
use tepui::{
    compat::marathon::Dialect,
    control::cluster::Cluster as _,
    model::{instance::Condition, path::PathId},
};

use super::cluster::Cluster;
use crate::golden::{self, Answer, Asked, Stage};

struct Theatre {
    cluster: Arc<Cluster>,
    dialect: Dialect,
}

#[tokio::test]
async fn answers_are_those_of_the_golden_files() {
    let open = async || {
        let cluster = Cluster::new(2);
        Theatre { dialect: cluster.dialect(), cluster }
    };
    golden::play_all("marathon", open).await;
}

impl Stage for Theatre {
    const SHOWN: &[&str] =
        &["allow", "content-encoding", "content-type", "location", "marathon-deployment-id"];

    async fn ask(&self, asked: Asked) -> Answer {
        Answer::read(self.dialect.answer(asked.request()).await).await
    }

    fn direct(&self, directive: &str) {
        let cluster = &self.cluster;
        match directive.split_once(' ').unwrap_or((directive, "")) {
            ("settle", _) => cluster.settle(),
            ("deploy", _) => cluster.deploy(),
            ("place", _) => cluster.place(),
            ("advance", seconds) => {
                cluster.advance(Duration::from_secs(seconds.parse().expect("seconds")));
            }
            ("fail", app) => {
                let state = cluster.state();
                for instance in state.instances_of(&PathId::parse(app)) {
                    cluster.report(instance, Condition::Failed, false);
                }
            }
            (other, _) => panic!("unknown directive {other}"),
        }
    }

    /// `{task:/app}`, `{instance:/pod}` and `{deployment}` as they are now, `{version:/app}` and `{group:/group}` as
    /// the first that is remembered.
    fn filled(&self, text: &str) -> String {
        let state = self.cluster.state();
        let variable =
            Regex::new(r"\{(task|instance|version|group|deployment):?([^}\x22]*)\}").unwrap();
        let value = |found: &regex::Captures<'_>| {
            let id = PathId::parse(&found[2]);
            match &found[1] {
                "deployment" => state.deployments.keys().next().expect("a deployment").to_string(),
                "group" => state.group_versions(&id).last().expect("a version").to_string(),
                "version" => state.versions_of(&id).next().expect("a version").version.to_string(),
                "instance" => state.instances_of(&id).next().expect("one").id.to_string(),
                _ => state.instances_of(&id).next().expect("a task").task_id(""),
            }
        };
        variable.replace_all(text, value).into_owned()
    }

    fn masked(&self, text: &str) -> String {
        masked(text)
    }
}

/// `text` with ids and times replaced.
pub fn masked(text: &str) -> String {
    let uuid = Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap();
    let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").unwrap();
    time.replace_all(&uuid.replace_all(text, "<uuid>"), "<time>").into_owned()
}
