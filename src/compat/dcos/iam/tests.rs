//! What a login holds, and how refusals of the state are told.

use super::*;

#[test]
fn a_login_holds_one_kind_of_credentials() {
    let kind = |body: Value| match credentials(body.as_object().unwrap()) {
        Ok(Credentials::Password { uid, password }) => format!("password {uid} {password}"),
        Ok(Credentials::Signed { uid, token }) => format!("signed {uid} {token}"),
        Ok(Credentials::Outside) => "outside".to_owned(),
        Err(bad) => bad.text.trim_start_matches("Unexpected JSON input: ").to_owned(),
    };
    let none = "uid and password, uid and token, or token must be given";
    for (body, wanted) in [
        (json!({"uid": "ann", "password": "x"}), "password ann x"),
        (json!({"uid": "ann", "password": ""}), "password ann "),
        (json!({"uid": "bot", "token": "t", "exp": 0}), "signed bot t"),
        (json!({"token": "t"}), "outside"),
        (json!({"uid": "ann"}), none),
        (json!({"password": "x"}), none),
        (json!({"uid": "ann", "password": "x", "token": "t"}), none),
        (json!({}), none),
        (json!({"uid": 1, "password": "x"}), "1 is of a wrong type"),
        (json!({"uid": "ann", "password": null}), "null is of a wrong type"),
        (json!({"uid": "a", "password": "x", "exp": 1.5}), "1.5 is of a wrong type"),
        (
            json!({"uid": "ann", "password": "x", "admin": true}),
            "Additional properties are not allowed ('admin' was unexpected)",
        ),
    ] {
        assert_eq!(kind(body.clone()), wanted, "{body}");
    }
}

#[test]
fn what_the_state_refuses_is_told_as_identity_tells_it() {
    use crate::core::Thing;
    for (rejected, status, code, text) in [
        (Rejected::Exists(Thing::User.named("ann")), 409, "ERR_USER_EXISTS", "`ann` already"),
        (
            Rejected::NotFound(Thing::User.named("ann")),
            400,
            "ERR_UNKNOWN_USER_ID",
            "`ann` not known",
        ),
        (Rejected::Last(Thing::User.named("ann")), 409, "ERR_LAST_USER", "user ann is the last"),
        (Rejected::invalid("/uid", "bad"), 400, "ERR_INVALID_DATA", "bad"),
    ] {
        let answer = Failed::from(rejected).reply(RequestId::default());
        assert_eq!(answer.status(), status, "{code}");
        let body: Value = serde_json::from_slice(answer.body().bytes().unwrap()).unwrap();
        assert_eq!(body["code"], code);
        assert!(body["description"].as_str().unwrap().contains(text), "{body}");
    }
}
