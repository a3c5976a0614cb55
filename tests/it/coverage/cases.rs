//! Golden cases against the route tables.

use std::{collections::BTreeSet, fs};

use http::Method;
use regex::Regex;

use super::routes::{self, BOOKS, Line};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// Routes without a case, one a line. A line leaves with the case that is written; none comes.
const MISSING: &str = include_str!("../../golden/missing.txt");

/// Method and path of every request of a golden folder that got past the door.
fn requests(folder: &str) -> Vec<(Method, String)> {
    let variable = Regex::new(r"\{[^}]*\}").unwrap();
    let mut requests = Vec::new();
    for file in fs::read_dir(format!("{GOLDEN}/{folder}")).into_iter().flatten() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let mut asked = Vec::new();
        for line in text.lines() {
            asked.extend(line.strip_prefix("=> ").and_then(|request| request.split_once(' ')));
            let Some(status) = line.strip_prefix("<= ") else { continue };
            for (method, target) in asked.drain(..) {
                // Who is turned away has seen nothing of the route.
                if !matches!(status, "401" | "403" | "405") {
                    let path = target.split('?').next().unwrap_or_default();
                    let path = variable.replace_all(path, "x").into_owned();
                    requests.push((method.parse().unwrap(), path));
                }
            }
        }
    }
    requests
}

/// The lines that the golden cases reach.
fn covered() -> BTreeSet<String> {
    let mut lines: Vec<Line> = Vec::new();
    for (folder, names) in
        [("marathon", &["marathon"][..]), ("mesos", &["mesos", "agent"]), ("api", &["api"])]
    {
        for name in names {
            let book = routes::book(name);
            let found = requests(folder)
                .into_iter()
                .filter_map(|(method, path)| routes::find(&book, &method, &path).cloned());
            lines.extend(found);
        }
    }
    let platform = requests("dcos").into_iter();
    lines.extend(platform.filter_map(|(method, path)| routes::platform(&method, &path)));
    lines.iter().map(Line::to_string).collect()
}

#[test]
fn every_route_has_a_golden_case_or_is_known_to_lack_one() {
    let all: BTreeSet<String> =
        BOOKS.into_iter().flat_map(routes::book).map(|line| line.to_string()).collect();
    let covered = covered();
    let listed: Vec<&str> =
        MISSING.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut problems = Vec::new();
    for line in &listed {
        if !all.contains(*line) {
            problems.push(format!("{line}: listed as missing, and there is no such route"));
        } else if covered.contains(*line) {
            problems.push(format!("{line}: listed as missing, and has a case by now"));
        }
    }
    for line in all.difference(&covered).filter(|line| !listed.contains(&line.as_str())) {
        problems.push(format!("{line}: no golden case"));
    }
    if !listed.is_sorted() {
        problems.push("missing.txt is not sorted".into());
    }
    assert!(problems.is_empty(), "tests/golden/missing.txt:\n{}", problems.join("\n"));
}
