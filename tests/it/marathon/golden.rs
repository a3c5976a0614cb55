//! Golden wire files: `tests/golden/marathon/NNN-name.http`.
//!
//! A file is a story: requests and the exact answers to them, and directives that let the cluster
//! move in between. Ids and times are written `<uuid>`, `<time>`. `TEPUI_GOLDEN=write` rewrites the
//! answers from what is answered now; the diff is then to be read against
//! docs/compat/marathon.md.
//!
//! ```text
//! # a comment
//! => POST /v2/apps?force=true
//! content-type: application/json        headers, if any
//!                                       (blank line)
//! {"id":"/a","cmd":"sleep 9"}           body, one line
//! <= 201
//! location: /a                          headers that tell something
//!                                       (blank line)
//! {"id":"/a",…}
//! !! settle | place | deploy | fail /app | advance SECONDS
//! ```

use std::{fmt::Write as _, fs, path::Path, sync::Arc, time::Duration};

use regex::Regex;
use tepui::{
    compat::marathon::{Dialect, Ledger as _},
    http::{Body, Response},
    model::{instance::Condition, path::PathId},
};

use super::cluster::Cluster;

const DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/marathon");

/// Headers shown where an answer has them.
const SHOWN: [&str; 5] =
    ["allow", "content-encoding", "content-type", "location", "marathon-deployment-id"];

#[tokio::test]
async fn answers_are_those_of_the_golden_files() {
    let writes = std::env::var("TEPUI_GOLDEN").as_deref() == Ok("write");
    let mut files: Vec<_> = fs::read_dir(DIR).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no golden files in {DIR}");
    let mut failed = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "http")) {
        let wanted = fs::read_to_string(file).unwrap();
        let got = play(&wanted).await;
        if got != wanted {
            if writes {
                fs::write(file, &got).unwrap();
            } else {
                failed.push(difference(file, &wanted, &got));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The first line that differs.
fn difference(file: &Path, wanted: &str, got: &str) -> String {
    let mut lines = wanted.lines().zip(got.lines()).enumerate();
    match lines.find(|(_, (wanted, got))| wanted != got) {
        Some((n, (wanted, got))) => {
            format!("{}:{}\n  wanted {wanted}\n  got    {got}", file.display(), n + 1)
        }
        None => format!("{}: one is longer", file.display()),
    }
}

/// Plays a story and writes it down with the answers given now.
async fn play(story: &str) -> String {
    let cluster = Cluster::new(2);
    let dialect = cluster.dialect();
    let mut out = String::new();
    let mut lines = story.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(request) = line.strip_prefix("=> ") {
            let mut block = Vec::new();
            while let Some(line) = lines.next_if(|l| !l.starts_with("<= ")) {
                block.push(line);
            }
            lines.next();
            while lines.next_if(|l| !starts_item(l)).is_some() {}
            let response = ask(&dialect, &cluster, request, &block).await;
            writeln!(out, "{line}").unwrap();
            for line in block {
                writeln!(out, "{line}").unwrap();
            }
            out.push_str(&written(response, &cluster));
        } else {
            if let Some(directive) = line.strip_prefix("!! ") {
                direct(&cluster, directive);
            }
            writeln!(out, "{line}").unwrap();
        }
    }
    out
}

fn starts_item(line: &str) -> bool {
    ["=> ", "!! ", "# "].iter().any(|start| line.starts_with(start))
}

fn direct(cluster: &Arc<Cluster>, directive: &str) {
    match directive.split_once(' ').unwrap_or((directive, "")) {
        ("settle", _) => cluster.settle(),
        ("deploy", _) => cluster.deploy(),
        ("place", _) => cluster.place(),
        ("advance", seconds) => {
            cluster.advance(Duration::from_secs(seconds.parse().expect("seconds")));
        }
        ("fail", app) => {
            let state = cluster.state();
            for instance in state.instances_of(&PathId::parse(app)) {
                cluster.report(instance, Condition::Failed, false);
            }
        }
        (other, _) => panic!("unknown directive {other}"),
    }
}

async fn ask(dialect: &Dialect, cluster: &Arc<Cluster>, request: &str, block: &[&str]) -> Response {
    let (method, target) = request.split_once(' ').expect("method and target");
    let mut builder = ::http::Request::builder().method(method).uri(filled(target, cluster));
    let mut lines = block.iter();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").expect("a header");
        builder = builder.header(name, value);
    }
    let body: Vec<&str> = lines.copied().collect();
    let body = filled(&body.join("\n"), cluster);
    dialect.answer(builder.body(Body::from(body)).unwrap()).await
}

/// `{task:/app}` and `{deployment}` as they are now, `{version:/app}` and `{group:/group}` as the first
/// that is remembered.
fn filled(text: &str, cluster: &Arc<Cluster>) -> String {
    let state = cluster.state();
    let variable = Regex::new(r"\{(task|version|group|deployment):?([^}\x22]*)\}").unwrap();
    variable
        .replace_all(text, |found: &regex::Captures<'_>| {
            let id = PathId::parse(&found[2]);
            match &found[1] {
                "deployment" => state.deployments.keys().next().expect("a deployment").to_string(),
                "group" => state.group_versions(&id).last().expect("a version").to_string(),
                "version" => state.versions_of(&id).next().expect("a version").version.to_string(),
                _ => state.instances_of(&id).next().expect("a task").task_id(""),
            }
        })
        .into_owned()
}

fn written(response: Response, _: &Arc<Cluster>) -> String {
    let mut out = format!("<= {}\n", response.status().as_u16());
    for name in SHOWN {
        if let Some(value) = response.headers().get(name) {
            let value = value.to_str().unwrap();
            if (name, value) != ("content-type", "application/json") {
                writeln!(out, "{name}: {value}").unwrap();
            }
        }
    }
    let body = String::from_utf8_lossy(response.body().bytes().unwrap()).into_owned();
    if !body.is_empty() {
        writeln!(out, "\n{body}").unwrap();
    }
    out.push('\n');
    masked(&out)
}

/// `text` with ids and times replaced.
pub fn masked(text: &str) -> String {
    let uuid = Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap();
    let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").unwrap();
    time.replace_all(&uuid.replace_all(text, "<uuid>"), "<time>").into_owned()
}
