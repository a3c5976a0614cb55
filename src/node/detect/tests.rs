//! What programs may print, and what becomes of it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::*;

/// A program that says this, in a directory of the test's own.
fn program(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    path
}

fn layers(raw: &Raw) -> Layers {
    let mut layers = Layers::default();
    layers.over(raw, |_| Source::File("f".into()));
    layers
}

#[test]
fn what_programs_print_is_set_with_its_origin() {
    let dir = tempfile::tempdir().expect("a directory");
    let domain = r#"echo '{"fault_domain":{"region":{"name":"aws/eu"},"zone":{"name":"a"}}}'"#;
    let raw = Raw {
        ip_detect: Some(program(dir.path(), "ip", "echo 10.0.0.7")),
        public_ip_detect: Some(program(dir.path(), "public", "printf ' 203.0.113.9 \\n\\n'")),
        fault_domain_detect: Some(program(dir.path(), "domain", domain)),
        ..Raw::default()
    };
    let mut layers = layers(&raw);
    run(&mut layers).expect("all good");
    let told = layers.merged();
    assert_eq!(told.address.as_deref(), Some("10.0.0.7"));
    assert_eq!(told.public_address.as_deref(), Some("203.0.113.9"));
    assert_eq!((told.region.as_deref(), told.zone.as_deref()), (Some("aws/eu"), Some("a")));
    let printed_by = format!("printed by {}", dir.path().join("ip").display());
    assert_eq!(layers.source("address").to_string(), printed_by);
}

#[test]
fn what_is_written_goes_over_it_and_the_program_is_not_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let mark = dir.path().join("ran");
    let text = format!("touch {}; echo 10.0.0.7", mark.display());
    let raw = Raw {
        ip_detect: Some(program(dir.path(), "ip", &text)),
        address: Some("10.0.0.1".into()),
        fault_domain_detect: Some("/nowhere".into()),
        region: Some("eu".into()),
        ..Raw::default()
    };
    let mut layers = layers(&raw);
    run(&mut layers).expect("nothing to do");
    assert_eq!(layers.merged().address.as_deref(), Some("10.0.0.1"));
    assert!(!mark.exists());
}

#[test]
fn what_fails_is_told_by_key_all_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let plain = dir.path().join("plain");
    fs::write(&plain, "echo 1").expect("written");
    let raw = Raw {
        ip_detect: Some(program(dir.path(), "ip", "echo 10.0.0.1; echo 10.0.0.2")),
        public_ip_detect: Some(plain),
        fault_domain_detect: Some(program(dir.path(), "d", "echo no route >&2; exit 3")),
        ..Raw::default()
    };
    let errors = run(&mut layers(&raw)).expect_err("three failures");
    let told: Vec<_> = errors.iter().map(|e| (e.key, e.origin.as_str(), &*e.problem)).collect();
    assert_eq!((told[0].0, told[0].1), ("ip_detect", "f"));
    assert!(told[0].2.ends_with(r#"/ip printed "10.0.0.1\n10.0.0.2""#), "{told:?}");
    assert!(told[1].2.contains("plain cannot be run (Permission denied)"), "{told:?}");
    assert!(told[2].2.ends_with("ended with exit status: 3: no route"), "{told:?}");
}

#[test]
fn only_an_address_is_an_address_and_only_names_are_a_place() {
    for (text, good) in [
        ("10.0.0.5\n", true),
        ("fd00::5", true),
        ("", false),
        ("0.0.0.0", false),
        ("10.0.0.5/24", false),
        ("localhost", false),
    ] {
        assert_eq!(one_address(text).is_ok(), good, "{text:?}");
    }
    for (text, problem) in [
        ("", "EOF"),
        ("eu", "expected"),
        (r#"{"region":"eu","zone":"a"}"#, "fault_domain"),
        (r#"{"fault_domain":{"region":{"name":"eu"}}}"#, "zone"),
        (r#"{"fault_domain":{"region":{"name":" "},"zone":{"name":"a"}}}"#, "an empty name"),
    ] {
        let told = place(text).expect_err(text);
        assert!(told.contains(problem), "{text}: {told}");
    }
}
