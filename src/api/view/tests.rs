//! Stories of apps and nodes as rows and sentences tell them.

use serde_json::{Value, json};

use super::{
    app, instance, node, status,
    verdict::{Standing, Verdict, verdict},
    why::why,
    *,
};
use crate::{
    api::tests::{Leading, report},
    core::{
        NodeCommand, TaskCommand, WorkloadCommand,
        apply::tests::world::{self, World, app as an_app, checked},
        backoff::Delay,
        command::PutApps,
        place::report::{Advice, Lower, Remedy},
    },
    model::{
        AppId, Instance, NodeId, Role, WorkloadSpec,
        instance::Condition,
        link::{Report, Usage},
        node::{Duty, NodeInfo},
        workload::{Constraint, Operator},
    },
};

/// A cluster, and what its leader knows.
pub struct Story {
    pub w: World,
    leading: Leading,
}

impl Story {
    fn new(n_nodes: usize) -> Self {
        Self { w: World::new(n_nodes), leading: Leading::default() }
    }

    /// In which an app runs.
    pub fn running(spec: WorkloadSpec) -> Self {
        let mut story = Self::new(1);
        story.w.put(spec);
        story.w.settle();
        story
    }

    /// In which an app has its instances, none with a place.
    fn made(spec: WorkloadSpec) -> Self {
        let mut story = Self::new(1);
        story.w.put(spec);
        while story.w.state.instances.is_empty() {
            story.w.reconcile();
        }
        story
    }

    fn view(&self) -> View<'_> {
        let now = Timestamp::from_ms(self.w.now);
        View { state: &self.w.state, now, cluster: &self.leading }
    }

    fn verdict(&self) -> Verdict {
        let id = AppId::parse("/a");
        verdict(&self.view(), &id, app::spec(&self.w.state, &id).expect("something of the app"))
    }

    /// The verdict, which is to be that word.
    fn told(&self, condition: Standing) -> Verdict {
        let verdict = self.verdict();
        assert_eq!(verdict.state, condition, "{verdict:?}");
        verdict
    }

    /// The row of its app `/a`.
    pub fn row(&self) -> Value {
        let id = AppId::parse("/a");
        serde_json::to_value(app::row(&self.view(), &id)).unwrap()
    }

    fn force(&mut self, new: Option<WorkloadSpec>) {
        let put = world::put(&self.w.id(), vec![world::edit(&AppId::parse("/a"), new)]);
        self.w.ok(WorkloadCommand::PutApps(Box::new(PutApps { force: true, ..put })));
    }

    fn instances(&self) -> Vec<crate::model::InstanceId> {
        self.w.state.instances.keys().cloned().collect()
    }

    /// Every waiting instance starts and ends again, as often as that.
    /// Its first instance fails with this message, whether it ran or not.
    fn fail_with(&mut self, message: &str) {
        let id = self.instances().remove(0);
        let incarnation = self.w.state.instances[&id].incarnation;
        let at = Timestamp::from_ms(self.w.now);
        let mut report = Report::new(id, incarnation, Condition::Failed, at);
        report.message = message.to_owned();
        self.w.ok(TaskCommand::Report { node: NodeId::from("n0"), reports: vec![report] });
    }

    fn fail(&mut self, n: u32) {
        for _ in 0..n {
            self.w.launch_all();
            let id = self.instances().remove(0);
            self.w.report(&id, Condition::Running);
            self.w.report(&id, Condition::Failed);
        }
    }
}

#[test]
fn a_stopped_app_says_how_it_is_started() {
    let mut story = Story::running(an_app("/a", 0));
    let told = story.told(Standing::Stopped);
    assert_eq!(told.sentence, "no instance is wanted");
    assert_eq!(told.next.as_deref(), Some("tepui app scale /a N starts it"));
    assert_eq!(story.row()["instances"].get("resume_to"), None, "it never ran");
    story.force(Some(an_app("/a", 3)));
    story.force(Some(an_app("/a", 5)));
    story.force(Some(an_app("/a", 0)));
    assert_eq!(story.row()["instances"]["resume_to"], 5);
}

#[test]
fn a_deployment_says_what_it_waits_for_and_when_it_stands_still() {
    let mut story = Story::made(an_app("/a", 1));
    let told = story.told(Standing::Deploying);
    assert_eq!(told.full(), "its one instance is not up yet: an instance gets a place now");
    story.w.launch_all();
    let id = story.instances().remove(0);
    story.w.report(&id, Condition::Staging);
    let cause = story.told(Standing::Deploying).cause;
    assert_eq!(cause.as_deref(), Some("an instance is staging on host0: told"));
    story.w.now += 299_000;
    story.told(Standing::Deploying);
    story.w.now += 2_000;
    let told = story.told(Standing::Stuck);
    assert_eq!(told.sentence, "the deployment is stuck: its one instance is not up yet");
    let next = "take it back with: tepui deployment cancel d1, which removes /a";
    assert_eq!(told.next.as_deref(), Some(next));
    // Where its node is why, the node is what to look at.
    story.w.ok(NodeCommand::NodeReach { node: NodeId::from("n0"), reachable: false });
    story.w.now += 301_000;
    let told = story.told(Standing::Stuck);
    assert_eq!(told.cause.as_deref(), Some("nobody hears from host0"));
    assert_eq!(told.next.as_deref(), Some("look at the network and the tepui process of host0"));
}

#[test]
fn of_a_change_only_what_is_new_is_counted_and_called_so() {
    for (n, sentence) in [(1, "its new instance is not up yet"), (3, "0 of 3 new instances are up")]
    {
        let mut story = Story::running(an_app("/a", n));
        let mut changed = an_app("/a", n);
        changed.run_mut().labels.insert("tier".into(), "back".into());
        story.force(Some(changed));
        story.w.reconcile();
        assert_eq!(story.told(Standing::Deploying).sentence, sentence);
    }
}

#[test]
fn nothing_has_room_in_the_words_of_placement() {
    let mut story = Story::made(an_app("/a", 2));
    story.leading.no_room(&story.w.state, "/a", "no node has 9 CPUs free");
    let told = story.told(Standing::Waiting);
    assert_eq!(told.full(), "no node has 9 CPUs free");
    let next = "tepui why /a --nodes lists what every node lacks";
    assert_eq!(told.next.as_deref(), Some(next));
    assert_eq!(story.row()["waiting"]["reason"], "no node has 9 CPUs free");
    story.w.launch_all();
    story.told(Standing::Deploying);
    assert_eq!(story.row().get("waiting"), None, "an old report is about nobody any more");
}

#[test]
fn failures_delay_then_loop_and_are_forgotten_once_it_runs_steadily() {
    let mut story = Story::running(an_app("/a", 1));
    story.told(Standing::Running);
    let id = story.instances().remove(0);
    story.w.report(&id, Condition::Failed);
    let told = story.told(Standing::Delayed);
    let Delay { until, failed_at: first, .. } = *story.w.state.delays[&AppId::parse("/a")];
    assert_eq!(told.sentence, format!("it ended once; the next start is held back until {until}"));
    assert_eq!(told.cause.as_deref(), Some("told"));
    assert_eq!(told.next.as_deref(), Some("read its output: tepui log /a"));
    assert_eq!(story.row()["waiting"]["delayed_until"], until.to_string());
    story.fail(1);
    assert!(story.told(Standing::Delayed).sentence.starts_with("it ended 2 times in a row;"));
    story.fail(1);
    let told = story.told(Standing::CrashLooping);
    assert!(told.sentence.starts_with("it ended 3 times in a row soon after its start; the next"));
    let last = story.w.state.delays[&AppId::parse("/a")].failed_at;
    assert!(first < last, "{first} {last}");
    assert_eq!(told.since.map(|since| since.0), Some(first), "it loops since the first of them");
    story.w.launch_all();
    let id = story.instances().remove(0);
    story.w.report(&id, Condition::Running);
    story.w.now += 59_000;
    let told = story.told(Standing::CrashLooping);
    assert_eq!(told.sentence, "it ended 3 times in a row soon after its start");
    story.w.now += 2_000;
    story.told(Standing::Running);
    // Another configuration has not failed yet.
    story.w.report(&id, Condition::Failed);
    story.told(Standing::CrashLooping);
    let mut spec = an_app("/a", 1);
    spec.run_mut().labels.insert("new".into(), "yes".into());
    story.force(Some(spec));
    story.told(Standing::Deploying);
}

#[test]
fn what_failed_before_it_started_has_left_no_output_to_read() {
    for (message, next) in [
        (
            "cannot fetch the image: manifest unknown",
            "see that the image's name is right and that host0 can pull it",
        ),
        (
            "Failed to fetch http://x",
            "see that the addresses to fetch are right and that host0 reaches them",
        ),
        ("exit status 1", "read its output: tepui log /a"),
    ] {
        let mut story = Story::running(an_app("/a", 1));
        story.fail_with(message);
        assert_eq!(story.verdict().next.as_deref(), Some(next), "{message}");
    }
}

#[test]
fn an_image_that_cannot_be_fetched_is_told_as_that_and_not_as_a_crash() {
    let mut story = Story::running(an_app("/a", 1));
    let message = "cannot fetch the image: pull access denied";
    story.fail_with(message);
    let told = story.told(Standing::Delayed);
    assert!(told.sentence.starts_with("its image cannot be fetched; the next start"), "{told:?}");
    for _ in 0..2 {
        story.w.launch_all();
        story.fail_with(message);
    }
    let told = story.told(Standing::CannotStart);
    let sentence = "its image cannot be fetched, 3 starts in a row failed; the next start is held";
    assert!(told.sentence.starts_with(sentence), "{told:?}");
    assert_eq!(told.cause.as_deref(), Some(message));
    // Once it can be fetched and the program ends, that is what is told.
    story.fail(1);
    story.told(Standing::CrashLooping);
}

#[test]
fn checks_that_fail_are_named() {
    let mut story = Story::running(checked(an_app("/a", 3)));
    assert_eq!(story.told(Standing::Running).sentence, "all 3 instances run and are healthy");
    let ids = story.instances();
    story.w.report_with(&ids[0], Condition::Running, Some(false));
    let told = story.told(Standing::Unhealthy);
    assert_eq!(told.full(), "1 of 3 instances fails its health check: TCP check on port index 0");
    story.w.report_with(&ids[1], Condition::Running, Some(false));
    let told = story.told(Standing::Unhealthy);
    assert_eq!(told.sentence, "2 of 3 instances fail their health check");
    // The node below an unhealthy one is worse than what its check says.
    story.leading.engine("n0", false);
    let told = story.told(Standing::EngineDown);
    assert_eq!(
        told.full(),
        "2 of 3 instances cannot go on: the container engine of host0 does not answer: \
         connection refused"
    );
    story.leading.engine("n0", true);
    for id in &ids {
        story.w.report_with(id, Condition::Running, Some(true));
    }
    story.told(Standing::Running);
    story.leading.engine("n0", false);
    story.told(Standing::Running);
}

#[test]
fn outside_a_deployment_it_starts_is_degraded_or_goes() {
    let mut story = Story::running(checked(an_app("/a", 1)));
    let id = story.instances().remove(0);
    story.w.report_with(&id, Condition::Running, None);
    let told = story.told(Standing::Starting);
    assert_eq!(told.full(), "its one instance runs: TCP check on port index 0 has no result yet");
    story.w.ok(NodeCommand::NodeReach { node: NodeId::from("n0"), reachable: false });
    let told = story.told(Standing::Degraded);
    assert_eq!(told.full(), "its one instance does not run: nobody hears from host0");
    story.w.ok(NodeCommand::NodeReach { node: NodeId::from("n0"), reachable: true });
    story.w.report_with(&id, Condition::Running, Some(true));
    story.force(None);
    let told = story.told(Standing::Deleting);
    assert_eq!(told.sentence, "being removed, 1 instance left");
    story.w.settle();
    assert_eq!(story.row(), Value::Null);
}

#[test]
fn an_app_that_is_being_stopped_says_how_many_are_left() {
    let mut story = Story::running(an_app("/a", 2));
    story.force(Some(an_app("/a", 0)));
    let told = story.told(Standing::Deploying);
    assert_eq!(told.sentence, "being stopped, 2 instances left");
}

#[test]
fn tasks_are_found_by_every_id_people_have() {
    let mut story = Story::running(an_app("/a", 1));
    let id = story.instances().remove(0);
    let locate = |story: &Story, text: &str| instance::locate(&story.w.state, text);
    let by_instance = locate(&story, id.as_str()).unwrap();
    assert_eq!((by_instance.incarnation, by_instance.running), (None, true));
    let first = format!("{id}._app.1");
    let by_task = locate(&story, &first).unwrap();
    assert_eq!((by_task.incarnation, by_task.running, by_task.ended), (Some(1), true, false));
    assert_eq!(by_task.node, Some(NodeId::from("n0")));
    // It fails and waits: its output is still where it ran.
    story.w.report(&id, Condition::Failed);
    let failed = locate(&story, &first).unwrap();
    assert_eq!(
        (failed.running, failed.ended, failed.node),
        (false, true, Some(NodeId::from("n0")))
    );
    // It runs again, elsewhere or not: the first task has still ended.
    story.w.launch_all();
    story.w.report(&id, Condition::Running);
    let failed = locate(&story, &first).unwrap();
    assert_eq!((failed.incarnation, failed.running, failed.ended), (Some(1), false, true));
    let second = locate(&story, &format!("{id}._app.2")).unwrap();
    assert_eq!((second.running, second.ended), (true, false));
    for text in ["", "x", &format!("{id}._app"), &format!("{id}._app.x"), "y._app.1"] {
        assert_eq!(locate(&story, text), None, "{text}");
    }
    assert_eq!(instance::split_task_id("a.b.c.1"), Some(("a.b", "c", 1)));
    assert_eq!(instance::split_task_id("a.1"), None);
}

#[test]
fn the_newest_instance_comes_first_and_ended_ones_last() {
    let make = |id: &str, created: i64| {
        let at = Timestamp::from_ms(created);
        Instance::scheduled(id.into(), AppId::parse("/a"), at, at)
    };
    let mut list = [make("b", 1), make("c", 2), make("a", 1)];
    list.sort_by(instance::by_age);
    assert_eq!(list.map(|i| i.id.to_string()), ["c", "a", "b"]);
}

#[test]
fn nodes_are_found_by_id_and_by_a_name_that_only_one_has() {
    let mut w = World::new(2);
    let twin = |n: usize, host: &str, address: &str| NodeInfo {
        hostname: host.to_owned(),
        address: address.parse().unwrap(),
        ..world::node(n)
    };
    for node in [twin(0, "twin", "10.0.0.1"), twin(1, "twin", "10.0.0.2")] {
        w.ok(NodeCommand::RegisterNode(Box::new(node)));
    }
    let found = |name: &str| node::find(&w.state, name).map(|node| node.id().to_string());
    assert_eq!(found("n1").as_deref(), Some("n1"));
    assert_eq!(found("10.0.0.1").as_deref(), Some("n0"));
    assert_eq!(found("twin"), None, "nobody is drained by mistake");
    assert_eq!(found("nobody"), None);
}

#[test]
fn a_node_has_one_word_for_what_it_is() {
    let mut story = Story::new(1);
    let (since, until) = (Timestamp::from_ms(1), Timestamp::from_ms(1 << 40));
    let word = |story: &Story| {
        let node = story.w.state.nodes.values().next().unwrap();
        serde_json::to_value(node::row(&story.view(), node)).unwrap()["condition"].clone()
    };
    for (duty, engine, wanted) in [
        (Duty::Active, true, "active"),
        (Duty::Active, false, "engine_down"),
        (Duty::Draining { since, until }, false, "engine_down"),
        (Duty::Deactivated { since }, false, "deactivated"),
        (Duty::Active, true, "active"),
    ] {
        story.leading.engine("n0", engine);
        story.w.ok(NodeCommand::NodeDuty { node: NodeId::from("n0"), duty });
        assert_eq!(word(&story), wanted, "{duty:?} {engine}");
    }
    story.w.ok(NodeCommand::NodeReach { node: NodeId::from("n0"), reachable: false });
    story.leading.engine("n0", false);
    assert_eq!(word(&story), "unreachable", "what its engine does nobody knows");
}

#[test]
fn a_drain_says_what_each_app_waits_for() {
    let mut story = Story::new(2);
    story.w.put(an_app("/a", 2));
    story.w.settle();
    let detail = |story: &Story| {
        let node = &story.w.state.nodes[&NodeId::from("n0")];
        serde_json::to_value(node::detail(&story.view(), node)).unwrap()
    };
    assert_eq!(detail(&story).get("drain"), None);
    let until = Timestamp::from_ms(1 << 40);
    let since = Timestamp::from_ms(story.w.now);
    let duty = Duty::Draining { since, until };
    story.w.ok(NodeCommand::NodeDuty { node: NodeId::from("n0"), duty });
    let waits = &detail(&story)["drain"]["waits"];
    assert_eq!((&waits[0]["app"], &waits[0]["instances"]), (&json!("/a"), &json!(2)));
    assert_eq!(detail(&story)["tasks"].as_array().unwrap().len(), 2);
    // Its time is up, and it still has them.
    let duty = Duty::Deactivated { since };
    story.w.ok(NodeCommand::NodeDuty { node: NodeId::from("n0"), duty });
    let sentence =
        "takes no new work: time for its drain was up before it was empty, 2 instances stay";
    assert_eq!(detail(&story)["verdict"]["sentence"], sentence);
}

#[test]
fn the_status_counts_and_warns() {
    let mut story = Story::running(checked(an_app("/a", 2)));
    let of = |story: &Story| {
        serde_json::to_value(status::status(&story.view(), Timestamp::EPOCH)).unwrap()
    };
    let codes = |status: &Value| {
        let all = status["warnings"].as_array().unwrap().clone();
        all.iter().map(|w| w["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let well = of(&story);
    assert_eq!(codes(&well), "");
    assert_eq!(well.get("used"), None, "nobody has measured yet");
    let counts = &well["counts"];
    assert_eq!((&counts["instances_healthy"], &counts["apps_attention"]), (&json!(2), &json!(0)));
    let ids = story.instances();
    story.w.report_with(&ids[0], Condition::Running, Some(false));
    story.leading.engine("n0", false);
    let ill = of(&story);
    assert_eq!(codes(&ill), "engine_down");
    assert_eq!(ill["counts"]["apps_attention"], 1);
    assert_eq!(ill["counts"]["instances_unhealthy"], 1);
    story.w.ok(NodeCommand::NodeReach { node: NodeId::from("n0"), reachable: false });
    let lost = of(&story);
    assert_eq!(codes(&lost), "no_active_node node_unreachable");
    assert_eq!(lost["counts"]["instances"], 2, "they are still there");
    assert_eq!(lost["counts"]["instances_running"], 0);
}

#[test]
fn use_is_summed_over_those_who_measured() {
    let mut story = Story::new(3);
    for (node, cpus, mib) in [("n0", 0.126, 100), ("n1", 1.5, 28)] {
        let usage = Usage { cpus, mem_bytes: mib << 20, ..Usage::default() };
        story.leading.usage.insert(NodeId::from(node), usage.into());
    }
    let status = serde_json::to_value(status::status(&story.view(), Timestamp::EPOCH)).unwrap();
    assert_eq!(status["used"], json!({"cpus": 1.63, "mem_mb": 128, "disk_mb": 0, "gpus": 0}));
}

#[test]
fn why_offers_a_patch_where_a_change_of_the_app_would_do() {
    let mut spec = an_app("/a", 1);
    let constraint = |field: &str, operator: Operator, value: Option<&str>| Constraint {
        field: field.to_owned(),
        operator,
        value: value.map(str::to_owned),
    };
    let unique = constraint("hostname", Operator::Unique, None);
    spec.constraints = vec![unique.clone(), constraint("rack", Operator::Is, Some("1"))];
    let mut story = Story::made(spec);
    let lower = |container: &str| Remedy::Lower {
        steps: vec![Lower {
            resource: "cpus".to_owned(),
            container: container.to_owned(),
            from: Milli::from_f64(2.0),
            to: Milli::from_f64(0.5),
        }],
    };
    let public = Role::public();
    for (change, wanted) in [
        (lower(""), json!({"cpus": 0.5})),
        (lower("side"), Value::Null),
        (
            Remedy::DropConstraint { constraint: unique },
            json!({"constraints": [["rack", "IS", "1"]]}),
        ),
        (
            Remedy::AcceptRole { role: public },
            json!({"acceptedResourceRoles": ["*", "slave_public"]}),
        ),
        (Remedy::UseGpuNodes, Value::Null),
    ] {
        let advice = Advice { change: change.clone(), n_nodes: 1, sentence: "do".to_owned() };
        let made = report(&story.w.state, "/a", "no room", vec![advice]);
        story.leading.reports.insert(AppId::parse("/a"), made.into());
        let told = why(&story.view(), &AppId::parse("/a")).unwrap();
        assert_eq!(told["change"]["patch"], wanted, "{change:?}");
        assert_eq!((&told["state"], &told["waiting"]), (&json!("waiting"), &json!(1)));
    }
}

#[test]
fn why_tells_a_moment_from_a_lack() {
    let mut story = Story::made(an_app("/a", 1));
    let told = |story: &Story| why(&story.view(), &AppId::parse("/a")).unwrap();
    assert_eq!(told(&story)["state"], "no_report", "nobody has looked for a place yet");
    story.w.settle();
    let well = told(&story);
    assert_eq!((&well["state"], &well["placed"]), (&json!("satisfied"), &json!(1)));
    assert_eq!(well["funnel"], json!([]));
    assert!(why(&story.view(), &AppId::parse("/x")).is_none());
}
