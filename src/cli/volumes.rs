//! `tepui volume …`.

use http::Method;
use serde_json::{Value, json};

use super::{
    args::Volume,
    client::{Ask, segment},
    error::{CliError, Exit, Outcome},
    output::Table,
    run::{Context, confirm, repeat},
    text::{field, list, mem, number},
};

const PATH: &str = "/tepui/v1/volumes";

pub async fn run(cx: &mut Context, volume: Volume) -> Outcome {
    match volume {
        Volume::List { app, watch } => {
            repeat(cx, watch, async |cx| show_list(cx, app.as_deref()).await).await
        }
        Volume::Show { volume } => show(cx, &volume).await,
        Volume::Remove { volume, yes } => remove(cx, &volume, yes).await,
    }
}

async fn show_list(cx: &mut Context, app: Option<&str>) -> Outcome {
    let of = app.map(|app| format!("?app={}", segment(app))).unwrap_or_default();
    let answer = cx.client.get(&format!("{PATH}{of}")).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer["volumes"])?);
    }
    let columns = ["APP", "PATH", "KIND", "STATE", "USED", "SIZE", "HOST", "VOLUME OR SOURCE"];
    let mut table = Table::new(&columns);
    for volume in list(&answer, "volumes") {
        table.row(cells(volume));
    }
    Ok(cx.printer.table(&table)?)
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

fn cells(volume: &Value) -> [String; 8] {
    let size = &volume["size_mb"];
    let name = match field(volume, "id") {
        "" => field(volume, "source"),
        id => id,
    };
    [
        field(volume, "app_id").to_owned(),
        field(volume, "path").to_owned(),
        field(volume, "kind").to_owned(),
        or_none(&state(volume)),
        used(volume),
        if size.is_null() { "-".to_owned() } else { mem(size) },
        or_none(field(volume, "host")),
        or_none(name),
    ]
}

fn state(volume: &Value) -> String {
    field(volume, "state").replace('_', " ")
}

/// What is in it, with a share of its size where that is known.
fn used(volume: &Value) -> String {
    let Some(bytes) = volume["used_bytes"].as_f64() else { return "-".to_owned() };
    let mb = bytes / f64::from(1 << 20);
    let text = mem(&json!(mb.ceil()));
    match volume["size_mb"].as_f64().filter(|size| *size > 0.0) {
        Some(size) => format!("{text} ({:.0} %)", 100.0 * mb / size),
        None => text,
    }
}

/// The one persistent volume that is called so, or begins so.
async fn one(cx: &mut Context, name: &str) -> Outcome<Value> {
    let answer = cx.client.get(PATH).await?;
    let all = || list(&answer, "volumes").filter(|volume| !volume["id"].is_null());
    let exact = all().find(|volume| field(volume, "id") == name);
    let begins: Vec<&Value> =
        all().filter(|v| !name.is_empty() && field(v, "id").starts_with(name)).collect();
    match (exact, &begins[..]) {
        (Some(volume), _) => Ok(volume.clone()),
        (None, [volume]) => Ok((*volume).clone()),
        (None, []) => Err(CliError::new(
            Exit::NotFound,
            format!("there is no volume {name}; tepui volume list shows those there are"),
        )),
        (None, several) => {
            let ids: Vec<&str> = several.iter().map(|volume| field(volume, "id")).collect();
            Err(CliError::new(Exit::NotFound, format!("{name} may be {}", ids.join(" or "))))
        }
    }
}

async fn show(cx: &mut Context, name: &str) -> Outcome {
    let volume = one(cx, name).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&volume)?);
    }
    let lines = [
        ("volume", field(&volume, "id").to_owned()),
        ("app", field(&volume, "app_id").to_owned()),
        ("instance", field(&volume, "instance_id").to_owned()),
        ("path", field(&volume, "path").to_owned()),
        ("state", state(&volume)),
        ("host", or_none(field(&volume, "host"))),
        ("size", mem(&volume["size_mb"])),
        ("used", used(&volume)),
        ("launches", number(&volume["launches"])),
    ];
    for (name, value) in lines {
        cx.printer.line(&format!("{name:<10} {value}"))?;
    }
    Ok(())
}

async fn remove(cx: &mut Context, name: &str, yes: bool) -> Outcome {
    let volume = one(cx, name).await?;
    let id = field(&volume, "id");
    if !yes {
        let (app, host) = (field(&volume, "app_id"), field(&volume, "host"));
        let text = format!(
            "Remove {id}, data of {app} on {host} ({} in it)? Whatever else its instance keeps \
             goes too, and nothing brings it back.",
            used(&volume)
        );
        confirm(cx, &text)?;
    }
    cx.client.bytes(Ask::new(Method::DELETE, format!("{PATH}/{}", segment(id)))).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&volume)?);
    }
    Ok(cx.printer.note(&format!("{id} is removed; its node wipes it"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_tells_its_place_its_state_and_how_full_it_is() {
        let kept = json!({"id": "db#data#7f3c", "app_id": "/db", "instance_id": "db.instance-7f3c",
            "kind": "persistent", "state": "in_use", "path": "data", "size_mb": 2048,
            "used_bytes": 512 << 20, "read_only": false, "host": "10.0.0.1", "goes_with_app": true});
        let of = ["/db", "data", "persistent", "in use", "512 MiB (25 %)", "2 GiB", "10.0.0.1"];
        assert_eq!(cells(&kept)[..7], of.map(str::to_owned));
        assert_eq!(cells(&kept)[7], "db#data#7f3c");
        let mounted =
            json!({"app_id": "/db", "kind": "host", "path": "/etc/ssl", "source": "/srv/ssl"});
        let of = ["/db", "/etc/ssl", "host", "-", "-", "-", "-", "/srv/ssl"];
        assert_eq!(cells(&mounted), of.map(str::to_owned));
    }
}
