//! The merged output, followed: the newest page, what comes then, instances that come later, a rotation,
//! lines that have not ended, a search, an end.

use serde_json::{Value, json};
use tepui::{base::task::Tasks, model::instance::Condition};

use super::{
    Events, World, ask,
    logs::{texts, time, write},
    table,
};

fn append(world: &World, file: &str, text: &str) {
    world.files.lock().get_mut(file).unwrap().extend_from_slice(text.as_bytes());
}

async fn lines(events: &mut Events) -> Value {
    events.until("lines").await.1
}

#[tokio::test]
async fn the_newest_page_is_followed_by_what_comes_then() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    world.app("/web", 2, |_| {});
    world.files.lock().clear();
    write(&world, "stdout", 10..13);
    write(&world, "stderr", 11..12);
    let table = table(&world, &tasks);
    let mut events = Events::open(&table, "/logs?of=/web&limit=4&follow=true", None).await;
    let page = lines(&mut events).await;
    let newest = ["stdout 11", "stdout 11", "stderr 11", "stderr 11", "stdout 12", "stdout 12"];
    let mut found = texts(&page);
    found.sort_by_key(|text| text.rsplit(' ').next().unwrap().to_owned());
    assert_eq!(found.len(), newest.len(), "a moment stays whole: {found:?}");
    assert_eq!(page["before"], "1970-01-01T00:00:11.000Z");
    assert_eq!(page["streams"].as_array().unwrap().len(), 4);

    append(&world, "stdout", "later\nunfin");
    time(&world, "stdout", &[(0, 10_000), (10, 11_000), (20, 12_000), (30, 13_000)]);
    let more = lines(&mut events).await;
    assert_eq!(texts(&more), ["later", "later"]);
    assert_eq!(
        (&more["lines"][0]["at"], &more["lines"][0]["offset"]),
        (&json!("1970-01-01T00:00:13.000Z"), &json!(30))
    );
    assert_eq!(more["streams"], json!([]), "there is no news of them");
    // It does not go on: told as it is, and once more when it has ended.
    let more = lines(&mut events).await;
    let line = &more["lines"][0];
    assert_eq!(
        (&line["text"], &line["partial"], &line["offset"]),
        (&json!("unfin"), &json!(true), &json!(36))
    );
    append(&world, "stdout", "ished\n");
    let more = lines(&mut events).await;
    let line = &more["lines"][0];
    assert_eq!(
        (&line["text"], &line["partial"], &line["offset"]),
        (&json!("unfinished"), &Value::Null, &json!(36))
    );
}

#[tokio::test]
async fn instances_that_come_later_join() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    world.app("/web", 1, |_| {});
    world.files.lock().clear();
    write(&world, "stdout", 1..3);
    let table = table(&world, &tasks);
    let path = "/logs?of=/web&stream=stdout&grep=2%24&follow=true";
    let mut events = Events::open(&table, path, None).await;
    assert_eq!(texts(&lines(&mut events).await), ["stdout 2"]);
    world.app("/web", 2, |_| {});
    let joined = lines(&mut events).await;
    assert_eq!(texts(&joined), ["stdout 2"], "all it wrote, where it matches");
    assert_eq!(joined["streams"].as_array().unwrap().len(), 1);
    assert_eq!(joined["streams"][0]["task"], joined["lines"][0]["task"]);
    world.away.lock().extend(world.state().nodes.keys().cloned());
    let away = lines(&mut events).await;
    assert_eq!((&away["streams"][0]["cut"], &away["lines"]), (&json!("unreachable"), &json!([])));
    world.away.lock().clear();
    append(&world, "stdout", "and 2\n");
    let mut found = Vec::new();
    while found.len() < 2 {
        found.extend(texts(&lines(&mut events).await).iter().map(|t| (*t).to_owned()));
    }
    assert_eq!(found, ["and 2", "and 2"], "nothing is lost while an agent is away");
}

#[tokio::test]
async fn a_rotation_loses_nothing_and_a_task_that_ends_is_told_to_its_end() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    world.app("/web", 1, |_| {});
    world.files.lock().clear();
    write(&world, "stdout", 1..100);
    let (table, task) = (table(&world, &tasks), world.task_id("/web"));
    let path = format!("/logs?of={task}&stream=stdout&limit=1&follow=true");
    let mut events = Events::open(&table, &path, None).await;
    assert_eq!(texts(&lines(&mut events).await), ["stdout 99"]);
    // Written on, then moved aside: what stands at its end was read by nobody yet.
    append(&world, "stdout", "last of the old\n");
    {
        let mut files = world.files.lock();
        for name in ["stdout", ".stdout.times"] {
            let bytes = files.remove(name).unwrap();
            files.insert(name.replace("stdout", "stdout.1"), bytes);
        }
        files.insert("stdout".into(), b"first of the new\n".to_vec());
    }
    time(&world, "stdout", &[(0, 200_000)]);
    let mut found = Vec::new();
    while found.len() < 2 {
        found.extend(texts(&lines(&mut events).await).iter().map(|t| (*t).to_owned()));
    }
    assert_eq!(found, ["last of the old", "first of the new"]);
    append(&world, "stdout", "no break at the end");
    let instance = world.state().instances.values().next().unwrap().id.clone();
    world.report(instance.as_str(), Condition::Failed, |_| {});
    let mut last = lines(&mut events).await;
    if last["lines"][0]["partial"] == true {
        last = lines(&mut events).await;
    }
    assert_eq!(
        (texts(&last), &last["lines"][0]["partial"]),
        (vec!["no break at the end"], &Value::Null)
    );
    assert_eq!(events.until("end").await.1["reason"], "task_ended");
}

#[tokio::test]
async fn who_is_too_far_behind_skips_and_is_told() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    world.app("/web", 1, |_| {});
    world.files.lock().clear();
    write(&world, "stdout", 1..3);
    let table = table(&world, &tasks);
    let mut events = Events::open(&table, "/logs?of=/web&stream=stdout&follow=true", None).await;
    assert_eq!(texts(&lines(&mut events).await).len(), 2);
    append(&world, "stdout", &format!("{}\n", "x".repeat(1_023)).repeat(3 << 10));
    append(&world, "stdout", "the end\n");
    let (mut n_lines, mut cut) = (0, Value::Null);
    loop {
        let logs = lines(&mut events).await;
        n_lines += texts(&logs).len();
        if cut.is_null() {
            cut = logs["streams"][0]["cut"].clone();
        }
        if texts(&logs).last() == Some(&"the end") {
            break;
        }
    }
    assert_eq!(cut, "behind");
    assert!((500..3 << 10).contains(&n_lines), "{n_lines} lines were told");
    let bad = "/logs?of=/web&follow=true&after=1970-01-01T00:00:00Z";
    assert_eq!(ask(&world, http::Method::GET, bad, "").await.0, 422);
}
