//! The route tables of all dialects and of our own API, and where each is reached.

use std::fmt;

use http::Method;
use tepui::{
    api,
    compat::{
        dcos::{
            iam, names,
            rules::{self, Pass, Path, Then},
            system,
        },
        marathon, mesos,
    },
    http::{
        pattern::{Pattern, segments},
        route::{Access, Route},
    },
};

/// One line of a table.
#[derive(Debug, Clone)]
pub struct Line {
    pub book: &'static str,
    pub method: Method,
    pub pattern: Pattern,
    pub access: Access,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.book, self.method, self.pattern.as_str())
    }
}

fn lines<S>(book: &'static str, mut routes: Vec<Route<S>>) -> Vec<Line> {
    routes.sort_by(|a, b| a.pattern.by_specificity(&b.pattern));
    let line =
        |Route { method, pattern, access, .. }: Route<S>| Line { book, method, pattern, access };
    routes.into_iter().map(line).collect()
}

/// The tables' names, as golden folders and the list of missing cases call them.
pub const BOOKS: [&str; 7] = ["marathon", "mesos", "agent", "api", "iam", "system", "names"];

/// Every line of one table, the most specific first.
pub fn book(name: &'static str) -> Vec<Line> {
    match name {
        "marathon" => lines(name, marathon::routes::routes()),
        "mesos" => lines(name, mesos::routes::routes()),
        "agent" => lines(name, mesos::slave::routes()),
        "api" => lines(name, api::routes::routes()),
        "iam" => lines(name, iam::routes()),
        "system" => lines(name, system::routes()),
        "names" => lines(name, names::routes()),
        other => panic!("there is no table {other}"),
    }
}

/// The line of a table that answers this request, as the table finds it.
pub fn find<'a>(lines: &'a [Line], method: &Method, path: &str) -> Option<&'a Line> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let path: Vec<&str> = segments(path).collect();
    let best = lines.iter().find(|line| line.pattern.matches(&path).is_some())?;
    let same = |line: &&Line| line.pattern.as_str() == best.pattern.as_str();
    lines.iter().filter(same).find(|line| line.method == *method)
}

impl Line {
    /// A path of this line, in the table's own words; `id` stands where a name is captured.
    pub fn path(&self, id: &str) -> String {
        let segment = |segment: &str| match segment.split_once('}') {
            Some((_, tail)) => format!("/{id}{tail}"),
            None => format!("/{segment}"),
        };
        let path: String = segments(self.pattern.as_str()).map(segment).collect();
        if path.is_empty() { "/".into() } else { path }
    }

    /// The paths under which the front door reaches this line.
    pub fn at_the_front_door(&self, id: &str) -> Vec<String> {
        let path = self.path(id);
        match self.book {
            "marathon" => {
                vec![format!("/service/marathon{path}"), format!("/marathon{path}")]
            }
            "mesos" if path.starts_with("/master/") => {
                vec![format!("/mesos{path}"), format!("/cache{path}")]
            }
            "mesos" => vec![format!("/mesos{path}")],
            "agent" => vec![path.clone(), path.replacen("/agent/", "/slave/", 1)],
            "names" => vec![format!("/mesos_dns{path}")],
            _ => vec![path],
        }
    }

    /// What the front door lets through to this line without a token.
    pub fn is_open_at_the_front_door(&self, path: &str) -> bool {
        let rule = rules::find(path).expect("every path has a rule");
        rule.pass != Pass::Token && self.access == Access::Open
    }
}

/// A path below each line of the front door's own table, and whether it wants a token. Our own API
/// checks callers itself, and tells everybody which paths it does not have.
pub fn rule_paths() -> Vec<(String, bool)> {
    let sample = |path: Path| match path {
        Path::Is(path) => path.to_owned(),
        Path::Under(prefix) if prefix.ends_with('/') => format!("{prefix}x/y"),
        Path::Under(prefix) => format!("{prefix}/x"),
    };
    let wants = |rule: &rules::Rule| rule.pass == Pass::Token;
    rules::RULES.iter().map(|rule| (sample(rule.path), wants(rule))).collect()
}

/// The platform's line that a request at the front door ends at; `None` where another part or a
/// service answers.
pub fn platform(method: &Method, path: &str) -> Option<Line> {
    let (book_name, strip) = match rules::find(path)?.then {
        Then::Part { part: rules::Part::Iam, strip } => ("iam", strip),
        Then::Part { part: rules::Part::System | rules::Part::Cosmos, strip } => ("system", strip),
        Then::Part { part: rules::Part::MesosDns, strip } => ("names", strip),
        _ => return None,
    };
    find(&book(book_name), method, path.strip_prefix(strip)?).cloned()
}

#[test]
fn sample_paths_lead_back_to_their_line() {
    for name in BOOKS {
        let lines = book(name);
        for line in &lines {
            let found = find(&lines, &line.method, &line.path("x")).expect("a line");
            assert_eq!(found.to_string(), line.to_string());
        }
    }
}
