//! Which names exist in the cluster, and what they stand for: a pure function from masters, agents
//! and running tasks to a stream of DNS records.
//!
//! The names are those of Mesos-DNS (zone `mesos`) and of the nodes' resolver (zones below
//! `thisdcos.directory` and the small ones), listed with their rules in docs/compat/dns.md,
//! "Names". Records go to a `Sink` one by one, so that ten thousand tasks need no list of a hundred
//! thousand texts; equal records may be sent twice, the sink keeps one.
//!
//! Left to others: which tasks count as running and not being killed (the caller passes only
//! those), life times and encodings (`dns::table`), what a question gets (`dns::answer`).

use std::{borrow::Cow, net::IpAddr};

pub mod known;
pub mod label;
pub mod tasks;
pub mod told;

use crate::model::names::{AddressRule, Realm, Scheduler, Transport};
use label::{LABEL_MAX, push_label, push_labels};

/// Takes records. Names are dotted text without the final dot, lower case, at most 63 characters a
/// label; a name too long for DNS may be ignored, with everything that hangs on it.
pub trait Sink {
    /// A name's handle, so that it is looked up once however many records it has.
    type Name: Copy;
    /// Makes `text` known; it exists for clients only once it owns a record.
    fn name(&mut self, text: &str) -> Self::Name;
    /// `owner` has an A or AAAA record for `ip`.
    fn address(&mut self, owner: Self::Name, ip: IpAddr);
    /// `owner` has an SRV record: `port` at `target`.
    fn service(&mut self, owner: Self::Name, port: u16, target: Self::Name);
}

/// A running task.
#[derive(Debug, Clone, Copy)]
pub struct NamedTask<'a> {
    pub framework: &'a str,
    /// The discovery name when there is one, else the task's. Marathon's apps have their path
    /// reversed and joined by dots: `/outer/sub/app` is `app.sub.outer`.
    pub name: &'a str,
    /// Whether `name` is a discovery name: it then exists with its dots and as one label.
    pub is_discovered: bool,
    pub id: &'a str,
    pub agent_id: &'a str,
    pub agent: IpAddr,
    /// Addresses of its own; empty on the host's network.
    pub own: &'a [IpAddr],
    /// Whether a port of the host leads to it.
    pub is_mapped: bool,
    /// Ports taken on the host.
    pub host_ports: &'a [u16],
    /// Ports it announces.
    pub ports: &'a [Port<'a>],
}

/// An announced port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port<'a> {
    pub number: u16,
    pub name: Option<&'a str>,
    /// Both when unknown.
    pub transport: Option<Transport>,
}

const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Udp];

fn label_of(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "_tcp",
        Transport::Udp => "_udp",
    }
}

/// Where the nodes' resolver keeps tasks.
const DCOS: &str = "dcos.thisdcos.directory";
/// The address where each node answers its own containers.
const NODE_RESOLVER: [u8; 4] = [198, 51, 100, 1];

/// Sends the records of the cluster itself.
pub fn cluster_records<S: Sink>(realm: &Realm, sink: &mut S) {
    let mut names = Names { sink, text: String::new() };
    let mut masters = realm.masters.clone();
    if let Some(leader) = realm.leader {
        if !masters.contains(&leader) {
            masters.push(leader);
        }
        let name = names.with_addresses(&["leader.mesos"], &[leader]);
        for transport in BOTH {
            let service = names.name(&["_leader.", label_of(transport), ".mesos"]);
            names.sink.service(service, realm.master_port, name);
        }
        names.with_addresses(&["leader.", DCOS], &[leader]);
    }
    names.with_addresses(&["master.mesos"], &masters);
    names.with_addresses(&["master.", DCOS], &masters);
    for (i, master) in masters.iter().enumerate() {
        names.with_addresses(&["master", &i.to_string(), ".mesos"], &[*master]);
    }
    // The five names of the coordination service that old configurations list.
    for (i, master) in masters.iter().cycle().take(5).enumerate() {
        names.with_addresses(&["zk-", &(i + 1).to_string(), ".zk"], &[*master]);
    }
    if !realm.agents.is_empty() {
        let name = names.with_addresses(&["slave.mesos"], &realm.agents);
        let service = names.name(&["_slave._tcp.mesos"]);
        names.sink.service(service, realm.agent_port, name);
    }
    for framework in &realm.frameworks {
        scheduler_records(framework, &mut names);
    }
    names.with_addresses(&["ns1.mesos"], &realm.name_servers);
    names.with_addresses(&["ns.spartan"], &[IpAddr::from(NODE_RESOLVER)]);
    for own in ["ready.spartan", "localhost"] {
        names.with_addresses(&[own], &[IpAddr::from([127, 0, 0, 1])]);
    }
    names.with_addresses(&["thisnode.thisdcos.directory"], realm.this_node.as_slice());
    names
        .with_addresses(&["public.thisnode.thisdcos.directory"], realm.this_node_public.as_slice());
}

/// `F.mesos`, `_framework._tcp.F.mesos` and `_F._tcp.F.mesos`.
fn scheduler_records<S: Sink>(framework: &Scheduler, names: &mut Names<'_, S>) {
    let mut domain = String::new();
    push_labels(&framework.name, LABEL_MAX, LABEL_MAX, &mut domain);
    if domain.is_empty() {
        return;
    }
    let name = names.with_addresses(&[&domain, ".mesos"], &[framework.host]);
    let mut own = String::new();
    push_label(&framework.name, LABEL_MAX - 1, &mut own);
    for service in ["framework", &own] {
        let service = names.name(&["_", service, "._tcp.", &domain, ".mesos"]);
        names.sink.service(service, framework.port, name);
    }
}

/// Sends the records of running tasks. Tasks of one app should follow each other: what they share
/// is then worked out once.
pub struct TaskRecords<'s, S: Sink> {
    names: Names<'s, S>,
    rule: AddressRule,
    group: Option<Group<S::Name>>,
}

impl<'s, S: Sink> TaskRecords<'s, S> {
    pub fn new(rule: AddressRule, sink: &'s mut S) -> Self {
        Self { names: Names { sink, text: String::new() }, rule, group: None }
    }

    /// Sends the records of one task.
    pub fn push(&mut self, task: &NamedTask<'_>) {
        if self.group.as_ref().is_none_or(|group| !group.holds(task)) {
            self.group = Group::new(task, &mut self.names);
        }
        if let Some(group) = &mut self.group {
            group.task(task, self.rule, &mut self.names);
        }
    }
}

/// What the tasks of one app share: their names without a task's hash.
struct Group<N> {
    framework: String,
    name: String,
    is_discovered: bool,
    /// The framework as the end of a name.
    domain: String,
    spellings: Vec<Spelling<N>>,
    /// `<task>.<framework>.{agentip,containerip,autoip}.dcos…`.
    agent_ip: N,
    container_ip: N,
    auto_ip: N,
}

/// One way of writing the task's name: with its dots, or as one label.
struct Spelling<N> {
    /// As the first part of a service name.
    service: String,
    /// The name itself; a task's hash goes behind it.
    stem: String,
    plain: N,
    on_agent: N,
    services_on_agent: [N; 2],
    /// Services met so far: port name, transport, handle.
    services: Vec<(String, Transport, N)>,
}

impl<N: Copy> Group<N> {
    /// None when nothing of the framework's or the task's name can stand in a label.
    fn new<S: Sink<Name = N>>(task: &NamedTask<'_>, names: &mut Names<'_, S>) -> Option<Self> {
        let (mut domain, mut label, mut framework) = Default::default();
        push_labels(task.framework, LABEL_MAX, LABEL_MAX, &mut domain);
        push_label(task.framework, LABEL_MAX, &mut framework);
        push_label(task.name, LABEL_MAX, &mut label);
        if domain.is_empty() || label.is_empty() {
            return None;
        }
        let mut service = String::new();
        push_label(task.name, LABEL_MAX - 1, &mut service);
        let mut spellings = vec![Spelling::new(label.clone(), service, &domain, names)];
        let mut dotted = String::new();
        push_labels(task.name, LABEL_MAX, LABEL_MAX, &mut dotted);
        if task.is_discovered && dotted != label {
            let mut service = String::new();
            push_labels(task.name, LABEL_MAX - 1, LABEL_MAX, &mut service);
            spellings.push(Spelling::new(dotted, service, &domain, names));
        }
        let mut in_dcos = |kind| names.name(&[&label, ".", &framework, ".", kind, ".", DCOS]);
        Some(Self {
            framework: task.framework.to_owned(),
            name: task.name.to_owned(),
            is_discovered: task.is_discovered,
            agent_ip: in_dcos("agentip"),
            container_ip: in_dcos("containerip"),
            auto_ip: in_dcos("autoip"),
            domain,
            spellings,
        })
    }

    fn holds(&self, task: &NamedTask<'_>) -> bool {
        (&*self.framework, &*self.name, self.is_discovered)
            == (task.framework, task.name, task.is_discovered)
    }

    fn task<S: Sink<Name = N>>(
        &mut self,
        task: &NamedTask<'_>,
        rule: AddressRule,
        names: &mut Names<'_, S>,
    ) {
        let agent = [task.agent];
        let own = if task.own.is_empty() { &agent } else { task.own };
        let reachable = if task.is_mapped { &agent } else { own };
        names.addresses(self.agent_ip, &agent);
        names.addresses(self.container_ip, own);
        names.addresses(self.auto_ip, reachable);
        let in_mesos: &[IpAddr] = match rule {
            AddressRule::Reachable => reachable,
            AddressRule::Agent => &agent,
        };
        // Only the shipped original put an IPv6 address beside the agent's.
        let beside = match rule {
            AddressRule::Reachable => None,
            AddressRule::Agent => own.iter().find(|ip| ip.is_ipv6() && task.agent.is_ipv4()),
        };
        let hash = hash5(task.id);
        let hash = std::str::from_utf8(&hash).expect("made of ASCII letters");
        let node = node_suffix(task.agent_id);
        for spelling in &mut self.spellings {
            let stem = spelling.stem_before(2 + hash.len() + node.len());
            let here = names.name(&[&stem, "-", hash, "-", &node, ".", &self.domain, ".mesos"]);
            let on_agent =
                names.name(&[&stem, "-", hash, "-", &node, ".", &self.domain, ".slave.mesos"]);
            for owner in [spelling.plain, here] {
                names.addresses(owner, in_mesos);
                names.addresses(owner, beside.map(std::slice::from_ref).unwrap_or_default());
            }
            names.addresses(spelling.on_agent, &agent);
            names.addresses(on_agent, &agent);
            for port in task.host_ports {
                for owner in spelling.services_on_agent {
                    names.sink.service(owner, *port, on_agent);
                }
                if !task.is_discovered {
                    for transport in BOTH {
                        let owner = spelling.service("", transport, &self.domain, names);
                        names.sink.service(owner, *port, on_agent);
                    }
                }
            }
            for port in task.ports {
                let transports = match &port.transport {
                    Some(one) => std::slice::from_ref(one),
                    None => &BOTH,
                };
                for transport in transports {
                    let owner = spelling.service("", *transport, &self.domain, names);
                    names.sink.service(owner, port.number, here);
                    if let Some(name) = port.name {
                        let owner = spelling.service(name, *transport, &self.domain, names);
                        names.sink.service(owner, port.number, here);
                    }
                }
            }
        }
    }
}

impl<N: Copy> Spelling<N> {
    fn new<S: Sink<Name = N>>(
        stem: String,
        service: String,
        domain: &str,
        names: &mut Names<'_, S>,
    ) -> Self {
        let mut on_agent = |transport: Transport| {
            names.name(&["_", &service, ".", label_of(transport), ".", domain, ".slave.mesos"])
        };
        let services_on_agent = BOTH.map(&mut on_agent);
        Self {
            plain: names.name(&[&stem, ".", domain, ".mesos"]),
            on_agent: names.name(&[&stem, ".", domain, ".slave.mesos"]),
            services_on_agent,
            services: Vec::new(),
            service,
            stem,
        }
    }

    /// The name with its last label cut so that a suffix of `suffix_len` fits behind it. The
    /// original did not cut, and such a task had a name nobody could ask for.
    fn stem_before(&self, suffix_len: usize) -> Cow<'_, str> {
        let last_len = self.stem.rsplit('.').next().map_or(0, str::len);
        if last_len + suffix_len <= LABEL_MAX {
            return Cow::Borrowed(&self.stem);
        }
        let mut cut = String::new();
        push_labels(&self.stem, LABEL_MAX, LABEL_MAX - suffix_len, &mut cut);
        Cow::Owned(cut)
    }

    /// `_T._proto.F.mesos`, or `_P._T._proto.F.mesos` for the port named P.
    fn service<S: Sink<Name = N>>(
        &mut self,
        port: &str,
        transport: Transport,
        domain: &str,
        names: &mut Names<'_, S>,
    ) -> N {
        let known = self.services.iter().find(|(p, q, _)| p == port && *q == transport);
        if let Some((.., name)) = known {
            return *name;
        }
        let mut label = String::new();
        push_label(port, LABEL_MAX - 1, &mut label);
        let tail = ["_", &self.service, ".", label_of(transport), ".", domain, ".mesos"];
        let name = if label.is_empty() {
            names.name(&tail)
        } else {
            names.name(&[&["_", &label, "."][..], &tail].concat())
        };
        self.services.push((port.to_owned(), transport, name));
        name
    }
}

/// A sink with a buffer to put names together in.
struct Names<'s, S: Sink> {
    sink: &'s mut S,
    text: String,
}

impl<S: Sink> Names<'_, S> {
    fn name(&mut self, parts: &[&str]) -> S::Name {
        self.text.clear();
        for part in parts {
            self.text.push_str(part);
        }
        self.sink.name(&self.text)
    }

    fn addresses(&mut self, owner: S::Name, ips: &[IpAddr]) {
        for ip in ips {
            self.sink.address(owner, *ip);
        }
    }

    fn with_addresses(&mut self, parts: &[&str], ips: &[IpAddr]) -> S::Name {
        let name = self.name(parts);
        self.addresses(name, ips);
        name
    }
}

/// The text behind the last dash of an agent's id, as a label: `…-S0` gives `s0`.
fn node_suffix(agent_id: &str) -> String {
    let mut label = String::new();
    push_label(agent_id.rsplit('-').next().unwrap_or(agent_id), NODE_SUFFIX_MAX, &mut label);
    label
}

/// Agents' ids end in a short counter; a stranger one is cut.
const NODE_SUFFIX_MAX: usize = 24;

/// The first five characters of the zbase32 form of SHA-1, which Mesos-DNS used to tell tasks apart.
fn hash5(text: &str) -> [u8; 5] {
    const ALPHABET: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let bytes = digest.as_ref();
    let bits = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    std::array::from_fn(|i| ALPHABET[(bits >> (27 - 5 * i)) as usize & 31])
}

/// One record as text, for listings and tests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub name: String,
    pub data: Data,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    Address(IpAddr),
    Service { port: u16, target: String },
}

/// A sink that keeps everything as text.
#[derive(Debug, Default)]
pub struct Listing {
    names: Vec<String>,
    records: Vec<Record>,
}

impl Listing {
    /// The records, sorted, each once.
    pub fn into_records(mut self) -> Vec<Record> {
        self.records.sort();
        self.records.dedup();
        self.records
    }
}

impl Sink for Listing {
    type Name = usize;

    fn name(&mut self, text: &str) -> usize {
        self.names.push(text.to_owned());
        self.names.len() - 1
    }

    fn address(&mut self, owner: usize, ip: IpAddr) {
        let name = self.names[owner].clone();
        self.records.push(Record { name, data: Data::Address(ip) });
    }

    fn service(&mut self, owner: usize, port: u16, target: usize) {
        let (name, target) = (self.names[owner].clone(), self.names[target].clone());
        self.records.push(Record { name, data: Data::Service { port, target } });
    }
}

#[cfg(test)]
mod tests;
