//! A cluster on hosts of its own, as its users reach it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{Name, RData, RecordType},
};
use serde_json::{Value, json};
use tepui::node::config::NodeRole as Role;

use super::{
    client::{self, Answer},
    host::{Ground, Host, within},
    net,
};

/// How long a cluster may take for anything that is not measured.
pub const PATIENCE: Duration = Duration::from_secs(60);
const APPS: &str = "/service/marathon/v2/apps";
const ANSWER_BYTES_MAX: u16 = 1232;

/// The hosts, masters first, and what is known of all of them.
pub struct Cluster {
    pub hosts: Vec<Host>,
    pub token: String,
    tepui: PathBuf,
    // Removed after the hosts.
    _ground: Ground,
}

/// What a master tells of all masters.
#[derive(Debug, PartialEq)]
pub struct Masters {
    /// Where its front door is.
    pub leader: Option<String>,
    pub term: u64,
    pub n_deciding: usize,
}

impl Cluster {
    /// So many masters, agents and public agents, from nothing, each by one start with an invitation.
    pub fn start(tepui: &Path, roles: &[Role]) -> Result<Self> {
        let ground = Ground::lay()?;
        let mut hosts = Vec::new();
        for (n, role) in (1..).zip(roles) {
            hosts.push(ground.host(n, *role)?);
        }
        for host in hosts.iter_mut().filter(|host| host.role != Role::Master) {
            host.start_engine()?;
        }
        let mut cluster =
            Self { hosts, token: String::new(), tepui: tepui.to_owned(), _ground: ground };
        cluster.hosts[0].settle(None)?;
        cluster.start_node(0)?;
        cluster.token = within(PATIENCE, || cluster.hosts[0].token())?;
        within(PATIENCE, || cluster.masters(0).map(drop))?;
        for at in 1..cluster.hosts.len() {
            if cluster.hosts[at].role != Role::Master {
                cluster.hosts[at].wait_engine()?;
            }
            cluster.join(at)?;
        }
        let n_masters = roles.iter().filter(|role| **role == Role::Master).count();
        for at in 0..n_masters {
            within(PATIENCE, || {
                let masters = cluster.masters(at)?;
                let deciding = masters.leader.is_some() && masters.n_deciding == n_masters;
                ensure!(deciding, "{masters:?}");
                cluster.all_active(at)
            })?;
        }
        Ok(cluster)
    }

    /// Invites a host and starts its node.
    fn join(&mut self, at: usize) -> Result<()> {
        let body = json!({ "role": self.hosts[at].role.as_str() });
        let invitation =
            within(PATIENCE, || self.ask(0, "POST", "/tepui/v1/nodes/invite", Some(&body)))?;
        self.hosts[at].settle(Some(&invitation))?;
        self.start_node(at)
    }

    pub fn start_node(&mut self, at: usize) -> Result<()> {
        let tepui = self.tepui.clone();
        self.hosts[at].start_node(&tepui)
    }

    /// Where hosts of a role are.
    pub fn of(&self, role: Role) -> Vec<usize> {
        (0..self.hosts.len()).filter(|at| self.hosts[*at].role == role).collect()
    }

    /// Sends a request to a host's front door.
    pub fn send(
        &self,
        at: usize,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> std::io::Result<Answer> {
        let body = body.map(Value::to_string);
        let body = body.as_deref().map(str::as_bytes);
        client::send(self.hosts[at].router(), Some(&self.token), method, path, body)
    }

    /// The same, for what has to succeed.
    pub fn ask(&self, at: usize, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.send(at, method, path, body)?;
        ensure!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text());
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    pub fn get(&self, at: usize, path: &str) -> Result<Value> {
        self.ask(at, "GET", path, None)
    }

    pub fn masters(&self, at: usize) -> Result<Masters> {
        let told = self.get(at, "/tepui/v1/masters")?;
        let rows = told["masters"].as_array().context("no masters")?;
        let part = |row: &&Value, part| row["part"] == part;
        let leader = rows.iter().find(|row| part(row, "leads"));
        let leader = leader.and_then(|row| row["router"].as_str()).map(str::to_owned);
        let deciding = rows.iter().filter(|row| part(row, "leads") || part(row, "decides"));
        let term = told["term"].as_u64().context("no term")?;
        Ok(Masters { leader, term, n_deciding: deciding.count() })
    }

    /// Where the master is that leads, as the one at `at` knows.
    pub fn leader(&self, at: usize) -> Result<usize> {
        let router = self.masters(at)?.leader.context("no leader is known")?;
        let found = self.hosts.iter().position(|host| host.router().to_string() == router);
        found.with_context(|| format!("{router} is none of the hosts"))
    }

    /// Where a leader is that is not at `not`, as another of the masters knows.
    pub fn new_leader(&self, not: usize) -> Result<usize> {
        for at in self.of(Role::Master).into_iter().filter(|at| *at != not) {
            if let Ok(leader) = self.leader(at)
                && leader != not
            {
                return Ok(leader);
            }
        }
        bail!("none but the one before")
    }

    /// The nodes and their conditions, by host name.
    pub fn nodes(&self, at: usize) -> Result<BTreeMap<String, Value>> {
        let told = self.get(at, "/tepui/v1/nodes")?;
        let rows = told["nodes"].as_array().context("no nodes")?;
        let named = |row: &Value| Some((row["host"].as_str()?.to_owned(), row.clone()));
        Ok(rows.iter().filter_map(named).collect())
    }

    fn all_active(&self, at: usize) -> Result<()> {
        let wanted = self.hosts.iter().filter(|host| host.role != Role::Master).count();
        let nodes = self.nodes(at)?;
        let active = nodes.values().filter(|node| node["condition"] == "active").count();
        ensure!(active == wanted, "{active} of {wanted} nodes are active");
        Ok(())
    }

    /// Whether all is as after the start: every host's node runs and every master knows so.
    pub fn whole(&self) -> Result<()> {
        for at in self.of(Role::Master) {
            let n_masters = self.of(Role::Master).len();
            let masters = self.masters(at)?;
            ensure!(masters.leader.is_some() && masters.n_deciding == n_masters, "{masters:?}");
            self.all_active(at)?;
        }
        Ok(())
    }

    /// Every node takes work again.
    fn undrain(&self) -> Result<()> {
        for (host, node) in self.nodes(0)? {
            if ["draining", "drained", "deactivated"].map(Value::from).contains(&node["condition"])
            {
                let path = format!("/tepui/v1/nodes/{host}/drain");
                self.ask(0, "POST", &path, Some(&json!({"cancel": true})))?;
            }
        }
        Ok(())
    }

    /// What every story begins and ends with: nobody cut off, every node running, every app gone.
    pub fn restore(&mut self) -> Result<()> {
        net::heal(&self.hosts);
        for at in 0..self.hosts.len() {
            if self.hosts[at].runs() {
                self.hosts[at].signal_node("CONT")?;
            } else {
                self.start_node(at)?;
            }
        }
        within(PATIENCE, || self.undrain())?;
        within(PATIENCE, || self.whole())?;
        within(PATIENCE, || {
            for id in self.app_ids(0)? {
                self.ask(0, "DELETE", &format!("{APPS}{id}?force=true"), None)?;
            }
            Ok(())
        })?;
        within(PATIENCE, || {
            let running = self.containers()?;
            ensure!(running.is_empty(), "{} containers are left", running.len());
            Ok(())
        })
    }

    /// A service of a command that waits, by its path; `more` goes into the definition.
    pub fn app(id: &str, instances: u32, more: &Value) -> Value {
        let mut app = json!({
            "id": id, "instances": instances, "cpus": 0.05, "mem": 32,
            "cmd": "while :; do sleep 1; done",
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            app[key] = value.clone();
        }
        app
    }

    pub fn put(&self, at: usize, app: &Value) -> std::io::Result<Answer> {
        let path = format!("{APPS}{}?force=true", app["id"].as_str().unwrap_or_default());
        self.send(at, "PUT", &path, Some(app))
    }

    /// Puts a service and waits until it is there.
    pub fn deploy(&self, at: usize, app: &Value) -> Result<()> {
        let answer = self.put(at, app)?;
        ensure!(answer.status < 300, "{} {}", answer.status, answer.text());
        let (id, wanted) = (app["id"].as_str().unwrap_or_default(), app["instances"].as_u64());
        within(PATIENCE, || {
            ensure!(self.tasks_running(at, id)? == wanted.unwrap_or(1), "not all run");
            Ok(())
        })
    }

    pub fn tasks_running(&self, at: usize, id: &str) -> Result<u64> {
        let app = self.get(at, &format!("{APPS}{id}"))?;
        app["app"]["tasksRunning"].as_u64().context("no tasksRunning")
    }

    pub fn app_ids(&self, at: usize) -> Result<BTreeSet<String>> {
        let told = self.get(at, APPS)?;
        let rows = told["apps"].as_array().context("no apps")?;
        Ok(rows.iter().filter_map(|app| Some(app["id"].as_str()?.to_owned())).collect())
    }

    /// Containers that run, by instance, on all hosts that have an engine.
    pub fn containers(&self) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for host in self.hosts.iter().filter(|host| host.has_engine()) {
            all.extend(host.containers()?);
        }
        all.sort();
        Ok(all)
    }

    /// How many containers of an app run.
    pub fn n_containers(&self, id: &str) -> Result<usize> {
        let prefix = format!("{}.instance-", id.trim_start_matches('/').replace('/', "_"));
        Ok(self.containers()?.iter().filter(|(instance, _)| instance.starts_with(&prefix)).count())
    }

    /// Addresses of a name, as the name server of a host answers there.
    pub fn resolve(&self, at: usize, name: &str) -> Result<BTreeSet<IpAddr>> {
        self.question(at)?.addresses(name)
    }

    /// Who asks the name server of a host, from there.
    pub fn question(&self, at: usize) -> Result<Question> {
        let host = &self.hosts[at];
        Question::from(host, host.name_server()?)
    }

    /// The command line, as a client of a master.
    pub fn cli(&self, at: usize, args: &[&str]) -> Result<Output> {
        let url = format!("http://{}", self.hosts[at].router());
        let mut command = Command::new(&self.tepui);
        Ok(command.args(args).env("TEPUI_URL", url).env("TEPUI_TOKEN", &self.token).output()?)
    }
}

/// Questions for names, to one server.
pub struct Question {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Question {
    /// From a host to a name server.
    pub fn from(host: &Host, server: SocketAddr) -> Result<Self> {
        let socket = host.inside(|| UdpSocket::bind("0.0.0.0:0"))??;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self { socket, server })
    }

    pub fn addresses(&self, name: &str) -> Result<BTreeSet<IpAddr>> {
        let reply = self.ask(name, RecordType::A)?;
        Ok(reply.answers.iter().filter_map(|record| address(&record.data)).collect())
    }

    /// Address and port of each server of a service.
    pub fn services(&self, name: &str) -> Result<Vec<SocketAddr>> {
        let reply = self.ask(name, RecordType::SRV)?;
        let at = |target: &Name| {
            let found = reply.additionals.iter().find(|record| record.name == *target)?;
            address(&found.data)
        };
        let server = |data: &RData| match data {
            RData::SRV(srv) => Some(SocketAddr::new(at(&srv.target)?, srv.port)),
            _ => None,
        };
        Ok(reply.answers.iter().filter_map(|record| server(&record.data)).collect())
    }

    fn ask(&self, name: &str, kind: RecordType) -> Result<Message> {
        let mut query = Message::new(7, MessageType::Query, OpCode::Query);
        query.add_query(Query::query(Name::from_ascii(name)?, kind));
        // As much as this server sends without asking by TCP.
        query.edns.get_or_insert_default().set_max_payload(ANSWER_BYTES_MAX);
        self.socket.send_to(&query.to_vec()?, self.server)?;
        let mut buffer = [0; ANSWER_BYTES_MAX as usize];
        let n = self.socket.recv(&mut buffer)?;
        Ok(Message::from_vec(&buffer[..n])?)
    }
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(a) => Some(a.0.into()),
        _ => None,
    }
}

/// How long it took until it worked, within so long.
pub fn took(limit: Duration, attempt: impl FnMut() -> Result<()>) -> Result<Duration> {
    let began = Instant::now();
    within(limit, attempt)?;
    Ok(began.elapsed())
}
