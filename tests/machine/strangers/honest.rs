//! Callers who mean no harm, from addresses of their own: how long they wait.

use std::{
    io,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    server::Server,
    speak::{At, DNS, address, ask, get, post},
};

/// Pause between two callers of a kind.
const PAUSE: Duration = Duration::from_millis(100);
/// Newcomers' last byte of an address, and that of those who are signed in.
const NEWCOMER: u8 = 10;
const KNOWN: u8 = 11;

/// The callers, until they are stopped.
pub struct Honest {
    until: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Waits>>,
}

#[derive(Default)]
struct Waits {
    waited: Vec<Duration>,
    failed: Vec<String>,
}

impl Honest {
    /// Newcomers and known callers of the front door, somebody who signs in; of the name server too.
    pub fn start(server: &Server, with_dns: bool) -> Self {
        let until = Arc::new(AtomicBool::new(false));
        let at = |n| At { server: server.address, from: address(n) };
        let (newcomer, known) = (at(NEWCOMER), at(KNOWN));
        let look = get("/acs/api/v1/auth/providers", "Connection: keep-alive\r\n");
        let token = format!("Authorization: token={}\r\n", server.token);
        let work = get("/service/marathon/v2/info", &token);
        let login = format!(r#"{{"uid":"admin","password":"{}"}}"#, server.password);
        let login = post("/acs/api/v1/auth/login", &login);
        let mut threads = vec![
            people(until.clone(), PAUSE, move || (newcomer, look.clone())),
            people(until.clone(), PAUSE, move || (known, work.clone())),
            people(until.clone(), PAUSE * 10, move || (known, login.clone())),
        ];
        if with_dns {
            let (until, server) = (until.clone(), server.address);
            threads.push(std::thread::spawn(move || {
                let socket = UdpSocket::bind((address(KNOWN), 0)).expect("a socket");
                socket.connect((server, DNS)).expect("connected");
                socket.set_read_timeout(Some(Duration::from_secs(2))).expect("set");
                repeat(&until, PAUSE, || {
                    socket.send(LEADER)?;
                    socket.recv(&mut [0; 512]).map(drop)
                })
            }));
        }
        Self { until, threads }
    }

    /// The 99th part in a hundred of all waits, and how many got no good answer.
    pub fn stop(self) -> (Duration, usize) {
        self.until.store(true, Ordering::Relaxed);
        let (mut waited, mut n_failed) = (Vec::new(), 0);
        for thread in self.threads {
            let waits = thread.join().expect("an honest caller");
            if let Some(first) = waits.failed.first() {
                println!("{} honest callers failed: {first}", waits.failed.len());
            }
            n_failed += waits.failed.len();
            waited.extend(waits.waited);
        }
        waited.sort_unstable();
        let at = (waited.len() * 99 / 100).min(waited.len().saturating_sub(1));
        (waited.get(at).copied().unwrap_or_default(), n_failed)
    }
}

/// `leader.mesos`, type A.
const LEADER: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06leader\x05mesos\x00\x00\x01\x00\x01";

/// Somebody new each time, who connects, asks and leaves.
fn people(
    until: Arc<AtomicBool>,
    pause: Duration,
    next: impl Fn() -> (At, Vec<u8>) + Send + 'static,
) -> JoinHandle<Waits> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a thread");
        repeat(&until, pause, || {
            let (at, request) = next();
            let status = runtime.block_on(async {
                let mut stream = at.front().await?;
                ask(&mut stream, &request).await
            })?;
            if status == 200 { Ok(()) } else { Err(io::Error::other(format!("status {status}"))) }
        })
    })
}

fn repeat(until: &AtomicBool, pause: Duration, mut once: impl FnMut() -> io::Result<()>) -> Waits {
    let mut waits = Waits::default();
    while !until.load(Ordering::Relaxed) {
        let began = Instant::now();
        match once() {
            Ok(()) => waits.waited.push(began.elapsed()),
            Err(error) => waits.failed.push(error.to_string()),
        }
        std::thread::sleep(pause);
    }
    waits
}
