//! The direct ports: who gets in without a page to sign in on, and what strangers see.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::{Value, json};
use tepui::{
    base::{clock::ManualClock, rng::Rng},
    compat::dcos::Known,
    http::{
        Call, Handler as _, Origin, Request, RequestId, Response,
        auth::{Basic, Passwords, TOKEN_LIFE, Tokens},
        body::{self, Body},
        reply,
        route::{self, Access, Table},
    },
    node::direct::{self, DirectDoor, Strangers},
};

use super::door::{NOW, World};

/// A direct port over a dialect of three routes.
struct Port {
    door: DirectDoor,
    token: String,
}

async fn look(_: Arc<()>, call: Call) -> Response {
    let caller = call.principal.uid();
    reply::json(StatusCode::OK, &json!({"caller": caller, "env": {"DB_PASSWORD": "hunter2"}}))
}

async fn act(_: Arc<()>, call: Call) -> Response {
    reply::text(StatusCode::OK, call.principal.uid().to_owned())
}

async fn ping(_: Arc<()>, _: Call) -> Response {
    reply::text(StatusCode::OK, "pong")
}

impl Port {
    async fn open(open_reads: &[&str]) -> Self {
        let world = World::new().await;
        let (known, clock) = (Arc::new(Known(world)), ManualClock::new(NOW));
        let tokens = Arc::new(Tokens::new(known.clone()));
        let token = tokens.issue("admin", NOW, TOKEN_LIFE).unwrap();
        let networks = open_reads.iter().map(|net| net.parse().unwrap()).collect();
        let routes = vec![
            route::get("/look", Access::Read, look),
            route::post("/act", Access::Write, act),
            route::get("/ping", Access::Open, ping),
        ];
        let strangers = Arc::new(Strangers { open_reads: networks });
        let table = Table::new(Arc::new(()), routes).guard(strangers);
        let passwords = Arc::new(Passwords::default());
        let door = DirectDoor {
            dialect: Arc::new(table),
            guard: direct::guard(tokens, clock),
            basic: Arc::new(Basic::new(known, passwords, &mut Rng::from_seed(1))),
        };
        Self { door, token }
    }

    /// Status and body of one request from 10.1.2.3.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, String)]) -> (u16, String) {
        let mut request =
            http::Request::builder().method(method).uri(path).header("host", "m:8080");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut request: Request = request.body(Body::empty()).unwrap();
        let peer = ([10, 1, 2, 3], 5555).into();
        let peer_text = http::HeaderValue::from_static("10.1.2.3");
        let id = RequestId::new(1);
        let origin = Origin { peer, tls: false, id, peer_text, seat: None };
        request.extensions_mut().insert(origin);
        let answer = self.door.call(request).await;
        let (head, content) = answer.into_parts();
        if head.status == StatusCode::UNAUTHORIZED {
            let challenge = head.headers["www-authenticate"].to_str().unwrap();
            assert!(challenge.starts_with("Basic realm="), "{challenge}");
        }
        let bytes = body::read(content, 1 << 20).await.unwrap();
        (head.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())
    }
}

fn basic(pair: &str) -> (&'static str, String) {
    ("authorization", format!("Basic {}", STANDARD.encode(pair)))
}

#[tokio::test]
async fn direct_ports_want_a_token_or_a_name_and_a_password() {
    let port = Port::open(&[]).await;
    let token = ("authorization", format!("token={}", port.token));
    let cookie = ("cookie", format!("dcos-acs-auth-cookie={}", port.token));
    let evil = ("origin", "http://evil".to_owned());
    for (headers, status) in [
        (vec![], 401),
        (vec![cookie], 401),
        (vec![basic("admin:wrong")], 401),
        (vec![basic("nobody:hunter2")], 401),
        (vec![("authorization", "token=bad".to_owned())], 401),
        (vec![token.clone()], 200),
        (vec![basic("admin:hunter2")], 200),
        // Again, from memory.
        (vec![basic("admin:hunter2")], 200),
    ] {
        for (method, path) in [("GET", "/look"), ("POST", "/act")] {
            let (got, text) = port.ask(method, path, &headers).await;
            assert_eq!(got, status, "{method} {path} {headers:?}: {text}");
            assert_eq!(got == 200, text.contains("admin"), "{text}");
            assert_eq!(got == 200 && method == "GET", text.contains("hunter2"), "{text}");
        }
        assert_eq!(port.ask("GET", "/ping", &headers).await, (200, "pong".to_owned()));
    }
    // A browser's memory of a password changes nothing for other pages.
    let (status, text) = port.ask("POST", "/act", &[basic("admin:hunter2"), evil.clone()]).await;
    assert_eq!(status, 403, "{text}");
    assert_eq!(port.ask("POST", "/act", &[token, evil]).await.0, 200);
}

#[tokio::test]
async fn an_opened_network_reads_but_never_the_values_of_env() {
    let port = Port::open(&["10.1.0.0/16"]).await;
    let (status, text) = port.ask("GET", "/look", &[]).await;
    assert_eq!(status, 200);
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown, json!({"caller": "anonymous", "env": {"DB_PASSWORD": "(hidden)"}}));
    assert_eq!(port.ask("POST", "/act", &[]).await.0, 401);
    // Who brings something that is no good is told so.
    assert_eq!(port.ask("GET", "/look", &[basic("admin:wrong")]).await.0, 401);
    let (_, text) = port.ask("GET", "/look", &[basic("admin:hunter2")]).await;
    assert!(text.contains("hunter2"), "{text}");
    let elsewhere = Port::open(&["10.2.0.0/16", "fe80::/10"]).await;
    assert_eq!(elsewhere.ask("GET", "/look", &[]).await.0, 401);
}
