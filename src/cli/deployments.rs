//! `tepui deployment …`.

use http::Method;
use serde_json::Value;

use super::{
    apps::MARATHON,
    args::Deployment,
    client::{Ask, segment},
    error::{CliError, Exit, Outcome},
    output::Table,
    run::{Context, repeat},
    text::{age, field, list, number},
    verdict, wait,
};

pub async fn run(cx: &mut Context, deployment: Deployment) -> Outcome {
    match deployment {
        Deployment::List { watch } => repeat(cx, watch, show_list).await,
        Deployment::Show { deployment } => show(cx, &deployment).await,
        Deployment::Cancel { deployment, keep } => cancel(cx, &deployment, keep).await,
        Deployment::Watch { deployment, timeout } => {
            let id = field(&find(cx, &deployment).await?, "id").to_owned();
            wait::follow(cx, &id, &[], None, timeout).await
        }
    }
}

async fn show_list(cx: &mut Context) -> Outcome {
    let answer = cx.client.get("/tepui/v1/deployments").await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer["deployments"])?);
    }
    let mut table = Table::new(&["ID", "STEP", "AGE", "BY", "APPS", "NOW"]);
    for deployment in list(&answer, "deployments") {
        table.row([
            field(deployment, "id").to_owned(),
            format!("{}/{}", number(&deployment["step"]), number(&deployment["steps"])),
            age(field(deployment, "started_at"), cx.io.clock.now()),
            field(&deployment["by"], "uid").to_owned(),
            apps(deployment),
            list(deployment, "actions").map(action).collect::<Vec<_>>().join(", "),
        ]);
    }
    Ok(cx.printer.table(&table)?)
}

fn apps(deployment: &Value) -> String {
    list(deployment, "app_ids").filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

fn action(action: &Value) -> String {
    let (done, of) = (number(&action["done"]), number(&action["of"]));
    format!("{} {} {done}/{of}", field(action, "action"), field(action, "app_id"))
}

async fn show(cx: &mut Context, name: &str) -> Outcome {
    let deployment = find(cx, name).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&deployment)?);
    }
    verdict::print(cx, field(&deployment, "id"), &deployment["verdict"])?;
    let (step, steps) = (number(&deployment["step"]), number(&deployment["steps"]));
    let age = age(field(&deployment, "started_at"), cx.io.clock.now());
    let by = match &deployment["by"] {
        Value::Null => String::new(),
        by => format!(" by {} ({})", field(by, "uid"), field(by, "way")),
    };
    cx.printer.line(&format!("step       {step} of {steps}, begun {age} ago{by}"))?;
    cx.printer.line(&format!("apps       {}", apps(&deployment)))?;
    for row in list(&deployment, "actions") {
        cx.printer.line(&format!("now        {}", action(row)))?;
        if let Some(what) = row["what"].as_str() {
            cx.printer.line(&format!("change     {what}"))?;
        }
        let is_told = field(&deployment["verdict"], "cause");
        if let Some(blocked) = row["blocked"].as_str().filter(|text| !is_told.contains(text)) {
            cx.printer.line(&format!("blocked    {blocked}"))?;
        }
    }
    Ok(())
}

async fn cancel(cx: &mut Context, name: &str, keep: bool) -> Outcome {
    let found = find(cx, name).await?;
    let id = field(&found, "id").to_owned();
    let created: Vec<&str> = list(&found, "creates").filter_map(Value::as_str).collect();
    if !keep && !created.is_empty() {
        cx.printer.note(&format!("{} was not there before: it is deleted", created.join(", ")))?;
    }
    let path = format!("{MARATHON}/deployments/{}?force={keep}", segment(&id));
    let answer = cx.client.json(Ask::new(Method::DELETE, path)).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer)?);
    }
    match field(&answer, "deploymentId") {
        "" => Ok(cx.printer.note(&format!("{id} is stopped where it stood"))?),
        back => {
            cx.printer.note(&format!("{id} is taken back by"))?;
            Ok(cx.printer.line(&format!("deployment {back}"))?)
        }
    }
}

/// The deployment a name means: its id or a beginning of it.
async fn find(cx: &mut Context, name: &str) -> Outcome<Value> {
    let all = cx.client.get("/tepui/v1/deployments").await?;
    // An empty name, as of a variable that is not set, is the beginning of all of them.
    let is_meant = |d: &&Value| !name.is_empty() && field(d, "id").starts_with(name);
    let mut alike = list(&all, "deployments").filter(is_meant);
    match (alike.next(), alike.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(_), Some(_)) => Err(CliError::usage(format!("{name} may mean several deployments"))
            .hint("write a few more letters")),
        (None, _) => {
            let text = match name {
                "" => "a deployment has a name".to_owned(),
                name => format!("no deployment {name} is under way"),
            };
            Err(CliError::new(Exit::NotFound, text)
                .hint("it may be done; tepui deployment list shows those under way"))
        }
    }
}
