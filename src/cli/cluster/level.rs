//! `tepui cluster show|raise`: the masters, and the level that mixed releases work at.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cli::{
    client::Ask,
    error::Outcome,
    output::Table,
    run::{Context, confirm},
    text::{field, list, number},
};

const PATH: &str = "/tepui/v1/level";
/// Hosts of one release that are named.
const HOSTS_SHOWN_MAX: usize = 5;

pub async fn show(cx: &mut Context) -> Outcome {
    let answer = cx.client.get(PATH).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    cx.printer.line(&in_words(&answer))?;
    for who in Told::read(&answer).held_back_by {
        cx.printer.line(&format!("held back by {who}"))?;
    }
    cx.printer.line("")?;
    let mut table = Table::new(&["MASTER", "RELEASE", "LEVEL", "FRONT DOOR", "PEERS"]);
    for master in list(&answer, "masters") {
        table.row([
            number(&master["id"]),
            field(master, "release").to_owned(),
            number(&master["level"]),
            field(master, "router").to_owned(),
            field(master, "peers").to_owned(),
        ]);
    }
    cx.printer.table(&table)?;
    let nodes = cx.client.get("/tepui/v1/nodes").await?;
    cx.printer.line("")?;
    let mut table = Table::new(&["NODES", "RELEASE", "LEVEL", "HOSTS"]);
    for ((release, level), hosts) in by_release(&nodes) {
        table.row([hosts.len().to_string(), release, level, named(&hosts)]);
    }
    Ok(cx.printer.table(&table)?)
}

/// Hosts by what they run.
fn by_release(nodes: &Value) -> BTreeMap<(String, String), Vec<&str>> {
    let mut by_release: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for node in list(nodes, "nodes") {
        let key = (field(node, "version").to_owned(), number(&node["level"]));
        by_release.entry(key).or_default().push(field(node, "host"));
    }
    by_release
}

/// The first few, and how many more there are.
fn named(hosts: &[&str]) -> String {
    let shown = hosts.iter().take(HOSTS_SHOWN_MAX).copied().collect::<Vec<_>>().join(", ");
    match hosts.len().saturating_sub(HOSTS_SHOWN_MAX) {
        0 => shown,
        n => format!("{shown} and {n} more"),
    }
}

/// What a cluster says of its level.
pub struct Told<'a> {
    pub at: String,
    /// The highest that the master knows which says so.
    pub highest: String,
    pub is_highest: bool,
    /// Who cannot do more.
    pub held_back_by: Vec<&'a str>,
}

impl<'a> Told<'a> {
    pub fn read(answer: &'a Value) -> Self {
        Self {
            at: number(&answer["level"]),
            highest: number(&answer["known"]),
            is_highest: answer["level"].as_u64() >= answer["known"].as_u64(),
            held_back_by: list(answer, "held_back_by").filter_map(Value::as_str).collect(),
        }
    }
}

fn in_words(answer: &Value) -> String {
    let Told { at, highest, is_highest, held_back_by } = Told::read(answer);
    if is_highest {
        return format!("level {at}, the highest this release knows");
    }
    let next = match held_back_by[..] {
        [] => "tepui cluster raise lets in what is new",
        _ => "older releases have to be upgraded, or removed, first",
    };
    format!("level {at} of {highest}: {next}")
}

/// What the level is after an upgrade, and what is left to do for it.
pub fn at_the_end(answer: &Value) -> String {
    let Told { at, highest, is_highest, held_back_by } = Told::read(answer);
    match (is_highest, &held_back_by[..]) {
        (true, _) => format!("the cluster is at level {at}, the highest this build knows"),
        (false, []) => format!(
            "the cluster is at level {at} and all could do {highest}; while it is not raised, going back works: \
             tepui cluster raise"
        ),
        (false, who) => format!(
            "the cluster is at level {at} of {highest}, held back by {}; upgrade or remove them",
            who.join(", ")
        ),
    }
}

pub async fn raise(cx: &mut Context, yes: bool) -> Outcome {
    if !yes {
        confirm(cx, "From then on no older release works with this cluster, on no node.")?;
    }
    let answer = cx.client.json(Ask::post(PATH).json(&json!({}))).await?;
    match cx.printer.json {
        true => Ok(cx.printer.value(&answer)?),
        false => Ok(cx.printer.note(&in_words(&answer))?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_told_by_what_they_run() {
        let node = |host: &str, version: &str, level: u32| json!({"host": host, "version": version, "level": level});
        let nodes =
            json!({"nodes": [node("a", "0.2.0", 6), node("b", "0.1.0", 5), node("c", "0.2.0", 6)]});
        let told: Vec<_> = by_release(&nodes).into_iter().collect();
        let key = |version: &str, level: &str| (version.to_owned(), level.to_owned());
        assert_eq!(told, [(key("0.1.0", "5"), vec!["b"]), (key("0.2.0", "6"), vec!["a", "c"])]);
        assert_eq!(named(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
    }

    #[test]
    fn the_level_at_the_end_says_what_is_left_to_do() {
        let words = |level: u64, who: &[&str]| {
            at_the_end(&json!({"level": level, "known": 6, "held_back_by": who}))
        };
        assert!(words(6, &[]).ends_with("the highest this build knows"));
        assert!(
            words(5, &[]).contains("all could do 6")
                && words(5, &[]).ends_with("tepui cluster raise")
        );
        assert!(words(5, &["node x (tepui 0.1.0)"]).contains("held back by node x (tepui 0.1.0)"));
    }
}
