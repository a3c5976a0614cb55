//! `tepui app …`: lists, one app, and changes through the Marathon dialect.

use http::Method;
use serde_json::{Value, json};

use super::{
    args::{App, Change, Watch},
    client::{Ask, app_path, segment},
    deploy,
    error::{CliError, Outcome},
    output::Table,
    run::{Context, confirm, repeat},
    text::{age, count, field, list, mem, number},
    verdict,
    versions::{self, Back},
    wait,
};
use crate::{base::alike, model::AppId};

/// Where the Marathon dialect lives.
pub const MARATHON: &str = "/service/marathon/v2";

pub async fn run(cx: &mut Context, app: App) -> Outcome {
    match app {
        App::List { filter, label, watch } => show_list(cx, filter, label, watch).await,
        App::Show { app, definition } => show(cx, &app, definition).await,
        App::Deploy { file, allow_unknown, change } => {
            deploy::run(cx, &file, allow_unknown, &change).await
        }
        App::Scale { app, instances, change } => scale(cx, &app, instances, &change).await,
        App::Restart { app, change } => restart(cx, &app, &change).await,
        App::Remove { app, yes, change } => remove(cx, &app, yes, &change).await,
        App::Versions { app, watch } => {
            must_exist(cx, &app).await?;
            versions::versions(cx, &app, watch).await
        }
        App::Diff { app, from, to } => {
            must_exist(cx, &app).await?;
            versions::diff(cx, &app, from.as_deref(), to.as_deref()).await
        }
        App::Rollback { app, to, keep_instances, dry_run, yes, change } => {
            must_exist(cx, &app).await?;
            let back = Back { to, keep_instances, dry_run, yes };
            versions::rollback(cx, &app, back, &change).await
        }
    }
}

async fn show_list(
    cx: &mut Context,
    filter: Option<String>,
    labels: Vec<String>,
    watch: Watch,
) -> Outcome {
    let mut path = format!("/tepui/v1/apps?q={}", segment(&filter.unwrap_or_default()));
    for label in labels {
        path.push_str(&format!("&label={}", segment(&label)));
    }
    repeat(cx, watch, async |cx| {
        let answer = cx.client.get(&path).await?;
        if cx.printer.json {
            return Ok(cx.printer.value(&answer["apps"])?);
        }
        let mut table =
            Table::new(&["ID", "STATUS", "RUNNING", "HEALTHY", "CPUS", "MEM", "CHANGED", "RUNS"]);
        for app in list(&answer, "apps") {
            table.row(row(app, cx));
        }
        cx.printer.table(&table)?;
        for app in list(&answer, "apps").filter(|a| verdict::needs_attention(&a["verdict"])) {
            let (id, sentence) = (field(app, "id"), field(&app["verdict"], "sentence"));
            cx.printer.note(&format!("{id}: {sentence}"))?;
        }
        Ok(())
    })
    .await
}

fn row(app: &Value, cx: &Context) -> [String; 8] {
    let n = &app["instances"];
    let healthy = match app["has_health_checks"].as_bool() {
        Some(true) => format!("{}/{}", number(&n["healthy"]), number(&n["running"])),
        Some(false) | None => String::new(),
    };
    let runs = [field(app, "image"), field(app, "cmd")].into_iter().find(|t| !t.is_empty());
    [
        field(app, "id").to_owned(),
        field(app, "condition").to_owned(),
        format!("{}/{}", number(&n["running"]), number(&n["wanted"])),
        healthy,
        number(&app["cpus"]),
        mem(&app["mem_mb"]),
        age(field(app, "version"), cx.io.clock.now()),
        runs.unwrap_or_default().chars().take(40).collect(),
    ]
}

async fn show(cx: &mut Context, app: &str, definition: bool) -> Outcome {
    let answer = must_exist(cx, app).await?;
    if definition {
        return Ok(cx.printer.value(&deploy::definition_of(&answer["spec"]))?);
    }
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    let now = cx.io.clock.now();
    let n = &answer["instances"];
    let told = &answer["verdict"];
    verdict::print(cx, field(&answer, "id"), told)?;
    let (running, wanted) = (number(&n["running"]), number(&n["wanted"]));
    cx.printer.line(&format!("instances  {running} of {wanted} running"))?;
    let each = [number(&answer["cpus"]), mem(&answer["mem_mb"])];
    cx.printer.line(&format!("each       {} cpus, {}", each[0], each[1]))?;
    for (name, value) in [("image", field(&answer, "image")), ("command", field(&answer, "cmd"))] {
        if !value.is_empty() {
            cx.printer.line(&format!("{name:<9}  {value}"))?;
        }
    }
    if let Some(path) = answer["service_url"].as_str() {
        cx.printer.line(&format!("reached    {}{path}", cx.client.session.url))?;
    }
    if let Some(name) = list(&answer, "dns_names").next().and_then(Value::as_str) {
        cx.printer.line(&format!("name       {name}"))?;
    }
    let failure = &answer["last_failure"];
    let is_told = field(told, "cause").starts_with(field(failure, "message"));
    if failure.is_object() && !is_told {
        let (ago, task) = (age(field(failure, "at"), now), field(failure, "task_id"));
        let text = format!("{} ({ago} ago, task {task})", field(failure, "message"));
        cx.printer.line(&format!("failed     {text}"))?;
    }
    if list(&answer, "tasks").next().is_some() {
        cx.printer.line("")?;
        let table = super::tasks::table(list(&answer, "tasks"), now, false);
        cx.printer.table(&table)?;
    }
    Ok(())
}

async fn scale(cx: &mut Context, app: &str, instances: u32, change: &Change) -> Outcome {
    must_be_app(cx, app).await?;
    let path = format!("{MARATHON}/apps{}?force={}", app_path(app)?, change.force);
    let ask = Ask::new(Method::PUT, path).json(&json!({ "instances": instances }));
    let result = cx.client.json(ask).await?;
    wait::for_change(cx, &result, change, &[app], &format!("{app} scales to {instances}")).await
}

async fn restart(cx: &mut Context, app: &str, change: &Change) -> Outcome {
    must_be_app(cx, app).await?;
    let path = format!("{MARATHON}/apps{}/restart?force={}", app_path(app)?, change.force);
    let result = cx.client.json(Ask::post(path).json(&json!({}))).await?;
    wait::for_change(cx, &result, change, &[app], &format!("{app} restarts")).await
}

async fn remove(cx: &mut Context, app: &str, yes: bool, change: &Change) -> Outcome {
    let shown = must_be_app(cx, app).await?;
    if !yes {
        let running = shown["instances"]["running"].as_u64().unwrap_or(0);
        let running = count(usize::try_from(running).unwrap_or(0), "running instance");
        let lost = lost_with(&shown);
        confirm(cx, &format!("Remove {} with {running}?{lost}", field(&shown, "id")))?;
    }
    let own = own_deployments(cx, &shown).await?;
    if !own.is_empty() && !change.force {
        cx.printer.note(&format!("deployment {} is put aside", own.join(", ")))?;
    }
    let force = change.force || !own.is_empty();
    let path = format!("{MARATHON}/apps{}?force={force}", app_path(app)?);
    let result = cx.client.json(Ask::new(Method::DELETE, path)).await?;
    wait::for_change(cx, &result, change, &[app], &format!("{app} is removed")).await
}

/// What else goes with an app, or is left without it.
fn lost_with(app: &Value) -> String {
    let mut text = String::new();
    let volumes: Vec<String> = list(app, "volumes")
        .map(|v| format!("{} ({} each)", field(v, "path"), mem(&v["size_mb"])))
        .collect();
    if !volumes.is_empty() {
        text.push_str(&format!(
            " Its persistent data goes with it: {}; nothing brings it back.",
            volumes.join(", ")
        ));
    }
    let dependants: Vec<&str> = list(app, "dependants").filter_map(Value::as_str).collect();
    if !dependants.is_empty() {
        text.push_str(&format!(" Depending on it: {}.", dependants.join(", ")));
    }
    text
}

/// The deployments that work on this app and on nothing else. An app that never came up would be
/// held by its own first deployment for ever; removing it ends that anyway. Empty as soon as one
/// works on other apps too: those are not ours to stop.
pub async fn own_deployments(cx: &mut Context, app: &Value) -> Outcome<Vec<String>> {
    let holding: Vec<&str> = list(app, "deployments").filter_map(Value::as_str).collect();
    if holding.is_empty() {
        return Ok(Vec::new());
    }
    let all = cx.client.get("/tepui/v1/deployments").await?;
    let is_own = |id: &str| {
        let mut rows = list(&all, "deployments").filter(|d| field(d, "id") == id);
        rows.all(|d| list(d, "app_ids").all(|other| other.as_str() == Some(field(app, "id"))))
    };
    let own = holding.iter().all(|id| is_own(id));
    Ok(if own { holding.into_iter().map(str::to_owned).collect() } else { Vec::new() })
}

/// As `must_exist`, of a change that pods have a command of their own for.
async fn must_be_app(cx: &mut Context, app: &str) -> Outcome<Value> {
    let shown = must_exist(cx, app).await?;
    if field(&shown, "kind") != "pod" {
        return Ok(shown);
    }
    let error = CliError::usage(format!("{} is a pod, not an app", field(&shown, "id")));
    Err(error.hint("tepui pod does the same for pods"))
}

/// The app, or "not found" with names that look alike.
pub async fn must_exist(cx: &mut Context, app: &str) -> Outcome<Value> {
    match cx.client.get(format!("/tepui/v1/apps{}", app_path(app)?)).await {
        Err(error) if error.status == Some(404) => Err(unknown(cx, app, error).await),
        other => other,
    }
}

/// Adds what the caller may have meant: a group of apps, an app of that name elsewhere, or one
/// that is written almost alike.
pub async fn unknown(cx: &mut Context, app: &str, error: CliError) -> CliError {
    let wanted = AppId::parse(app);
    let Ok(all) = cx.client.get("/tepui/v1/apps").await else { return error };
    let ids: Vec<&str> = list(&all, "apps").map(|a| field(a, "id")).collect();
    let below: Vec<&str> =
        ids.iter().copied().filter(|id| AppId::parse(id).is_below(&wanted)).take(3).collect();
    if !below.is_empty() {
        return error.hint(format!("{} is a group; its apps: {}", wanted, below.join(" ")));
    }
    let named = ids.iter().copied().find(|id| AppId::parse(id).name() == wanted.name());
    match named.or_else(|| alike::nearest(wanted.as_str(), ids.iter().copied())) {
        Some(id) => error.hint(format!("did you mean {id}?")),
        None => error.hint("tepui app list shows the apps there are"),
    }
}
