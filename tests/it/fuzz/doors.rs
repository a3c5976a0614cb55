//! Whole doors: requests in this process, and bytes over sockets.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderValue, StatusCode};
use tepui::{
    base::{rng::Rng, task::Tasks},
    compat::dcos::Gateway,
    dns::{
        serve::{Options, Server},
        table::Builder,
    },
    http::{Handler, Origin, Request, RequestId, Response, reply, road::Guide, serve::Listener},
};

use super::{
    class, fuzz,
    shape::{Choices, frames, lines, request},
};
use crate::dcos::door::Door;

/// After so much silence an input counts as one that gets no (further) answer.
const QUIET: Duration = Duration::from_millis(30);
/// How long an answer to a good request may take, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What every decision starts from: nothing in particular.
fn seeds() -> Vec<Vec<u8>> {
    let mut rng = Rng::from_seed(9);
    let mut seed = |n: usize| {
        let mut bytes = vec![0; n];
        rng.fill(&mut bytes);
        bytes
    };
    [16, 24, 32, 48, 64, 64, 96, 128, 200].map(&mut seed).to_vec()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn requests_at_the_front_door() {
    let runtime = runtime();
    let door = runtime.block_on(Door::open());
    let seeds = seeds();
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    let mut n = 0_u32;
    fuzz("requests", &seeds, |bytes| {
        let Some(mut request) = request(&mut Choices::new(bytes)) else { return 0 };
        if tepui::http::head::check(request.method(), request.uri(), request.headers()).is_err() {
            return 1;
        }
        n += 1;
        request.extensions_mut().insert(Origin {
            // Whoever guesses waits; these come from several addresses, so that all ways are seen.
            peer: SocketAddr::new(IpAddr::from((0x0A00_0000 + n % 4).to_be_bytes()), 1),
            tls: false,
            id: RequestId::new(7),
            peer_text: HeaderValue::from_static("10.0.0.1"),
            seat: None,
        });
        let line = format!("{} {}", request.method(), request.uri());
        let answer = runtime.block_on(door.gateway.call(request));
        assert!(!answer.status().is_server_error(), "{line}: {}", answer.status());
        // Parts that leave the check to the door show what they were asked.
        let shown = answer.body().bytes().unwrap_or_default();
        for part in ["marathon /", "mesos /", "agent /"] {
            assert!(!shown.starts_with(part.as_bytes()), "{line} got in: {part}");
        }
        assert_ne!(
            answer.headers().get("set-cookie").map(|_| answer.status()),
            Some(StatusCode::CREATED)
        );
        class((answer.status(), shown.len() % 16))
    });
}

/// What comes back for these bytes until the other side is done, or `quiet`.
fn exchange(address: SocketAddr, bytes: &[u8], quiet: Duration) -> Vec<u8> {
    let mut tcp = TcpStream::connect(address).expect("the door is open");
    socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
    tcp.set_read_timeout(Some(quiet)).unwrap();
    let mut answer = Vec::new();
    // It may answer and close before it has read everything.
    if tcp.write_all(bytes).is_ok() {
        let _quiet = tcp.take(1 << 20).read_to_end(&mut answer);
    }
    answer
}

/// What any door answers with 200.
const GOOD: &[u8] = b"GET /ui HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n";

/// A front door, with both of its roads, that tells of panics.
struct Watched {
    gateway: Arc<Gateway>,
    panicked: Arc<AtomicBool>,
}

impl Handler for Watched {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        let call = AssertUnwindSafe(self.gateway.call(request)).catch_unwind();
        Box::pin(async move {
            call.await.unwrap_or_else(|_| {
                self.panicked.store(true, Ordering::Relaxed);
                reply::empty(StatusCode::INTERNAL_SERVER_ERROR)
            })
        })
    }

    fn guide(&self) -> Option<&dyn Guide> {
        self.gateway.guide()
    }
}

/// Feeds a live door with what `make` makes of the decisions; `shape` tells in what way it answered.
fn live(
    name: &str,
    make: impl Fn(&mut Choices<'_>) -> Vec<u8>,
    shape: impl Fn(&[u8]) -> Vec<Vec<u8>>,
) {
    let (runtime, tasks) = (runtime(), Tasks::new("live"));
    let door = runtime.block_on(Door::open());
    let panicked = Arc::new(AtomicBool::new(false));
    let handler = Watched { gateway: door.gateway, panicked: panicked.clone() };
    let server = runtime.block_on(async {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listener.serve(Arc::new(handler), &tasks)
    });
    let seeds = seeds();
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    fuzz(name, &seeds, |bytes| {
        let sent = make(&mut Choices::new(bytes));
        let answer = exchange(server.local_addr(), &sent, QUIET);
        let good = exchange(server.local_addr(), GOOD, PATIENCE);
        assert!(good.starts_with(b"HTTP/1.1 200 "), "after {}", sent.escape_ascii());
        assert!(!panicked.load(Ordering::Relaxed), "after {}", sent.escape_ascii());
        class(shape(&answer))
    });
    assert!(server.n_open() < 100, "connections that ended are gone");
}

/// The first lines of answers.
fn statuses(answer: &[u8]) -> Vec<Vec<u8>> {
    let lines = answer.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"HTTP/"));
    lines.map(|line| line.get(..12).unwrap_or(line).to_vec()).collect()
}

/// Kinds of frames, and what those say that end something.
fn kinds(mut answer: &[u8]) -> Vec<Vec<u8>> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = answer {
        let n = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let payload = rest.get(..n).unwrap_or(rest);
        let ends = matches!(kind, 3 | 7);
        kinds.push([&[*kind][..], if ends { payload } else { &[] }].concat());
        answer = rest.get(n..).unwrap_or(&[]);
    }
    kinds
}

#[test]
fn lines_of_http_1() {
    live("lines", lines, statuses);
}

#[test]
fn frames_of_http_2() {
    live("frames", frames, kinds);
}

/// Asks a question that is one, and reads its answer with the length in front.
fn ask(address: SocketAddr, message: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(address).expect("the name server is there");
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.write_all(message).unwrap();
    let mut answer = vec![0; 2];
    tcp.read_exact(&mut answer).expect("a length");
    let n = u16::from_be_bytes([answer[0], answer[1]]);
    answer.resize(2 + usize::from(n), 0);
    tcp.read_exact(&mut answer[2..]).expect("an answer");
    answer
}

#[test]
fn dns_over_tcp() {
    let (runtime, tasks) = (runtime(), Tasks::new("dns"));
    let server =
        Server::bind(&[([127, 0, 0, 1], 0).into()], &Options::default(), Rng::from_seed(1));
    let server = server.unwrap();
    let address = server.local_addr();
    server.handle().publish(Builder::new(5, 1, 1).build());
    runtime.block_on(async { server.run(&tasks) });
    let question =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x05mesos\x00\x00\x01\x00\x01";
    let mut message = u16::try_from(question.len()).unwrap().to_be_bytes().to_vec();
    message.extend(question);
    fuzz("dns over tcp", &[&message, &message.repeat(3), b"\x00\x00", b"\xff\xff"], |bytes| {
        let answer = exchange(address, bytes, QUIET);
        let good = ask(address, &message);
        assert!(good.len() > question.len() && good[2..4] == question[..2], "{good:?}");
        class((answer.len(), answer.get(4..8).map(<[u8]>::to_vec)))
    });
    runtime.block_on(tasks.stop(Duration::from_secs(5)));
}
