//! Names over HTTP as Mesos-DNS answered them (docs/compat/dcos.md, "Names"): for scripts and the
//! command line, which look up `leader.mesos` and `master.mesos` here.
//!
//! An answer is read off the same stream of records the DNS server is built from, keeping only the
//! names asked for, so both always agree.

use std::{net::IpAddr, sync::Arc};

use http::{StatusCode, header};
use serde_json::{Value, json};

use super::challenge;
use crate::{
    control::cluster::Cluster,
    core::{
        State,
        naming::{Sink, tasks},
    },
    http::{
        Call, Response, reply,
        route::{Access, Route, Table, get},
    },
    model::names::Realm,
};

/// Ports of the dialects' direct listeners, as the names of schedulers, masters and agents tell.
const MARATHON_PORT: u16 = 8080;
const MASTER_PORT: u16 = 5050;
const AGENT_PORT: u16 = 5051;

/// What the routes work with.
pub struct Names {
    pub cluster: Arc<dyn Cluster>,
}

/// The routes, as seen below `/mesos_dns`.
pub fn routes() -> Vec<Route<Names>> {
    vec![
        get("/v1/version", Access::Read, version),
        get("/v1/hosts/{name}", Access::Read, hosts),
        get("/v1/hosts/{name}/ports", Access::Read, ports),
        get("/v1/services/{name}", Access::Read, services),
    ]
}

/// The table over them; the gateway has checked who is calling.
pub fn table(names: Names) -> Table<Names> {
    Table::new(Arc::new(names), routes()).on_denied(challenge::denied)
}

/// Keeps the records of a few names.
struct Wanted<'a> {
    names: &'a [String],
    addresses: Vec<(usize, IpAddr)>,
    services: Vec<(u16, String)>,
    /// Every name so far, when targets of services are asked for.
    known: Vec<String>,
    keeps_targets: bool,
}

/// A name's place among the wanted ones, and among all names when targets are kept.
#[derive(Clone, Copy)]
struct Handle {
    wanted: Option<usize>,
    known: usize,
}

impl Sink for Wanted<'_> {
    type Name = Handle;

    fn name(&mut self, text: &str) -> Handle {
        if self.keeps_targets {
            self.known.push(text.to_owned());
        }
        let wanted = self.names.iter().position(|name| name == text);
        Handle { wanted, known: self.known.len().saturating_sub(1) }
    }

    fn address(&mut self, owner: Handle, ip: IpAddr) {
        if let Some(at) = owner.wanted
            && !self.addresses.contains(&(at, ip))
        {
            self.addresses.push((at, ip));
        }
    }

    fn service(&mut self, owner: Handle, port: u16, target: Handle) {
        if owner.wanted.is_none() || !self.keeps_targets {
            return;
        }
        let record = (port, self.known[target.known].clone());
        if !self.services.contains(&record) {
            self.services.push(record);
        }
    }
}

impl Names {
    fn look_up<'a>(&self, state: &State, names: &'a [String], keeps_targets: bool) -> Wanted<'a> {
        let masters = self.cluster.members();
        let leader = masters.iter().find(|master| master.is_leader).map(|master| master.address);
        let own = Realm {
            masters: masters.iter().map(|master| master.address).collect(),
            leader,
            frameworks: leader.map(|at| tasks::marathon(at, MARATHON_PORT)).into_iter().collect(),
            master_port: MASTER_PORT,
            agent_port: AGENT_PORT,
            ..Realm::default()
        };
        let (addresses, services, known) = (Vec::new(), Vec::new(), Vec::new());
        let mut wanted = Wanted { names, addresses, services, known, keeps_targets };
        tasks::records(state, &own, &mut wanted);
        wanted
    }
}

/// A name as the records have it: lower case, without the final dot.
fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The original's check: only an `Accept` that rules JSON out is refused.
fn answer(call: &Call, value: &Value) -> Response {
    let accept = call.header(header::ACCEPT).unwrap_or("*/*");
    if !["*/*", "application/*", "application/json"].iter().any(|t| accept.contains(t)) {
        return reply::text(StatusCode::NOT_ACCEPTABLE, "406: Not Acceptable\n");
    }
    reply::content(StatusCode::OK, "application/json", format!("{value:#}\n"))
}

async fn version(_: Arc<Names>, call: Call) -> Response {
    answer(&call, &json!({"Service": "tepui", "URL": "", "Version": env!("CARGO_PKG_VERSION")}))
}

async fn hosts(names: Arc<Names>, call: Call) -> Response {
    let wanted = [canonical(call.param("name"))];
    let found = names.look_up(&names.cluster.state(), &wanted, false);
    let host = format!("{}.", wanted[0]);
    let mut shown: Vec<_> =
        found.addresses.iter().map(|(_, ip)| json!({"host": host, "ip": ip})).collect();
    if shown.is_empty() {
        shown.push(json!({"host": "", "ip": ""}));
    }
    answer(&call, &Value::Array(shown))
}

async fn ports(_: Arc<Names>, _: Call) -> Response {
    reply::text(StatusCode::NOT_IMPLEMENTED, "to be implemented")
}

async fn services(names: Arc<Names>, call: Call) -> Response {
    let state = names.cluster.state();
    let asked = call.param("name");
    let wanted = [canonical(asked)];
    let services = names.look_up(&state, &wanted, true).services;
    let targets: Vec<_> = services.iter().map(|(_, target)| target.clone()).collect();
    let found = names.look_up(&state, &targets, false);
    let mut shown = Vec::new();
    for (at, (port, target)) in services.iter().enumerate() {
        for (_, ip) in found.addresses.iter().filter(|(of, _)| targets[*of] == targets[at]) {
            let host = format!("{target}.");
            let port = port.to_string();
            shown.push(json!({"service": asked, "host": host, "ip": ip, "port": port}));
        }
    }
    if shown.is_empty() {
        shown.push(json!({"service": "", "host": "", "ip": "", "port": ""}));
    }
    answer(&call, &Value::Array(shown))
}
