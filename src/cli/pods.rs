//! `tepui pod …`: lists, one pod, and changes through the Marathon dialect.

use http::Method;
use serde_json::{Value, json};

use super::{
    apps::{self, MARATHON},
    args::{Change, Pod, Watch},
    client::{Ask, app_path},
    definition::Source,
    deploy,
    error::{CliError, Outcome},
    keys,
    output::Table,
    run::{Context, confirm, repeat},
    text::{age, count, field, list, mem, number},
    verdict, wait,
};
use crate::base::clock::Timestamp;

/// Names the deployment of a change, whose answer is the pod.
const DEPLOYMENT: &str = "marathon-deployment-id";

pub async fn run(cx: &mut Context, pod: Pod) -> Outcome {
    match pod {
        Pod::List { watch } => repeat(cx, watch, show_list).await,
        Pod::Show { pod, definition, watch } => show(cx, &pod, definition, watch).await,
        Pod::Deploy { file, allow_unknown, change } => {
            put_file(cx, &file, allow_unknown, &change).await
        }
        Pod::Scale { pod, instances, change } => scale(cx, &pod, instances, &change).await,
        Pod::Restart { pod, change } => restart(cx, &pod, &change).await,
        Pod::Remove { pod, yes, change } => remove(cx, &pod, yes, &change).await,
    }
}

async fn show_list(cx: &mut Context) -> Outcome {
    let answer = cx.client.get("/tepui/v1/apps").await?;
    let pods: Vec<Value> =
        list(&answer, "apps").filter(|a| field(a, "kind") == "pod").cloned().collect();
    if cx.printer.json {
        return Ok(cx.printer.value(&Value::Array(pods))?);
    }
    let mut table = Table::new(&["ID", "STATUS", "RUNNING", "HEALTHY", "CPUS", "MEM", "CHANGED"]);
    for pod in &pods {
        table.row(row(pod, cx.io.clock.now()));
    }
    cx.printer.table(&table)?;
    for pod in pods.iter().filter(|pod| verdict::needs_attention(&pod["verdict"])) {
        let (id, sentence) = (field(pod, "id"), field(&pod["verdict"], "sentence"));
        cx.printer.note(&format!("{id}: {sentence}"))?;
    }
    Ok(())
}

fn row(pod: &Value, now: Timestamp) -> [String; 7] {
    let n = &pod["instances"];
    let healthy = match pod["has_health_checks"].as_bool() {
        Some(true) => format!("{}/{}", number(&n["healthy"]), number(&n["running"])),
        Some(false) | None => String::new(),
    };
    [
        field(pod, "id").to_owned(),
        field(pod, "condition").to_owned(),
        format!("{}/{}", number(&n["running"]), number(&n["wanted"])),
        healthy,
        number(&pod["cpus"]),
        mem(&pod["mem_mb"]),
        age(field(pod, "version"), now),
    ]
}

async fn show(cx: &mut Context, pod: &str, definition: bool, watch: Watch) -> Outcome {
    if definition {
        let answer = must_exist(cx, pod).await?;
        return Ok(cx.printer.value(&definition_of(&answer["spec"]))?);
    }
    repeat(cx, watch, async |cx| {
        let answer = must_exist(cx, pod).await?;
        if cx.printer.json {
            return Ok(cx.printer.value(&answer)?);
        }
        let n = &answer["instances"];
        verdict::print(cx, field(&answer, "id"), &answer["verdict"])?;
        let (running, wanted) = (number(&n["running"]), number(&n["wanted"]));
        cx.printer.line(&format!("instances  {running} of {wanted} running"))?;
        let each = [number(&answer["cpus"]), mem(&answer["mem_mb"])];
        cx.printer.line(&format!("each       {} cpus, {}", each[0], each[1]))?;
        for part in list(&answer, "containers") {
            cx.printer.line(&format!("container  {}", part_text(part)))?;
        }
        let mut table = Table::new(&["TASK", "STATUS", "HEALTH", "NODE", "AGE", "EXIT"]);
        let now = cx.io.clock.now();
        for instance in list(&answer, "tasks") {
            for container in list(instance, "containers") {
                table.row(container_row(container, instance, now));
            }
        }
        if list(&answer, "tasks").next().is_some() {
            cx.printer.line("")?;
            cx.printer.table(&table)?;
        }
        Ok(())
    })
    .await
}

/// What a container is, in a line.
fn part_text(part: &Value) -> String {
    let runs = [field(part, "image"), field(part, "cmd")];
    let runs: Vec<&str> = runs.into_iter().filter(|text| !text.is_empty()).collect();
    let sidecar = if part["sidecar"] == true { " (sidecar)" } else { "" };
    format!("{}{sidecar}  {}", field(part, "name"), runs.join("  "))
}

fn container_row(container: &Value, instance: &Value, now: Timestamp) -> [String; 6] {
    let health = match container["healthy"].as_bool() {
        Some(true) => "healthy",
        Some(false) => "unhealthy",
        None => "",
    };
    [
        field(container, "task_id").to_owned(),
        field(container, "condition").to_owned(),
        health.to_owned(),
        field(instance, "host").to_owned(),
        age(field(container, "since"), now),
        number(&container["exit_code"]),
    ]
}

async fn put_file(cx: &mut Context, file: &str, allow_unknown: bool, change: &Change) -> Outcome {
    let text = deploy::read(cx, file)?;
    let name = if file == "-" { "standard input" } else { file };
    let (source, pods) = Source::parse_pods(name, &text)?;
    if !allow_unknown {
        source.expect_known_keys(&pods, ("a pod", keys::of_pod))?;
    }
    for pod in &pods {
        let id = field(&pod.app, "id").to_owned();
        let put = put(cx, &definition_of(&pod.app), change).await;
        let answer = put.map_err(|e| e.located(&source, std::slice::from_ref(pod)))?;
        wait::for_change(cx, &answer, change, &[&id], &format!("{id} from {name}")).await?;
    }
    Ok(())
}

/// Sends a whole definition; answers as changes of apps do.
async fn put(cx: &mut Context, pod: &Value, change: &Change) -> Outcome<Value> {
    let path = app_path(field(pod, "id"))?;
    let path = format!("{MARATHON}/pods{path}?force={}", change.force);
    let ask = Ask::new(Method::PUT, path).json(pod);
    let (shown, deployment) = cx.client.json_with(ask, DEPLOYMENT).await?;
    Ok(json!({"deploymentId": deployment, "version": shown["version"]}))
}

/// A pod as it was shown without what only the server says.
fn definition_of(shown: &Value) -> Value {
    let mut pod = shown.clone();
    if let Value::Object(fields) = &mut pod {
        fields.remove("version");
    }
    pod
}

async fn scale(cx: &mut Context, pod: &str, instances: u32, change: &Change) -> Outcome {
    let shown = must_exist(cx, pod).await?;
    let mut wanted = definition_of(&shown["spec"]);
    wanted["scaling"] = json!({"kind": "fixed", "instances": instances});
    let answer = put(cx, &wanted, change).await?;
    wait::for_change(cx, &answer, change, &[pod], &format!("{pod} scales to {instances}")).await
}

async fn restart(cx: &mut Context, pod: &str, change: &Change) -> Outcome {
    must_exist(cx, pod).await?;
    let path = format!("{MARATHON}/pods{}/restart?force={}", app_path(pod)?, change.force);
    let answer = cx.client.json(Ask::post(path).json(&json!({}))).await?;
    wait::for_change(cx, &answer, change, &[pod], &format!("{pod} restarts")).await
}

async fn remove(cx: &mut Context, pod: &str, yes: bool, change: &Change) -> Outcome {
    let shown = must_exist(cx, pod).await?;
    if !yes {
        let running = shown["instances"]["running"].as_u64().unwrap_or(0);
        let running = count(usize::try_from(running).unwrap_or(0), "running instance");
        confirm(cx, &format!("Remove {} with {running}?", field(&shown, "id")))?;
    }
    let own = apps::own_deployments(cx, &shown).await?;
    let force = change.force || !own.is_empty();
    let path = format!("{MARATHON}/pods{}?force={force}", app_path(pod)?);
    let ask = Ask::new(Method::DELETE, path);
    let (_, deployment) = cx.client.json_with(ask, DEPLOYMENT).await?;
    let answer = json!({ "deploymentId": deployment });
    wait::for_change(cx, &answer, change, &[pod], &format!("{pod} is removed")).await
}

/// The pod, or "not found"; an app is none.
async fn must_exist(cx: &mut Context, pod: &str) -> Outcome<Value> {
    let shown = apps::must_exist(cx, pod).await?;
    if field(&shown, "kind") == "pod" {
        return Ok(shown);
    }
    let error = CliError::usage(format!("{} is an app, not a pod", field(&shown, "id")));
    Err(error.hint("tepui app does the same for apps"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_told_in_rows_of_their_own() {
        let part = json!({"name": "feed", "image": "feeder", "cmd": "--fast", "sidecar": true});
        assert_eq!(part_text(&part), "feed (sidecar)  feeder  --fast");
        let container = json!({"name": "feed", "task_id": "p.instance-1.feed.2", "condition":
            "finished", "since": "2026-01-01T00:00:00.000Z", "exit_code": 0});
        let now = Timestamp::from_ms(1_767_225_605_000);
        let row = container_row(&container, &json!({"host": "10.0.0.1"}), now);
        assert_eq!(row, ["p.instance-1.feed.2", "finished", "", "10.0.0.1", "5s", "0"]);
    }
}
