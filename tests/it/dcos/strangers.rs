//! What callers without a token can cost: bodies, guesses, connections.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tepui::{
    base::{limit, task::Tasks},
    http::{
        Request,
        crowd::{Bounds, Crowd},
        reply,
        serve::Listener,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{check, door::Door};

fn login(uid: &str, password: &str) -> String {
    let body = format!(r#"{{"uid":"{uid}","password":"{password}"}}"#);
    format!(
        "POST /acs/api/v1/auth/login HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_sign_in_of_more_than_64_kib_is_refused_by_its_length() {
    let door = Door::open().await;
    let head = "POST /acs/api/v1/auth/login HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\
        Content-Type: application/json\r\nContent-Length: 65537\r\n\r\n";
    check(&door.ask(head).await, &["HTTP/1.1 413 ", "larger than 65536 bytes"]);
}

#[tokio::test]
async fn guessing_costs_a_wait_and_other_names_do_not() {
    let door = Door::open().await;
    for _ in 0..5 {
        check(&door.ask(&login("ann", "wrong")).await, &["HTTP/1.1 401 "]);
    }
    let refused = door.ask(&login("ann", "wrong")).await;
    check(&refused, &["HTTP/1.1 429 ", "retry-after: ", "ERR_TOO_MANY_ATTEMPTS"]);
    check(&door.ask(&login("admin", "hunter2")).await, &["HTTP/1.1 200 ", "token"]);
    assert!(door.get("/mesos/state").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn idle_connections_of_strangers_make_room_for_the_next() {
    let bounds = Bounds { strangers_local_max: 10, ..Bounds::of_descriptors(1024) };
    let (tasks, crowd) = (Tasks::new("t"), Crowd::new(bounds));
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let handler = |_: Request| async { reply::text(http::StatusCode::OK, "fine") };
    let server = listener.in_crowd(crowd.clone()).serve(Arc::new(handler), &tasks);
    let mut idle = Vec::new();
    for _ in 0..50 {
        idle.push(TcpStream::connect(server.local_addr()).await.unwrap());
    }
    let served = async {
        let mut tcp = TcpStream::connect(server.local_addr()).await.unwrap();
        tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), served).await.expect("in time");
    assert!(answer.ends_with("fine"), "{answer}");
    assert_eq!(crowd.n_sent_away(), 41);
    let ended = tokio::time::timeout(Duration::from_secs(5), idle[0].read(&mut [0])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "the oldest was closed: {ended:?}");
}

/// Asks over and over on connections of its own from an address of the loopback network.
async fn asks(from: [u8; 4], server: SocketAddr, pause: Duration, time: Duration) -> Vec<Duration> {
    let mut waited = Vec::new();
    let until = Instant::now() + time;
    while Instant::now() < until {
        let began = Instant::now();
        let asked = async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((from, 0)))?;
            let mut tcp = socket.connect(server).await?;
            tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
            let mut answer = String::new();
            tcp.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer.ends_with("fine"))
        };
        // One that was closed for want of a share got nothing.
        let left = until.saturating_duration_since(Instant::now()) + Duration::from_secs(2);
        if let Ok(Ok(true)) = tokio::time::timeout(left, asked).await {
            waited.push(began.elapsed());
        }
        tokio::time::sleep(pause).await;
    }
    waited
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_a_processor_busy_waits_and_nobody_else_does() {
    const WORK: Duration = Duration::from_millis(10);
    const TIME: Duration = Duration::from_secs(4);
    let (tasks, crowd) = (Tasks::new("t"), Crowd::new(Bounds::of_descriptors(1024)));
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let handler = |_: Request| async {
        let clock = || nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
        let began = Duration::from(clock().unwrap());
        while Duration::from(clock().unwrap()) < began + WORK {}
        reply::text(http::StatusCode::OK, "fine")
    };
    let server = listener.in_crowd(crowd).serve(Arc::new(handler), &tasks);
    let address = server.local_addr();
    let greedy = (0..16).map(|_| asks([127, 0, 0, 2], address, Duration::from_millis(5), TIME));
    let modest = asks([127, 0, 0, 3], address, Duration::from_millis(200), TIME);
    let (greedy, modest) = tokio::join!(futures_util::future::join_all(greedy), modest);
    let n_greedy: usize = greedy.iter().map(Vec::len).sum();
    let longest = modest.iter().max().copied().unwrap_or_default();
    println!(
        "{n_greedy} answers for the greedy; {} for the modest, {longest:?} at most",
        modest.len()
    );
    // The share, what may be used at once, and some that were under way.
    let share = TIME * limit::LOOPBACK_SHARES / limit::STRANGER_STRETCH;
    let share = share + limit::STRANGER_BURST + WORK * 20;
    assert!(n_greedy as u32 <= share.as_millis() as u32 / WORK.as_millis() as u32, "{n_greedy}");
    assert!(n_greedy >= 20, "{n_greedy}");
    assert!(modest.len() >= 4 && longest < Duration::from_secs(3), "{longest:?}");
}
