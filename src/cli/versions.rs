//! `tepui app versions|diff|rollback`: what an app was, what differs, and the way back. That there is
//! such an app was looked at before.

use serde_json::{Value, json};

use super::{
    args::{Change, Watch},
    client::{Ask, app_path},
    error::{CliError, Outcome},
    output::Table,
    run::{Context, confirm},
    text::{age, field, list, number, tame},
    wait,
};

/// What a rollback is asked to be.
pub struct Back {
    pub to: Option<String>,
    pub keep_instances: bool,
    pub dry_run: bool,
    pub yes: bool,
}

fn path(app: &str, of: &str) -> Outcome<String> {
    Ok(format!("/tepui/v1/apps{}/{of}", app_path(app)?))
}

pub async fn versions(cx: &mut Context, app: &str, watch: Watch) -> Outcome {
    let path = path(app, "versions")?;
    super::run::repeat(cx, watch, async |cx| {
        let answer = cx.client.get(&path).await?;
        if cx.printer.json {
            return Ok(cx.printer.value(&answer["versions"])?);
        }
        let mut table = Table::new(&["VERSION", "AGE", "RUNNING", "WHO", "OUTCOME", "WHAT"]);
        for version in list(&answer, "versions") {
            let at = field(version, "version");
            let active = if version["active"] == true { "*" } else { "" };
            let (running, wanted) = (number(&version["running"]), number(&version["instances"]));
            table.row([
                format!("{at}{active}"),
                age(at, cx.io.clock.now()),
                format!("{running}/{wanted}"),
                tame(field(&version["by"], "uid")),
                field(version, "outcome_text").to_owned(),
                tame(field(version, "summary")),
            ]);
        }
        Ok(cx.printer.table(&table)?)
    })
    .await
}

pub async fn diff(cx: &mut Context, app: &str, from: Option<&str>, to: Option<&str>) -> Outcome {
    let versions = path(app, "versions")?;
    let from = match from {
        Some(from) => from.to_owned(),
        None => before(cx, app, &versions).await?,
    };
    let to = to.map(|to| format!("&to={to}")).unwrap_or_default();
    let answer = cx.client.get(format!("{versions}?from={from}{to}")).await?;
    let diff = &answer["diff"];
    if cx.printer.json {
        return Ok(cx.printer.value(diff)?);
    }
    cx.printer.line(&format!("{} → {}", field(diff, "from"), field(diff, "to")))?;
    show(cx, diff)
}

/// The version before the active one.
async fn before(cx: &mut Context, app: &str, path: &str) -> Outcome<String> {
    let known = cx.client.get(path).await?;
    let before = list(&known, "versions").skip_while(|version| version["active"] != true).nth(1);
    let before = before.map(|version| field(version, "version").to_owned());
    before
        .ok_or_else(|| CliError::failure(format!("{app} has no earlier definition to go back to")))
}

/// What differs: in a few words, then field by field.
fn show(cx: &mut Context, diff: &Value) -> Outcome {
    cx.printer.line(&tame(field(diff, "summary")))?;
    for row in list(diff, "fields") {
        let path = tame(field(row, "path"));
        for (sign, name) in [('-', "old"), ('+', "new")] {
            if let Some(value) = row[name].as_str() {
                cx.printer.line(&format!("  {sign} {path}  {}", tame(value)))?;
            }
        }
    }
    Ok(())
}

pub async fn rollback(cx: &mut Context, app: &str, back: Back, change: &Change) -> Outcome {
    let to = match back.to {
        Some(to) => to,
        None => before(cx, app, &path(app, "versions")?).await?,
    };
    let path = path(app, "rollback")?;
    let body = |dry_run: bool| {
        json!({"to": to, "dry_run": dry_run, "force": change.force,
            "keep_instances": back.keep_instances})
    };
    let told = cx.client.json(Ask::post(&path).json(&body(true))).await?;
    if back.dry_run {
        if cx.printer.json {
            return Ok(cx.printer.value(&told)?);
        }
        show(cx, &told)?;
        return effect(cx, &told, |cx, line| Ok(cx.printer.line(line)?));
    }
    effect(cx, &told, |cx, line| Ok(cx.printer.note(line)?))?;
    if !back.yes && cx.io.terminal[0] && cx.io.terminal[2] {
        confirm(cx, &format!("Roll {app} back to {to}?"))?;
    }
    let done = cx.client.json(Ask::post(&path).json(&body(false))).await?;
    if done["deployment_id"].is_null() {
        return Ok(cx.printer.note("nothing was changed")?);
    }
    let answer = json!({"deploymentId": done["deployment_id"], "version": done["version"]});
    wait::for_change(cx, &answer, change, &[app], &format!("{app} goes back to {to}")).await
}

fn effect(
    cx: &mut Context,
    told: &Value,
    mut say: impl FnMut(&mut Context, &str) -> Outcome,
) -> Outcome {
    for sentence in list(told, "effect").filter_map(Value::as_str) {
        say(cx, sentence)?;
    }
    Ok(())
}
