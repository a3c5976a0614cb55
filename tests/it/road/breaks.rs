//! Upstreams and clients that break off, are slow, or are to stop.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tepui::{
    base::task::Tasks,
    http::{proxy::Proxy, serve::Limits},
};
use tokio::net::{TcpListener, TcpStream};

use super::{
    super::router::{DEADLINE, closes_on_second, loopback, mirror, serve},
    Duration, accept, connect, front, front_to, plain,
};

async fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

#[tokio::test]
async fn only_what_may_be_repeated_is_sent_again() {
    for (second, n_retries, status) in [
        (plain("GET", "/"), 1, "200"),
        (plain("DELETE", "/"), 1, "200"),
        (plain("POST", "/"), 0, "502"),
        (plain("PUT", "/").replace("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx"), 0, "502"),
    ] {
        let tasks = Tasks::new("t");
        let (listener, addr) = listener().await;
        let (front, proxy) = front(&tasks, addr);
        tasks.connection("upstream", closes_on_second(listener));
        let mut client = connect(front.local_addr()).await;
        client.send(plain("GET", "/")).await;
        client.until("\r\n\r\nok").await;
        client.send(&second).await;
        let answer = client.until("\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{second}: {answer}");
        assert_eq!(proxy.counters().retries.load(Relaxed), n_retries, "{second}");
        assert_eq!(proxy.counters().short.load(Relaxed), 2, "{second}");
    }
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_not_used() {
    let tasks = Tasks::new("t");
    let (listener, addr) = listener().await;
    let (front, proxy) = front(&tasks, addr);
    let (closed, mut is_closed) = tokio::sync::mpsc::channel(4);
    tasks.connection("upstream", async move {
        loop {
            let mut peer = accept(&listener).await;
            peer.until("\r\n\r\n").await;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            drop(peer);
            closed.send(()).await.unwrap();
        }
    });
    let mut client = connect(front.local_addr()).await;
    for _ in 0..3 {
        client.send(plain("POST", "/")).await;
        client.until("\r\n\r\nok").await;
        is_closed.recv().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await; // the end has come by then
    }
    assert_eq!(proxy.counters().failures.load(Relaxed), 0);
    assert_eq!(proxy.counters().short.load(Relaxed), 3);
}

#[tokio::test]
async fn an_upstream_that_speaks_unasked_is_not_used_again() {
    let tasks = Tasks::new("t");
    let (listener, addr) = listener().await;
    let (front, proxy) = front(&tasks, addr);
    tasks.connection("upstream", async move {
        let mut kept = Vec::new();
        loop {
            let mut peer = accept(&listener).await;
            peer.until("\r\n\r\n").await;
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            peer.send([answer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"].concat()).await;
            kept.push(peer);
        }
    });
    let mut client = connect(front.local_addr()).await;
    for _ in 0..3 {
        client.send(plain("GET", "/")).await;
        let answer = client.until("\r\n\r\nok").await;
        assert!(!answer.contains("evil"), "{answer}");
    }
    assert_eq!(proxy.counters().connects.load(Relaxed), 3);
}

#[tokio::test]
async fn a_spare_takes_what_a_dead_upstream_cannot() {
    let tasks = Tasks::new("t");
    let (free, dead) = listener().await;
    drop(free);
    let upstream = serve(&tasks, Limits::default(), mirror);
    let spare = Some(upstream.local_addr());
    let (front, proxy) = front_to(&tasks, dead, spare, true, Proxy::new(&tasks));
    let mut client = connect(front.local_addr()).await;
    client.send(plain("POST", "/x").replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\nbody")).await;
    client.until("POST /x\n").await;
    client.until("\nbody").await;
    let counters = proxy.counters();
    assert_eq!((counters.retries.load(Relaxed), counters.short.load(Relaxed)), (1, 1));
}

#[tokio::test]
async fn a_dead_upstream_is_502_and_the_client_may_ask_again() {
    let tasks = Tasks::new("t");
    let (free, dead) = listener().await;
    drop(free);
    let (front, proxy) = front(&tasks, dead);
    let mut client = connect(front.local_addr()).await;
    for _ in 0..2 {
        client.send(plain("GET", "/")).await;
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
        client.until("accepts no connection\n").await;
    }
    assert_eq!(proxy.counters().failures.load(Relaxed), 2);
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_504_and_cut() {
    let tasks = Tasks::new("t");
    let (listener, addr) = listener().await;
    let proxy = Proxy::with_silence(&tasks, Duration::from_millis(100));
    let (front, proxy) = front_to(&tasks, addr, None, true, proxy);
    let mut client = connect(front.local_addr()).await;
    client.send(plain("GET", "/")).await;
    let mut peer = accept(&listener).await;
    peer.until("\r\n\r\n").await;
    assert_eq!(peer.rest().await, "", "the upstream sees the end");
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{head}");
    client.until("does not answer\n").await;
    assert_eq!(proxy.counters().retries.load(Relaxed), 0, "it may be at work on it");
    // One that stops in the middle is seen to stop there.
    client.send(plain("GET", "/")).await;
    let mut peer = accept(&listener).await;
    peer.until("\r\n\r\n").await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    client.until("half").await;
    assert_eq!(client.rest().await, "");
    assert_eq!(peer.rest().await, "");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    for (start, half) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "half"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "half\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nx\r\n", "half\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf", "half\r\n"),
    ] {
        let tasks = Tasks::new("t");
        let (listener, addr) = listener().await;
        let (front, _) = front(&tasks, addr);
        let mut client = connect(front.local_addr()).await;
        client.send(plain("GET", "/")).await;
        let mut peer = accept(&listener).await;
        peer.until("\r\n\r\n").await;
        peer.send(start).await;
        client.until(half).await;
        drop(peer);
        assert_eq!(client.rest().await, "", "{start:?}: nothing that looks like an end");
    }
}

#[tokio::test]
async fn an_answer_without_sense_is_502() {
    for start in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        "HTTP/1.1 200 OK",
        "",
    ] {
        let tasks = Tasks::new("t");
        let (listener, addr) = listener().await;
        let (front, _) = front(&tasks, addr);
        let mut client = connect(front.local_addr()).await;
        client.send(plain("GET", "/")).await;
        let mut peer = accept(&listener).await;
        peer.until("\r\n\r\n").await;
        peer.send(start).await;
        drop(peer);
        let head = client.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{start:?}: {head}");
    }
    let tasks = Tasks::new("t");
    let (listener, addr) = listener().await;
    let (front, _) = front(&tasks, addr);
    let mut client = connect(front.local_addr()).await;
    client.send(plain("GET", "/")).await;
    let mut peer = accept(&listener).await;
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    peer.send(large).await;
    let head = client.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    let tasks = Tasks::new("t");
    let (listener, addr) = listener().await;
    let (front, proxy) = front(&tasks, addr);
    for start in ["", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let mut client = connect(front.local_addr()).await;
        client.send(plain("GET", "/long")).await;
        let mut peer = accept(&listener).await;
        peer.until("\r\n\r\n").await;
        peer.send(start).await;
        if !start.is_empty() {
            client.until("half").await;
        }
        drop(client);
        assert_eq!(peer.rest().await, "", "{start:?}");
    }
    assert_eq!(proxy.n_idle(), 0);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut() {
    let tasks = Tasks::new("t");
    let (listener, addr) = listener().await;
    let proxy = Proxy::new(&tasks);
    let to = tepui::http::proxy::Upstream { addr, tls: false };
    let meter = Arc::default();
    let door = super::Front { proxy, upstream: to, spare: None, is_short: true, meter };
    let limits = Limits { write_stall: Duration::from_millis(200), ..Limits::default() };
    let server = serve(&tasks, limits, door);
    let mut client = connect(server.local_addr()).await;
    client.send(plain("GET", "/")).await;
    let mut peer = accept(&listener).await;
    peer.until("\r\n\r\n").await;
    let feed = async {
        use tokio::io::AsyncWriteExt as _;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n").await;
        let piece = vec![0; 1 << 20];
        while peer.tcp.write_all(&piece).await.is_ok() {}
    };
    tokio::time::timeout(DEADLINE, feed).await.expect("cut in time");
}

#[tokio::test]
async fn a_drain_lets_an_open_request_finish_and_closes_idle_connections() {
    let tasks = Tasks::new("t");
    let (listener, addr) = listener().await;
    let (front, proxy) = front(&tasks, addr);
    let front = Arc::new(front);
    let mut client = connect(front.local_addr()).await;
    client.send(plain("GET", "/")).await;
    let mut peer = accept(&listener).await;
    peer.until("\r\n\r\n").await;
    let idle = connect(front.local_addr()).await;
    while front.n_open() < 2 {
        tokio::task::yield_now().await;
    }
    let addr = front.local_addr();
    let (drained, ()) = tokio::join!(front.drain(DEADLINE), async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfinished").await;
    });
    assert!(drained, "an idle connection must not hold up the stop");
    assert_eq!(idle.rest().await, "");
    let answer = client.rest().await;
    assert!(answer.ends_with("finished") && answer.contains("connection: close\r\n"), "{answer}");
    assert_eq!(proxy.counters().short.load(Relaxed), 1);
}

#[tokio::test]
async fn an_early_refusal_passes() {
    let tasks = Tasks::new("t");
    let (listener, addr) = listener().await;
    let (front, _) = front(&tasks, addr);
    let mut client = connect(front.local_addr()).await;
    let body = "x".repeat(12_000);
    let upload = plain("POST", "/up").replace("\r\n\r\n", "\r\nContent-Length: 12000\r\n\r\n");
    client.send(upload + &body).await;
    let mut peer = accept(&listener).await;
    peer.until("\r\n\r\n").await;
    peer.send("HTTP/1.1 413 Too Much\r\nConnection: close\r\nContent-Length: 8\r\n\r\ntoo much")
        .await;
    drop(peer);
    let answer = client.until("too much").await;
    assert!(answer.starts_with("HTTP/1.1 413 Too Much\r\n"), "{answer}");
}
