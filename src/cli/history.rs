//! `tepui history`: what was done, by whom, and what became of it.

use serde_json::Value;

use super::{
    args::{Format, History},
    client::segment,
    error::Outcome,
    run::Context,
    text::{field, list, tame},
};

const PATH: &str = "/tepui/v1/history";
/// How long one question waits for news.
const WAIT_S: u32 = 20;
/// Records of one answer while news are followed: a burst is read in several.
const NEWS_MAX: u32 = 1_000;

pub async fn run(cx: &mut Context, asked: History) -> Outcome {
    let query = query(&asked);
    let mut answer = cx.client.get(format!("{PATH}?{query}&limit={}", asked.lines)).await?;
    let format = asked.output.unwrap_or(Format::Text);
    if cx.printer.json && format == Format::Text && !asked.follow {
        return Ok(cx.printer.value(&answer)?);
    }
    if format == Format::Json && !asked.follow {
        return Ok(cx.printer.value(&answer)?);
    }
    let as_text = format == Format::Text && !cx.printer.json;
    show(cx, &answer, as_text)?;
    if answer["dropped"] == Value::Bool(true) && answer["next"].is_null() {
        let since = time(field(&answer, "since"));
        cx.printer.note(&format!("older records were dropped; the history begins at {since}"))?;
    }
    let mut last = newest(&answer).unwrap_or_else(|| "0-1".to_owned());
    loop {
        if !asked.follow {
            return Ok(());
        }
        cx.printer.flush()?;
        let news = format!("{PATH}?{query}&after={last}&wait={WAIT_S}&limit={NEWS_MAX}");
        answer = cx.client.get(news).await?;
        show(cx, &answer, as_text)?;
        last = newest(&answer).unwrap_or(last);
    }
}

fn query(asked: &History) -> String {
    let mut parts = Vec::new();
    let texts = [
        ("of", asked.of.as_deref()),
        ("since", asked.since.as_deref()),
        ("until", asked.until.as_deref()),
        ("who", asked.who.as_deref()),
        ("grep", asked.grep.as_deref()),
    ];
    for (name, text) in texts {
        parts.extend(text.map(|text| format!("{name}={}", segment(text))));
    }
    parts.extend(asked.kind.iter().map(|kind| format!("kind={}", segment(kind))));
    parts.join("&")
}

/// The oldest first: what is new stands below.
fn show(cx: &mut Context, answer: &Value, as_text: bool) -> Outcome {
    let records: Vec<&Value> = list(answer, "records").collect();
    for record in records.into_iter().rev() {
        if !as_text {
            cx.printer.line(&record.to_string())?;
            continue;
        }
        cx.printer.line(&line(record))?;
        let last = field(&record["attempt"], "tail").lines().last().unwrap_or_default();
        if !last.is_empty() {
            cx.printer.line(&format!("{:20}  last line: {}", "", tame(last)))?;
        }
    }
    Ok(())
}

/// One record: when, what, to what, by whom.
fn line(record: &Value) -> String {
    let (of, text) = (tame(field(record, "of")), tame(field(record, "text")));
    let mut line = format!("{:20}  ", time(field(record, "at")));
    // A node's own text begins with its name.
    if !of.is_empty() && field(record, "kind") != "node" {
        line.push_str(&format!("{of} "));
    }
    line.push_str(&text);
    if field(record, "kind") == "deployment" {
        line.push_str(&format!(", took {}", field(record, "took")));
    }
    let by = &record["by"];
    if by.is_object() {
        line.push_str(&format!("  by {} ({})", tame(field(by, "uid")), field(by, "way")));
    }
    if let Some(why) = record["refused"].as_str() {
        line.push_str(&format!("  refused: {}", tame(why)));
    }
    line
}

/// The cursor behind which news stand.
fn newest(answer: &Value) -> Option<String> {
    let cursor = field(list(answer, "records").next()?, "cursor");
    Some(cursor.to_owned())
}

/// Without fractions: `2026-11-22 13:14:11Z`.
fn time(iso: &str) -> String {
    let seconds = iso.get(..19).unwrap_or(iso).replace('T', " ");
    format!("{seconds}Z")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_a_line_whatever_stands_in_it() {
        let at = "2026-11-22T13:14:11.042Z";
        let by = json!({"uid": "ann", "way": "cli"});
        for (record, wanted) in [
            (
                json!({"at": at, "kind": "change", "of": "/a", "text": "scaled from 2 to 5", "by": by}),
                "2026-11-22 13:14:11Z  /a scaled from 2 to 5  by ann (cli)",
            ),
            (
                json!({"at": at, "kind": "node", "of": "n1", "text": "host1 joined"}),
                "2026-11-22 13:14:11Z  host1 joined",
            ),
            (
                json!({"at": at, "kind": "deployment", "of": "/a", "text": "deployment done",
                    "took": "6.6 s"}),
                "2026-11-22 13:14:11Z  /a deployment done, took 6.6 s",
            ),
            (
                json!({"at": at, "kind": "change", "of": "/a", "text": "change", "by": by,
                    "refused": "locked"}),
                "2026-11-22 13:14:11Z  /a change  by ann (cli)  refused: locked",
            ),
        ] {
            assert_eq!(line(&record), wanted);
        }
        let hostile = json!({"at": at, "kind": "change", "of": "/a", "text": "\u{1b}[2Jboo"});
        assert!(!line(&hostile).contains('\u{1b}'), "{}", line(&hostile));
    }

    #[test]
    fn what_is_asked_for_is_passed_on() {
        let asked = History {
            of: Some("/shop/api".into()),
            since: Some("24h".into()),
            until: None,
            who: Some("a b".into()),
            kind: vec!["change".into(), "kill".into()],
            grep: None,
            lines: 9,
            follow: false,
            output: None,
        };
        assert_eq!(query(&asked), "of=%2Fshop%2Fapi&since=24h&who=a%20b&kind=change&kind=kill");
    }
}
