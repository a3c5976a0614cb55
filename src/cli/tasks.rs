//! `tepui task …`, and finding the tasks that a name on the command line means.

use serde_json::{Value, json};

use super::{
    apps::{self, MARATHON},
    args::Task,
    client::{Ask, app_path, segment},
    error::{CliError, Exit, Outcome},
    files, nodes,
    output::Table,
    run::{Context, repeat},
    text::{age, count, field, list, mem, number},
    verdict,
};
use crate::base::clock::Timestamp;

pub async fn run(cx: &mut Context, task: Task) -> Outcome {
    match task {
        Task::List { app, node, all, watch } => {
            let mut path = format!("/tepui/v1/tasks?all={all}");
            if let Some(app) = app {
                let app = field(&apps::must_exist(cx, &app).await?, "id").to_owned();
                path.push_str(&format!("&app={}", segment(&app)));
            }
            if let Some(node) = node {
                path.push_str(&format!("&node={}", segment(&nodes::id_of(cx, &node).await?)));
            }
            repeat(cx, watch, async |cx| show_list(cx, &path).await).await
        }
        Task::Show { task } => show(cx, &task).await,
        Task::Kill { tasks, scale, wipe } => kill(cx, tasks, scale, wipe).await,
        Task::Ls { task, path, long } => files::ls(cx, &task, &path, long).await,
        Task::Grep { task, pattern, path, ignore_case, limit } => {
            let pattern = if ignore_case { format!("(?i){pattern}") } else { pattern };
            files::grep(cx, &task, &path, &pattern, limit).await
        }
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
            word(task),
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

/// The word of the verdict; that of an older master, which has none, else.
fn word(task: &Value) -> String {
    match field(&task["verdict"], "state") {
        "" => field(task, "condition").to_owned(),
        state => state.to_owned(),
    }
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
    match task["verdict"].is_object() {
        true => verdict::print(cx, id(&task), &task["verdict"])?,
        false => cx.printer.line(&format!("{}  {}", id(&task), field(&task, "condition")))?,
    }
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

/// Tasks with one entry for each container: a pod's have an id and an output each.
pub fn by_container(tasks: Vec<Value>) -> Vec<Value> {
    let each = |task: Value| -> Vec<Value> {
        let containers: Vec<Value> = list(&task, "containers").cloned().collect();
        if containers.is_empty() {
            return vec![task];
        }
        let of = |container: Value| {
            let mut one = task.clone();
            one["task_id"] = container["task_id"].clone();
            one["condition"] = container["condition"].clone();
            one["container"] = container["name"].clone();
            one
        };
        containers.into_iter().map(of).collect()
    };
    tasks.into_iter().flat_map(each).collect()
}

/// The one task a name means: a task id, an instance id, or a beginning of one, also of the
/// instance's own number, which logs and the page show.
pub async fn one(cx: &mut Context, name: &str) -> Outcome<Value> {
    match exact(cx, name).await {
        Err(error) if error.status == Some(404) => short(cx, name, error).await,
        other => other,
    }
}

async fn exact(cx: &mut Context, name: &str) -> Outcome<Value> {
    // Nothing at all would be the list.
    let path = if name.is_empty() { "-".to_owned() } else { segment(name) };
    cx.client.get(format!("/tepui/v1/tasks/{path}")).await
}

async fn short(cx: &mut Context, name: &str, error: CliError) -> Outcome<Value> {
    let all = cx.client.get("/tepui/v1/tasks?all=true").await?;
    let is_meant = |task: &Value| {
        let number = field(task, "id").rsplit_once("instance-").map_or("", |(_, n)| n);
        !name.is_empty()
            && [id(task), field(task, "id"), number].iter().any(|i| i.starts_with(name))
    };
    let mut found: Vec<&Value> = list(&all, "tasks").filter(|t| is_meant(t)).collect();
    if found.len() > 1 {
        // What runs is meant rather than what has ended.
        let is_over = |task: &Value| {
            matches!(field(task, "condition"), "finished" | "failed" | "killed" | "lost" | "gone")
        };
        if found.iter().any(|t| !is_over(t)) {
            found.retain(|t| !is_over(t));
        }
    }
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(error.hint("tepui task list shows the tasks there are")),
        several => {
            let mut error = CliError::usage(format!("{name} may mean several tasks"));
            error.details = several.iter().map(|t| id(t).to_owned()).collect();
            Err(error.hint("write a few more letters"))
        }
    }
}

/// The tasks a name means: one by its id, all of an app that are there, or one by a beginning of
/// its id.
pub async fn of_target(cx: &mut Context, target: &str) -> Outcome<Vec<Value>> {
    let is_path = target.starts_with('/') || target.is_empty();
    if !is_path {
        match exact(cx, target).await {
            Err(error) if error.status == Some(404) => {}
            found => return found.map(|task| vec![task]),
        }
    }
    let path = format!("/tepui/v1/apps{}", app_path(target)?);
    let error = match cx.client.get(path).await {
        Ok(app) => return Ok(list(&app, "tasks").cloned().collect()),
        Err(error) if error.status == Some(404) => error,
        Err(error) => return Err(error),
    };
    if !is_path {
        match short(cx, target, error).await {
            Err(error) if error.status == Some(404) => {}
            found => return found.map(|task| vec![task]),
        }
    }
    let text = format!("{target} is neither a task nor an app");
    let error = apps::unknown(cx, target, CliError::new(Exit::NotFound, text)).await;
    Err(match error.hint.as_deref() {
        Some(hint) if !hint.starts_with("tepui app list") => error,
        _ => error.hint("tepui app list and tepui task list show what there is"),
    })
}
