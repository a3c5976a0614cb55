//! The cluster's inside, as far as its answers tell: masters and how far each is, level, nodes and their disks,
//! backups.

use std::time::Duration;

use serde_json::Value;

use super::Finding;
use crate::{
    base::{clock::Timestamp, units},
    cli::{
        client::Client,
        cluster::level::Told,
        text::{count, field, list, number},
    },
};

/// Entries that a master may lack while commands come.
const BEHIND_MAX: u64 = 1_000;
/// A disk with less than this part free is soon full.
const DISK_PERCENT_MIN: u64 = 5;
/// Without a schedule, a backup older than this is as good as none.
const BACKUP_AGE_MAX: Duration = Duration::from_secs(7 * 86_400);

pub async fn look(client: &Client, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Ok(told) = client.get("/tepui/v1/masters").await {
        findings.extend(masters(&told));
    }
    if let Ok(told) = client.get("/tepui/v1/level").await {
        findings.push(level(&told));
    }
    if let Ok(told) = client.get("/tepui/v1/nodes").await {
        findings.extend(nodes(&told));
    }
    findings.extend(match client.get("/tepui/v1/backups").await {
        Ok(told) => backups(&told, now),
        Err(error) if error.status == Some(403) => {
            vec![Finding::note("backups", "only a superuser sees them")]
        }
        // An older release has none.
        Err(error) if error.status == Some(404) => Vec::new(),
        Err(error) => vec![Finding::bad("backups", error.message)],
    });
    findings
}

fn masters(told: &Value) -> Vec<Finding> {
    let rows: Vec<&Value> = list(told, "masters").collect();
    let decide = |row: &&&Value| matches!(field(row, "part"), "leads" | "decides");
    let (n, n_decide) = (rows.len(), rows.iter().filter(decide).count());
    let all = match n {
        1 => "one master".to_owned(),
        _ => format!("{n} masters, {n_decide} of them decide"),
    };
    let mut findings = vec![match (told["stale"] == true, n_decide) {
        (true, _) => Finding::bad("masters", format!("{all}; this one hears no majority"))
            .hint("start the others; while most are away nothing can be changed"),
        (false, 1) => Finding::note("masters", all)
            .hint("with one, its disk is the cluster's: two more decide together with it"),
        (false, _) => Finding::good("masters", all),
    }];
    for row in rows {
        let (id, peers) = (number(&row["id"]), field(row, "peers"));
        if field(row, "part") == "outside" {
            let text = format!("master {id} ({peers}) has no part in the log");
            findings.push(Finding::bad("masters", text).hint("start it, or: tepui master remove"));
        }
        if let Some(behind) = row["behind"].as_u64().filter(|behind| *behind > BEHIND_MAX) {
            let text = format!("master {id} ({peers}) lacks {behind} entries");
            findings
                .push(Finding::bad("masters", text).hint("is it up, and its disk fast enough?"));
        }
    }
    findings
}

fn level(told: &Value) -> Finding {
    let Told { at, highest, is_highest, held_back_by } = Told::read(told);
    match (is_highest, &held_back_by[..]) {
        (true, _) => Finding::good("level", format!("{at}, the highest this release knows")),
        (false, []) => Finding::note("level", format!("{at}, and all could do {highest}"))
            .hint("when all are to stay at this release: tepui cluster raise"),
        (false, who) => {
            Finding::note("level", format!("{at} of {highest}, held back by {}", who.join(", ")))
        }
    }
}

fn nodes(told: &Value) -> Vec<Finding> {
    let rows: Vec<&Value> = list(told, "nodes").collect();
    let is_silent = |row: &&Value| field(row, "condition") == "unreachable";
    let silent: Vec<&Value> = rows.iter().copied().filter(is_silent).collect();
    let hosts: Vec<&str> = silent.iter().map(|row| field(row, "host")).collect();
    let all = count(rows.len(), "node");
    let mut findings = vec![match hosts[..] {
        [] => Finding::good("nodes", format!("{all}, none is silent")),
        _ => Finding::bad("nodes", format!("{all}, of these silent: {}", hosts.join(", ")))
            .hint("look at the machine, or: tepui node remove"),
    }];
    for row in rows {
        let mb = |of: &str| row[of]["disk_mb"].as_f64();
        let (Some(total), Some(used)) = (mb("total"), mb("used")) else { continue };
        if total > 0.0 && (total - used) / total * 100.0 < DISK_PERCENT_MIN as f64 {
            let text =
                format!("the disk of {} is full but for {DISK_PERCENT_MIN} %", field(row, "host"));
            findings.push(Finding::bad("nodes", text).hint("make room there: docker system prune"));
        }
    }
    findings
}

fn backups(told: &Value, now: Timestamp) -> Vec<Finding> {
    const NONE: &str =
        "see docs/backup.md: a cluster whose masters are lost comes back from one only";
    let Some(to) = told["to"].as_str() else {
        return vec![Finding::note("backups", "no place for them is set").hint(NONE)];
    };
    let every = told["every_s"].as_u64().map(Duration::from_secs);
    let newest = list(told, "backups").next();
    let age = newest.and_then(|kept| Timestamp::parse(field(kept, "made_at")));
    let age = age.map(|at| now.since(at));
    // One that is being made, or failed once and is tried again, is no trouble yet.
    let age_max = every.map_or(BACKUP_AGE_MAX, |every| every * 2);
    let mut findings = vec![match age {
        None => Finding::bad("backups", format!("there is none at {to}")).hint(NONE),
        Some(age) => {
            let text = format!("the newest at {to} is {} old", units::duration(age));
            match age <= age_max {
                true => Finding::good("backups", text),
                false => Finding::bad("backups", text).hint("tepui backup create --keep makes one"),
            }
        }
    }];
    if every.is_none() {
        let note = Finding::note("backups", "none is made by itself");
        findings.push(note.hint("set backup_every on all masters"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::Level, *};

    fn levels(findings: &[Finding]) -> Vec<Level> {
        findings.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn masters_that_lag_or_have_no_part_are_bad_and_a_single_one_is_told() {
        let row =
            |id: u64, part: &str, behind: u64| json!({"id": id, "part": part, "behind": behind});
        let three = json!({"stale": false, "masters": [
            row(1, "leads", 0), row(2, "decides", 7), row(3, "decides", 0),
        ]});
        assert_eq!(levels(&masters(&three)), [Level::Good]);
        let odd = json!({"stale": true, "masters": [
            row(1, "decides", 0), row(2, "outside", 0), row(3, "decides", 90_000),
        ]});
        assert_eq!(levels(&masters(&odd)), [Level::Bad, Level::Bad, Level::Bad]);
        let one = json!({"stale": false, "masters": [row(1, "leads", 0)]});
        assert_eq!(levels(&masters(&one)), [Level::Note]);
    }

    #[test]
    fn what_holds_a_level_back_is_told_by_name() {
        let told = |level: u64, who: &[&str]| level_of(level, who);
        fn level_of(level: u64, who: &[&str]) -> Finding {
            super::level(&json!({"level": level, "known": 4, "held_back_by": who}))
        }
        assert_eq!(told(4, &[]).level, Level::Good);
        assert!(told(3, &[]).hint.is_some());
        assert!(told(3, &["master 2 (tepui 0.0.9)"]).text.ends_with("master 2 (tepui 0.0.9)"));
    }

    #[test]
    fn silent_nodes_and_full_disks_are_bad() {
        let row = |host: &str, condition: &str, used: u64| {
            json!({"host": host, "condition": condition, "total": {"disk_mb": 1_000},
                "used": {"disk_mb": used}})
        };
        let good = json!({"nodes": [row("a", "active", 900), row("b", "draining", 0)]});
        assert_eq!(levels(&nodes(&good)), [Level::Good]);
        let odd = json!({"nodes": [row("a", "unreachable", 0), row("b", "active", 960)]});
        let odd = nodes(&odd);
        assert_eq!(levels(&odd), [Level::Bad, Level::Bad]);
        assert!(odd[0].text.ends_with("silent: a") && odd[1].text.contains("disk of b"), "{odd:?}");
    }

    #[test]
    fn backups_are_due_by_their_schedule_and_old_without_one() {
        let now = Timestamp::from_ms(1_800_000_000_000);
        let told = |hours: u64, every_s: Option<u64>| {
            let made_at = (now - Duration::from_secs(hours * 3_600)).to_string();
            let told = json!({"to": "/b", "every_s": every_s, "backups": [{"made_at": made_at}]});
            levels(&backups(&told, now))
        };
        assert_eq!(told(47, Some(86_400)), [Level::Good]);
        assert_eq!(told(49, Some(86_400)), [Level::Bad]);
        assert_eq!(told(49, None), [Level::Good, Level::Note]);
        assert_eq!(told(200, None), [Level::Bad, Level::Note]);
        assert_eq!(levels(&backups(&json!({"backups": []}), now)), [Level::Note]);
        let none = json!({"to": "/b", "every_s": 60, "backups": []});
        assert_eq!(levels(&backups(&none, now)), [Level::Bad]);
    }
}
