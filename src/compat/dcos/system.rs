//! Small answers about the cluster, its nodes and their health (docs/compat/dcos.md, "Platform").
//!
//! The original ran some thirty daemons per node and reported each. Here they are parts of one
//! process; a part is shown under its old unit name, healthy as long as its node answers.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{challenge, cluster::Facts};
use crate::{
    base::{clock::Clock, hex::hex},
    control::cluster::Cluster,
    core::State,
    http::{
        Call, Response, reply,
        route::{Access, Route, Table, get},
    },
    model::node::NodeKind,
};

/// The release whose interfaces we speak: clients pick their plugins by it.
const DCOS_VERSION: &str = "2.2.1";

/// What the platform routes work with.
pub struct System {
    pub cluster: Arc<dyn Cluster>,
    pub facts: Facts,
    pub clock: Arc<dyn Clock>,
    pub checks_tokens: bool,
}

/// The routes.
pub fn routes() -> Vec<Route<System>> {
    vec![
        get("/dcos-metadata/dcos-version.json", Access::Open, version),
        get("/dcos-metadata/ui-config.json", Access::Open, show_ui_config),
        get("/ca/dcos-ca.crt", Access::Open, authority),
        get("/ca/tepui-ca.crt", Access::Open, authority),
        get("/metadata", Access::Read, metadata),
        get("/capabilities", Access::Read, capabilities),
        get("/pkgpanda/active.buildinfo.full.json", Access::Read, build_info),
        get("/pkgpanda/active", Access::Read, active),
        get("/exhibitor/exhibitor/v1/cluster/status", Access::Open, masters_status),
        get("/exhibitor/exhibitor/v1/cluster/list", Access::Read, masters_list),
        get("/dcos-ui-update-service/api/v1/version", Access::Read, ui_version),
        get("/net/v1/nodes", Access::Read, net_nodes),
        get("/system/v1/metrics/v0/ping", Access::Read, ping),
        get("/system/v1/agent/{id}/dcos-metadata/dcos-version.json", Access::Read, version),
        get("/system/health/v1", Access::Read, own_health),
        get("/system/health/v1/units", Access::Read, units),
        get("/system/health/v1/units/{unit}", Access::Read, unit),
        get("/system/health/v1/units/{unit}/nodes", Access::Read, unit_nodes),
        get("/system/health/v1/units/{unit}/nodes/{ip}", Access::Read, unit_on_node),
        get("/system/health/v1/nodes", Access::Read, nodes),
        get("/system/health/v1/nodes/{ip}", Access::Read, node),
        get("/system/health/v1/nodes/{ip}/units", Access::Read, node_units),
        get("/system/health/v1/nodes/{ip}/units/{unit}", Access::Read, node_unit),
        get("/system/health/v1/report", Access::Read, report),
    ]
}

/// The table over them; the gateway has checked who is calling.
pub fn table(system: System) -> Table<System> {
    Table::new(Arc::new(system), routes()).on_denied(challenge::denied)
}

fn ok(value: &Value) -> Response {
    reply::json(StatusCode::OK, value)
}

fn no_cache(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// 40 hexadecimal digits that stand for this build, where clients expect a commit.
fn build_id(version: &str) -> String {
    let hash = Sha256::digest(format!("tepui {version}"));
    hex(&hash[..20])
}

async fn version(system: Arc<System>, _: Call) -> Response {
    let build = build_id(&system.facts.version);
    no_cache(ok(&json!({
        "version": DCOS_VERSION,
        "dcos-image-commit": build,
        "bootstrap-id": build,
        "dcos-variant": "open",
    })))
}

/// The certificate that clients trust the front door by.
async fn authority(system: Arc<System>, _: Call) -> Response {
    match &system.facts.ca {
        Some(pem) => reply::content(StatusCode::OK, "application/x-x509-ca-cert", pem.clone()),
        None => reply::text(
            StatusCode::NOT_FOUND,
            "404 Not Found: the certificate here is not made by the cluster\n",
        ),
    }
}

async fn show_ui_config(system: Arc<System>, _: Call) -> Response {
    ok(&ui_config(&system.cluster.state(), system.checks_tokens))
}

/// Settings of the original's pages; the CLI looks into it for the way of task logs.
pub fn ui_config(state: &State, checks_tokens: bool) -> Value {
    let mut cluster = Map::new();
    let has_people = state.users.values().any(|user| user.public_key.is_none());
    cluster.insert("firstUser".to_owned(), json!(!has_people));
    if let Some(of) = &state.cluster {
        cluster.insert("id".to_owned(), json!(of.id));
    }
    json!({
        "uiConfiguration": {"plugins": {
            "banner": {
                "enabled": false, "backgroundColor": "#1E232F", "foregroundColor": "#FFFFFF",
                "headerTitle": null, "headerContent": null, "footerContent": null,
                "imagePath": null, "dismissible": null,
            },
            "branding": {"enabled": false},
            "external-links": {"enabled": false},
            "authentication": {"enabled": false},
            "oauth": {"enabled": checks_tokens, "authHost": ""},
            "intercom": {"enabled": false},
            "tracking": {"enabled": false, "metadata": {"openBuild": true}},
            "mesos": {"logging-strategy": "logrotate"},
            "ui-update": {"enabled": false},
        }},
        "clusterConfiguration": cluster,
    })
}

async fn metadata(system: Arc<System>, call: Call) -> Response {
    let mut shown = Map::new();
    let public = system.facts.public_address.unwrap_or(system.facts.address);
    if let IpAddr::V4(address) = public {
        shown.insert("PUBLIC_IPV4".to_owned(), json!(address.to_string()));
    } else if let Some(origin) = call.origin() {
        tracing::debug!(peer = %origin.peer, "this master has no public IPv4 address to tell");
    }
    if let Some(of) = &system.cluster.state().cluster {
        shown.insert("CLUSTER_ID".to_owned(), json!(of.id));
    }
    ok(&Value::Object(shown))
}

/// What clients may expect of the catalog, job and log services; this cluster has none of them.
async fn capabilities(_: Arc<System>, _: Call) -> Response {
    let content_type = "application/vnd.dcos.capabilities+json;charset=utf-8;version=v1";
    reply::json_as(StatusCode::OK, content_type, &json!({"capabilities": []}))
}

/// Parts of this binary by the names of the packages they stand for.
const PARTS: [&str; 7] =
    ["adminrouter", "bouncer", "dcos-net", "dcos-ui", "marathon", "mesos", "mesos-dns"];

/// Also what clients ask for without a token to learn whether one is needed.
async fn build_info(system: Arc<System>, _: Call) -> Response {
    let version = &system.facts.version;
    let part = |name: &&str| {
        let info = json!({"name": name, "package_version": version, "sources": {}});
        ((*name).to_owned(), info)
    };
    no_cache(ok(&Value::Object(PARTS.iter().map(part).collect())))
}

async fn active(system: Arc<System>, _: Call) -> Response {
    let version = &system.facts.version;
    ok(&PARTS.iter().map(|name| format!("{name}--{version}")).collect())
}

async fn ui_version(system: Arc<System>, _: Call) -> Response {
    let build = format!("tepui+v{}", system.facts.version);
    ok(&json!({"default": true, "packageVersion": "Default", "buildVersion": build}))
}

async fn masters_status(system: Arc<System>, _: Call) -> Response {
    let shown = system.cluster.members().into_iter().map(|master| {
        let (code, text) = if master.is_serving { (3, "serving") } else { (1, "down") };
        json!({
            "code": code, "description": text,
            "hostname": master.address.to_string(), "isLeader": master.is_leader,
        })
    });
    ok(&shown.collect())
}

async fn masters_list(system: Arc<System>, _: Call) -> Response {
    let masters = system.cluster.members();
    let servers: Vec<_> = masters.iter().map(|master| master.address.to_string()).collect();
    ok(&json!({"servers": servers, "port": 2181}))
}

async fn net_nodes(system: Arc<System>, _: Call) -> Response {
    let updated = system.clock.now().to_string();
    let entry = |address: &IpAddr, public: Option<IpAddr>, hostname: &str| {
        let public: Vec<_> = public.iter().map(IpAddr::to_string).collect();
        let address = address.to_string();
        json!({
            "updated": updated, "public_ips": public, "private_ip": address, "hostname": hostname,
        })
    };
    let facts = &system.facts;
    let mut shown = vec![entry(&facts.address, facts.public_address, &facts.hostname)];
    for node in system.cluster.state().nodes.values() {
        if node.info.address != facts.address {
            let public = node.info.public_address();
            shown.push(entry(&node.info.address, public, &node.info.hostname));
        }
    }
    ok(&Value::Array(shown))
}

async fn ping(system: Arc<System>, _: Call) -> Response {
    ok(&json!({"ok": true, "timestamp": system.clock.now().to_string()}))
}

/// One part on one node.
struct UnitOnNode {
    id: &'static str,
    name: &'static str,
    ip: String,
    hostname: String,
    role: &'static str,
    node_id: String,
    is_leader: bool,
    is_healthy: bool,
}

const MASTER_UNITS: [(&str, &str); 5] = [
    ("dcos-adminrouter.service", "dcos-adminrouter.service"),
    ("dcos-bouncer.service", "dcos-bouncer.service"),
    ("dcos-marathon.service", "Marathon"),
    ("dcos-mesos-dns.service", "Mesos DNS"),
    ("dcos-mesos-master.service", "Mesos Master"),
];
const AGENT_UNITS: [(&str, &str); 2] =
    [("dcos-mesos-slave.service", "Mesos Agent"), ("dcos-net.service", "DC/OS Net")];
const PUBLIC_AGENT_UNITS: [(&str, &str); 2] =
    [("dcos-mesos-slave-public.service", "Mesos Agent Public"), ("dcos-net.service", "DC/OS Net")];

/// Every part of every node.
fn all_units(system: &System) -> Vec<UnitOnNode> {
    let mut all = Vec::new();
    for master in system.cluster.members() {
        let ip = master.address.to_string();
        all.extend(MASTER_UNITS.map(|(id, name)| UnitOnNode {
            id,
            name,
            hostname: ip.clone(),
            ip: ip.clone(),
            role: "master",
            node_id: String::new(),
            is_leader: master.is_leader,
            is_healthy: master.is_serving,
        }));
    }
    for node in system.cluster.state().nodes.values() {
        let (role, units) = match node.info.kind {
            NodeKind::Agent | NodeKind::Both => ("agent", AGENT_UNITS),
            NodeKind::PublicAgent => ("agent_public", PUBLIC_AGENT_UNITS),
        };
        all.extend(units.map(|(id, name)| UnitOnNode {
            id,
            name,
            ip: node.info.address.to_string(),
            hostname: node.info.hostname.clone(),
            role,
            node_id: node.id().to_string(),
            is_leader: false,
            is_healthy: node.is_reachable(),
        }));
    }
    all
}

impl UnitOnNode {
    fn health(&self) -> u8 {
        u8::from(!self.is_healthy)
    }

    fn output(&self) -> &'static str {
        if self.is_healthy { "" } else { "the node does not answer" }
    }

    fn help(&self) -> String {
        format!("run `journalctl -u tepui` on {}", self.ip)
    }

    fn as_unit(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "health": self.health(), "description": self.name,
            "output": self.output(), "help": self.help(),
        })
    }

    fn as_node(&self) -> Value {
        json!({"host_ip": self.ip, "health": self.health(), "role": self.role})
    }

    fn as_unit_on_node(&self) -> Value {
        json!({
            "host_ip": self.ip, "health": self.health(), "role": self.role,
            "output": self.output(), "help": self.help(),
        })
    }
}

/// `units` with equal keys joined; the worst health counts.
fn join(
    units: &[UnitOnNode],
    key: fn(&UnitOnNode) -> &str,
    show: fn(&UnitOnNode) -> Value,
) -> Vec<Value> {
    let mut joined: std::collections::BTreeMap<&str, Value> = Default::default();
    for unit in units {
        let shown = joined.entry(key(unit)).or_insert_with(|| show(unit));
        if !unit.is_healthy {
            shown["health"] = json!(1);
        }
    }
    joined.into_values().collect()
}

fn summary(unit: &UnitOnNode) -> Value {
    json!({
        "id": unit.id, "name": unit.name, "health": unit.health(), "description": unit.name,
    })
}

fn no_such(kind: &str, name: &str) -> Response {
    reply::text(StatusCode::NOT_FOUND, format!("{kind} {name} not found\n"))
}

async fn own_health(system: Arc<System>, _: Call) -> Response {
    let own = system.facts.address.to_string();
    let units: Vec<_> = all_units(&system)
        .iter()
        .filter(|unit| unit.ip == own && unit.role == "master")
        .map(UnitOnNode::as_unit)
        .collect();
    ok(&json!({
        "units": units,
        "hostname": system.facts.hostname,
        "ip": own,
        "dcos_version": DCOS_VERSION,
        "node_role": "master",
        "mesos_id": "",
        "dcos_diagnostics_version": system.facts.version,
    }))
}

async fn units(system: Arc<System>, _: Call) -> Response {
    ok(&json!({"units": join(&all_units(&system), |unit| unit.id, summary)}))
}

async fn unit(system: Arc<System>, call: Call) -> Response {
    let name = call.param("unit");
    let found = join(&all_units(&system), |unit| unit.id, summary);
    match found.iter().find(|unit| unit["id"] == name) {
        Some(unit) => ok(unit),
        None => no_such("unit", name),
    }
}

async fn unit_nodes(system: Arc<System>, call: Call) -> Response {
    let name = call.param("unit");
    let all = all_units(&system);
    let nodes: Vec<_> = all.iter().filter(|u| u.id == name).map(UnitOnNode::as_node).collect();
    if nodes.is_empty() { no_such("unit", name) } else { ok(&json!({ "nodes": nodes })) }
}

fn one(system: &System, call: &Call, show: fn(&UnitOnNode) -> Value) -> Response {
    let (unit, ip) = (call.param("unit"), call.param("ip"));
    match all_units(system).iter().find(|u| u.id == unit && u.ip == ip) {
        Some(found) => ok(&show(found)),
        None => no_such("unit", unit),
    }
}

async fn unit_on_node(system: Arc<System>, call: Call) -> Response {
    one(&system, &call, UnitOnNode::as_unit_on_node)
}

async fn node_unit(system: Arc<System>, call: Call) -> Response {
    one(&system, &call, UnitOnNode::as_unit)
}

async fn nodes(system: Arc<System>, _: Call) -> Response {
    ok(&json!({"nodes": join(&all_units(&system), |unit| &unit.ip, UnitOnNode::as_node)}))
}

async fn node(system: Arc<System>, call: Call) -> Response {
    let ip = call.param("ip");
    let found = join(&all_units(&system), |unit| &unit.ip, UnitOnNode::as_node);
    match found.iter().find(|node| node["host_ip"] == ip) {
        Some(node) => ok(node),
        None => no_such("node", ip),
    }
}

async fn node_units(system: Arc<System>, call: Call) -> Response {
    let ip = call.param("ip");
    let all = all_units(&system);
    let units: Vec<_> = all.iter().filter(|u| u.ip == ip).map(UnitOnNode::as_unit).collect();
    if units.is_empty() { no_such("node", ip) } else { ok(&json!({ "units": units })) }
}

async fn report(system: Arc<System>, _: Call) -> Response {
    let all = all_units(&system);
    let updated = system.clock.now().to_string();
    let (mut units, mut nodes) = (Map::new(), Map::new());
    let on_node = |unit: &UnitOnNode| {
        json!({
            "Leader": unit.is_leader, "Role": unit.role, "IP": unit.ip, "Host": unit.hostname,
            "Health": unit.health(), "Output": {unit.id: unit.output()}, "MesosID": unit.node_id,
        })
    };
    let as_unit = |unit: &UnitOnNode| {
        json!({
            "UnitName": unit.id, "Nodes": [], "Health": 0, "Title": unit.name,
            "Timestamp": updated, "PrettyName": unit.name,
        })
    };
    for unit in &all {
        for (table, key, shown, list, item) in [
            (&mut units, unit.id, as_unit(unit), "Nodes", on_node(unit)),
            (&mut nodes, unit.ip.as_str(), on_node(unit), "Units", as_unit(unit)),
        ] {
            let entry = table.entry(key.to_owned()).or_insert(shown);
            if !unit.is_healthy {
                entry["Health"] = json!(1);
            }
            match &mut entry[list] {
                Value::Array(items) => items.push(item),
                none => *none = json!([item]),
            }
        }
    }
    ok(&json!({"Units": units, "Nodes": nodes, "UpdatedTime": updated}))
}

#[cfg(test)]
mod tests;
