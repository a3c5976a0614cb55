//! What needs no cluster, by the program itself: help, settings, simulation, doctor.

use std::{path::Path, process::Command};

use serde_json::Value;

/// Output, errors and exit code of the program in an empty directory.
fn tepui(dir: &Path, line: &str, env: &[(&str, &str)]) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tepui"));
    command.args(line.split_whitespace()).current_dir(dir).env_clear().env("HOME", dir);
    command.envs(env.iter().copied());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[test]
fn json_is_json_wherever_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for line in [
        "config show --role master --json",
        "config check --role master --json",
        "sim --seed 3 --nodes 3 --instances 5 --seconds 20 --json",
        "doctor --json",
        "--json doctor",
    ] {
        let env = [("TEPUI_ADDRESS", "10.0.0.1"), ("TEPUI_URL", "http://127.0.0.1:1")];
        let (out, err, code) = tepui(dir.path(), line, &env);
        let json: Result<Value, _> = serde_json::from_str(&out);
        assert!(json.is_ok(), "{line}: {out}{err}");
        assert_eq!(code, if line.contains("doctor") { 1 } else { 0 }, "{line}: {out}{err}");
    }
}

#[test]
fn settings_are_shown_with_source_and_without_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("TEPUI_ADDRESS", "10.0.0.1"), ("TEPUI_JOIN_TOKEN", "secret")];
    let (out, ..) = tepui(dir.path(), "config show --role agent --role master --json", &env);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["join_token"]["value"], "(hidden)");
    assert_eq!(shown["peer_port"]["value"], 5070);
    // 443, or 80 without TLS: nothing chose one.
    assert_eq!(shown["router_port"]["value"], Value::Null);
    assert_eq!(shown["address"]["source"], "environment TEPUI_ADDRESS");
    assert!(!out.contains("secret\""));
}

#[test]
fn a_check_finds_everything_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(dir.path().join("t.yaml"), text).unwrap();
    let check = |env: &[(&str, &str)]| {
        let (out, err, code) = tepui(dir.path(), "config check --config t.yaml", env);
        (format!("{out}{err}"), code)
    };
    write("roles: [agent]\nruoter_port: 1\nmasters: [a:5070]\naddress: 10.0.0.1\nlabel: x\n");
    let (told, code) = check(&[]);
    assert_eq!(
        told,
        "error: t.yaml:2: ruoter_port is no setting; did you mean router_port?\n\
         error: t.yaml:5: label is no setting\n"
    );
    assert_eq!(code, 2);
    write("roles: [public_agent]\nmasters: [a:5070]\naddress: 10.0.0.1\nlog_level: loud\n");
    let (told, code) = check(&[("TEPUI_RUOTER_PORT", "1")]);
    assert!(told.contains("log_level (t.yaml): \"loud\" is no level"), "{told}");
    assert!(
        told.contains("error: TEPUI_RUOTER_PORT is no setting; did you mean TEPUI_ROUTER_PORT?")
    );
    assert_eq!(code, 2);
    write("roles: [public_agent]\nmasters: [a:5070]\naddress: 10.0.0.1\ndocker: /nope.sock\n");
    let (told, code) = check(&[("TEPUI_COMPAT_PORTS", "off")]);
    assert!(told.contains("warning: docker: there is no socket /nope.sock"), "{told}");
    assert!(told.starts_with("the settings are good\n") && code == 0, "{told}");
}

#[test]
fn help_tells_each_commands_own_defaults_and_no_options_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let help = |line: &str| {
        let (out, ..) = tepui(dir.path(), line, &[]);
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (dev, node) = (help("dev --help"), help("node --help"));
    for (text, in_dev) in [
        ("[default: 8000]", true),
        ("[default: 5300]", true),
        ("[default: 53]", false),
        ("[default: /var/lib/tepui]", false),
        ("[default: info]", false),
    ] {
        assert_eq!(dev.contains(text), in_dev, "dev {text}:\n{dev}");
        assert_eq!(node.contains(text), !in_dev, "node {text}:\n{node}");
    }
    assert!(help("--help").contains("--insecure"));
    for line in ["app --help", "app deploy --help", "node list --help", "config show --help"] {
        let text = help(line);
        assert!(!text.contains("--insecure") && text.contains("tepui --help"), "{line}:\n{text}");
    }
    // Hidden there, and still understood there.
    let (_, err, code) = tepui(dir.path(), "app list --url http://127.0.0.1:1 --json", &[]);
    assert!(err.starts_with("{\"error\":") && code == 7, "{err}");
}

#[test]
fn doctor_looks_at_the_machine_too() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("TEPUI_URL", "http://127.0.0.1:1"), ("TEPUI_DOCKER", "/nope.sock")];
    let (out, err, code) = tepui(dir.path(), "doctor", &env);
    for part in
        ["bad   docker     there is no socket /nope.sock", "  disk ", "  files ", "  ports "]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(out.contains("cannot reach http://127.0.0.1:1: Connection refused\n"), "{out}");
    assert!(err.ends_with("to mend\n") && code == 1, "{err}");
    let (out, ..) = tepui(dir.path(), "doctor --json", &[("TEPUI_URL", "http://127.0.0.1:1")]);
    let told: Value = serde_json::from_str(&out).unwrap();
    let about = |name: &str| {
        let rows = told["findings"].as_array().unwrap().iter();
        rows.filter(|f| f["about"] == name).map(|f| f["level"].clone()).collect::<Vec<_>>()
    };
    assert!(about("docker").contains(&"ok".into()) && !about("bridge").is_empty(), "{out}");
}
