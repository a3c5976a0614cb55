//! Targets that are no paths, and heads that mean two things: each is answered, none by a panic.

use super::door::Door;

/// First line, further headers, the status of the answer.
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
    ("PRI * HTTP/1.1", "Host: d", "400"),
];

#[tokio::test]
async fn odd_targets_are_refused_and_the_door_stays_open() {
    let door = Door::open().await;
    let before = tepui::http::serve::n_panics();
    let mut wrong = Vec::new();
    for (line, headers, status) in CASES {
        let answer = door.ask(&format!("{line}\r\n{headers}\r\nConnection: close\r\n\r\n")).await;
        let got = answer.split(' ').nth(1).unwrap_or_default();
        if got != *status {
            wrong.push(format!("{line} ({headers:?}): {status} expected, got {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(tepui::http::serve::n_panics(), before);
    assert!(door.get("/mesos/state").await.starts_with("HTTP/1.1 200 "));
}
