//! The golden stories of `tests/golden/api`, in a cluster with something of everything. `{task:/app}`
//! is the task of an app's first instance, `{first:/app}` the first version of an app.
//!
//! Directives: `away` (no agent answers any more), `keeps` (an app has volumes), `a day` (a service was
//! measured for long enough to be advised).

use std::sync::Arc;

use regex::Regex;
use tepui::{api::Api, base::task::Tasks, http::route::Table, model::AppId};

use super::{
    contract::everything,
    stock::{a_day, keeps},
    table,
};
use crate::{
    golden::{self, Answer, Asked, Stage},
    world::World,
};

struct Theatre {
    world: Arc<World>,
    table: Table<Api>,
    _tasks: Tasks,
}

#[tokio::test]
async fn answers_are_those_of_the_golden_files() {
    let open = async || {
        let (world, tasks) = (everything(), Tasks::new("test"));
        Theatre { table: table(&world, &tasks), world, _tasks: tasks }
    };
    golden::play_all("api", open).await;
}

impl Stage for Theatre {
    const SHOWN: &[&str] =
        &["allow", "content-disposition", "content-type", "location", "retry-after", "upgrade"];

    async fn ask(&self, asked: Asked) -> Answer {
        Answer::read(self.table.answer(asked.request()).await).await
    }

    fn direct(&self, directive: &str) {
        match directive {
            "away" => self.world.away.lock().extend(self.world.state().nodes.keys().cloned()),
            "keeps" => keeps(&self.world),
            "a day" => a_day(&self.world),
            _ => panic!("{directive} is no directive"),
        }
    }

    fn filled(&self, text: &str) -> String {
        let task = Regex::new(r"\{task:([^}]*)\}").unwrap();
        let id = |found: &regex::Captures<'_>| self.world.task_id(&found[1]);
        let text = task.replace_all(text, id);
        let first = Regex::new(r"\{first:([^}]*)\}").unwrap();
        let version = |found: &regex::Captures<'_>| {
            let (state, app) = (self.world.state(), AppId::parse(&found[1]));
            state.versions_of(&app).next().unwrap().version.to_string()
        };
        first.replace_all(&text, version).into_owned()
    }

    fn masked(&self, text: &str) -> String {
        let document = include_str!("../../../docs/api/openapi.yaml").trim_end();
        let text = text.replace(document, "<docs/api/openapi.yaml>");
        let schema = serde_json::to_string(tepui::compat::marathon::schema::app()).unwrap();
        let text = text.replace(&schema, "<the schema of an app>");
        // Of what the API itself begins; ids of the world are drawn from its seed.
        let by_time = Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}");
        let text = by_time.unwrap().replace_all(&text, "<uuid>");
        let request = Regex::new(r#""request_id":"[0-9a-f]+""#).unwrap();
        request.replace_all(&text, r#""request_id":"<request>""#).into_owned()
    }
}
