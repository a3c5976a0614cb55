//! `tepui log` into the past and on from there: pages until there is enough, whose line is whose, what is
//! asked for.

use super::*;

const FIRST: &str = "web.instance-0123456789._app.3";
const BEFORE: &str = "web.instance-0123456789._app.2";

fn line(task: &str, second: u32, text: &str) -> Value {
    json!({"task": task, "stream": "stdout", "at": format!("2026-01-01T00:00:{second:02}.000Z"), "text": text})
}

fn site() -> Site {
    let site = Site::new();
    let task = json!({"id": "web.instance-0123456789", "task_id": FIRST, "app_id": "/web",
                      "condition": "running", "host": "a1"});
    site.says("GET /tepui/v1/apps/web", 200, json!({"id": "/web", "tasks": [task]}));
    let stream = |task: &str, cut: &str| json!({"task": task, "host": "a1", "stream": "stdout", "next_offset": 9, "cut": cut});
    let newest = json!({"lines": [line(FIRST, 9, "nine"), line(FIRST, 10, "ten")],
                        "before": "2026-01-01T00:00:09.000Z", "searched_bytes": 1,
                        "streams": [stream(FIRST, "lines"), stream(BEFORE, "unreachable")]});
    let older = json!({"lines": [line(BEFORE, 1, "one")], "searched_bytes": 1, "streams": []});
    site.says("GET /tepui/v1/logs", 200, newest).says("GET /tepui/v1/logs", 200, older);
    site
}

#[tokio::test]
async fn lines_of_all_attempts_come_in_order_page_by_page() {
    let site = site();
    let done = site.run("log /web --since 15m --grep n.n? --previous").await;
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(done.out, "[a1 01234567 #2] one\n[a1 01234567] nine\n[a1 01234567] ten\n",);
    assert_eq!(done.err, "a1 does not answer: its lines are missing\n");
    let asked: Vec<String> = site
        .script
        .asked
        .lock()
        .iter()
        .map(|a| a.line.clone())
        .filter(|l| l.contains("logs?"))
        .collect();
    for part in [
        "of=%2Fweb",
        "stream=stdout",
        "since=2025-12-31T23%3A45%3A00.000Z",
        "grep=n.n%3F",
        "previous=true",
    ] {
        assert!(asked.iter().all(|line| line.contains(part)), "{part}: {asked:?}");
    }
    assert_eq!(asked.len(), 2);
    assert!(
        !asked[0].contains("before=") && asked[1].contains("before=2026-01-01T00%3A00%3A09.000Z")
    );
}

#[tokio::test]
async fn as_many_lines_as_were_asked_for_with_their_times() {
    let site = site();
    let done = site.run("log /web --times -n 1").await;
    assert_eq!(done.out, "2026-01-01T00:00:10.000Z [a1 01234567] ten\n", "{}", done.err);
    let done = site.run("log /web --grep (").await;
    assert_eq!(done.code, 2, "{}", done.err);
    let done = site.run("log /web --grep x --file other").await;
    assert_eq!(done.code, 2, "{}", done.err);
}

#[tokio::test]
async fn what_is_searched_is_followed_in_order_over_a_connection_that_breaks() {
    let site = site();
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    let place = |mut line: Value, offset: u64, partial: bool| {
        (line["offset"], line["partial"]) = (json!(offset), json!(partial));
        line
    };
    let other = "web.instance-9876543210._app.1";
    let first = json!({"lines": [place(line(FIRST, 10, "ten"), 0, false),
                                 place(line(FIRST, 11, "elev"), 5, true)],
                       "searched_bytes": 0, "streams": []});
    let joined = json!({"lines": [place(line(other, 12, "twelve"), 0, false)], "searched_bytes": 0,
                        "streams": [{"task": other, "host": "a2", "stream": "stdout", "next_offset": 7}]});
    let cut = format!("{}{}event: li", event("lines", first), event("lines", joined));
    let again = json!({"lines": [place(line(FIRST, 11, "eleven"), 5, false),
                                 place(line(other, 12, "twelve"), 0, false)],
                       "searched_bytes": 0, "streams": []});
    let rest = format!("{}{}", event("lines", again), event("end", json!({})));
    site.says("GET /tepui/v1/logs", 200, cut).says("GET /tepui/v1/logs", 200, rest);
    let done = site.run("log /web --times --follow").await;
    assert_eq!(done.code, 0, "{}", done.err);
    let told: Vec<&str> = done.out.lines().skip(3).collect();
    assert_eq!(
        told,
        [
            "2026-01-01T00:00:12.000Z [a2 98765432] twelve",
            "2026-01-01T00:00:11.000Z [a1 01234567] eleven",
        ],
        "{}",
        done.out
    );
    let asked = site.lines();
    let follows: Vec<&String> = asked.iter().filter(|l| l.contains("follow=true")).collect();
    assert_eq!(follows.len(), 2);
    assert!(follows[1].contains("since=2026-01-01T00%3A00%3A10.000Z"), "{follows:?}");
}
