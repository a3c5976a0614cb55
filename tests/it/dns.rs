//! The DNS servers over real sockets on loopback, asked with an independent encoder and decoder.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::Arc,
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata},
};
use tepui::{
    base::{clock::SystemClock, rng::Rng, task::Tasks},
    core::{NodeCommand, State, naming::Sink as _},
    dns::{
        follow,
        serve::{Handle, Options, Server},
        table::Builder,
    },
    log::{Disk, Log, LogConfig, memory::MemoryDisk},
    model::{
        node::{NodeId, NodeInfo, NodeKind},
        resource::Pools,
    },
};
use tokio::sync::watch;

mod cut;
mod resolvers;

const PATIENCE: Duration = Duration::from_secs(5);

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A running server with a few names.
struct Running {
    handle: Handle,
    tasks: Tasks,
}

impl Running {
    fn start(addresses: &[SocketAddr], upstreams: &[SocketAddr]) -> Self {
        let options = Options { n_workers: 2, upstreams: upstreams.to_vec(), masters: Vec::new() };
        let server = Server::bind(addresses, &options, Rng::from_seed(1)).expect("ports are free");
        let (handle, tasks) = (server.handle(), Tasks::new("test"));
        let mut builder = Builder::new(5, 1, 8);
        let web = builder.name("web.marathon.mesos");
        let service = builder.name("_web._tcp.marathon.mesos");
        for i in 0..128 {
            builder.address(web, Ipv4Addr::new(10, 0, 0, i).into());
        }
        builder.service(service, 31_000, web);
        handle.publish(builder.build());
        server.run(&tasks);
        Self { handle, tasks }
    }

    fn address(&self) -> SocketAddr {
        self.handle.addresses()[0]
    }

    async fn stop(self) {
        self.tasks.stop(PATIENCE).await;
        assert!(self.tasks.list().is_empty(), "{:?}", self.tasks.list());
    }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

/// Asks over UDP on its own thread, so that the test's runtime goes on.
async fn over_udp(server: SocketAddr, message: Message) -> Message {
    let asked = move || {
        let from = if server.ip().is_loopback() { loopback().ip() } else { server.ip() };
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // Connected: a reply from another address than the one asked would not arrive.
        socket.connect(server).unwrap();
        socket.send(&message.to_vec().unwrap()).unwrap();
        let mut buffer = [0; 4096];
        let n = socket.recv(&mut buffer).expect("a reply in time");
        Message::from_vec(&buffer[..n]).expect("a readable reply")
    };
    tokio::task::spawn_blocking(asked).await.unwrap()
}

fn exchange(stream: &mut TcpStream, message: &Message) -> Message {
    let bytes = message.to_vec().unwrap();
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &bytes].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    Message::from_vec(&reply).unwrap()
}

async fn over_tcp(server: SocketAddr, messages: Vec<Message>) -> Vec<Message> {
    let asked = move || {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        messages.iter().map(|message| exchange(&mut stream, message)).collect()
    };
    tokio::task::spawn_blocking(asked).await.unwrap()
}

/// Another resolver: answers every address question with 192.0.2.1, after replies that are not to
/// be believed. Ends with the returned socket's last clone.
fn resolver(forged: bool) -> (SocketAddr, Arc<UdpSocket>) {
    let socket = Arc::new(UdpSocket::bind(loopback()).unwrap());
    socket.set_read_timeout(Some(PATIENCE * 4)).unwrap();
    let serving = Arc::clone(&socket);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((n, from)) = serving.recv_from(&mut buffer) {
            if n == 0 {
                return;
            }
            let asked = Message::from_vec(&buffer[..n]).unwrap();
            let reply = |id: u16, name: &Name, last: u8| {
                let mut reply = Message::new(id, MessageType::Response, OpCode::Query);
                reply.add_query(Query::query(name.clone(), RecordType::A));
                let data = RData::A(rdata::A::new(192, 0, 2, last));
                reply.add_answer(Record::from_rdata(name.clone(), 60, data));
                reply.to_vec().unwrap()
            };
            let name = &asked.queries[0].name;
            if forged {
                let other = Name::from_ascii("other.example.").unwrap();
                for bad in
                    [reply(asked.metadata.id ^ 1, name, 66), reply(asked.metadata.id, &other, 66)]
                {
                    serving.send_to(&bad, from).unwrap();
                }
            }
            serving.send_to(&reply(asked.metadata.id, name, 1), from).unwrap();
        }
    });
    (socket.local_addr().unwrap(), socket)
}

/// An address where nobody listens.
fn silence() -> (SocketAddr, UdpSocket) {
    let socket = UdpSocket::bind(loopback()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

fn addresses(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test]
async fn names_are_answered_over_udp_and_tcp_on_one_port() {
    let server = Running::start(&[loopback()], &[]);
    let web = || query("web.marathon.mesos.", RecordType::A);
    let over_datagram = over_udp(server.address(), web()).await;
    assert!(over_datagram.metadata.truncation && over_datagram.metadata.authoritative);
    assert_eq!(over_datagram.metadata.id, 77);
    let service = query("_web._tcp.marathon.mesos.", RecordType::SRV);
    let replies = over_tcp(server.address(), vec![web(), service]).await;
    assert_eq!(replies[0].answers.len(), 128);
    assert!(!replies[0].metadata.truncation);
    assert_eq!(addresses(&replies[1]), ["0 1 31000 web.marathon.mesos."]);
    let stats = server.handle.stats().snapshot();
    assert_eq!((stats.udp_queries, stats.tcp_queries, stats.replies), (1, 2, 3));
    server.stop().await;
}

#[tokio::test]
async fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
    let server = Running::start(&[(Ipv4Addr::UNSPECIFIED, 0).into()], &[]);
    for last in [1, 2, 9] {
        let asked = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), server.address().port()));
        let reply = over_udp(asked, query("leader.mesos.", RecordType::A)).await;
        assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
    }
    server.stop().await;
}

#[tokio::test]
async fn many_clients_get_their_own_answers() {
    let server = Running::start(&[loopback()], &[]);
    let address = server.address();
    let asked = move || {
        let socket = UdpSocket::bind(loopback()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(address).unwrap();
        // Bursts longer than a batch, with ids to tell the replies apart.
        for round in 0..20u16 {
            let mut open: std::collections::BTreeSet<u16> =
                (0..50).map(|i| round * 50 + i).collect();
            for id in &open {
                let mut message = query("_web._tcp.marathon.mesos.", RecordType::SRV);
                message.metadata.id = *id;
                socket.send(&message.to_vec().unwrap()).unwrap();
            }
            let mut buffer = [0; 4096];
            while !open.is_empty() {
                let n = socket.recv(&mut buffer).expect("no reply is lost on loopback");
                let reply = Message::from_vec(&buffer[..n]).unwrap();
                assert_eq!(reply.answers.len(), 1);
                assert!(open.remove(&reply.metadata.id), "each once");
            }
        }
    };
    tokio::task::spawn_blocking(asked).await.unwrap();
    assert_eq!(server.handle.stats().snapshot().udp_queries, 1000);
    server.stop().await;
}

#[tokio::test]
async fn other_names_go_to_an_upstream_that_is_believed_only_when_it_answers_the_question() {
    let (upstream, _open) = resolver(true);
    let server = Running::start(&[loopback()], &[upstream]);
    let reply = over_udp(server.address(), query("Example.COM.", RecordType::A)).await;
    assert_eq!((reply.metadata.id, addresses(&reply)), (77, vec!["192.0.2.1".to_owned()]));
    assert_eq!(reply.queries[0].name.to_ascii(), "Example.COM.");
    server.stop().await;
}

#[tokio::test]
async fn a_silent_upstream_is_passed_over() {
    let (dead, _held) = silence();
    let (upstream, _open) = resolver(false);
    let server = Running::start(&[loopback()], &[dead, upstream]);
    let began = tokio::time::Instant::now();
    let reply = over_udp(server.address(), query("example.com.", RecordType::A)).await;
    assert_eq!(addresses(&reply), ["192.0.2.1"]);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn without_upstreams_other_names_are_refused() {
    // An upstream that is ourselves would loop: it does not count.
    let server = Running::start(&[loopback()], &[]);
    server.handle.set_upstreams(&[server.address(), "198.51.100.1:53".parse().unwrap()]);
    let reply = over_udp(server.address(), query("example.com.", RecordType::A)).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
    assert!(!reply.metadata.authoritative && !reply.metadata.recursion_available);
    let replies = over_tcp(server.address(), vec![query("example.com.", RecordType::A)]).await;
    assert_eq!(replies[0].metadata.response_code, ResponseCode::Refused);
    server.stop().await;
}

/// Our own names are for everybody; whoever is neither this machine nor in a network that was let in
/// gets no names of others, lest anybody uses us against third parties.
#[tokio::test]
async fn strangers_get_our_names_and_nobody_elses() {
    let Some(address) = own_address() else {
        eprintln!("no address beside loopback: nothing to ask from");
        return;
    };
    let (upstream, _open) = resolver(false);
    let server = Running::start(&[SocketAddr::new(address, 0)], &[upstream]);
    let code = |reply: &Message| reply.metadata.response_code;
    let reply = over_udp(server.address(), query("web.marathon.mesos.", RecordType::A)).await;
    assert_eq!(code(&reply), ResponseCode::NoError);
    let world = query("example.com.", RecordType::A);
    assert_eq!(code(&over_udp(server.address(), world.clone()).await), ResponseCode::Refused);
    let replies = over_tcp(server.address(), vec![world.clone()]).await;
    assert_eq!(code(&replies[0]), ResponseCode::Refused);
    server.handle.allow(vec![address.into()]);
    assert_eq!(addresses(&over_udp(server.address(), world).await), ["192.0.2.1"]);
    server.stop().await;
}

/// The address this machine would use towards others. Nothing is sent.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 53)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[tokio::test]
async fn a_node_without_a_table_asks_the_masters_for_our_names() {
    let master = Running::start(&[loopback()], &[]);
    let (upstream, _open) = resolver(false);
    let options =
        Options { n_workers: 1, upstreams: vec![upstream], masters: vec![master.address()] };
    // No address at first: the bridge comes later, and gets a server of its own.
    let server = Server::bind(&[], &options, Rng::from_seed(3)).expect("nothing to bind");
    let (handle, tasks) = (server.handle(), Tasks::new("agent"));
    let later = handle.server_on(loopback()).expect("a free port");
    let address = later.local_addr();
    later.run(&tasks);
    let reply = over_udp(address, query("_web._tcp.marathon.mesos.", RecordType::SRV)).await;
    assert_eq!(reply.answers.len(), 1);
    assert!(reply.metadata.authoritative, "the master's answer comes as it is");
    let reply = over_udp(address, query("none.marathon.mesos.", RecordType::A)).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
    let replies = over_tcp(address, vec![query("web.marathon.mesos.", RecordType::A)]).await;
    assert_eq!(replies[0].answers.len(), 128);
    let reply = over_udp(address, query("example.com.", RecordType::A)).await;
    assert_eq!(addresses(&reply), ["192.0.2.1"], "other names go to this node's own upstreams");
    // Without any master a name of ours is no "no", which would be remembered.
    master.stop().await;
    let reply = over_udp(address, query("web.marathon.mesos.", RecordType::A)).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn silent_connections_shut_nobody_out() {
    let server = Running::start(&[loopback()], &[]);
    let address = server.address();
    let opened = move || {
        let open = |_| TcpStream::connect(address).expect("accepted");
        (0..400).map(open).collect::<Vec<_>>()
    };
    let silent = tokio::task::spawn_blocking(opened).await.unwrap();
    let began = tokio::time::Instant::now();
    let replies = over_tcp(address, vec![query("web.marathon.mesos.", RecordType::A)]).await;
    assert_eq!(replies[0].answers.len(), 128);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn a_second_server_cannot_take_the_port() {
    let server = Running::start(&[loopback()], &[]);
    let again = Server::bind(&[server.address()], &Options::default(), Rng::from_seed(2));
    let error = format!("{:#}", again.err().expect("the port is taken"));
    assert!(error.contains(&server.address().to_string()), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn junk_does_not_stop_a_server() {
    let server = Running::start(&[loopback()], &[]);
    let socket = UdpSocket::bind(loopback()).unwrap();
    for n in [0, 1, 11, 12, 13, 600, 3000] {
        socket.send_to(&vec![0x55; n], server.address()).unwrap();
    }
    let stream = TcpStream::connect(server.address()).unwrap();
    (&stream).write_all(&[0xFF; 100]).unwrap();
    let reply = over_udp(server.address(), query("web.marathon.mesos.", RecordType::A)).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
    server.stop().await;
}

#[tokio::test]
async fn names_follow_the_log() {
    let server = Running::start(&[loopback()], &[]);
    let config = LogConfig::single("dns", Disk::Memory(MemoryDisk::default()), Rng::from_seed(3));
    let tasks = server.tasks.child("log");
    let log = Log::<State>::open(config, None, SystemClock::shared(), tasks).await.unwrap();
    log.ready(PATIENCE).await.unwrap();
    let facts = follow::single(Ipv4Addr::new(10, 0, 0, 1).into(), 5050, 5051, 8080);
    let (_realm, realm) = watch::channel(Arc::new(facts));
    follow::start(log.feed().clone(), realm, server.handle.clone(), &server.tasks);
    until(server.address(), "leader.mesos.", &["10.0.0.1"]).await;
    let scheduler = query("_marathon._tcp.marathon.mesos.", RecordType::SRV);
    let reply = over_udp(server.address(), scheduler).await;
    assert_eq!(addresses(&reply), ["0 1 8080 marathon.mesos."]);
    // A node that registers is there with the next table, and gone when it is lost.
    let node = NodeId::new("cluster-S1");
    let info = NodeInfo {
        id: node.clone(),
        hostname: "10.0.0.5".to_owned(),
        address: Ipv4Addr::new(10, 0, 0, 5).into(),
        kind: NodeKind::Agent,
        attributes: Default::default(),
        fault_domain: None,
        total: Pools::default(),
        version: String::new(),
        level: tepui::base::level::LEVEL,
    };
    log.propose(NodeCommand::RegisterNode(Box::new(info)).into()).await.unwrap().unwrap();
    until(server.address(), "slave.mesos.", &["10.0.0.5"]).await;
    log.propose(NodeCommand::NodeReach { node, reachable: false }.into()).await.unwrap().unwrap();
    until(server.address(), "slave.mesos.", &[]).await;
    log.stop().await;
    server.stop().await;
}

/// Asks until the addresses are those wanted.
async fn until(server: SocketAddr, name: &str, want: &[&str]) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let reply = over_udp(server, query(name, RecordType::A)).await;
        if addresses(&reply) == want {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{name}: {reply:?}");
    }
}
