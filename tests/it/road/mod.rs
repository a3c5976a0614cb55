//! The short road on real sockets: what it takes, that the other road would do the same, and what
//! happens when something goes wrong on it.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tepui::{
    base::task::Tasks,
    http::{
        Handler, Request, Response,
        auth::Memo,
        meter::Meter,
        proxy::{Proxy, Target, Upstream},
        road::{Asked, Guide, Way},
        serve::{Limits, Listener, Server},
    },
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use super::router::{Client, DEADLINE, loopback};

mod breaks;
mod measured;
mod same;
mod service;

/// What the client knows the upstream under.
pub const PREFIX: &str = "/service/web";

/// A door to one upstream, with or without the short road.
pub struct Front {
    pub proxy: Arc<Proxy>,
    pub upstream: Upstream,
    pub spare: Option<Upstream>,
    pub is_short: bool,
    pub meter: Arc<Meter>,
}

impl Handler for Front {
    fn call(&self, request: Request) -> BoxFuture<'_, Response> {
        let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let path = path.strip_prefix(PREFIX).unwrap_or(&path).parse().ok();
        let (upstream, spare, prefix) = (self.upstream, self.spare, Some(PREFIX.into()));
        let meter = Some(self.meter.clone());
        Box::pin(async move {
            self.proxy.forward(request, &Target { upstream, spare, path, prefix, meter }).await
        })
    }

    fn guide(&self) -> Option<&dyn Guide> {
        self.is_short.then_some(self)
    }
}

impl Guide for Front {
    fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    fn way(&self, asked: &Asked<'_>, _: &mut Memo) -> Option<Way> {
        let n_prefix = PREFIX.len();
        asked.target.strip_prefix(PREFIX)?.starts_with('/').then_some(())?;
        let (upstream, spare) = (self.upstream, self.spare);
        let meter = Some(self.meter.clone());
        Some(Way { upstream, spare, n_cut: n_prefix, n_prefix, meter })
    }

    fn pattern(&self) -> &'static str {
        "test"
    }
}

/// A door that takes the short road, and its proxy.
pub fn front(tasks: &Tasks, upstream: SocketAddr) -> (Server, Arc<Proxy>) {
    front_to(tasks, upstream, None, true, Proxy::new(tasks))
}

pub fn front_to(
    tasks: &Tasks,
    upstream: SocketAddr,
    spare: Option<SocketAddr>,
    is_short: bool,
    proxy: Arc<Proxy>,
) -> (Server, Arc<Proxy>) {
    let to = |addr| Upstream { addr, tls: false };
    let (upstream, spare) = (to(upstream), spare.map(to));
    let front = Front { proxy: proxy.clone(), upstream, spare, is_short, meter: Arc::default() };
    let limits = Limits { read: Duration::from_secs(20), ..Limits::default() };
    let listener = Listener::bind(loopback()).unwrap().with_limits(limits);
    (listener.serve(Arc::new(front), tasks), proxy)
}

pub async fn connect(addr: SocketAddr) -> Client {
    let tcp = TcpStream::connect(addr).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    Client { tcp, seen: Vec::new() }
}

pub async fn accept(listener: &TcpListener) -> Client {
    Client { tcp: listener.accept().await.unwrap().0, seen: Vec::new() }
}

/// A plain request.
pub fn plain(method: &str, path: &str) -> String {
    format!("{method} {PREFIX}{path} HTTP/1.1\r\nHost: front\r\n\r\n")
}

#[tokio::test]
async fn plain_requests_take_the_short_road_over_kept_connections() {
    let tasks = Tasks::new("t");
    let upstream = super::router::serve(&tasks, Limits::default(), super::router::mirror);
    let (front, proxy) = front(&tasks, upstream.local_addr());
    let mut client = connect(front.local_addr()).await;
    for n in 0..50 {
        client.send(plain("GET", &format!("/{n}?q=%2F"))).await;
        client.until(&format!("GET /{n}?q=%2F\n")).await;
        client.until("x-forwarded-for: 127.0.0.1\n").await;
    }
    let small = format!("POST {PREFIX}/small HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    client.send(small).await;
    client.until("POST /small\n").await;
    client.until("\nbody").await;
    let counters = proxy.counters();
    assert_eq!((counters.long.load(Relaxed), counters.short.load(Relaxed)), (0, 51));
    assert_eq!(counters.connects.load(Relaxed), 1);
    assert_eq!((upstream.n_open(), proxy.n_idle()), (1, 1));
}

#[tokio::test]
async fn requests_in_one_piece_are_answered_in_order() {
    let tasks = Tasks::new("t");
    let upstream = super::router::serve(&tasks, Limits::default(), super::router::mirror);
    let (front, proxy) = front(&tasks, upstream.local_addr());
    let mut client = connect(front.local_addr()).await;
    let post = format!("POST {PREFIX}/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nGET");
    client.send([plain("GET", "/1"), post, plain("GET", "/3")].concat()).await;
    for part in ["GET /1\n", "POST /2\n", "\nGET", "GET /3\n"] {
        client.until(part).await;
    }
    assert_eq!(proxy.counters().short.load(Relaxed), 3);
}

#[tokio::test]
async fn a_head_in_pieces_is_waited_for_and_one_in_many_goes_the_other_road() {
    let tasks = Tasks::new("t");
    let upstream = super::router::serve(&tasks, Limits::default(), super::router::mirror);
    let (front, proxy) = front(&tasks, upstream.local_addr());
    for (n_pieces, is_short) in [(2, true), (12, false)] {
        let before = proxy.counters().short.load(Relaxed);
        let mut client = connect(front.local_addr()).await;
        let text = plain("GET", "/pieces");
        for piece in text.as_bytes().chunks(text.len().div_ceil(n_pieces)) {
            client.send(piece).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        client.until("GET /pieces\n").await;
        let n_short = proxy.counters().short.load(Relaxed) - before;
        assert_eq!(n_short == 1, is_short, "{n_pieces} pieces");
    }
}

#[tokio::test]
async fn a_body_behind_its_head_is_waited_for_a_moment() {
    let tasks = Tasks::new("t");
    let upstream = super::router::serve(&tasks, Limits::default(), super::router::mirror);
    let (front, proxy) = front(&tasks, upstream.local_addr());
    let head = format!("POST {PREFIX}/late HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n");
    let mut client = connect(front.local_addr()).await;
    client.send(&head).await;
    client.send("body").await;
    client.until("\nbody").await;
    // Who waits with it has it streamed, as ever.
    let before = proxy.counters().short.load(Relaxed);
    let mut client = connect(front.local_addr()).await;
    client.send(head).await;
    tokio::time::timeout(DEADLINE, async {
        while upstream.n_open() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the head is passed on before the body has come");
    client.send("body").await;
    client.until("\nbody").await;
    assert_eq!(proxy.counters().short.load(Relaxed), before);
}

#[tokio::test]
async fn what_is_odd_is_answered_by_the_other_road_on_the_same_connection() {
    let tasks = Tasks::new("t");
    let upstream = super::router::serve(&tasks, Limits::default(), super::router::mirror);
    let (front, proxy) = front(&tasks, upstream.local_addr());
    let mut client = connect(front.local_addr()).await;
    client.send(plain("GET", "/first")).await;
    client.until("GET /first\n").await;
    let odd = format!("GET {PREFIX}/second HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n");
    client.send(odd + &plain("GET", "/third")).await;
    client.until("GET /second\n").await;
    client.until("cookie: a=b\n").await;
    client.until("GET /third\n").await;
    assert_eq!(proxy.counters().short.load(Relaxed), 1);
    let (long, short) = (&proxy.counters().long, &proxy.counters().short);
    assert_eq!(long.load(Relaxed) + short.load(Relaxed), 3);
}

#[tokio::test]
async fn a_silent_client_is_cut() {
    let tasks = Tasks::new("t");
    let listener = Listener::bind(loopback()).unwrap();
    let limits = Limits { read: Duration::from_millis(200), ..Limits::default() };
    let upstream = super::router::serve(&tasks, Limits::default(), super::router::mirror);
    let to = Upstream { addr: upstream.local_addr(), tls: false };
    let proxy = Proxy::new(&tasks);
    let door = Front { proxy, upstream: to, spare: None, is_short: true, meter: Arc::default() };
    let server = listener.with_limits(limits).serve(Arc::new(door), &tasks);
    for start in ["", "G", "GET /service/web/ HTTP/1.1\r\nHo"] {
        let mut client = connect(server.local_addr()).await;
        client.send(start).await;
        assert_eq!(client.rest().await, "", "{start:?}");
    }
    let mut client = connect(server.local_addr()).await;
    client.send(plain("GET", "/once")).await;
    client.until("GET /once\n").await;
    client.until("x-forwarded-for: 127.0.0.1\n").await;
    client.rest().await; // closed while it waits for another request
    let mut client = connect(server.local_addr()).await;
    client.tcp.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn tls_is_spoken_on_both_sides() {
    let tasks = Tasks::new("t");
    let config = super::router::self_signed();
    let tls = || Listener::bind(loopback()).unwrap().with_tls(config.clone());
    let service = tls().serve(Arc::new(super::router::mirror), &tasks);
    let proxy = Proxy::new(&tasks);
    let upstream = Upstream { addr: service.local_addr(), tls: true };
    let door = Front {
        proxy: proxy.clone(),
        upstream,
        spare: None,
        is_short: true,
        meter: Arc::default(),
    };
    let door = tls().serve(Arc::new(door), &tasks);
    // The outer proxy speaks TLS to the door; its own client needs none.
    let outer = Proxy::new(&tasks);
    let to = Upstream { addr: door.local_addr(), tls: true };
    let outer =
        Front { proxy: outer, upstream: to, spare: None, is_short: true, meter: Arc::default() };
    let outer = super::router::serve(&tasks, Limits::default(), outer);
    let mut client = connect(outer.local_addr()).await;
    for n in 0..3 {
        // Each of the two takes its prefix off.
        client.send(plain("GET", &format!("{PREFIX}/{n}"))).await;
        client.until(&format!("GET /{n}\n")).await;
        client.until("x-forwarded-proto: https\n").await;
        client.until("x-forwarded-for: 127.0.0.1, 127.0.0.1\n").await;
    }
    assert_eq!(proxy.counters().short.load(Relaxed), 3);
    assert_eq!(proxy.counters().connects.load(Relaxed), 1);
}

#[tokio::test]
async fn big_answers_pass_unharmed() {
    let tasks = Tasks::new("t");
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let content = bytes::Bytes::from(sent.clone());
    let upstream = super::router::serve(&tasks, Limits::default(), move |request: Request| {
        let content = content.clone();
        async move {
            if request.uri().path() == "/length" {
                return Response::new(tepui::http::Body::full(content));
            }
            let (sender, body) = tepui::http::stream::channel(4);
            tokio::task::yield_now().await;
            let pieces: Vec<_> =
                content.chunks(70_001).map(bytes::Bytes::copy_from_slice).collect();
            Tasks::new("feed").connection("feed", async move {
                for piece in pieces {
                    sender.send_waiting(piece).await.unwrap();
                }
            });
            Response::new(body)
        }
    });
    let (front, proxy) = front(&tasks, upstream.local_addr());
    let mut client = connect(front.local_addr()).await;
    for path in ["/length", "/chunks"] {
        client.send(plain("GET", path)).await;
        let head = client.until("\r\n\r\n").await;
        let mut got = Vec::new();
        if path == "/length" {
            assert!(head.contains("content-length: 3000000\r\n"), "{head}");
            while client.seen.len() < sent.len() {
                client.read_some().await;
            }
            got = std::mem::take(&mut client.seen);
        } else {
            loop {
                let size = client.until("\r\n").await;
                let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
                while client.seen.len() < size + 2 {
                    client.read_some().await;
                }
                let rest = client.seen.split_off(size + 2);
                got.extend_from_slice(&client.seen[..size]);
                client.seen = rest;
                if size == 0 {
                    break;
                }
            }
        }
        assert!(got == sent, "{path}: {} bytes", got.len());
    }
    assert_eq!(proxy.counters().short.load(Relaxed), 2);
    assert_eq!(proxy.counters().connects.load(Relaxed), 1);
}
