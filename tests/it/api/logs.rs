//! What all instances wrote, merged: order, pages without a gap, the search, and what is said of what
//! was not looked at. The files of this world are those of every instance.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{World, ask, get};

/// Gives a file an index: from each offset on, a time in milliseconds.
pub fn time(world: &World, file: &str, records: &[(u32, i64)]) {
    let mut index = Vec::new();
    for (offset, at) in records {
        index.extend(offset.to_le_bytes());
        index.extend(at.to_le_bytes());
    }
    world.files.lock().insert(format!(".{file}.times"), index);
}

/// A file of numbered lines, each a second after the other.
pub fn write(world: &World, file: &str, numbers: std::ops::Range<i64>) {
    let (mut text, mut times) = (String::new(), Vec::new());
    for n in numbers {
        times.push((u32::try_from(text.len()).unwrap(), n * 1_000));
        text.push_str(&format!("{file} {n}\n"));
    }
    world.files.lock().insert(file.to_owned(), text.into_bytes());
    time(world, file, &times);
}

pub fn texts(logs: &Value) -> Vec<&str> {
    logs["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn both_streams_of_all_instances_come_in_order() {
    let world = World::new();
    world.app("/web", 2, |_| {});
    world.files.lock().clear();
    write(&world, "stdout", 10..13);
    write(&world, "stderr", 11..12);
    let logs = get(&world, "/logs?of=/web").await;
    let wanted = [
        "stdout 10",
        "stdout 10",
        "stdout 11",
        "stdout 11",
        "stderr 11",
        "stderr 11",
        "stdout 12",
        "stdout 12",
    ];
    let mut found = texts(&logs);
    found.sort_by_key(|text| text.rsplit(' ').next().unwrap().to_owned());
    let sets = |all: &[&str]| all.iter().map(|t| (*t).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!((found.len(), sets(&found)), (wanted.len(), sets(&wanted)));
    let times: Vec<&str> =
        logs["lines"].as_array().unwrap().iter().map(|l| l["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times[0], "1970-01-01T00:00:10.000Z");
    let tasks: BTreeSet<&str> =
        logs["lines"].as_array().unwrap().iter().map(|l| l["task"].as_str().unwrap()).collect();
    assert_eq!(tasks.len(), 2);
    assert_eq!(logs["streams"].as_array().unwrap().len(), 4);
    assert_eq!(logs["streams"][0]["next_offset"], 30);
    assert_eq!(logs["before"], Value::Null, "that is all there is");
    let of = |stream: &str| -> i64 {
        let counts = logs["histogram"][stream].as_array().unwrap();
        counts.iter().map(|n| n.as_i64().unwrap()).sum()
    };
    assert_eq!((of("stdout"), of("stderr")), (6, 2));

    let one = get(&world, "/logs?of=/web&stream=stderr").await;
    assert_eq!(texts(&one), ["stderr 11", "stderr 11"]);
    let task = world.task_id("/web");
    let one = get(&world, &format!("/logs?of={task}")).await;
    assert_eq!(texts(&one).len(), 4);
}

#[tokio::test]
async fn pages_fit_together_over_a_rotation_without_a_gap_or_a_double() {
    let world = World::new();
    world.app("/web", 1, |_| {});
    world.files.lock().clear();
    // More than one piece of the file, more than one of its index, and an older part.
    write(&world, "stdout.1", 0..9_000);
    write(&world, "stdout", 9_000..20_000);
    let mut all: Vec<String> = Vec::new();
    let mut path = "/logs?of=/web&stream=stdout&limit=3000".to_owned();
    let mut pages = 0;
    loop {
        let logs = get(&world, &path).await;
        let mut page: Vec<String> = texts(&logs).iter().map(|t| (*t).to_owned()).collect();
        page.extend(all);
        all = page;
        pages += 1;
        let Some(before) = logs["before"].as_str() else { break };
        assert!(pages < 20, "it goes on for ever at {before}");
        path = format!("/logs?of=/web&stream=stdout&limit=3000&before={before}");
    }
    let wanted: Vec<String> = (0..20_000)
        .map(|n| if n < 9_000 { format!("stdout.1 {n}") } else { format!("stdout {n}") })
        .collect();
    assert_eq!((pages, all.len()), (7, wanted.len()));
    assert!(all == wanted, "the lines are others");

    let logs = get(&world, "/logs?of=/web&stream=stdout&since=1970-01-01T05:33:18Z").await;
    assert_eq!(texts(&logs), ["stdout 19998", "stdout 19999"]);
    let logs = get(&world, "/logs?of=/web&stream=stdout&grep=1%208999%24").await;
    assert_eq!(texts(&logs), ["stdout.1 8999"]);
    let logs =
        get(&world, "/logs?of=/web&stream=stdout&grep=(%3Fi)STDOUT%20.*77%24&limit=5000").await;
    assert_eq!(texts(&logs).len(), 110);
}

#[tokio::test]
async fn pages_onwards_fit_together_too() {
    let world = World::new();
    world.app("/web", 2, |_| {});
    world.files.lock().clear();
    write(&world, "stdout.1", 0..9_000);
    write(&world, "stdout", 9_000..20_000);
    let mut path = "/logs?of=/web&stream=stdout&limit=3000&after=1970-01-01T02:00:00Z".to_owned();
    let mut all: Vec<String> = Vec::new();
    loop {
        let logs = get(&world, &path).await;
        assert_eq!(logs["before"], Value::Null);
        all.extend(texts(&logs).iter().map(|t| (*t).to_owned()));
        let Some(after) = logs["after"].as_str() else { break };
        assert!(all.len() < 40_000, "it goes on for ever at {after}");
        path = format!("/logs?of=/web&stream=stdout&limit=3000&after={after}");
    }
    // Two instances, the same file: each line twice.
    let wanted: Vec<String> = (7_200..20_000)
        .flat_map(|n| [n; 2])
        .map(|n| if n < 9_000 { format!("stdout.1 {n}") } else { format!("stdout {n}") })
        .collect();
    assert_eq!(all.len(), wanted.len());
    assert!(all == wanted, "the lines are others");

    let between = "after=1970-01-01T02:29:59Z&before=1970-01-01T02:30:01Z";
    let logs = get(&world, &format!("/logs?of=/web&stream=stdout&{between}")).await;
    let wanted = ["stdout.1 8999", "stdout.1 8999", "stdout 9000", "stdout 9000"];
    assert_eq!(texts(&logs), wanted);
    let logs = get(&world, "/logs?of=/web&after=1971-01-01T00:00:00Z").await;
    assert_eq!((&logs["lines"], &logs["after"]), (&json!([]), &Value::Null), "nothing is so new");
    // More lines of one moment than were asked for come together.
    world.files.lock().clear();
    let text = "same\n".repeat(40);
    world.files.lock().insert("stdout".into(), text.into_bytes());
    time(&world, "stdout", &[(0, 7_000_000), (100, 7_000_001)]);
    let first = "/logs?of=/web&stream=stdout&limit=3&after=1970-01-01T01:56:40Z";
    let logs = get(&world, first).await;
    assert_eq!((texts(&logs).len(), &logs["after"]), (40, &json!("1970-01-01T01:56:40.001Z")));
}

#[tokio::test]
async fn lines_say_where_they_stand_and_whether_they_have_ended() {
    let world = World::new();
    world.app("/web", 1, |_| {});
    world.files.lock().clear();
    let long = "y".repeat(300 << 10);
    world.files.lock().insert("stdout".into(), format!("one\n{long}\ntwo").into_bytes());
    let logs = get(&world, "/logs?of=/web&stream=stdout").await;
    let place = |i: usize| (&logs["lines"][i]["offset"], &logs["lines"][i]["partial"]);
    assert_eq!(place(0), (&json!(0), &Value::Null));
    assert_eq!(place(1), (&json!(4), &Value::Null));
    assert_eq!(place(2), (&json!(307_205), &json!(true)));
    assert_eq!((texts(&logs)[1].len(), &logs["lines"][1]["cut"]), (64 << 10, &json!(true)));
    assert_eq!(logs["streams"][0]["next_offset"], 307_205, "it comes again when it has ended");
}

#[tokio::test]
async fn what_was_not_looked_at_is_said() {
    let world = World::new();
    world.app("/web", 1, |_| {});
    world.files.lock().clear();
    world.files.lock().insert("stdout".into(), b"one\ntwo\n".to_vec());
    // As of an agent of an older release: output, and nothing about its times.
    let logs = get(&world, "/logs?of=/web").await;
    assert_eq!(texts(&logs), ["one", "two"]);
    assert_eq!(logs["lines"][0]["at"], Value::Null);
    assert_eq!((&logs["histogram"], &logs["before"]), (&Value::Null, &Value::Null));
    assert_eq!(logs["streams"][0]["cut"], Value::Null);
    assert_eq!(logs["streams"][1]["cut"], "not_kept", "no error output was ever kept");
    let older = get(&world, "/logs?of=/web&before=1970-01-01T00:00:00Z").await;
    assert_eq!(older["lines"], json!([]), "and it is not told with every older page again");

    // Far more than may be searched for one answer: the search goes on where it was cut.
    let line = format!("{}\n", "x".repeat(1_023));
    let n = 40 << 10;
    let mut text = line.repeat(n);
    text.replace_range(0..6, "needle");
    let times: Vec<(u32, i64)> = (0..n).map(|i| ((i << 10) as u32, i as i64 * 1_000)).collect();
    world.files.lock().insert("stdout".into(), text.into_bytes());
    time(&world, "stdout", &times);
    let logs = get(&world, "/logs?of=/web&stream=stdout&grep=needle").await;
    assert_eq!((texts(&logs).len(), &logs["streams"][0]["cut"]), (0, &json!("bytes")));
    let before = logs["before"].as_str().unwrap();
    let logs =
        get(&world, &format!("/logs?of=/web&stream=stdout&grep=needle&before={before}")).await;
    assert_eq!(texts(&logs).len(), 1);

    world.away.lock().extend(world.state().nodes.keys().cloned());
    let logs = get(&world, "/logs?of=/web").await;
    assert_eq!((&logs["lines"], &logs["streams"][0]["cut"]), (&json!([]), &json!("unreachable")));
}

#[tokio::test]
async fn hostile_indexes_and_patterns_cost_nothing() {
    let world = World::new();
    world.app("/web", 1, |_| {});
    world.files.lock().insert("stdout".into(), b"a\nb\n\xff\n".to_vec());
    // Times that go back, places that do not exist, a torn record at the end.
    time(&world, "stdout", &[(4_000_000_000, i64::MAX), (0, i64::MIN), (2, 5), (1, -7)]);
    world.files.lock().get_mut(".stdout.times").unwrap().extend([1, 2, 3]);
    for query in ["", "&since=1970-01-01T00:00:00Z", "&before=1970-01-01T00:00:01Z", "&limit=1"] {
        get(&world, &format!("/logs?of=/web{query}")).await;
    }
    let long = "a".repeat(1_025);
    for pattern in ["(", "%5Cp%7BL%7D%7B900%7D%7B900%7D", long.as_str()] {
        let (status, _) =
            ask(&world, http::Method::GET, &format!("/logs?of=/web&grep={pattern}"), "").await;
        assert_eq!(status, 422, "{pattern}");
    }
}
