//! Two of three masters are lost for good: what the third has goes on.

use super::*;

fn recover(node: &Node, args: &[&str]) -> (Option<i32>, String) {
    let ran = Command::new(TEPUI)
        .args(["master", "recover", "--data-dir"])
        .arg(node.dir.path().join("data"))
        .args(args)
        .output()
        .expect("the program runs");
    let text = [ran.stdout, ran.stderr].map(|out| String::from_utf8_lossy(&out).into_owned());
    (ran.status.code(), text.concat())
}

#[test]
fn the_last_of_three_goes_on_alone_with_what_it_has_and_others_join_it() {
    let mut masters: BTreeMap<u64, Node> =
        (1..=3u8).map(|n| (n.into(), Node::new(n + 20))).collect();
    let token = found(masters.get_mut(&1).unwrap());
    for id in [2, 3] {
        join(&mut masters, id, &token);
    }
    wait("three decide", PATIENCE, || decide(&masters[&1].parts(&token), 3));
    let mut agent = Node::new(24);
    agent.settings("agent", Some(&invite(&masters[&2], &token, "agent")));
    agent.start();
    let heard = |through: &Node| {
        let nodes = through.get(&token, "/tepui/v1/nodes");
        let condition = nodes["nodes"][0]["condition"].as_str();
        condition.is_some_and(|condition| condition != "unreachable")
    };
    wait("the agent is a node", PATIENCE, || heard(&masters[&1]));
    let writer = Writer::start("before", masters[&1].router(), &token);
    wait("some are written", PATIENCE, || masters[&3].apps(&token).len() > 20);
    let written = writer.stop();

    // In use, and with the others there, nothing is done.
    let (code, said) = recover(&masters[&3], &["--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another tepui uses"), "{said}");
    wait("the third has all", PATIENCE, || masters[&3].apps(&token).is_superset(&written.apps));
    masters.get_mut(&3).unwrap().kill();
    let (code, said) = recover(&masters[&3], &["--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("master 1 answers at"), "{said}");

    // The others are gone for good.
    for id in [1, 2] {
        masters.get_mut(&id).unwrap().kill();
    }
    let (code, said) = recover(&masters[&3], &["--look", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(told["apps"], written.apps.len());
    assert_eq!((&told["id"], &told["nodes"]), (&json!(3), &json!(1)));
    assert!(told["entry"].as_u64() > Some(20) && told["term"].as_u64() >= Some(1), "{told}");
    assert_eq!(told["others"][0]["answers"], false, "{told}");
    let (code, said) = recover(&masters[&3], &[]);
    assert_eq!(code, Some(2), "nobody said yes: {said}");
    let (code, said) = recover(&masters[&3], &["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = recover(&masters[&3], &["--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is the only one already"), "{said}");

    let began = Instant::now();
    masters.get_mut(&3).unwrap().start();
    let third = &masters[&3];
    wait("it leads alone", PATIENCE, || {
        third.parts(&token) == BTreeMap::from([(3, "leads".into())])
    });
    println!("the last master led {:?} after its start", began.elapsed());
    assert!(third.apps(&token).is_superset(&written.apps), "nothing is lost");
    wait("the agent has found it", PATIENCE, || heard(third));
    let writer = Writer::start("after", third.router(), &token);
    wait("changes are taken", PATIENCE, || {
        third.apps(&token).iter().filter(|id| id.starts_with("/after")).count() > 3
    });

    // Two new ones, of which nothing is older than this.
    for (id, n) in [(4u64, 25), (5, 26)] {
        let mut joining = Node::new(n);
        joining.settings("master", Some(&invite(&masters[&3], &token, "master")));
        joining.start();
        masters.insert(id, joining);
        wait("it has joined", PATIENCE, || masters[&3].parts(&token).contains_key(&id));
    }
    wait("three decide", PATIENCE, || decide(&masters[&5].parts(&token), 3));
    let after = writer.stop();
    let all: BTreeSet<String> = written.apps.union(&after.apps).cloned().collect();
    for id in [3, 4, 5] {
        wait("all is everywhere", PATIENCE, || masters[&id].apps(&token).is_superset(&all));
    }
}
