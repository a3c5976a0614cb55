//! Units of nodes, joined.

use super::*;

fn unit(id: &'static str, ip: &str, is_healthy: bool) -> UnitOnNode {
    UnitOnNode {
        id,
        name: id,
        ip: ip.to_owned(),
        hostname: ip.to_owned(),
        role: "agent",
        node_id: String::new(),
        is_leader: false,
        is_healthy,
    }
}

#[test]
fn the_worst_health_of_what_is_joined_counts() {
    let well = unit("a", "1", true);
    let lines = |units: &[UnitOnNode], key: fn(&UnitOnNode) -> &str| {
        let line = |shown: &Value| format!("{} {}", shown["id"].as_str().unwrap(), shown["health"]);
        join(units, key, summary).iter().map(line).collect::<Vec<_>>().join(", ")
    };
    let by_unit: fn(&UnitOnNode) -> &str = |unit| unit.id;
    // In either order.
    let ill = || unit("a", "2", false);
    assert_eq!(lines(&[well, ill(), unit("b", "2", true)], by_unit), "a 1, b 0");
    assert_eq!(lines(&[ill(), unit("a", "1", true)], by_unit), "a 1");
    assert_eq!(lines(&[], by_unit), "");
}

#[test]
fn the_pages_ask_for_a_first_user_until_a_person_can_sign_in() {
    let asks = |state: &State| ui_config(state, true)["clusterConfiguration"]["firstUser"].clone();
    let mut state = State::default();
    assert_eq!(asks(&state), true);
    let body = json!({"password": "hunter2"});
    let draft = crate::compat::dcos::user::draft("ann", body.as_object().unwrap()).unwrap();
    let robot = crate::model::access::User { public_key: Some("PEM".into()), ..draft.user.clone() };
    state.users.insert("bot".to_owned(), robot.into());
    assert_eq!(asks(&state), true, "a service account is nobody");
    state.users.insert("ann".to_owned(), draft.user.into());
    assert_eq!(asks(&state), false);
    let oauth = |checks: bool| {
        ui_config(&state, checks)["uiConfiguration"]["plugins"]["oauth"]["enabled"].clone()
    };
    assert_eq!((oauth(true), oauth(false)), (json!(true), json!(false)));
}
