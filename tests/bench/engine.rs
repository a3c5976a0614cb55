//! The Docker Engine by its bare HTTP API: one connection a call, nothing in between. It is both a
//! peer (the floor of any launch) and what Swarm is measured on.

use std::path::Path;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::child::{self, Scratch, Server};

/// Image of the benchmarks: busybox and nothing else.
pub const IMAGE: &str = "tepui-bench:1";
/// Every container of the benchmarks is named or labelled with this.
pub const MARK: &str = "tepui-bench";
/// The version of the API that Debian's engine and every later one speak.
const API: &str = "/v1.41";

/// What a container runs: ends at once on SIGTERM, so that removal is not a wait.
pub fn command() -> [&'static str; 3] {
    ["sh", "-c", "trap exit TERM; sleep 100000 & wait"]
}

/// An engine that answers, started here when the machine had none.
pub struct Engine {
    pub socket: String,
    _own: Option<Server>,
}

impl Engine {
    /// The engine of `DOCKER_HOST` or the machine's; else one of our own below `scratch`.
    ///
    /// # Errors
    /// When there is none and none can be started.
    pub async fn find(scratch: &Scratch) -> anyhow::Result<Self> {
        let asked = std::env::var("DOCKER_HOST").ok();
        let asked = asked.as_deref().and_then(|host| host.strip_prefix("unix://"));
        let socket = asked.unwrap_or("/var/run/docker.sock").to_owned();
        let found = Self { socket, _own: None };
        if found.ping().await {
            return Ok(found);
        }
        if let Some((package, why)) = child::install(&["docker.io"]).first() {
            anyhow::bail!("no engine answers at {} and {package} is not here: {why}", found.socket);
        }
        let socket = scratch.file("docker.sock");
        let host = format!("unix://{socket}");
        let (root, exec) = (scratch.file("docker"), scratch.file("docker-exec"));
        let pid = scratch.file("docker.pid");
        // Without bridge and packet filter: only the host's network is used, and an engine beside
        // this one keeps its rules.
        let args = ["dockerd", "--data-root", &root, "--exec-root", &exec, "--pidfile", &pid];
        let network = ["--bridge=none", "--iptables=false", "--ip-forward=false"];
        let server = Server::start(&[&args[..], &network, &["-H", &host]].concat(), None, scratch)?;
        let engine = Self { socket, _own: Some(server) };
        for _ in 0..300 {
            if engine.ping().await {
                return Ok(engine);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        anyhow::bail!("dockerd does not answer within 30 s")
    }

    async fn ping(&self) -> bool {
        Path::new(&self.socket).exists() && self.call("GET", "/_ping", None).await.is_ok()
    }

    /// One call; the body of its answer as JSON, `Null` when it is none.
    ///
    /// # Errors
    /// When the engine cannot be reached or refuses, with its words.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.send(method, path, "application/json", body.into()).await?;
        Ok(serde_json::from_slice(&answer).unwrap_or(Value::Null))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{API}{path}"))
            .header("host", "docker")
            .header("content-type", media_type)
            .body(Full::new(body))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let text = || String::from_utf8_lossy(&body).trim().to_owned();
        anyhow::ensure!(status.as_u16() < 400, "{method} {path}: {status} {}", text());
        Ok(body)
    }

    pub async fn version(&self) -> String {
        let version = self.call("GET", "/version", None).await.unwrap_or_default();
        version["Version"].as_str().unwrap_or("unknown").to_owned()
    }

    /// Imports the image from the machine's static busybox.
    ///
    /// # Errors
    /// When there is no busybox or the engine refuses.
    pub async fn make_image(&self) -> anyhow::Result<()> {
        if let Some((package, why)) = child::install(&["busybox-static"]).first() {
            anyhow::bail!("{package} is not here: {why}");
        }
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_path_with_name("/bin/busybox", "bin/busybox").context("no /bin/busybox")?;
        for applet in ["sh", "sleep"] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_mode(0o777);
            tar.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
        }
        let path = "/images/create?fromSrc=-&repo=tepui-bench&tag=1";
        self.send("POST", path, "application/x-tar", tar.into_inner()?.into()).await?;
        Ok(())
    }

    /// Creates and starts one container on the host's network; returns when it runs.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn run(&self, name: &str) -> anyhow::Result<()> {
        let spec = json!({
            "Image": IMAGE,
            "Cmd": command(),
            "HostConfig": {"NetworkMode": "host", "Memory": 33_554_432},
        });
        let path = format!("/containers/create?name={MARK}-{name}");
        self.call("POST", &path, Some(&spec)).await?;
        self.call("POST", &format!("/containers/{MARK}-{name}/start"), None).await?;
        Ok(())
    }

    /// # Errors
    /// When the engine refuses.
    pub async fn remove(&self, name: &str) -> anyhow::Result<()> {
        self.call("DELETE", &format!("/containers/{MARK}-{name}?force=1"), None).await?;
        Ok(())
    }

    /// Removes what benchmarks left behind, also that of earlier, broken runs.
    pub async fn clean(&self) {
        let filter = r#"{"name":["^/tepui-bench-"]}"#;
        let path = format!("/containers/json?all=1&filters={}", escape(filter));
        let left = self.call("GET", &path, None).await.unwrap_or_default();
        for id in left.as_array().into_iter().flatten().filter_map(|c| c["Id"].as_str()) {
            let _gone = self.call("DELETE", &format!("/containers/{id}?force=1"), None).await;
        }
    }

    pub async fn remove_image(&self) {
        let _gone = self.call("DELETE", &format!("/images/{IMAGE}?force=1"), None).await;
    }
}

/// Percent-encodes what a query cannot carry.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }
        })
        .collect()
}
