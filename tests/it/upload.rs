//! Requests that end otherwise than they began: an upload answered before it was read, an upgrade that
//! is not passed on.

use std::sync::atomic::Ordering::Relaxed;

use tepui::{base::task::Tasks, http::serve::Limits};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::router::{Client, DEADLINE, exchange, front, loopback, mirror, serve};

/// The upstream looks at the head, refuses, and closes with the upload unread.
#[tokio::test]
async fn an_early_refusal_of_a_large_upload_passes() {
    const UPLOAD_BYTES: usize = 32 << 20;
    let tasks = Tasks::new("t");
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let (front, _) = front(&tasks, listener.local_addr().unwrap());
    tasks.connection("refusing", async move {
        loop {
            let mut peer = Client { tcp: listener.accept().await.unwrap().0, seen: Vec::new() };
            peer.until("\r\n\r\n").await;
            let answer = "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 8\r\n\
                Connection: close\r\n\r\ntoo much";
            peer.send(answer).await;
        }
    });
    for n in 0..30 {
        let (mut read, mut write) =
            TcpStream::connect(front.local_addr()).await.unwrap().into_split();
        let upload = async move {
            let head =
                format!("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n");
            write.write_all(head.as_bytes()).await.unwrap();
            let piece = vec![b'x'; 64 << 10];
            for _ in 0..UPLOAD_BYTES / piece.len() {
                if write.write_all(&piece).await.is_err() {
                    break; // refused, as it should be
                }
            }
            write
        };
        let answer = async {
            let mut seen = Vec::new();
            while !seen.ends_with(b"too much") {
                let n = read.read_buf(&mut seen).await.unwrap_or(0);
                if n == 0 {
                    break;
                }
            }
            String::from_utf8_lossy(&seen).into_owned()
        };
        let both = async { tokio::join!(upload, answer) };
        let (_, answer) = tokio::time::timeout(DEADLINE, both).await.expect("in time");
        assert!(answer.starts_with("HTTP/1.1 413 "), "try {n}: {answer}");
        assert!(answer.ends_with("too much"), "try {n}: {answer}");
    }
}

#[tokio::test]
async fn no_http2_goes_through_a_tunnel() {
    let tasks = Tasks::new("t");
    let upstream = serve(&tasks, Limits::default(), mirror);
    let (front, proxy) = front(&tasks, upstream.local_addr());
    for protocols in ["h2c", "websocket, H2C"] {
        let ask = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: {protocols}\r\nHTTP2-Settings: AAMAAABk\r\n\
             Connection: Upgrade, HTTP2-Settings\r\nConnection: close\r\n\r\n"
        );
        let answer = exchange(front.local_addr(), &ask).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let seen = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        assert!(!seen.contains("upgrade") && !seen.contains("http2-settings"), "{seen}");
    }
    assert_eq!(proxy.counters().tunnels.load(Relaxed), 0);
}
