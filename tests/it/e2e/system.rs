//! A running `tepui dev` and what tests do with it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::client::{self, Answer};

/// How long anything may take that is not itself measured.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub const TEPUI: &str = env!("CARGO_BIN_EXE_tepui");

/// A `tepui dev` with a directory of its own. Dropping it ends it and removes its containers.
pub struct System {
    pub dir: tempfile::TempDir,
    child: Option<Child>,
    pub router: SocketAddr,
    pub dns: SocketAddr,
    pub token: String,
    /// How long the last start took until the ready line.
    pub started_in: Duration,
    /// What the program said when it was up.
    pub ready_line: String,
    flags: Vec<String>,
    env: Vec<(String, String)>,
}

impl System {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        Self::start_in(dir, flags)
    }

    pub fn start_in(dir: tempfile::TempDir, flags: &[&str]) -> Self {
        Self::start_as(dir, flags, &[])
    }

    /// With settings that have no flag, as variables of the environment.
    pub fn start_with_env(env: &[(&str, &str)]) -> Self {
        Self::start_as(tempfile::tempdir().expect("directory"), &[], env)
    }

    fn start_as(dir: tempfile::TempDir, flags: &[&str], env: &[(&str, &str)]) -> Self {
        let none = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut system = Self {
            dir,
            child: None,
            router: none,
            dns: none,
            token: String::new(),
            started_in: Duration::ZERO,
            ready_line: String::new(),
            flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            env: env
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        system.launch();
        system
    }

    /// Starts the program on its directory and waits for the ready line.
    pub fn launch(&mut self) {
        let began = Instant::now();
        let mut child = Command::new(TEPUI)
            .args(["dev", "--router-port", "0", "--dns-port", "0", "--data-dir"])
            .arg(self.data_dir())
            .args(&self.flags)
            .envs(self.env.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(self.dir.path().join("stderr")).expect("log file"))
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("readable");
        self.child = Some(child);
        assert!(line.starts_with("tepui is ready"), "{line:?}, stderr: {}", self.stderr());
        self.started_in = began.elapsed();
        self.ready_line = line;
        let env = fs::read_to_string(self.data_dir().join("client.env")).expect("client.env");
        let env: BTreeMap<&str, &str> = env.lines().filter_map(|l| l.split_once('=')).collect();
        let url = env["TEPUI_URL"].strip_prefix("http://").expect("plain HTTP");
        self.router = url.parse().expect("address");
        self.dns = env["TEPUI_DNS"].parse().expect("address");
        self.token = env["TEPUI_TOKEN"].to_owned();
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// Ends the process without a chance to clean up.
    pub fn kill_minus_nine(&mut self) {
        let mut child = self.child.take().expect("running");
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    /// Sends the process a signal, as `kill` names it.
    pub fn signal(&self, name: &str) {
        signal(self.child.as_ref().expect("running").id(), name);
    }

    /// Asks the process to stop and tells its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("running");
        signal(child.id(), "TERM");
        let until = Instant::now() + PATIENCE;
        let mut status = None;
        while status.is_none() && Instant::now() < until {
            pause();
            status = child.try_wait().expect("status");
        }
        let Some(status) = status else {
            child.kill().expect("killed");
            child.wait().expect("reaped");
            panic!("the process did not stop");
        };
        status.code()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let bytes = body.map(|b| b.to_string().into_bytes());
        self.try_send(method, path, bytes.as_deref()).expect("an answer")
    }

    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> std::io::Result<Answer> {
        client::send(self.router, Some(&self.token), method, path, body)
    }

    /// A call of the Marathon API that must succeed.
    pub fn marathon(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.send(method, &format!("/service/marathon{path}"), body);
        assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text());
        answer.json()
    }

    pub fn app(&self, id: &str) -> Value {
        self.marathon("GET", &format!("/v2/apps/{id}"), None)["app"].clone()
    }

    /// Waits until the app is as `test` wants it.
    pub fn wait_app(&self, id: &str, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let app = self.app(id);
            if test(&app) {
                return app;
            }
            assert!(Instant::now() < until, "{id} is not {what}: {app:#}\nlog: {}", self.stderr());
            pause();
        }
    }

    /// Waits until `n` tasks run (and are healthy where the app has checks) and no deployment does.
    pub fn wait_running(&self, id: &str, n: u64) -> Value {
        self.wait_app(id, &format!("running {n} times"), |app| {
            let checked = app["healthChecks"].as_array().is_some_and(|c| !c.is_empty());
            app["tasksRunning"] == n
                && (!checked || app["tasksHealthy"] == n)
                && app["deployments"].as_array().is_some_and(Vec::is_empty)
        })
    }

    /// Engine ids of the running containers of this cluster whose name holds `part`, sorted.
    pub fn containers(&self, part: &str) -> Vec<String> {
        let cluster = self.cluster();
        let out = Command::new("docker")
            .args(["ps", "-q", "--no-trunc", "--filter", &format!("name={part}")])
            .args(["--filter", &format!("label=tepui.cluster={cluster}")])
            .output()
            .expect("docker is installed");
        assert!(out.status.success(), "docker: {}", String::from_utf8_lossy(&out.stderr));
        let mut ids: Vec<String> =
            String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect();
        ids.sort();
        ids
    }

    pub fn cluster(&self) -> String {
        let status = self.get("/tepui/v1/status").json();
        status["cluster_id"].as_str().expect("cluster id").to_owned()
    }

    /// Runs the command line against this system.
    pub fn cli(&self, args: &[&str]) -> std::process::Output {
        Command::new(TEPUI)
            .args(args)
            .env("TEPUI_URL", format!("http://{}", self.router))
            .env("TEPUI_TOKEN", &self.token)
            .env("NO_COLOR", "1")
            .output()
            .expect("the program runs")
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("stderr of tepui: {}", self.stderr());
        }
        let cluster = fs::read_to_string(self.data_dir().join("client.env"))
            .ok()
            .filter(|_| self.child.is_some())
            .and_then(|_| self.try_send("GET", "/tepui/v1/status", None).ok())
            .filter(|a| a.status == 200)
            .map(|a| a.json()["cluster_id"].as_str().unwrap_or_default().to_owned());
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(cluster) = cluster.filter(|c| !c.is_empty()) {
            remove_containers(&cluster);
        }
    }
}

/// Removes every container of a cluster.
pub fn remove_containers(cluster: &str) {
    let filter = format!("label=tepui.cluster={cluster}");
    let listed = Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output();
    let Ok(listed) = listed else { return };
    let ids = String::from_utf8_lossy(&listed.stdout).into_owned();
    let ids: Vec<&str> = ids.split_whitespace().collect();
    if !ids.is_empty() {
        let _ = Command::new("docker").args(["rm", "-f"]).args(ids).output();
    }
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let status =
        Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().expect("kill");
    assert!(status.success());
}

/// Between two looks at something that takes time.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}

/// Waits until `test` holds.
pub fn wait(what: &str, within: Duration, mut test: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !test() {
        assert!(began.elapsed() < within, "{what}: not within {within:?}");
        pause();
    }
    began.elapsed()
}
