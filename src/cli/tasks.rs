//! `tepui task …`, and finding the tasks that a name on the command line means.

use serde_json::{Value, json};

use super::{
    apps::MARATHON,
    args::Task,
    client::{Ask, app_path, segment},
    error::{CliError, Exit, Outcome},
    files,
    output::Table,
    run::{Context, repeat},
    text::{age, count, field, list, mem, number},
};
use crate::base::clock::Timestamp;

pub async fn run(cx: &mut Context, task: Task) -> Outcome {
    match task {
        Task::List { app, node, all, watch } => {
            let mut path = format!("/tepui/v1/tasks?all={all}");
            for (name, value) in [("app", app), ("node", node)] {
                if let Some(value) = value {
                    path.push_str(&format!("&{name}={}", segment(&value)));
                }
            }
            repeat(cx, watch, async |cx| show_list(cx, &path).await).await
        }
        Task::Show { task } => show(cx, &task).await,
        Task::Kill { tasks, scale, wipe } => kill(cx, tasks, scale, wipe).await,
        Task::Ls { task, path, long } => files::ls(cx, &task, &path, long).await,
        Task::Download { task, path, output } => files::download(cx, &task, &path, output).await,
    }
}

async fn show_list(cx: &mut Context, path: &str) -> Outcome {
    let answer = cx.client.get(path).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer["tasks"])?);
    }
    let table = table(list(&answer, "tasks"), cx.io.clock.now(), true);
    Ok(cx.printer.table(&table)?)
}

/// Tasks as a table, with their app where it is not clear.
pub fn table<'a>(tasks: impl Iterator<Item = &'a Value>, now: Timestamp, with_app: bool) -> Table {
    let mut heads = vec!["TASK", "STATUS", "HEALTH", "NODE", "PORTS", "AGE", "RESTARTS"];
    if with_app {
        heads.insert(1, "APP");
    }
    let mut table = Table::new(&heads);
    for task in tasks {
        let health = match task["healthy"].as_bool() {
            Some(true) => "healthy",
            Some(false) => "unhealthy",
            None => "",
        };
        let ports: Vec<String> = list(task, "ports").map(number).collect();
        let mut row = vec![
            id(task).to_owned(),
            field(task, "condition").to_owned(),
            health.to_owned(),
            field(task, "host").to_owned(),
            ports.join(","),
            age(field(task, "since"), now),
            number(&task["restarts"]),
        ];
        if with_app {
            row.insert(1, field(task, "app_id").to_owned());
        }
        table.row(row);
    }
    table
}

/// The name to call a task by: its task id, or before its first launch its instance id.
pub fn id(task: &Value) -> &str {
    match field(task, "task_id") {
        "" => field(task, "id"),
        id => id,
    }
}

async fn show(cx: &mut Context, name: &str) -> Outcome {
    let task = one(cx, name).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&task)?);
    }
    let condition = cx.printer.toned(field(&task, "condition"));
    let since = age(field(&task, "since"), cx.io.clock.now());
    cx.printer.line(&format!("{}  {condition} for {since}", id(&task)))?;
    let ports: Vec<String> = list(&task, "ports").map(number).collect();
    let addresses: Vec<&str> = list(&task, "ip_addresses").filter_map(Value::as_str).collect();
    let resources = format!("{} cpus, {}", number(&task["cpus"]), mem(&task["mem_mb"]));
    for (name, value) in [
        ("app", field(&task, "app_id").to_owned()),
        ("node", field(&task, "host").to_owned()),
        ("address", addresses.join(" ")),
        ("ports", ports.join(" ")),
        ("holds", resources),
        ("exit code", number(&task["exit_code"])),
        ("message", field(&task, "message").to_owned()),
    ] {
        if !value.is_empty() {
            cx.printer.line(&format!("{name:<9}  {value}"))?;
        }
    }
    for check in list(&task, "health") {
        let word = if check["alive"] == true { "passes" } else { "fails" };
        let cause = field(check, "last_failure_cause");
        let cause = if cause.is_empty() { String::new() } else { format!(": {cause}") };
        let protocol = field(check, "protocol");
        cx.printer.line(&format!("check      {protocol} {word}{cause}"))?;
    }
    Ok(())
}

async fn kill(cx: &mut Context, names: Vec<String>, scale: bool, wipe: bool) -> Outcome {
    let mut ids = Vec::new();
    for name in &names {
        ids.push(id(&one(cx, name).await?).to_owned());
    }
    let path = format!("{MARATHON}/tasks/delete?scale={scale}&wipe={wipe}");
    let answer = cx.client.json(Ask::post(path).json(&json!({ "ids": ids }))).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    if !field(&answer, "deploymentId").is_empty() {
        return Ok(cx.printer.line(&format!("deployment {}", field(&answer, "deploymentId")))?);
    }
    for task in list(&answer, "tasks") {
        cx.printer.line(field(task, "id"))?;
    }
    match list(&answer, "tasks").count() {
        0 => Err(CliError::new(Exit::NotFound, "none of these tasks runs any more")),
        n => Ok(cx.printer.note(&format!("{} killed", count(n, "task")))?),
    }
}

/// The one task a name means: a task id, an instance id, or a beginning of one.
pub async fn one(cx: &mut Context, name: &str) -> Outcome<Value> {
    match cx.client.get(format!("/tepui/v1/tasks/{}", segment(name))).await {
        Err(error) if error.status == Some(404) => {
            let all = cx.client.get("/tepui/v1/tasks").await?;
            let mut alike: Vec<&Value> =
                list(&all, "tasks").filter(|t| id(t).starts_with(name)).collect();
            match (alike.pop(), alike.is_empty()) {
                (Some(only), true) => Ok(only.clone()),
                (Some(last), false) => {
                    let mut error = CliError::usage(format!("{name} may mean several tasks"));
                    error.details = alike.iter().chain([&last]).map(|t| id(t).to_owned()).collect();
                    Err(error.hint("write a few more letters"))
                }
                (None, _) => Err(error.hint("tepui task list shows the tasks there are")),
            }
        }
        other => other,
    }
}

/// The tasks a name means: one by its id, or all of an app that are there.
pub async fn of_target(cx: &mut Context, target: &str) -> Outcome<Vec<Value>> {
    if !target.starts_with('/') {
        match one(cx, target).await {
            Err(error) if error.status == Some(404) => {}
            found => return found.map(|task| vec![task]),
        }
    }
    let path = format!("/tepui/v1/apps{}", app_path(target));
    match cx.client.get(path).await {
        Ok(app) => Ok(list(&app, "tasks").cloned().collect()),
        Err(error) if error.status == Some(404) => {
            let text = format!("{target} is neither a task nor an app");
            Err(CliError::new(Exit::NotFound, text)
                .hint("tepui app list and tepui task list show what there is"))
        }
        Err(error) => Err(error),
    }
}
