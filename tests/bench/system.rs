//! The whole system under test: the real binary as `tepui dev`, spoken to through its front door.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::child::Scratch;

/// The optimised binary that was built with the benchmarks.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tepui");
const READY: &str = "tepui is ready";
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `tepui dev`; ends with this value.
pub struct System {
    child: Child,
    address: String,
    token: String,
    password: String,
    /// From the start of the process to its word that it is ready.
    pub ready_after: Duration,
}

impl System {
    /// Starts it on the data directory `name` below `scratch`, with the engine at `docker`.
    ///
    /// # Errors
    /// When it is not ready in time; its last lines are told.
    pub fn start(name: &str, docker: &str, scratch: &Scratch) -> anyhow::Result<Self> {
        Self::start_of(PROGRAM, &[], name, docker, scratch)
    }

    /// The same of another build, with more flags.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_of(
        program: &str,
        flags: &[&str],
        name: &str,
        docker: &str,
        scratch: &Scratch,
    ) -> anyhow::Result<Self> {
        let data_dir = scratch.path().join(name);
        let out_path = scratch.path().join(format!("{name}.out"));
        let out = fs::File::create(&out_path)?;
        let began = Instant::now();
        let child = Command::new(program)
            .args(["dev", "--router-port", "0", "--dns-port", "0", "--data-dir"])
            .arg(&data_dir)
            .args(flags)
            .env("TEPUI_DOCKER", docker)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut system = Self {
            child,
            address: String::new(),
            token: String::new(),
            password: String::new(),
            ready_after: began.elapsed(),
        };
        loop {
            let said = fs::read_to_string(&out_path)?;
            system.ready_after = began.elapsed();
            if said.contains(READY) {
                break;
            }
            let tail = || said.lines().rev().take(3).collect::<Vec<_>>().join(" / ");
            if let Some(status) = system.child.try_wait()? {
                anyhow::bail!("tepui dev ended: {status}: {}", tail());
            }
            anyhow::ensure!(began.elapsed() < PATIENCE, "tepui dev is not ready: {}", tail());
            std::thread::sleep(Duration::from_millis(2));
        }
        let env = fs::read_to_string(data_dir.join("client.env"))?;
        let value = |key: &str| {
            let line = env.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
            line.map(|v| v.trim_matches('"').to_owned()).with_context(|| format!("no {key}"))
        };
        let url = value("TEPUI_URL")?;
        system.address = url.strip_prefix("http://").context("not plain HTTP")?.to_owned();
        system.token = value("TEPUI_TOKEN")?;
        let password = fs::read_to_string(data_dir.join("initial-password")).unwrap_or_default();
        system.password = password.trim().to_owned();
        Ok(system)
    }

    /// Where its page is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// That of its first user, `admin`.
    pub fn password(&self) -> &str {
        &self.password
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop and waits.
    ///
    /// # Errors
    /// When it does not within its ten seconds.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        use nix::{
            sys::signal::{Signal, kill},
            unistd::Pid,
        };
        kill(Pid::from_raw(i32::try_from(self.pid())?), Signal::SIGTERM)?;
        let deadline = Instant::now() + Duration::from_secs(12);
        while self.child.try_wait()?.is_none() {
            anyhow::ensure!(Instant::now() < deadline, "tepui dev does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// A connection to its Marathon API.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Client::connect(&self.address, &self.token).await
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.stop().is_err() {
            let _killed = self.child.kill();
            let _gone = self.child.wait();
        }
    }
}

/// A keep-alive connection with a token.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    token: String,
}

impl Client {
    /// To the front door at `address`.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn connect(address: &str, token: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, token: token.to_owned() })
    }

    /// One call below `/service/marathon`.
    ///
    /// # Errors
    /// When it breaks off or is refused, with the words of the refusal.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        self.ask(method, &format!("/service/marathon{path}"), body).await
    }

    /// One call.
    ///
    /// # Errors
    /// As `call`.
    pub async fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("token={}", self.token))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        // The connection takes a moment to notice that the last answer was read.
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let text = || String::from_utf8_lossy(&body).trim().to_owned();
        anyhow::ensure!(status.is_success(), "{method} {path}: {status} {}", text());
        Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// How many tasks of an app run, and how many there are.
    ///
    /// # Errors
    /// As `call`.
    pub async fn running(&mut self, app: &str) -> anyhow::Result<(usize, usize)> {
        let answer = self.call("GET", &format!("/v2/apps/{app}/tasks"), None).await?;
        let tasks = answer["tasks"].as_array().context("no list of tasks")?;
        let running = tasks.iter().filter(|t| t["state"] == "TASK_RUNNING").count();
        Ok((running, tasks.len()))
    }
}
