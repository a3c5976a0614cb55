//! Targets that are no paths, and heads that mean two things: each is answered, none by a panic.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tepui::{
    base::task::Tasks,
    http::{Request, metrics::n_panics, reply, serve::Listener},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::door::Door;

/// First line, further headers, the status of the answer (`none`: closed without one).
const CASES: &[(&str, &str, &str)] = &[
    ("OPTIONS * HTTP/1.1", "Host: d", "200"),
    ("GET * HTTP/1.1", "Host: d", "400"),
    ("GET x:1 HTTP/1.1", "Host: d", "400"),
    ("POST x:1 HTTP/1.1", "Host: d", "400"),
    ("HEAD * HTTP/1.1", "Host: d", "400"),
    ("CONNECT a:1 HTTP/1.1", "Host: a:1", "405"),
    ("CONNECT [::1]:80 HTTP/1.1", "Host: [::1]:80", "405"),
    ("OPTIONS x:1 HTTP/1.1", "Host: d", "400"),
    ("GET http://d HTTP/1.1", "Host: d", "200"),
    ("GET http://d?x HTTP/1.1", "Host: d", "200"),
    ("GET http://d/acs/api/v1/users HTTP/1.1", "Host: d", "401"),
    ("GET http:///acs HTTP/1.1", "Host: d", "400"),
    ("GET / HTTP/1.1", "Host: d\r\nHost: d", "400"),
    ("GET /acs/api/v1/users HTTP/1.1", "Host: a\r\nhost: b", "400"),
    ("GET //service// HTTP/1.1", "Host: d", "401"),
    ("GET /% HTTP/1.1", "Host: d", "200"),
    ("GET /service/%00/ HTTP/1.1", "Host: d", "401"),
    ("GET /;/../acs/api/v1/users HTTP/1.1", "Host: d", "200"),
    ("GET /? HTTP/1.1", "Host: d", "200"),
    ("GET ? HTTP/1.1", "Host: d", "400"),
    ("GET # HTTP/1.1", "Host: d", "400"),
    ("GET  / HTTP/1.1", "Host: d", "400"),
    ("GET / HTTP/1.0", "X: y", "200"),
    ("PRI * HTTP/1.1", "Host: d", "none"),
];

/// What comes back until the connection ends; a reset is an end like any other here.
async fn exchange(addr: SocketAddr, request: &str) -> String {
    let exchange = async {
        let mut tcp = TcpStream::connect(addr).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).await.ok();
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(Duration::from_secs(20), exchange).await.expect("in time")
}

#[tokio::test]
async fn odd_targets_are_refused_and_the_door_stays_open() {
    let door = Door::open().await;
    let mut wrong = Vec::new();
    for (line, headers, status) in CASES {
        let request = format!("{line}\r\n{headers}\r\nConnection: close\r\n\r\n");
        let answer = exchange(door.server.local_addr(), &request).await;
        let got = answer.split(' ').nth(1).unwrap_or("none");
        // A panic would be a 500, or no answer.
        if got != *status {
            wrong.push(format!("{line} ({headers:?}): {status} expected, got {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(door.get("/mesos/state").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_panic_of_a_handler_is_a_500_with_its_id_and_counted() {
    let tasks = Tasks::new("t");
    let handler = |request: Request| {
        assert_ne!(request.uri().path(), "/bad");
        async { reply::text(http::StatusCode::OK, "fine") }
    };
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let server = listener.serve(Arc::new(handler), &tasks);
    let before = n_panics();
    let both = "GET /bad HTTP/1.1\r\nHost: x\r\n\r\n\
        GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answers = exchange(server.local_addr(), both).await;
    assert!(answers.starts_with("HTTP/1.1 500 "), "{answers}");
    assert!(answers.contains("500 Internal Server Error (request "), "{answers}");
    assert!(answers.ends_with("fine"), "the connection goes on: {answers}");
    assert!(n_panics() > before);
}
