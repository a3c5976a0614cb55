//! Three masters in one process, one of which has been made to differ on its disk.

use std::{collections::HashMap, io, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use tokio::{io::DuplexStream, sync::mpsc};

use super::*;
use crate::{
    base::{clock::SystemClock, rng::Rng, task::Tasks},
    log::{
        Disk, Links, Log, LogConfig, Timing,
        memory::MemoryDisk,
        peer::transport::{Accept, Connect, Io},
        sample::{Op, Tally, row_of},
        store::{self, Write},
    },
};

/// Streams between masters, by address.
#[derive(Debug, Default)]
struct Streams(Mutex<HashMap<String, mpsc::UnboundedSender<DuplexStream>>>);

#[derive(Debug)]
struct Caller(Arc<Streams>);

impl Connect for Caller {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Io>> {
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let to = self.0.0.lock().get(address).cloned();
            let sent = to.map(|to| to.send(theirs).is_ok());
            if sent != Some(true) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(Box::new(ours) as Io)
        }
        .boxed()
    }
}

struct Callee(mpsc::UnboundedReceiver<DuplexStream>);

impl Accept for Callee {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Io>> {
        async move {
            match self.0.recv().await {
                Some(stream) => Ok(Box::new(stream) as Io),
                None => std::future::pending().await,
            }
        }
        .boxed()
    }
}

struct Master {
    log: Log<Tally>,
    tasks: Tasks,
}

impl Master {
    async fn open(id: MemberId, streams: &Arc<Streams>, disk: MemoryDisk) -> Self {
        let (calls, called) = mpsc::unbounded_channel();
        streams.0.lock().insert(format!("m{id}"), calls);
        let member = |id: MemberId| (id, Member { address: format!("m{id}") });
        let timing = Timing { compare: Duration::from_millis(100), ..Timing::default() };
        let config = LogConfig {
            id,
            members: (1..=3).map(member).collect(),
            timing,
            ..LogConfig::single("compared", Disk::Memory(disk), Rng::from_os())
        };
        let connect = Arc::new(Caller(streams.clone()));
        let links = Links { connect, accept: Box::new(Callee(called)) };
        let tasks = Tasks::new("master");
        let log =
            Log::open(config, Some(links), SystemClock::shared(), tasks.clone()).await.unwrap();
        Self { log, tasks }
    }

    async fn stop(self) {
        self.log.stop().await;
        self.tasks.stop(Duration::from_secs(5)).await;
    }
}

async fn open_all(streams: &Arc<Streams>, disks: &[MemoryDisk]) -> Vec<Master> {
    let opened = (1..).zip(disks).map(|(id, disk)| Master::open(id, streams, disk.clone()));
    let masters = join_all(opened).await;
    for master in &masters {
        master.log.ready(Duration::from_secs(20)).await.unwrap();
    }
    masters
}

async fn propose(masters: &[Master], ops: std::ops::Range<u32>) {
    for n in ops {
        masters[0].log.propose(Op { client: 1, n }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_whose_state_differs_stops_and_says_so_and_the_others_go_on() {
    let (streams, disks) = (Arc::new(Streams::default()), [(); 3].map(|()| MemoryDisk::default()));
    let masters = open_all(&streams, &disks).await;
    propose(&masters, 0..20).await;
    // Some comparisons of what is equal.
    for n in 20..25 {
        propose(&masters, n..n + 1).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(masters.iter().all(|master| !master.tasks.has_failed()));
    let compared: Vec<u64> =
        masters.iter().map(|m| m.log.core.comparison.marks.borrow().index).collect();
    assert!(compared.iter().all(|index| *index > 0), "{compared:?}");
    for master in masters {
        master.stop().await;
    }

    // One gets a row that nobody proposed.
    let odd = 1;
    {
        let store = disks[odd].open();
        let marker = store.marks().unwrap().applied.unwrap();
        let rows = vec![row_of(Op { client: 9, n: 9 }, 1)];
        store::write(&store, Write::Rows { rows, marker }).await.unwrap();
        store.close();
    }
    let masters = open_all(&streams, &disks).await;
    propose(&masters, 25..26).await;
    let failed = timeout(Duration::from_secs(20), masters[odd].tasks.failed()).await;
    let text = failed.expect("it stops");
    assert!(text.contains("is not that of the other masters"), "{text}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    for (at, master) in masters.iter().enumerate() {
        assert_eq!(master.tasks.has_failed(), at == odd, "master {}", at + 1);
    }
    for master in masters {
        master.stop().await;
    }
}

#[test]
fn most_decide_and_among_equals_the_leader() {
    assert_eq!(most_frequent(1, [1, 1].into_iter()), 1);
    assert_eq!(most_frequent(1, [1, 2].into_iter()), 1);
    assert_eq!(most_frequent(1, [2, 2].into_iter()), 2);
    assert_eq!(most_frequent(1, [2].into_iter()), 1, "one against one");
    assert_eq!(most_frequent(1, [2, 3].into_iter()), 1, "all differ");
    assert_eq!(most_frequent(1, [].into_iter()), 1);
}
