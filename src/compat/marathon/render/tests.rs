//! Answers over a small cluster: what is counted where, what waits and why, what is left out.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    app::AppInfo, deployment::Deployment, embed::Embed, queue::queue, stats::TaskStats,
    task::Counts,
};
use crate::{
    base::clock::Timestamp,
    core::{
        NodeCommand, TaskCommand, WorkloadCommand,
        apply::tests::world::{self, World, app, checked},
        command::PutApps,
        place::report::{FunnelRow, NodeRow, Reason, Report, Shortage},
    },
    http::query::Query,
    model::{
        access::Role,
        instance::{Condition, InstanceId},
        node::NodeId,
        path::PathId,
        resource::Scalars,
        workload::{Kind, WorkloadSpec},
    },
};

fn json_of(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

/// A cluster in which the deployment of an app has made its instances.
fn made(spec: WorkloadSpec) -> World {
    let mut w = World::new(2);
    w.put(spec);
    while w.state.instances.is_empty() {
        w.reconcile();
    }
    w
}

fn ids(w: &World) -> Vec<InstanceId> {
    w.state.instances.keys().cloned().collect()
}

#[test]
fn embed_knows_every_prefix_and_ignores_the_rest() {
    let of = |text: &str| Embed::of(&Query::parse(text));
    let none = Embed::default();
    for name in ["counts", "app.counts", "apps.counts", "group.apps.counts", "count"] {
        assert_eq!(of(&format!("embed={name}")), Embed { counts: true, ..none }, "{name}");
    }
    for (name, wanted) in [
        ("deployments", Embed { deployments: true, ..none }),
        ("readiness", Embed { readiness: true, ..none }),
        ("lastTaskFailure", Embed { last_failure: true, ..none }),
        ("taskStats", Embed { stats: true, ..none }),
        ("apps.tasks", Embed { tasks: true, deployments: true, ..none }),
        ("failures", Embed { tasks: true, deployments: true, last_failure: true, ..none }),
        ("group.groups", Embed { groups: true, ..none }),
        ("group.apps", Embed { apps: true, ..none }),
        ("group.pods", Embed { pods: true, ..none }),
        ("group.tasks", none),
        ("Counts", none),
        ("", none),
    ] {
        assert_eq!(of(&format!("embed={name}")), wanted, "{name}");
    }
    let several = of("embed=app.counts&x=y&embed=group.apps");
    assert_eq!(several, Embed { counts: true, apps: true, ..none });
    // Without a word about it a group is shown with all that is in it.
    let whole = Embed { groups: true, apps: true, pods: true, ..none };
    for (query, wanted) in [("", whole), ("embed=x", none), ("force=true", whole)] {
        let query = Query::parse(query);
        assert_eq!(Embed::of(&query).or_whole_group(&query), wanted);
    }
}

#[test]
fn counts_tell_where_tasks_are() {
    let mut w = made(checked(app("/a", 6)));
    let counts = |w: &World| {
        let c = Counts::of(&w.state, w.state.spec(&PathId::parse("/a")).unwrap());
        [c.staged, c.running, c.healthy, c.unhealthy]
    };
    assert_eq!(counts(&w), [0, 0, 0, 0], "without a place there is no task");
    w.launch_all();
    assert_eq!(counts(&w), [6, 0, 0, 0]);
    let ids = ids(&w);
    w.report(&ids[0], Condition::Staging);
    w.report(&ids[1], Condition::Starting);
    assert_eq!(counts(&w), [5, 0, 0, 0], "one that starts counts nowhere");
    w.report_with(&ids[2], Condition::Running, None);
    w.report_with(&ids[3], Condition::Running, Some(true));
    w.report_with(&ids[4], Condition::Running, Some(false));
    assert_eq!(counts(&w), [2, 3, 1, 1], "without a result neither healthy nor unhealthy");
    w.report(&ids[5], Condition::Killing);
    assert_eq!(counts(&w), [1, 3, 1, 1], "nor does one that is being killed");
}

#[test]
fn a_task_is_shown_from_its_launch_and_bare_once_it_is_given_up() {
    let mut w = made(app("/shop/web", 1));
    let shown = |w: &World| {
        let app = &w.state.apps[&PathId::parse("/shop/web")];
        let embed = Embed::default().in_single();
        json_of(AppInfo::of(&w.state, app, embed, at(w.now)))["tasks"].clone()
    };
    assert_eq!(shown(&w), json!([]));
    w.launch_all();
    let id = ids(&w).remove(0);
    w.now += 5;
    w.report(&id, Condition::Running);
    let task = shown(&w)[0].clone();
    let version = w.state.instances[&id].version.to_string();
    let port = task["ports"][0].clone();
    assert_eq!(port, json!(31_000));
    let wanted = json!({
        "appId": "/shop/web", "host": "host0", "id": format!("{id}._app.1"),
        "ipAddresses": [{"ipAddress": "127.0.0.1", "protocol": "IPv4"}], "ports": [31_000],
        "servicePorts": [10_000], "slaveId": "n0", "state": "TASK_RUNNING",
        "stagedAt": task["stagedAt"], "startedAt": task["startedAt"], "version": version,
        "localVolumes": [], "role": "*",
    });
    assert_eq!(task, wanted);
    assert!(task["stagedAt"].as_str() < task["startedAt"].as_str());
    w.ok(NodeCommand::NodeReach { node: NodeId::from("n0"), reachable: false });
    assert_eq!(shown(&w)[0]["state"], "TASK_UNREACHABLE");
    assert_eq!(shown(&w)[0]["ports"], json!([31_000]), "it still counts");
    w.ok(TaskCommand::Expire { inactive: vec![id], expunge: Vec::new() });
    let task = shown(&w)[0].clone();
    assert_eq!(task["state"], "TASK_UNREACHABLE");
    assert_eq!(task["ports"], json!([]));
    for key in ["stagedAt", "startedAt", "version"] {
        assert_eq!(task.get(key), None, "{key}");
    }
}

#[test]
fn lists_hold_what_was_asked_for_and_no_more() {
    let mut w = made(app("/a", 1));
    w.settle();
    let app = &w.state.apps[&PathId::parse("/a")];
    let keys = |embed: Embed| {
        let shown = json_of(AppInfo::of(&w.state, app, embed, at(w.now)));
        let all = [
            "tasksRunning",
            "deployments",
            "tasks",
            "lastTaskFailure",
            "readinessCheckResults",
            "taskStats",
        ];
        all.into_iter().filter(|key| shown.get(key).is_some()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys(Embed::default()), "");
    assert_eq!(keys(Embed::default().in_lists()), "tasksRunning deployments");
    assert_eq!(keys(Embed::default().in_single()), "tasksRunning deployments tasks");
    let more = Embed { readiness: true, stats: true, ..Embed::default() };
    assert_eq!(keys(more), "readinessCheckResults taskStats");
}

#[test]
fn statistics_split_tasks_by_what_they_were_made_from() {
    let mut w = made(checked(app("/a", 3)));
    w.launch_all();
    let old = ids(&w);
    for (at, id) in [(10_000, &old[0]), (12_000, &old[1]), (20_000, &old[2])] {
        w.now = at;
        w.report_with(id, Condition::Running, Some(true));
    }
    let id = PathId::parse("/a");
    let stats =
        |w: &World, now: i64| json_of(TaskStats::of(&w.state, w.state.spec(&id).unwrap(), at(now)));
    let all = stats(&w, 30_000);
    let life = &all["totalSummary"]["stats"]["lifeTime"];
    assert_eq!((&life["averageSeconds"], &life["medianSeconds"]), (&json!(16), &json!(18)));
    assert_eq!(all["withLatestConfig"]["stats"]["counts"]["healthy"], 3);
    assert_eq!(all.get("withOutdatedConfig"), None, "a group without tasks is left out");
    // Another configuration: those that run are old.
    let mut spec = (**w.state.spec(&id).unwrap()).clone();
    spec.run_mut().labels.insert("new".into(), "yes".into());
    let put = world::put(&w.id(), vec![world::edit(&id, Some(spec))]);
    w.ok(WorkloadCommand::PutApps(Box::new(PutApps { force: true, ..put })));
    let all = stats(&w, 30_000);
    assert_eq!(all["withOutdatedConfig"]["stats"]["counts"]["running"], 3);
    assert_eq!(all.get("withLatestConfig"), None);
    assert_eq!(all.get("startedAfterLastScaling"), None);
    assert_eq!(all["totalSummary"]["stats"]["counts"]["running"], 3);
}

/// What placement found for an app that does not fit.
fn report(w: &World, id: &str) -> Report {
    let id = PathId::parse(id);
    let row = |reason: Reason, processed: u32, declined: u32| FunnelRow {
        reason,
        processed,
        declined,
        detail: None,
    };
    let lacks =
        |reason: Reason| Shortage { reason, needed: None, available: None, message: String::new() };
    let node = |name: &str, failed: Vec<Shortage>| NodeRow {
        node: NodeId::from(name),
        hostname: format!("host-{name}"),
        free: Scalars::of(0.5, 64.0, 0.0, 0.0),
        failed,
    };
    Report {
        version: w.state.spec(&id).unwrap().version,
        app: id,
        role: Role::star(),
        at: at(5_000),
        since: at(4_000),
        n_placed: 0,
        n_waiting: 1,
        hold: None,
        needs: Scalars::default(),
        n_ports: 1,
        exact_ports: Vec::new(),
        n_nodes: 9,
        n_fitting: 2,
        funnel: vec![
            row(Reason::Unreachable, 9, 1),
            row(Reason::Role, 8, 1),
            row(Reason::Region, 7, 1),
            row(Reason::Constraint, 6, 2),
            row(Reason::Cpus, 4, 1),
            row(Reason::Ports, 3, 1),
        ],
        constraints: Vec::new(),
        nodes: vec![
            node("a", vec![lacks(Reason::Cpus), lacks(Reason::Region)]),
            node("b", Vec::new()),
        ],
        advice: Vec::new(),
        sentence: "there is no room".to_owned(),
    }
}

#[test]
fn the_queue_has_all_ten_rows_and_each_starts_with_what_the_last_let_pass() {
    let w = made(app("/a", 2));
    let report = report(&w, "/a");
    let shown = json_of(queue(&w.state, |_| Some(Arc::new(report.clone())), true, at(w.now)));
    let item = &shown["queue"][0];
    let summary = &item["processedOffersSummary"];
    let rows = summary["rejectSummaryLaunchAttempt"].as_array().unwrap();
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            format!("{} {}/{}", row["reason"].as_str().unwrap(), row["declined"], row["processed"])
        })
        .collect();
    assert_eq!(
        rows,
        [
            "UnfulfilledRole 2/9",
            "UnfulfilledConstraint 3/7",
            "NoCorrespondingReservationFound 0/4",
            "AgentMaintenance 0/4",
            "InsufficientCpus 1/4",
            "InsufficientMemory 0/3",
            "InsufficientDisk 0/3",
            "InsufficientGpus 0/3",
            "InsufficientPorts 1/3",
            "DeclinedScarceResources 0/2",
        ]
    );
    assert_eq!(summary["rejectSummaryLastOffers"], summary["rejectSummaryLaunchAttempt"]);
    assert_eq!(
        (&summary["processedOffersCount"], &summary["unusedOffersCount"]),
        (&json!(9), &json!(7))
    );
    assert_eq!(summary["lastUnusedOfferAt"], at(5_000).to_string());
    assert_eq!(summary.get("lastUsedOfferAt"), None);
    let unused = item["lastUnusedOffers"].as_array().unwrap();
    assert_eq!(unused.len(), 1, "a node that fits is no offer that was not used");
    assert_eq!(unused[0]["reason"], json!(["InsufficientCpus", "UnfulfilledConstraint"]));
    assert_eq!(
        unused[0]["offer"]["resources"][0],
        json!({"name": "cpus", "role": "*", "scalar": 0.5})
    );
}

#[test]
fn the_queue_counts_what_waits_and_what_has_no_word_from_its_agent() {
    let mut w = made(app("/a", 3));
    let items = |w: &World| json_of(queue(&w.state, |_| None, false, at(w.now)))["queue"].clone();
    assert_eq!(items(&w)[0]["count"], 3);
    assert_eq!(items(&w)[0].get("lastUnusedOffers"), None);
    assert_eq!(items(&w)[0]["delay"], json!({"timeLeftSeconds": 0, "overdue": true}));
    w.launch_all();
    let ids = ids(&w);
    w.report(&ids[0], Condition::Staging);
    assert_eq!(items(&w)[0]["count"], 2, "a launch that was told of waits no more");
    for id in &ids {
        w.report(id, Condition::Running);
    }
    assert_eq!(items(&w), json!([]));
    // A report of an older definition says nothing about this one.
    let mut stale = report(&w, "/a");
    stale.version = at(1);
    w.report(&ids[0], Condition::Failed);
    let shown = json_of(queue(&w.state, |_| Some(Arc::new(stale.clone())), false, at(w.now)));
    assert_eq!(shown["queue"][0]["processedOffersSummary"]["processedOffersCount"], 0);
}

#[test]
fn a_delay_is_told_in_whole_seconds_and_never_as_nothing_while_it_runs() {
    let mut w = made(app("/a", 1));
    w.launch_all();
    let id = ids(&w).remove(0);
    w.report(&id, Condition::Failed);
    let until = w.state.delays[&PathId::parse("/a")].until.as_ms();
    let delay = |ms_before: i64| {
        let shown = json_of(queue(&w.state, |_| None, false, at(until - ms_before)));
        shown["queue"][0]["delay"].clone()
    };
    assert_eq!(delay(1_000), json!({"timeLeftSeconds": 1, "overdue": false}));
    assert_eq!(delay(1_001), json!({"timeLeftSeconds": 2, "overdue": false}));
    assert_eq!(delay(1), json!({"timeLeftSeconds": 1, "overdue": false}));
    assert_eq!(delay(0), json!({"timeLeftSeconds": 0, "overdue": true}));
    assert_eq!(delay(-5_000), json!({"timeLeftSeconds": 0, "overdue": true}));
}

#[test]
fn deployments_name_apps_and_pods_by_their_own_keys() {
    let mut w = World::new(1);
    let mut pod = app("/g/pod", 1);
    pod.run_mut().kind = Kind::Pod;
    let edit = |spec: &WorkloadSpec| world::edit(&spec.id, Some(spec.clone()));
    let id = w.deploy(vec![edit(&app("/g/app", 1)), edit(&pod)]);
    let shown = json_of(Deployment::of(&w.state, &w.state.deployments[&id]));
    assert_eq!(
        (&shown["affectedApps"], &shown["affectedPods"]),
        (&json!(["/g/app"]), &json!(["/g/pod"]))
    );
    let first = json!({"actions": [
        {"action": "StartApplication", "app": "/g/app"}, {"action": "StartPod", "pod": "/g/pod"}]});
    assert_eq!(shown["steps"][0], first);
    assert_eq!(shown["currentStep"], 2, "the first needs nobody and is done");
    assert_eq!(shown["totalSteps"], 2);
    assert_eq!(shown["currentActions"][1]["action"], "ScalePod");
    assert_eq!(shown["currentActions"][1]["readinessCheckResults"], json!([]));
    w.settle();
    let gone = w.deploy(vec![world::edit(&pod.id, None)]);
    let shown = json_of(Deployment::of(&w.state, &w.state.deployments[&gone]));
    assert_eq!(shown["currentActions"][0]["action"], "StopPod", "by what it was");
}
