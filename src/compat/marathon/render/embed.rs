//! `embed`: which optional parts an answer holds (docs/compat/marathon.md, "Apps").

use crate::http::query::Query;

/// What to put into app objects, and into group objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embed {
    pub tasks: bool,
    pub counts: bool,
    pub deployments: bool,
    pub readiness: bool,
    pub last_failure: bool,
    pub stats: bool,
    /// Groups below, apps, pods: of group answers.
    pub groups: bool,
    pub apps: bool,
    pub pods: bool,
}

impl Embed {
    /// What is asked for by `embed` parameters; unknown values mean nothing.
    pub fn of(query: &Query) -> Self {
        let mut embed = Self::default();
        for value in query.all("embed") {
            match value {
                "group.groups" => embed.groups = true,
                "group.apps" => embed.apps = true,
                "group.pods" => embed.pods = true,
                value => embed.app_part(value),
            }
        }
        embed
    }

    fn app_part(&mut self, value: &str) {
        let prefixes = ["group.apps.", "apps.", "app."];
        let name = prefixes.iter().find_map(|p| value.strip_prefix(p)).unwrap_or(value);
        match name {
            "tasks" => (self.tasks, self.deployments) = (true, true),
            "counts" | "count" => self.counts = true,
            "deployments" => self.deployments = true,
            "readiness" => self.readiness = true,
            "lastTaskFailure" => self.last_failure = true,
            "failures" => {
                (self.tasks, self.deployments, self.last_failure) = (true, true, true);
            }
            "taskStats" | "tasksStats" => self.stats = true,
            _ => {}
        }
    }

    /// What lists of apps always hold.
    pub fn in_lists(self) -> Self {
        Self { counts: true, deployments: true, ..self }
    }

    /// What the answer about one app always holds.
    pub fn in_single(self) -> Self {
        Self { counts: true, tasks: true, last_failure: true, deployments: true, ..self }
    }

    /// The default of group answers: everything structural.
    pub fn or_whole_group(self, query: &Query) -> Self {
        if query.has("embed") {
            self
        } else {
            Self { groups: true, apps: true, pods: true, ..self }
        }
    }
}
