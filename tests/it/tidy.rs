//! Properties of the source tree, checked as tests: layers, file heads, sizes, bans, dead files.
//!
//! The exception lists may only shrink: an entry that is not needed any more fails the test too.

mod circles;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Modules of `src/lib.rs` by layer; a module may import from lower numbers only.
const LAYERS: &[(&str, u8)] = &[
    ("base", 1),
    ("model", 2),
    ("core", 3),
    ("log", 4),
    ("host", 4),
    ("http", 4),
    ("control", 5),
    ("agent", 5),
    ("dns", 5),
    ("lb", 5),
    ("api", 6),
    ("compat", 6),
    ("node", 7),
    ("cli", 7),
    ("sim", 7),
];

/// Imports between neighbours of one layer, or upward, that are allowed. May only shrink.
const EDGES_ALLOWED: &[(&str, &str)] = &[("cli", "node"), ("cli", "sim")];

/// Lines past which a file needs an entry here, and how many it may have. May only shrink.
const LINES_MAX: usize = 600;
const LONG_FILES: &[(&str, usize)] = &[];

/// Calls that are banned outside the files named: time, randomness, tasks and the environment each
/// have one door.
const BANS: &[(&str, &[&str])] = &[
    ("SystemTime::now", &["src/base/clock.rs"]),
    ("tokio::spawn", &[]),
    ("thread::sleep", &[]),
    ("Uuid::new_v4", &[]),
    ("process::exit", &["src/main.rs"]),
    // Below a sandbox nothing is done by path: agent/sandbox/beneath.rs.
    ("chown(", &["src/agent/sandbox/beneath.rs"]),
    ("fs::copy(", &[]),
    ("File::create(", &["src/cli/files.rs"]),
    ("todo!(", &[]),
    ("unimplemented!(", &[]),
    ("dbg!(", &[]),
    ("#[ignore", &[]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root().join(dir)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("readable directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).expect("below the root");
                let text = fs::read_to_string(&path).expect("readable source");
                found.insert(name.display().to_string(), text);
            }
        }
    }
    found
}

fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/") || file.starts_with("tests/")
}

/// The source without its `#[cfg(test)] mod tests { … }` tail.
fn product_code(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |at| &text[..at])
}

/// The first-level modules that `text` names by `crate::`, in any kind of path or use tree.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let code: String =
        text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(tree) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in tree.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.insert(first_segment(&item));
                        item.clear();
                        continue;
                    }
                    _ => {}
                }
                item.push(c);
            }
            found.insert(first_segment(&item));
        } else {
            found.insert(first_segment(rest));
        }
    }
    found.remove("");
    found
}

fn first_segment(path: &str) -> String {
    path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn layers_point_down_only() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    let mut used_exceptions = BTreeSet::new();
    let mut bad = Vec::new();
    for (file, text) in rust_files("src") {
        let module = file.trim_start_matches("src/").split('/').next().unwrap_or_default();
        let module = module.trim_end_matches(".rs");
        let Some(own) = layers.get(module) else { continue };
        let text = if is_test(&file) { "" } else { product_code(&text) };
        for import in imports(text) {
            let Some(other) = layers.get(import.as_str()) else { continue };
            if import == module || other < own {
                continue;
            }
            match EDGES_ALLOWED.iter().find(|e| **e == (module, import.as_str())) {
                Some(edge) => drop(used_exceptions.insert(*edge)),
                None => bad.push(format!("{file} imports {import}")),
            }
        }
    }
    assert!(bad.is_empty(), "upward or sideways imports:\n{}", bad.join("\n"));
    let unused: Vec<_> = EDGES_ALLOWED.iter().filter(|e| !used_exceptions.contains(*e)).collect();
    assert!(unused.is_empty(), "exceptions no longer needed: {unused:?}");
}

#[test]
fn dialects_do_not_import_each_other() {
    let mut bad = Vec::new();
    for (file, text) in rust_files("src/compat") {
        let own = file.trim_start_matches("src/compat/").split('/').next().unwrap_or_default();
        for other in ["marathon", "mesos", "dcos"] {
            let named = product_code(&text).contains(&format!("compat::{other}"));
            if other != own && named && !is_test(&file) {
                bad.push(format!("{file} imports compat::{other}"));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn core_is_deterministic() {
    let mut bad = Vec::new();
    let banned = [
        "async fn",
        "HashMap",
        "HashSet",
        "std::fs",
        "std::net::Tcp",
        "Instant",
        "rand::",
        "std::env",
    ];
    for (file, text) in rust_files("src/core") {
        let code = if is_test(&file) { "" } else { product_code(&text) };
        for line in code.lines().filter(|l| !l.trim_start().starts_with("//")) {
            if let Some(word) = banned.iter().find(|w| line.contains(**w)) {
                bad.push(format!("{file}: {word}"));
            }
        }
    }
    assert!(
        bad.is_empty(),
        "core has no clock, I/O, randomness or hash order:\n{}",
        bad.join("\n")
    );
}

#[test]
fn every_file_says_what_it_owns() {
    let mut files = rust_files("src");
    files.extend(rust_files("tests"));
    let bad: Vec<_> =
        files.iter().filter(|(_, t)| !t.starts_with("//! ")).map(|(f, _)| f).collect();
    assert!(bad.is_empty(), "files without a //! head: {bad:?}");
}

#[test]
fn no_file_outgrows_its_idea() {
    let mut files = rust_files("src");
    files.extend(rust_files("tests"));
    let allowed: BTreeMap<&str, usize> = LONG_FILES.iter().copied().collect();
    let mut bad = Vec::new();
    for (file, text) in &files {
        let lines = text.lines().count();
        let max = allowed.get(file.as_str()).copied().unwrap_or(LINES_MAX);
        if lines > max {
            bad.push(format!("{file}: {lines} lines, {max} allowed"));
        }
    }
    for (file, _) in LONG_FILES {
        let short = files.get(*file).is_none_or(|t| t.lines().count() <= LINES_MAX);
        if short {
            bad.push(format!("{file} needs no entry any more"));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn banned_calls_have_one_door() {
    let mut bad = Vec::new();
    for (file, text) in rust_files("src") {
        let code = if is_test(&file) { "" } else { product_code(&text) };
        for line in code.lines().filter(|l| !l.trim_start().starts_with("//")) {
            for (call, doors) in BANS {
                if line.contains(call) && !doors.contains(&file.as_str()) {
                    bad.push(format!("{file}: {}", line.trim()));
                }
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn every_source_file_is_part_of_the_program() {
    let files = rust_files("src");
    let mut bad = Vec::new();
    for file in files.keys() {
        let path = Path::new(file);
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if ["lib", "main"].contains(&stem) {
            continue;
        }
        let dir = path.parent().unwrap_or(Path::new(""));
        let (name, above) = if stem == "mod" {
            (dir.file_name().and_then(|n| n.to_str()).unwrap_or_default(), dir.parent())
        } else {
            (stem, Some(dir))
        };
        let above = above.unwrap_or(Path::new("")).to_path_buf();
        let parents = [above.join("mod.rs"), above.with_extension("rs"), above.join("lib.rs")];
        let declared = parents
            .iter()
            .filter_map(|p| files.get(&p.display().to_string()))
            .any(|t| t.contains(&format!("mod {name};")) || t.contains(&format!("mod {name} {{")));
        if !declared {
            bad.push(file);
        }
    }
    assert!(bad.is_empty(), "files that no module declares: {bad:?}");
}

#[test]
fn every_decision_and_document_named_exists() {
    let mut bad = BTreeSet::new();
    let mut texts = rust_files("src");
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(root().join(name)).expect("document at the top level");
        texts.insert(name.to_owned(), text);
    }
    for (file, text) in &texts {
        for (at, _) in text.match_indices("docs/") {
            let path: String = text[at..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "/._-".contains(*c))
                .collect();
            let path = path.trim_end_matches('.');
            if path.ends_with(".md") && !root().join(path).exists() {
                bad.insert(format!("{file} names {path}"));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.into_iter().collect::<Vec<_>>().join("\n"));
}
