//! Who decides, where there are more masters than need to.

use super::*;

fn has_part(through: &Node, token: &str, id: u64, part: &str) -> bool {
    through.parts(token).get(&id).is_some_and(|has| has == part)
}

fn put(through: &Node, token: &str, id: u64, part: &str) -> Answer {
    let path = format!("/tepui/v1/masters/{id}/part");
    through.send(token, "POST", &path, Some(json!({ "part": part }))).expect("an answer")
}

#[test]
fn a_leader_that_is_told_to_follow_gives_its_part_to_the_fourth() {
    let numbers = 1..=4u64;
    let mut masters: BTreeMap<u64, Node> =
        numbers.map(|id| (id, Node::new(u8::try_from(id).expect("small") + 10))).collect();
    let token = found(masters.get_mut(&1).unwrap());
    for id in 2..=4 {
        join(&mut masters, id, &token);
    }
    wait("three decide", PATIENCE, || decide(&masters[&1].parts(&token), 3));
    // One that has just joined is outside until the leader has seen it.
    let mut spare = None;
    wait("a fourth follows", PATIENCE, || {
        spare = (1..=4).find(|id| has_part(&masters[&1], &token, *id, "follows"));
        spare.is_some()
    });
    let spare = spare.expect("waited for");
    let leading = leader(&masters[&1].parts(&token)).expect("one leads");
    let other = (1..=4).find(|id| *id != leading && *id != spare).expect("a third");

    // Asked of one that does not lead, while changes are made.
    let writer = Writer::start("demoted", masters[&other].router(), &token);
    let answer = put(&masters[&other], &token, leading, "follows");
    assert_eq!(answer.status, 204, "{}", answer.text());
    wait("it follows, and the fourth decides", PATIENCE, || {
        let (parts, follows) = (masters[&other].parts(&token), "follows".to_owned());
        decide(&parts, 3) && parts.get(&leading) == Some(&follows) && parts[&spare] != follows
    });
    thread::sleep(Duration::from_millis(300));
    let written = writer.stop();
    println!("leader demoted: the longest gap was {:?}", written.longest);
    assert!(written.longest < HANDED_OVER, "{:?}", written.longest);
    for master in masters.values() {
        wait("no app is lost", AGAIN, || master.apps(&token).is_superset(&written.apps));
    }
    let shown = masters[&other].get(&token, "/tepui/v1/masters");
    let row = shown["masters"].as_array().and_then(|all| all.iter().find(|m| m["id"] == leading));
    assert_eq!(row.expect("listed")["stands_by"], true, "{shown}");

    // It stays so, also when it is started anew; and comes back by its own word only.
    signal(masters[&leading].child.as_ref().expect("running").id(), "TERM");
    assert_eq!(masters.get_mut(&leading).unwrap().ended(PATIENCE), Some(0));
    masters.get_mut(&leading).unwrap().start();
    wait("it answers", PATIENCE, || has_part(&masters[&leading], &token, leading, "follows"));
    assert_eq!(put(&masters[&leading], &token, leading, "decides").status, 204);
    assert_eq!(put(&masters[&leading], &token, spare, "follows").status, 204);
    wait("it decides in the place of the other", PATIENCE, || {
        let parts = masters[&other].parts(&token);
        decide(&parts, 3) && parts[&spare] == "follows" && parts[&leading] != "follows"
    });
}
