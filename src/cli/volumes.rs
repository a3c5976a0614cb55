//! `tepui volume …`.

use serde_json::Value;

use super::{
    args::Volume,
    client::segment,
    error::Outcome,
    output::Table,
    run::{Context, repeat},
    text::{field, list, mem},
};

pub async fn run(cx: &mut Context, volume: Volume) -> Outcome {
    let Volume::List { app, watch } = volume;
    repeat(cx, watch, async |cx| show(cx, app.as_deref()).await).await
}

async fn show(cx: &mut Context, app: Option<&str>) -> Outcome {
    let of = app.map(|app| format!("?app={}", segment(app))).unwrap_or_default();
    let answer = cx.client.get(&format!("/tepui/v1/volumes{of}")).await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer["volumes"])?);
    }
    let columns = ["APP", "PATH", "KIND", "SIZE", "HOST", "SOURCE", "ONCE THE INSTANCE IS GONE"];
    let mut table = Table::new(&columns);
    for volume in list(&answer, "volumes") {
        table.row(cells(volume));
    }
    Ok(cx.printer.table(&table)?)
}

fn cells(volume: &Value) -> [String; 7] {
    let or_none = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
    let size = &volume["size_mb"];
    [
        field(volume, "app_id").to_owned(),
        field(volume, "path").to_owned(),
        field(volume, "kind").to_owned(),
        if size.is_null() { "-".to_owned() } else { mem(size) },
        or_none(field(volume, "host")),
        or_none(field(volume, "source")),
        fate(volume),
    ]
}

fn fate(volume: &Value) -> String {
    match volume["kept_s"].as_u64() {
        Some(seconds) => format!("kept {} days on its node", seconds / 86_400),
        None => "stays".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_volume_tells_its_place_and_its_fate() {
        let kept = json!({"app_id": "/db", "instance_id": "db.1", "kind": "persistent", "path": "data",
            "size_mb": 2048, "read_only": false, "host": "10.0.0.1", "kept_s": 604_800});
        let of = ["/db", "data", "persistent", "2 GiB", "10.0.0.1", "-", "kept 7 days on its node"];
        assert_eq!(cells(&kept), of.map(str::to_owned));
        let mounted =
            json!({"app_id": "/db", "kind": "host", "path": "/etc/ssl", "source": "/srv/ssl"});
        let of = ["/db", "/etc/ssl", "host", "-", "-", "/srv/ssl", "stays"];
        assert_eq!(cells(&mounted), of.map(str::to_owned));
    }
}
