//! Circles of imports between the children of one folder: files, and folders as a whole.
//!
//! A name counts for the file that defines it, also where a module passes it on with `pub use`.

use std::collections::{BTreeMap, BTreeSet};

use super::{is_test, product_code, rust_files};

/// Circles there are, as `folder: children`. May only shrink: an entry whose circle has become
/// smaller, or is gone, is to follow it.
const CIRCLES_ALLOWED: &[&str] = &[
    "agent/sandbox/output: mod rotated",
    "agent/worker: exec live mod",
    "agent: check link mod prepare worker",
    "cli: apps deploy files nodes tasks",
    "core/apply: instance task",
    "core/deploy: drain progress",
    "core/place: advice explain",
    "core: apply deploy entity past table",
    "dns: serve tcp udp",
    "host/docker: engine networks",
    "host/pki: files mod",
    "http/auth: guard metrics mod tokens",
    "http/road: ask mod pass",
    "http: proxy road",
    "log: codec machine",
    "log: compare metrics network peer propose raft replica tend",
    "model: access resource",
    "model: container workload",
    "sim/world: leader mod queue time",
    "sim: chaos witness world",
];

type Path = Vec<String>;
/// Who imports whom, by folder.
type Edges = BTreeMap<Path, BTreeMap<String, BTreeSet<String>>>;

/// The modules of `src`, and what they pass on under which name.
#[derive(Default)]
struct Modules {
    texts: BTreeMap<Path, String>,
    passed_on: BTreeMap<Path, BTreeMap<String, Path>>,
}

impl Modules {
    fn read() -> Self {
        let mut all = Self::default();
        for (file, text) in rust_files("src").into_iter().filter(|(file, _)| !is_test(file)) {
            let name = file.trim_start_matches("src/").trim_end_matches(".rs");
            if matches!(name, "lib" | "main") {
                continue;
            }
            let module = name.trim_end_matches("/mod").split('/').map(str::to_owned).collect();
            let code = product_code(&text).lines().filter(|l| !l.trim_start().starts_with("//"));
            all.texts.insert(module, code.collect::<Vec<_>>().join("\n"));
        }
        for (module, text) in &all.texts {
            let names = all.passed_on.entry(module.clone()).or_default();
            for (tree, _) in uses(text).0.iter().filter(|(_, is_public)| *is_public) {
                for path in leaves(tree) {
                    let Some(path) = absolute(&all.texts, &path, module) else { continue };
                    names.insert(path.last().cloned().unwrap_or_default(), path);
                }
            }
        }
        all
    }

    /// The module that defines what `path` leads to.
    fn owner(&self, path: &[String]) -> Option<Path> {
        let n = (1..=path.len()).rev().find(|n| self.texts.contains_key(&path[..*n]))?;
        let module = &path[..n];
        let passed_on = path.get(n).and_then(|name| self.passed_on.get(module)?.get(name));
        match passed_on.filter(|to| to[..] != path[..=n]) {
            Some(to) => self.owner(&[to, &path[n + 1..]].concat()),
            None => Some(module.to_vec()),
        }
    }

    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (module, text) in &self.texts {
            let (uses, rest) = uses(text);
            let trees = uses.iter().filter(|(_, is_public)| !is_public).map(|(tree, _)| tree);
            for path in trees.flat_map(|tree| leaves(tree)).chain(paths(&rest)) {
                let path = absolute(&self.texts, &path, module);
                let Some(owner) = path.and_then(|path| self.owner(&path)) else { continue };
                let n = owner.iter().zip(module).take_while(|(a, b)| a == b).count();
                let child = |of: &Path| of.get(n).map_or("mod", |name| name).to_owned();
                let (from, to) = (child(module), child(&owner));
                if from != to {
                    let folder = edges.entry(module[..n].to_vec()).or_default();
                    folder.entry(from).or_default().insert(to);
                }
            }
        }
        edges
    }
}

/// The trees of all `use`, each with whether it passes names on, and the text without them.
fn uses(text: &str) -> (Vec<(String, bool)>, String) {
    let (mut trees, mut rest) = (Vec::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((before, first)) = line.split_once("use ") else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let before = before.trim();
        if !(before.is_empty() || before.starts_with("pub")) {
            rest.push_str(line);
            rest.push('\n');
            continue;
        }
        let mut tree = first.to_owned();
        while !tree.contains(';') {
            let Some(next) = lines.next() else { break };
            tree.push_str(next);
        }
        let tree = tree.split(';').next().unwrap_or_default().to_owned();
        trees.push((tree, before.starts_with("pub")));
    }
    (trees, rest)
}

/// The single paths of a tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn leaves(tree: &str) -> Vec<Path> {
    let (mut found, mut item, mut depth) = (Vec::new(), String::new(), 0);
    for c in tree.chars().chain([',']) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(leaves_of_item(item.trim()));
                item.clear();
                continue;
            }
            _ => {}
        }
        item.push(c);
    }
    found
}

fn leaves_of_item(item: &str) -> Vec<Path> {
    let names = |text: &str| -> Path {
        let text = text.split(" as ").next().unwrap_or_default().trim();
        text.split("::").filter(|name| !name.is_empty()).map(|n| n.trim().to_owned()).collect()
    };
    match item.split_once('{') {
        Some((before, inner)) => {
            let inner = inner.trim_end().trim_end_matches('}');
            leaves(inner).into_iter().map(|leaf| [names(before), leaf].concat()).collect()
        }
        None if item.is_empty() => Vec::new(),
        None => vec![names(item)],
    }
}

/// Paths outside of `use` that begin at the crate or beside the file.
fn paths(code: &str) -> Vec<Path> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c)) {
                continue;
            }
            let end = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
            let path = code[at..].split(end).next().unwrap_or_default();
            found.extend(leaves(path.trim_end_matches(':')));
        }
    }
    found
}

/// A path from the crate's root; `None` for one into another crate.
fn absolute(modules: &BTreeMap<Path, String>, path: &[String], here: &[String]) -> Option<Path> {
    let mut path = path.to_vec();
    if path.last().is_some_and(|name| name == "self" && path.len() > 1) {
        path.pop();
    }
    let first = path.first()?.clone();
    let n_up = path.iter().take_while(|name| *name == "super").count();
    match first.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([here, &path[1..]].concat()),
        "super" => Some([&here[..here.len().checked_sub(n_up)?], &path[n_up..]].concat()),
        _ => {
            let child = [here, &path[..1]].concat();
            modules.contains_key(&child).then(|| [here, &path].concat())
        }
    }
}

/// Groups whose members all lead to each other.
fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<&str>> {
    let reach = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(name) = open.pop() {
            for next in edges.get(name).into_iter().flatten() {
                if seen.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|name| (name.as_str(), reach(name))).collect();
    let in_circle = reached.iter().filter(|(name, reach)| reach.contains(*name));
    in_circle
        .map(|(name, reach)| {
            reach
                .iter()
                .copied()
                .filter(|other| reached.get(other).is_some_and(|r| r.contains(name)))
                .collect()
        })
        .collect()
}

#[test]
fn circles_within_folders_only_shrink() {
    let mut found = BTreeSet::new();
    for (folder, edges) in Modules::read().edges() {
        for circle in circles(&edges) {
            let members: Vec<&str> = circle.into_iter().collect();
            found.insert(format!("{}: {}", folder.join("/"), members.join(" ")));
        }
    }
    let allowed: BTreeSet<String> = CIRCLES_ALLOWED.iter().map(|c| (*c).to_owned()).collect();
    let new: Vec<_> = found.difference(&allowed).collect();
    let gone: Vec<_> = allowed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "circles that are not in the list: {new:#?}\nentries of the list that are no circles: {gone:#?}"
    );
}

#[test]
fn names_count_for_the_file_that_defines_them() {
    let path = |text: &str| -> Path { text.split("::").map(str::to_owned).collect() };
    let texts = ["a", "a::x", "a::y"].map(|name| (path(name), String::new()));
    let passed_on = BTreeMap::from([(path("a"), BTreeMap::from([("T".into(), path("a::y::T"))]))]);
    let modules = Modules { texts: texts.into(), passed_on };
    assert_eq!(modules.owner(&path("a::T")), Some(path("a::y")));
    assert_eq!(modules.owner(&path("a::x::f")), Some(path("a::x")));
    assert_eq!(modules.owner(&path("b::x")), None);
    let tree = leaves("super::{self, x::{f, g as h}, T}");
    assert_eq!(tree, ["super::self", "super::x::f", "super::x::g", "super::T"].map(path));
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    let edges = [("a", &["b"][..]), ("b", &["c"]), ("c", &["b"]), ("d", &["a"])];
    let edges = edges.map(|(from, to)| (from.to_owned(), names(to))).into();
    assert_eq!(circles(&edges), BTreeSet::from([BTreeSet::from(["b", "c"])]));
}
