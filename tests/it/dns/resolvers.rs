//! Services behind resolvers of others: they take no additional records on trust and ask for every
//! target by its name, so each name an SRV record points to has to answer by itself.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::RecordType,
};
use tepui::{
    base::{rng::Rng, task::Tasks},
    core::{
        State,
        naming::{self, Data, Listing},
    },
    dns::{
        follow,
        serve::{Options, Server},
    },
    model::{
        instance::Condition,
        names::Realm,
        workload::{Network, NetworkMode},
    },
};

use super::{PATIENCE, Running, loopback, over_tcp, over_udp, query};
use crate::world::World;

/// Apps of every kind of network, with and without names of their ports, deep and long ids.
fn world() -> Arc<World> {
    let world = World::new();
    let network = |mode, name: Option<&str>| {
        vec![Network { mode, name: name.map(str::to_owned), labels: Default::default() }]
    };
    world.app("/web", 3, |_| {});
    world.app("/shop/back/api", 2, |s| {
        s.run_mut().networks = network(NetworkMode::Bridge, None);
        s.run_mut().containers[0].ports[0].container_port = Some(8080);
    });
    world.app(&format!("/{}/db", "a-long-group".repeat(6)), 1, |s| {
        s.run_mut().containers[0].ports[0].name = None;
    });
    world.app("/own", 2, |s| {
        s.run_mut().networks = network(NetworkMode::Container, Some("dcos"));
        s.run_mut().containers[0].ports[0].container_port = Some(80);
        s.run_mut().containers[0].ports[0].host_port = None;
    });
    let state = world.state();
    let own =
        state.instances.values().filter(|i| i.app().is_some_and(|app| app.as_str() == "/own"));
    for (n, instance) in own.enumerate() {
        let ip = Ipv4Addr::new(172, 18, 0, u8::try_from(n + 2).unwrap());
        world.report(instance.id.as_str(), Condition::Running, |r| r.addresses = vec![ip.into()]);
    }
    world
}

fn realm(ttl_secs: u32) -> Realm {
    let single = follow::single(Ipv4Addr::new(10, 0, 0, 1).into(), 5050, 5051, 8080);
    Realm { ttl_secs, ..single }
}

fn serve(state: &State, ttl_secs: u32) -> Running {
    let options = Options { n_workers: 2, upstreams: Vec::new(), masters: Vec::new() };
    let server = Server::bind(&[loopback()], &options, Rng::from_seed(1)).unwrap();
    let (handle, tasks) = (server.handle(), Tasks::new("test"));
    handle.publish(follow::table(state, &realm(ttl_secs), 64));
    server.run(&tasks);
    Running { handle, tasks }
}

/// Every name that has SRV records.
fn services(state: &State) -> BTreeSet<String> {
    let mut listing = Listing::default();
    naming::tasks::records(state, &realm(5), &mut listing);
    let records = listing.into_records().into_iter();
    records.filter(|r| matches!(r.data, Data::Service { .. })).map(|r| r.name + ".").collect()
}

fn targets(reply: &Message) -> BTreeSet<String> {
    let text = |data: String| data.rsplit_once(' ').map(|(_, target)| target.to_owned());
    reply.answers.iter().filter_map(|record| text(record.data.to_string())).collect()
}

#[tokio::test]
async fn every_target_of_a_service_answers_by_itself() {
    let state = world().state();
    let services = services(&state);
    assert!(services.len() > 20, "{services:?}");
    for ttl in [0, 5] {
        let server = serve(&state, ttl);
        let mut n_targets = 0;
        // The zone's other name renames targets as well.
        let aliases = services.iter().filter_map(|name| {
            Some(format!("{}.mesos.thisdcos.directory.", name.strip_suffix(".mesos.")?))
        });
        for name in services.iter().cloned().chain(aliases) {
            let asked = vec![query(&name, RecordType::SRV)];
            let reply = over_tcp(server.address(), asked).await.remove(0);
            assert!(!reply.answers.is_empty(), "{name} has no services");
            for target in targets(&reply) {
                let reply = over_udp(server.address(), query(&target, RecordType::A)).await;
                assert_eq!(reply.metadata.response_code, ResponseCode::NoError, "{target}");
                assert!(!reply.answers.is_empty(), "{name} points to {target}: no address");
                assert!(reply.answers.iter().all(|r| r.ttl == ttl), "{target}: {reply:?}");
                n_targets += 1;
            }
        }
        assert!(n_targets > 40, "{n_targets}");
        server.stop().await;
    }
}

/// Another resolver in front of ours.
struct Resolver {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.child.kill().ok(); // it may be gone
        self.child.wait().ok();
    }
}

/// A port that nobody has, neither by UDP nor by TCP: the resolvers want both.
fn free_port() -> SocketAddr {
    loop {
        let udp = UdpSocket::bind(loopback()).unwrap();
        let address = udp.local_addr().unwrap();
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Resolver {
    /// Starts `program`, which passes questions for `mesos` on to `server`.
    fn start(program: &str, server: SocketAddr) -> Self {
        let (address, dir) = (free_port(), tempfile::tempdir().unwrap());
        let (port, upstream) = (address.port(), server.port());
        let mut command = Command::new(program);
        match program {
            "dnsmasq" => command.args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--listen-address=127.0.0.1",
                "--user=root",
                "--pid-file=",
                &format!("--port={port}"),
                &format!("--server=/mesos/127.0.0.1#{upstream}"),
            ]),
            _ => {
                let path = dir.path().join("unbound.conf");
                let text = format!(
                    "server:\n interface: 127.0.0.1\n port: {port}\n do-ip6: no\n \
                     do-not-query-localhost: no\n do-daemonize: no\n chroot: \"\"\n \
                     username: \"\"\n pidfile: \"\"\n use-syslog: no\n verbosity: 0\n \
                     module-config: \"iterator\"\n access-control: 127.0.0.0/8 allow\n\
                     remote-control:\n control-enable: no\n\
                     forward-zone:\n name: \"mesos.\"\n forward-addr: 127.0.0.1@{upstream}\n"
                );
                std::fs::write(&path, text).unwrap();
                command.arg("-d").arg("-c").arg(path)
            }
        };
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{program} does not start ({error}); installer/prepare.sh test installs it")
        });
        Self { child, address, _dir: dir }
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Message {
        let mut message = query(name, kind);
        message.metadata.recursion_desired = true;
        over_udp(self.address, message).await
    }

    /// Until it listens: a datagram to a port that nobody has comes back at once.
    async fn ready(&self) {
        // A program of its own that starts, beside all the other tests.
        let deadline = tokio::time::Instant::now() + 6 * PATIENCE;
        let address = self.address;
        loop {
            let message = query("leader.mesos.", RecordType::A).to_vec().unwrap();
            let heard = tokio::task::spawn_blocking(move || {
                let socket = UdpSocket::bind(loopback()).unwrap();
                socket.set_read_timeout(Some(PATIENCE / 10)).unwrap();
                socket.connect(address).unwrap();
                socket.send(&message).and_then(|_| socket.recv(&mut [0; 512])).is_ok()
            });
            if heard.await.unwrap() {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "it does not listen");
            tokio::time::sleep(PATIENCE / 100).await;
        }
    }
}

fn addresses(reply: &Message) -> BTreeSet<String> {
    let of_kind = reply.answers.iter().filter(|r| r.record_type() == RecordType::A);
    of_kind.map(|record| record.data.to_string()).collect()
}

#[tokio::test]
async fn services_are_found_through_dnsmasq_and_unbound() {
    for program in ["dnsmasq", "unbound"] {
        for ttl in [0, 5] {
            let world = world();
            let server = serve(&world.state(), ttl);
            let resolver = Resolver::start(program, server.address());
            resolver.ready().await;
            for name in ["_own._tcp.marathon.mesos.", "_web._tcp.marathon.mesos."] {
                let reply = resolver.ask(name, RecordType::SRV).await;
                let found = targets(&reply);
                assert!(found.len() >= 2, "{program}, TTL {ttl}: {name}: {reply:?}");
                for target in found {
                    let through = resolver.ask(&target, RecordType::A).await;
                    let own = over_udp(server.address(), query(&target, RecordType::A)).await;
                    assert_eq!(addresses(&through), addresses(&own), "{program}: {target}");
                    assert!(!addresses(&own).is_empty(), "{target}");
                }
            }
            if ttl == 0 {
                // Nothing was kept: what has changed is seen by the next question.
                world.app("/web", 1, |_| {});
                server.handle.publish(follow::table(&world.state(), &realm(ttl), 64));
                let reply = resolver.ask("_web._tcp.marathon.mesos.", RecordType::SRV).await;
                assert_eq!(targets(&reply).len(), 1, "{program}: {reply:?}");
            }
            server.stop().await;
        }
    }
}
