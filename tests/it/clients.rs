//! Clients of the original's API as they are published, unmodified, against a real system. What they need is
//! fetched by `installer/prepare.sh test`.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::e2e::{
    client,
    system::{PATIENCE, System, wait},
};

/// A file of those that were fetched.
fn fetched(path: &str) -> PathBuf {
    #[allow(clippy::disallowed_methods)] // set by whoever runs the tests
    let of = |name: &str| std::env::var(name).ok().map(PathBuf::from);
    let usual = || of("HOME").expect("a home").join(".cache/tepui");
    let cache = of("TEPUI_CACHE").unwrap_or_else(usual);
    let file = cache.join("clients").join(path);
    let shown = file.display();
    assert!(
        file.exists(),
        "{shown} is missing; run `make prepare` with `installer/prepare.sh test` first"
    );
    file
}

/// Every call of the Python client; what it must answer stands in the script.
#[test]
fn all_calls_of_the_python_client_marathon_are_answered() {
    let system = System::start();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine/clients/marathon_0_13.py");
    let out = Command::new(fetched("python/bin/python"))
        .arg(script)
        .env("TEPUI_URL", format!("http://{}/service/marathon", system.router))
        .env("TEPUI_TOKEN", &system.token)
        .output()
        .expect("python runs");
    let (told, complaints) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{told}\n{complaints}");
    assert!(told.ends_with("all 36 calls\n"), "{told}");
    println!("{told}");
}

/// Where nobody listens: of a network of this machine that nothing else here uses.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.91.0.1", 0)).expect("an address");
    listener.local_addr().expect("its port")
}

/// A Prometheus that is ended with the test.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's Prometheus finds an app's tasks by Marathon, and reads what they serve.
#[test]
fn prometheus_discovers_tasks_by_marathon() {
    let system = System::start();
    let app = json!({
        "id": "/shop/web", "instances": 2, "cpus": 0.01, "mem": 32, "labels": {"team": "shop"},
        "cmd": "mkdir w; echo answers_total 7 > w/metrics; exec busybox httpd -f -p $PORT_WEB -h w",
        "portDefinitions": [{"port": 0, "name": "web", "labels": {"scrape": "yes"}}],
    });
    system.marathon("POST", "/v2/apps", Some(&app));
    system.wait_running("/shop/web", 2);

    let dir = tempfile::tempdir().expect("directory");
    let settings = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - job_name: tasks\n\
         \x20 marathon_sd_configs:\n\
         \x20 - servers: ['http://{}/service/marathon']\n\
         \x20   auth_token: '{}'\n\
         \x20   refresh_interval: 1s\n",
        system.router, system.token
    );
    let file = dir.path().join("prometheus.yml");
    fs::write(&file, settings).expect("written");
    let address = free_address();
    let child = Command::new(fetched("prometheus/usr/bin/prometheus"))
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(fs::File::create(dir.path().join("log")).expect("log"))
        .spawn()
        .expect("prometheus starts");
    let _prometheus = Prometheus(child);
    let targets = || -> Vec<Value> {
        let Ok(answer) = client::send(address, None, "GET", "/api/v1/targets", None) else {
            return Vec::new();
        };
        // It answers 503 until it is ready.
        let answer = if answer.status == 200 { answer.json() } else { Value::Null };
        answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default()
    };
    let is_up = |target: &Value| target["health"] == "up";
    wait("both tasks are read", PATIENCE, || {
        let found = targets();
        found.len() == 2 && found.iter().all(is_up)
    });
    for target in targets() {
        let label =
            |name: &str| target["discoveredLabels"][format!("__meta_marathon_{name}")].clone();
        assert_eq!(label("app"), "/shop/web");
        assert_eq!(label("app_label_team"), "shop");
        assert_eq!(label("port_definition_label_scrape"), "yes");
        assert!(label("task").as_str().is_some_and(|id| id.starts_with("shop_web.")), "{target}");
    }
    system.marathon("PUT", "/v2/apps//shop/web", Some(&json!({"instances": 1})));
    wait("the other task is forgotten", Duration::from_secs(30), || targets().len() == 1);
}
