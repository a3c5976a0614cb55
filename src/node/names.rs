//! Names for the containers of this node: keeps our name server on the engine's bridge.
//!
//! Containers cannot reach a listener on loopback, so their resolver has to be at the bridge. The
//! bridge may come later than we do (the engine is started afterwards), get another address, or
//! have its port 53 taken; so its address is looked up again and again, and what is found is said.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use tokio::{sync::watch, time::Instant};

use super::config::Config;
use crate::{
    agent::resolver::{Resolver, Standing},
    base::task::Tasks,
    dns::{
        serve::{Handle, Options},
        upstream,
    },
    host::bridge::{self, Interfaces},
};

/// The port resolvers of containers ask; no other can be given to them.
const PORT: u16 = 53;
/// How often the bridge and the machine's networks are looked up.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often the engine is asked for the bridge's name when nothing seems to have changed.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// Time a name server that is no longer wanted gets to end.
const STOP: Duration = Duration::from_secs(1);

/// How the name server of a node answers: `own` are its addresses, `masters` is empty on a master.
pub fn options(config: &Config, own: &[SocketAddr], masters: Vec<SocketAddr>) -> Options {
    let upstreams = config.dns_upstreams.clone();
    let upstreams = upstreams.unwrap_or_else(|| upstream::system_upstreams(own));
    Options { n_workers: 0, upstreams, masters }
}

/// The name servers of the masters: they answer where they are reached, on the same port as here.
pub async fn of_masters(config: &Config) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for master in &config.masters {
        let Some((host, _)) = master.rsplit_once(':') else { continue };
        match tokio::net::lookup_host((host.trim_matches(['[', ']']), config.dns_port)).await {
            Ok(addresses) => found.extend(addresses.take(1)),
            Err(error) => tracing::warn!(master, %error, "the master's name server was not found"),
        }
    }
    found
}

/// Looks up the bridge and the networks, once now, then for ever in `tasks`. The view is for the
/// agent; the text says why containers have no resolver of ours, when that is known already.
pub async fn start(config: &Config, names: Handle, tasks: &Tasks) -> (Resolver, Option<String>) {
    let (tell, resolver) = Resolver::new();
    let mut keeper = Keeper {
        docker: config.runs_containers().then(|| config.docker.clone()),
        operators: config.dns_allow.clone(),
        system_upstreams: config.dns_upstreams.is_none(),
        names,
        tell,
        interface: None,
        gateway: None,
        asked: None,
        serving: None,
        allowed: Vec::new(),
    };
    keeper.look().await;
    let trouble = match &*keeper.tell.borrow() {
        Standing::Missing(why) => Some(why.clone()),
        Standing::Looking | Standing::At(_) => None,
    };
    let cancelled = tasks.cancelled();
    tasks.vital("container-names", async move {
        while cancelled.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            keeper.look().await;
        }
        if let Some((_, serving)) = keeper.serving.take() {
            serving.stop(STOP).await;
        }
        Ok(())
    });
    (resolver, trouble)
}

struct Keeper {
    /// Docker's socket; `None` on a node that runs no containers.
    docker: Option<PathBuf>,
    /// Networks an operator lets ask for names outside our zones.
    operators: Vec<IpNet>,
    /// Whether the upstreams are those of the machine; else an operator chose them.
    system_upstreams: bool,
    names: Handle,
    tell: watch::Sender<Standing>,
    /// What the engine said last.
    interface: Option<String>,
    gateway: Option<IpAddr>,
    asked: Option<Instant>,
    /// The address we answer on, and the tasks that do.
    serving: Option<(IpAddr, Tasks)>,
    allowed: Vec<IpNet>,
}

impl Keeper {
    async fn look(&mut self) {
        let interfaces = Interfaces::now();
        self.allow(&interfaces);
        let Some(docker) = self.docker.clone() else { return };
        let mut known = self.interface.as_deref().and_then(|name| interfaces.address(name));
        if known.is_none() || self.asked.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
            match bridge::ask(&docker).await {
                Ok(Some(told)) => {
                    self.asked = Some(Instant::now());
                    known = known.filter(|_| told.interface == self.interface);
                    self.interface = told.interface;
                    self.gateway = told.gateway.map(IpAddr::from);
                }
                Ok(None) => {
                    self.asked = Some(Instant::now());
                    return self.say(Standing::Missing(
                        "the container engine has no default network (bridge)".into(),
                    ));
                }
                // Its bridge may be there all the same: the kernel keeps it while the engine is away.
                Err(error) => tracing::debug!(%error, "the engine does not say what its bridge is"),
            }
        }
        let interface = self.interface.as_deref().unwrap_or(bridge::DEFAULT);
        let address = known.or_else(|| Interfaces::now().address(interface));
        match address.map(IpAddr::from).or(self.gateway) {
            Some(address) => self.serve(address).await,
            // Nobody can start a container now either; what is there stays as it is.
            None if self.asked.is_none() => {}
            None => self.say(Standing::Missing(format!(
                "the bridge of the container engine, {interface}, has no address"
            ))),
        }
    }

    /// Answers on `address`, if we do not yet.
    async fn serve(&mut self, address: IpAddr) {
        if self.serving.as_ref().is_some_and(|(at, tasks)| *at == address && !tasks.has_failed()) {
            return;
        }
        let names = self.names.clone();
        let wanted = SocketAddr::new(address, PORT);
        let covers = |own: &SocketAddr| {
            own.port() == PORT && (own.ip() == address || own.ip().is_unspecified())
        };
        if names.addresses().iter().any(covers) {
            return self.say(Standing::At(address));
        }
        match names.server_on(wanted) {
            Ok(server) => {
                // Of its own: a bridge that goes away must not end the node.
                let tasks = Tasks::new("bridge-dns");
                server.run(&tasks);
                if let Some((_, old)) = self.serving.replace((address, tasks)) {
                    old.stop(STOP).await;
                }
                if self.system_upstreams {
                    let own = [names.addresses(), &[wanted]].concat();
                    names.set_upstreams(&upstream::system_upstreams(&own));
                }
                self.say(Standing::At(address));
            }
            Err(error) => {
                let cause = error.root_cause();
                let taken = cause
                    .downcast_ref::<std::io::Error>()
                    .is_some_and(|e| e.kind() == std::io::ErrorKind::AddrInUse);
                self.say(Standing::Missing(if taken {
                    format!("another program holds port {PORT} of the container engine's bridge, {address}")
                } else {
                    format!("port {PORT} of the container engine's bridge, {address}, cannot be used: {cause}")
                }));
            }
        }
    }

    /// Lets this machine, its containers and the networks named by the operator ask for all names.
    fn allow(&mut self, interfaces: &Interfaces) {
        let mut allowed = interfaces.networks();
        allowed.extend(&self.operators);
        if allowed != self.allowed {
            self.names.allow(allowed.clone());
            self.allowed = allowed;
        }
    }

    fn say(&self, standing: Standing) {
        self.tell.send_if_modified(|known| {
            if *known == standing {
                return false;
            }
            match &standing {
                Standing::At(address) => tracing::info!(%address, "containers find names here"),
                Standing::Missing(why) => {
                    tracing::warn!("containers find no names of the cluster: {why}");
                }
                Standing::Looking => {}
            }
            *known = standing;
            true
        });
    }
}
