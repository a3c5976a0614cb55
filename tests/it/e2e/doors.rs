//! Who gets in, and for how long: passwords, tokens, and the files that hold them.

use std::{fs, time::Duration};

use serde_json::json;

use super::{
    client,
    system::{PATIENCE, System, wait},
};

/// A value of `client.env`.
fn client_env(system: &System, key: &str) -> Option<String> {
    let text = fs::read_to_string(system.data_dir().join("client.env")).expect("client.env");
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(k, _)| *k == key).map(|(_, value)| value.to_owned()).next()
}

fn status_with(system: &System, token: &str) -> u16 {
    let path = "/tepui/v1/status";
    client::send(system.router, Some(token), "GET", path, None).expect("an answer").status
}

#[test]
fn the_first_password_is_told_once_and_gone_once_changed() {
    let mut system = System::start();
    let file = system.data_dir().join("initial-password");
    let password = fs::read_to_string(&file).expect("the first password");
    assert!(system.ready_line.contains(password.trim()), "{}", system.ready_line);
    system.stop();
    system.launch();
    assert!(!system.ready_line.contains(password.trim()), "{}", system.ready_line);
    assert!(system.ready_line.contains("initial-password"), "{}", system.ready_line);
    let old = system.token.clone();
    assert_eq!(status_with(&system, &old), 200);

    let change = json!({"password": "another-one"});
    let answer = system.send("PATCH", "/acs/api/v1/users/admin", Some(&change));
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(status_with(&system, &old), 401, "what was made before the change");
    wait("its file goes", PATIENCE, || !file.exists());
    let renewed = || client_env(&system, "TEPUI_TOKEN").filter(|token| *token != old);
    wait("this machine's own token is renewed", PATIENCE, || renewed().is_some());
    assert_eq!(status_with(&system, &renewed().expect("token")), 200);
    system.stop();
    system.launch();
    assert!(!system.ready_line.contains("password"), "{}", system.ready_line);
}

#[test]
fn what_is_taken_back_ends_at_once_and_so_do_its_streams() {
    let system = System::start();
    let bob = json!({"password": "hunter2"});
    assert_eq!(system.send("PUT", "/acs/api/v1/users/bob", Some(&bob)).status, 201);
    let log_in = || {
        let login = json!({"uid": "bob", "password": "hunter2", "exp": 0});
        let answer = system.send("POST", "/acs/api/v1/auth/login", Some(&login));
        answer.json()["token"].as_str().expect("a token").to_owned()
    };
    let (first, listener) = (log_in(), log_in());
    let router = system.router;
    let listening = std::thread::spawn(move || {
        client::send(router, Some(&listener), "GET", "/tepui/v1/events", None)
    });
    assert_eq!(status_with(&system, &first), 200);
    std::thread::sleep(Duration::from_secs(1));
    assert!(!listening.is_finished(), "the stream goes on");
    let out = system.cli(&["token", "revoke", "bob"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(status_with(&system, &first), 401);
    wait("the stream ends", Duration::from_secs(5), || listening.is_finished());
    assert_eq!(listening.join().expect("no panic").expect("an answer").status, 200);
    // Of others nothing has ended.
    assert_eq!(status_with(&system, &system.token), 200);

    let second = log_in();
    let out = system.cli(&["token", "rotate", "--yes"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(status_with(&system, &second), 401);
    assert_eq!(status_with(&system, &system.token), 401);
    let renewed = || client_env(&system, "TEPUI_TOKEN").filter(|token| *token != system.token);
    wait("this machine's own token is renewed", PATIENCE, || renewed().is_some());
    assert_eq!(status_with(&system, &renewed().expect("token")), 200);
}
