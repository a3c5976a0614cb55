//! Questions to an agent by way of each of three masters.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use tokio::{sync::mpsc, time::sleep};

use super::*;
use crate::{
    base::{clock::SystemClock, level::LEVEL, task::Tasks},
    control::{
        cluster::{Error, Leader},
        links::{Links, Peer, Wire},
        questions::{ask, exec},
    },
    log::{
        self, Disk, Log, LogConfig, ProposeError, Timing,
        memory::MemoryDisk,
        peer::transport::{Accept, Connect, Io},
        tend::Retention,
        types::Member,
    },
    model::{
        container,
        link::{Answer, AskError, FromAgent, Hello, Question, ToAgent},
        master::Addresses,
        node::NodeInfo,
    },
};

const DEADLINE: Duration = Duration::from_secs(20);
/// Larger than what goes from master to master.
const LARGE_BYTES: usize = 5 << 20;

/// Pipes between the masters of one process, by the address of who is at the other end.
#[derive(Clone, Default, Debug)]
struct Pipes(Arc<Mutex<BTreeMap<String, mpsc::UnboundedSender<Io>>>>);

impl Connect for Pipes {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Io>> {
        let door = self.0.lock().get(address).cloned();
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let door = door.ok_or(io::ErrorKind::NotFound)?;
            door.send(Box::new(theirs)).map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(ours) as Io)
        }
        .boxed()
    }
}

struct Door(mpsc::UnboundedReceiver<Io>);

impl Accept for Door {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Io>> {
        async { self.0.recv().await.ok_or(io::ErrorKind::ConnectionAborted.into()) }.boxed()
    }
}

struct Master {
    log: Log<State>,
    links: Links,
    tasks: Tasks,
}

impl Master {
    async fn open(id: u64, pipes: &Pipes) -> Self {
        let (sender, door) = mpsc::unbounded_channel();
        pipes.0.lock().insert(id.to_string(), sender);
        let links = log::Links { connect: Arc::new(pipes.clone()), accept: Box::new(Door(door)) };
        // So slow that no busy machine has an election nobody asked for.
        let [election_min, election_max] = [4_000, 4_500].map(Duration::from_millis);
        let member = |id: u64| (id, Member { address: id.to_string() });
        let config = LogConfig {
            cluster: "test".to_owned(),
            id,
            members: (1..=3).map(member).collect(),
            disk: Disk::Memory(MemoryDisk::default()),
            timing: Timing { election_min, election_max, ..Timing::default() },
            retention: Retention::default(),
            rng: Rng::from_seed(id),
            level: LEVEL,
        };
        let (tasks, clock) = (Tasks::new("master"), SystemClock::shared());
        let log = Log::open(config, Some(links), clock.clone(), tasks.child("log")).await;
        let log = log.expect("a log");
        let links = Links::new(log.clone(), clock, tasks.child("links"));
        links.answer_masters();
        Self { log, links, tasks }
    }

    async fn ask(&self, node: &NodeId, question: Question) -> Result<Vec<u8>, Error> {
        match ask(&self.log, &self.links, node, question).await? {
            Answer::File { bytes, .. } => Ok(bytes),
            other => panic!("{other:?}"),
        }
    }

    async fn exec(&self, node: &NodeId, leader: Option<Leader>) -> Error {
        let (instance, container) = ("a".into(), String::new());
        let command = container::Command::Shell("true".to_owned());
        let question = Question::Exec { instance, container, command, tty: false, stdin: false };
        let session = exec(&self.log, &self.links, leader, node, question).await;
        session.err().expect("no session")
    }
}

/// Where in `masters` the leader is that all of them know.
async fn leading(masters: &[Master]) -> usize {
    let found = async {
        loop {
            let led_by = |m: &Master| m.log.leader().map(|(id, _)| id);
            if let Some(at) = masters.iter().position(|m| m.log.is_leader())
                && masters.iter().all(|m| led_by(m) == Some(masters[at].log.id()))
            {
                return at;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, found).await.expect("a leader")
}

fn file(path: &str) -> Question {
    let (instance, path) = ("a".into(), path.to_owned());
    Question::ReadFile { instance, incarnation: None, path, offset: Some(0), bytes_max: 1 }
}

/// An agent's end of a new connection to `master`, or why it was refused.
async fn connect(
    master: &Master,
    info: &NodeInfo,
) -> Result<(mpsc::Sender<FromAgent>, mpsc::Receiver<ToAgent>), ToAgent> {
    let (to_master, from_agent) = mpsc::channel(16);
    let (to_agent, mut from_master) = mpsc::channel(16);
    let (links, peer) = (master.links.clone(), Peer { node: info.id.clone(), certificate: None });
    master.tasks.connection("agent link", async move {
        links.serve(Wire { from_agent, to_agent }, peer).await;
    });
    let hello = FromAgent::Hello(Box::new(Hello { info: info.clone(), reports: Vec::new() }));
    to_master.send(hello).await.expect("the master listens");
    match from_master.recv().await.expect("an answer") {
        ToAgent::Welcome { .. } => Ok((to_master, from_master)),
        refused @ ToAgent::Refused(_) => Err(refused),
        other => panic!("{other:?}"),
    }
}

/// An agent that is connected to `master`: each file holds its name.
async fn agent(master: &Master) -> NodeId {
    let info = node(0, 4.0, 4096.0, &[]);
    let id = info.id.clone();
    let connected = async {
        loop {
            match connect(master, &info).await {
                Ok(connection) => return connection,
                // In its first moments a leader may not have heard from the others yet.
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let (to_master, mut from_master) =
        tokio::time::timeout(DEADLINE, connected).await.expect("a welcome");
    master.tasks.connection("agent", async move {
        while let Some(message) = from_master.recv().await {
            let ToAgent::Ask { id, question: Question::ReadFile { path, .. } } = message else {
                continue;
            };
            let answer = match path.as_str() {
                "none" => Err(AskError::NotFound(path)),
                "large" => Ok(vec![0; LARGE_BYTES]),
                _ => Ok(path.into_bytes()),
            };
            let answer = answer.map(|bytes| Answer::File { offset: 0, size: 1, bytes });
            if to_master.send(FromAgent::Answer { id, answer }).await.is_err() {
                return;
            }
        }
    });
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_answers_by_way_of_any_master() {
    let pipes = Pipes::default();
    let mut masters = Vec::new();
    for id in 1..=3 {
        masters.push(Master::open(id, &pipes).await);
    }
    let at = leading(&masters).await;
    masters[at].links.begin_term();
    let here = agent(&masters[at]).await;
    let away = NodeId::from("away");
    let elsewhere = |master: &Master| Leader {
        id: master.log.id(),
        addresses: Addresses { router: "10.0.0.9:443".to_owned(), ..Addresses::default() },
        since: None,
    };
    for (n, master) in masters.iter().enumerate() {
        master.log.ready(DEADLINE).await.expect("a leader");
        assert_eq!(master.ask(&here, file("stdout")).await, Ok(b"stdout".to_vec()), "{n}");
        let none = master.ask(&here, file("none")).await;
        assert_eq!(none, Err(AskError::NotFound("none".to_owned()).into()), "{n}");
        let nobody = master.ask(&away, file("stdout")).await;
        assert_eq!(nobody, Err(AskError::NotConnected(away.clone()).into()), "{n}");
        let large = master.ask(&here, file("large")).await;
        if n == at {
            assert_eq!(large.map(|bytes| bytes.len()), Ok(LARGE_BYTES));
            continue;
        }
        let told = large.expect_err("too large").to_string();
        assert!(told.ends_with("is not passed on; ask the leading master"), "{told}");
        let long = master.ask(&here, file(&"x".repeat(100_000))).await;
        assert!(matches!(long, Err(Error::Unanswered(AskError::Failed(_)))), "{long:?}");
        let session = master.exec(&here, Some(elsewhere(&masters[at]))).await;
        assert_eq!(session, Error::Elsewhere("10.0.0.9:443".to_owned()));
        assert_eq!(master.exec(&here, None).await, ProposeError::NoLeader.into());
    }

    // The leader goes, and its agents with it: who is asked now finds the next one.
    let gone = masters.remove(at);
    gone.log.stop().await;
    gone.tasks.stop(DEADLINE).await;
    for master in &masters {
        let asked = master.ask(&here, file("stdout")).await;
        assert_eq!(asked, Err(AskError::NotConnected(here.clone()).into()));
    }
    let at = leading(&masters).await;
    masters[at].links.begin_term();
    let here = agent(&masters[at]).await;
    for master in &masters {
        assert_eq!(master.ask(&here, file("stdout")).await, Ok(b"stdout".to_vec()));
    }
    for master in masters {
        master.log.stop().await;
        master.tasks.stop(DEADLINE).await;
    }
}
