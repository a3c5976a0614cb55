//! The page: its own tests, and a real browser against a real system running the demo. What takes longer
//! is `make pages`.

use std::process::Command;

use serde_json::json;

use crate::e2e::system::System;

/// Among them: that its types are those of the contract.
#[test]
fn the_page_passes_its_own_tests() {
    let ui = concat!(env!("CARGO_MANIFEST_DIR"), "/ui");
    let vitest = format!("{ui}/node_modules/vitest/vitest.mjs");
    let is_there = std::path::Path::new(&vitest).exists();
    assert!(is_there, "vitest is not installed; run `make ui` with Node 20 or newer first");
    run(Command::new("node").args([&vitest, "run", "--no-color"]).current_dir(ui));
}

/// A script of `tests/browser`, and the page and driver it needs are there.
fn script(name: &str) -> Command {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    for needed in ["ui/node_modules/playwright-core", "ui/dist/index.html.gz"] {
        let is_there = std::path::Path::new(&format!("{root}{needed}")).exists();
        assert!(is_there, "{needed} is missing; run `make ui` with Node 20 or newer first");
    }
    let mut node = Command::new("node");
    node.arg(format!("{root}tests/browser/{name}"));
    node
}

/// Runs it to its end, which must be a good one.
fn run(node: &mut Command) {
    let out = node.output().expect("node runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
    eprintln!("{text}");
}

/// A script that brings its own made-up cluster.
fn browse(name: &str) {
    run(&mut script(name));
}

/// A script against a running system.
fn browse_in(system: &System, name: &str, env: &[(&str, &str)]) {
    let password = std::fs::read_to_string(system.data_dir().join("initial-password"));
    let mut node = script(name);
    node.env("TEPUI_URL", format!("http://{}", system.router))
        .env("TEPUI_USER", "admin")
        .env("TEPUI_PASSWORD", password.expect("password file").trim())
        .envs(env.iter().copied());
    run(&mut node);
}

/// The demo's web part stands in as an app that every machine can run: the page only sees its API.
#[test]
fn a_browser_signs_in_sees_the_demo_scales_it_and_watches_the_number_change() {
    let system = System::start();
    let app = json!({"id": "/demo/clock", "cmd": "while true; do date; sleep 1; done",
                     "cpus": 0.01, "mem": 32, "instances": 2});
    system.marathon("POST", "/v2/apps", Some(&app));
    system.wait_running("/demo/clock", 2);
    browse_in(&system, "run.mjs", &[("TEPUI_APP", "/demo/clock")]);
}

/// Services are made by form, by YAML and from Compose text, and changed while somebody else does.
#[test]
fn a_browser_makes_services_and_changes_them_without_loss() {
    browse_in(&System::start(), "edit.mjs", &[]);
}

/// Shells and files: real containers, a connection that is cut, a page that is loaded anew.
#[test]
fn a_browser_opens_shells_loses_them_has_them_again_and_reads_files() {
    browse_in(&System::start(), "shell.mjs", &[]);
}

/// Sizes and counts, which are the same on a slow machine; times are a subject of `make bench`.
#[test]
fn the_page_keeps_within_its_budgets() {
    let system = System::start();
    let quiet = json!({"id": "/budget/quiet", "cmd": "sleep 100000", "cpus": 0.01, "mem": 16,
                       "instances": 2});
    // Forty lines ten times a second.
    let lines = "n=0; while true; do i=0; while [ $i -lt 40 ]; do n=$((n+1)); i=$((i+1)); \
                 echo \"GET /api/orders/$n 200 in 12 ms\"; done; sleep 0.1; done";
    let writer = json!({"id": "/budget/writer", "cmd": lines, "cpus": 0.1, "mem": 32});
    for app in [&quiet, &writer] {
        system.marathon("POST", "/v2/apps", Some(app));
    }
    system.wait_running("/budget/quiet", 2);
    system.wait_running("/budget/writer", 1);
    let env = [("TEPUI_APP", "/budget/writer"), ("TEPUI_QUIET", "/budget/quiet")];
    browse_in(&system, "budget.mjs", &env);
}

/// Names, labels, output and files that a hostile task chose, on every view.
#[test]
fn a_browser_shows_what_is_hostile_as_text() {
    browse_in(&System::start(), "hostile.mjs", &[]);
}

/// A made-up cluster in which much is broken: dead engine, failing checks, data at stake. The page must
/// say so, keep the focus, and fit every width.
#[test]
fn a_browser_sees_what_is_broken_and_shuts_nobody_out() {
    browse("truth.mjs");
}

/// Each part of the page in each state and theme, against what is kept in `tests/browser/gallery`.
#[test]
fn the_kit_looks_as_it_did() {
    browse("gallery.mjs");
}

/// Dialogs, ways to other pages, lists, search box, filters, widths, themes, languages: by the keyboard,
/// against made-up clusters.
#[test]
fn a_browser_gets_everywhere_by_keys() {
    browse("keys.mjs");
}

/// What goes wrong in a real cluster: a check, a program that ends, a service too large for any node.
#[test]
fn a_browser_sees_each_trouble_of_a_real_cluster_named() {
    browse_in(&System::start(), "broken.mjs", &[]);
}
