//! Orders of a roll-out, and what stands in its way.

use serde_json::json;

use super::*;

fn host(n: u8, role: NodeRole) -> Host {
    Host { address: [10, 0, 0, n].into(), role }
}

/// Three masters, three agents, a public agent.
fn hosts() -> Vec<Host> {
    let role = |n: u8| match n {
        1..=3 => NodeRole::Master,
        4..=6 => NodeRole::Agent,
        _ => NodeRole::PublicAgent,
    };
    (1..=7).map(|n| host(n, role(n))).collect()
}

fn known(host: Host) -> Known {
    let node = (host.role != NodeRole::Master).then(|| format!("n-S{}", host.address.octets()[3]));
    Known { host, joined: true, program: Some("old".to_owned()), node, room_kib: 1 << 20 }
}

fn build() -> Build {
    Build { sum: "new".to_owned(), n_bytes: 50 << 20 }
}

fn version(level: u64) -> Version {
    Version { release: "0.2.0".to_owned(), level: Some(level) }
}

fn seen(release: &str, level: u64) -> Seen {
    let master = |n: u64| {
        json!({"id": n, "peers": format!("10.0.0.{n}:5070"), "behind": 3, "silent_ms": 20,
            "part": if n == 2 { "leads" } else { "decides" }, "release": release, "level": level})
    };
    let node = |n: u64| {
        json!({"id": format!("n-S{n}"), "host": format!("a{n}"), "address": format!("10.0.0.{n}"),
            "condition": "active", "version": release, "level": level})
    };
    let masters = json!((1..=3).map(master).collect::<Vec<_>>());
    Seen::read(&masters, &json!((4..=7).map(node).collect::<Vec<_>>()), &json!({"level": 5}))
}

fn order(left: &[Host], leader: Host, batch: usize) -> Vec<Vec<u8>> {
    let last = |host: &Host| host.address.octets()[3];
    let waves = waves(left, Some(leader), batch);
    waves.iter().map(|wave| wave.hosts.iter().map(last).collect()).collect()
}

#[test]
fn followers_come_first_then_the_leader_then_agents_and_public_ones_last() {
    let all = hosts();
    let wanted = [[1], [3], [2], [4], [5], [6], [7]];
    assert_eq!(order(&all, all[1], 1), wanted);
    let whats: Vec<What> = waves(&all, Some(all[1]), 9).iter().map(|wave| wave.what).collect();
    assert_eq!(
        whats,
        [What::Follower, What::Follower, What::Leader, What::Agents, What::PublicAgents]
    );
    assert_eq!(
        order(&all, all[1], 2)[3..],
        [vec![4, 5], vec![6], vec![7]],
        "masters stay one by one"
    );
    // What is done already is left alone, wherever it was broken off.
    assert_eq!(order(&all[1..5], all[1], 1), [[3], [2], [4], [5]]);
    assert_eq!(order(&all[..1], all[0], 1), [[1]], "one master alone");
    assert_eq!(order(&[], all[0], 1), Vec::<Vec<u8>>::new());
    // It was handed over meanwhile, to one that is done.
    let wave = next(&all[1..3], Some(all[0]), 1).expect("something is left");
    assert_eq!((wave.what, wave.hosts), (What::Follower, vec![all[1]]));
}

#[test]
fn a_whole_cluster_may_be_upgraded() {
    let known: Vec<Known> = hosts().into_iter().map(known).collect();
    assert_eq!(preflight(&seen("0.1.0", 5), &known, &build()), Found::default());
}

#[test]
fn what_is_not_whole_is_told_before_anything_is_changed() {
    let bad = |change: &dyn Fn(&mut Seen, &mut Vec<Known>)| {
        let mut all: Vec<Known> = hosts().into_iter().map(known).collect();
        let mut seen = seen("0.1.0", 5);
        change(&mut seen, &mut all);
        preflight(&seen, &all, &build()).bad
    };
    let cases: [(&dyn Fn(&mut Seen, &mut Vec<Known>), &str); 9] = [
        (
            &|seen, _| seen.masters[2].silent_ms = Some(9_000),
            "master 3 (10.0.0.3): not heard for 9 s",
        ),
        (
            &|seen, _| seen.masters[0].part = Part::Outside,
            "master 1 (10.0.0.1): it has no part in the log",
        ),
        (
            &|seen, _| seen.masters[0].behind = Some(4_000),
            "master 1 (10.0.0.1): it lacks 4000 entries",
        ),
        (&|seen, _| seen.masters[1].part = Part::Decides, "no master leads"),
        (
            &|seen, _| seen.nodes[0].condition = "unreachable".to_owned(),
            "10.0.0.4 (agent): it is unreachable",
        ),
        (
            &|seen, _| drop(seen.nodes.pop()),
            "10.0.0.7 (public-agent): its cluster has no such node",
        ),
        (
            &|_, all| all[0].joined = false,
            "10.0.0.1 (master): no node of a cluster is there; tepui cluster install makes one",
        ),
        (&|_, all| all[3].program = None, "10.0.0.4 (agent): its node does not run"),
        (
            &|_, all| all[3].room_kib = 100 << 10,
            "10.0.0.4 (agent): 100 MiB free below /usr/local, 228 are needed",
        ),
    ];
    for (change, wanted) in cases {
        assert_eq!(bad(change), [wanted]);
    }
    // A drained one is upgraded as it is, and one that is done needs no room.
    assert!(bad(&|seen, _| seen.nodes[0].condition = "drained".to_owned()).is_empty());
    let done = |_: &mut Seen, all: &mut Vec<Known>| {
        (all[3].room_kib, all[3].program) = (0, Some("new".to_owned()));
    };
    assert!(bad(&done).is_empty());
}

#[test]
fn what_is_not_listed_and_a_single_master_are_told_and_hold_nothing_up() {
    let mut seen = seen("0.1.0", 5);
    let listed: Vec<Known> = hosts()[..6].iter().copied().map(known).collect();
    let found = preflight(&seen, &listed[1..], &build());
    assert!(found.bad.is_empty(), "{found:?}");
    let wanted = [
        "master 1 (10.0.0.1) is not listed and stays as it is",
        "node a7 is not listed and stays as it is",
    ];
    assert_eq!(found.notes, wanted);
    seen.masters.retain(|master| master.part == Part::Leads);
    let found = preflight(&seen, &listed[1..2], &build());
    assert!(found.notes.iter().any(|note| note.starts_with("one master decides: ")), "{found:?}");
}

#[test]
fn a_program_says_its_release_and_level() {
    assert_eq!(Version::read("tepui 0.2.0 (level 6)\n"), Some(version(6)));
    let old = Version { release: "0.1.0".to_owned(), level: None };
    assert_eq!(Version::read("tepui 0.1.0\n"), Some(old.clone()));
    assert_eq!(Version::read("sh: not found"), None);
    assert_eq!(check_version(&version(5), 5), Ok(()));
    assert_eq!(check_version(&old, 5), Ok(()), "it does not say");
    let told = check_version(&version(4), 5).expect_err("too old");
    assert!(told.contains("can do level 4, and the cluster is at level 5"), "{told}");
}

#[test]
fn a_master_is_well_once_it_does_what_it_did_and_all_others_do_too() {
    let (before, all) = (seen("0.1.0", 5), hosts());
    let lacks = |change: &dyn Fn(&mut Seen)| {
        let mut now = seen("0.1.0", 5);
        (now.masters[0].release, now.masters[0].level) = ("0.2.0".to_owned(), 6);
        change(&mut now);
        master_lacks(&before, &now, all[0], &version(6))
    };
    assert_eq!(lacks(&|_| {}), None);
    let cases: [(&dyn Fn(&mut Seen), &str); 7] = [
        (&|now| now.masters[0].level = 5, "it says it is tepui 0.2.0, level 5"),
        (&|now| now.masters[0].silent_ms = Some(3_000), "not heard for 3 s"),
        (&|now| now.masters[0].behind = None, "it has not answered yet"),
        (&|now| now.masters[0].part = Part::Follows, "it does not decide any more"),
        (&|now| now.masters[2].silent_ms = Some(3_000), "master 3 (10.0.0.3): not heard for 3 s"),
        (&|now| now.nodes[1].condition = "unreachable".to_owned(), "node a5 is unreachable"),
        (&|now| drop(now.masters.remove(0)), "the cluster does not know it"),
    ];
    for (change, wanted) in cases {
        assert_eq!(lacks(change).as_deref(), Some(wanted));
    }
    let handed = lacks(&|now| {
        (now.masters[0].part, now.masters[1].part) = (Part::Leads, Part::Decides);
    });
    assert_eq!(handed, None, "any of them may lead now");
    assert_eq!(lacks(&|now| drop(now.nodes.remove(1))), None, "a node that was removed meanwhile");
    let removed = lacks(&|now| {
        now.masters.remove(2);
        now.nodes[1].condition = "unreachable".to_owned();
    });
    assert_eq!(
        removed.as_deref(),
        Some("node a5 is unreachable"),
        "a master was removed meanwhile"
    );
}

#[test]
fn an_agent_is_well_once_it_is_known_anew_and_has_told_of_its_tasks() {
    let before = seen("0.1.0", 5).nodes.remove(0);
    let now = |release: &str, level, condition: &str| {
        let (release, condition) = (release.to_owned(), condition.to_owned());
        Node { release, level, condition, ..before.clone() }
    };
    let lacks = |node: &Node| agent_lacks(&before, Some(node), &version(6));
    assert_eq!(lacks(&now("0.2.0", Some(6), "active")), None);
    assert_eq!(lacks(&now("0.2.0", None, "active")), None, "masters that do not tell levels");
    let told = lacks(&now("0.1.0", Some(5), "active"));
    assert_eq!(told.as_deref(), Some("the masters know it as tepui 0.1.0, level 5"));
    assert_eq!(lacks(&now("0.2.0", Some(6), "unreachable")).as_deref(), Some("it is unreachable"));
    assert_eq!(lacks(&now("0.2.0", Some(6), "drained")), None, "somebody drains it meanwhile");
    assert!(agent_lacks(&before, None, &version(6)).is_some());

    let pair = |id: &str| (id.to_owned(), format!("i-{id}"));
    let all = vec![pair("a"), pair("b")];
    let whole = Tasks {
        before: all.clone(),
        containers: all,
        running: vec!["i-a".to_owned(), "i-b".to_owned(), "i-new".to_owned()],
        ended: Vec::new(),
    };
    assert_eq!(tasks_lack(&whole), Ok(None));
    let untold = Tasks { running: vec!["i-a".to_owned()], ..whole.clone() };
    assert_eq!(tasks_lack(&untold), Ok(Some("it has not told of i-b".to_owned())));
    let gone = Tasks { containers: vec![pair("b")], ..whole };
    let told = tasks_lack(&gone).expect_err("a container is gone");
    assert_eq!(told, "1 task ended while it was started anew: i-a");
    let by_itself = Tasks { ended: vec!["i-a".to_owned()], ..gone };
    assert_eq!(tasks_lack(&by_itself), Ok(None), "it ended by itself");
}
