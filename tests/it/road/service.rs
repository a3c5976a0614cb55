//! The short road of the real front door: tokens, names, rights that end.

use std::sync::atomic::Ordering::Relaxed;

use tepui::{
    base::task::Tasks,
    http::{
        Handler as _,
        crowd::{Bounds, Crowd},
        serve::Listener,
    },
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use super::{
    super::{
        dcos::door::{Door, labels},
        router::{Client, DEADLINE, loopback},
    },
    accept, connect,
};

fn n_short(door: &Door) -> u64 {
    door.gateway.guide().unwrap().proxy().counters().short.load(Relaxed)
}

fn get(path: &str, authorization: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: door\r\n{authorization}\r\n")
}

async fn ask(client: &mut Client, request: &str) -> String {
    client.send(request).await;
    client.until("\r\n\r\n").await
}

#[tokio::test]
async fn a_good_token_finds_its_service_by_the_short_road_and_a_bad_one_its_refusal() {
    let door = Door::open().await;
    door.world.offer("/web", &labels("web", &[]), door.upstream("web"));
    let whole = [("DCOS_SERVICE_REWRITE_REQUEST_URLS", "false")];
    door.world.offer("/deep", &labels("group/deep", &whole), door.upstream("deep"));
    let token = format!("Authorization: token={}\r\n", door.token);
    let mut client = connect(door.server.local_addr()).await;
    for (n, (path, first, name)) in [
        ("/service/web/", "web GET /\n", "web"),
        ("/service/web/a/b?c=d", "web GET /a/b?c=d\n", "web"),
        ("/service/group/deep/x", "deep GET /service/group/deep/x\n", "deep"),
    ]
    .into_iter()
    .enumerate()
    {
        let head = ask(&mut client, &get(path, &token)).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{name}: {head}");
        client.until(first).await;
        client.until(&format!("authorization: token={}\n", door.token)).await;
        client.until("x-forwarded-for: 127.0.0.1\n").await;
        assert_eq!(n_short(&door), n as u64 + 1, "{path}");
    }
    for (path, authorization, status) in [
        ("/service/web/", String::new(), "401"),
        ("/service/web/", "Authorization: token=bad\r\n".to_owned(), "401"),
        ("/service/web/", format!("Authorization: Basic {}\r\n", door.token), "401"),
        ("/service/web", token.clone(), "301"),
        ("//service/web/", token.clone(), "200"),
        ("/service//web/", token.clone(), "200"),
        ("/service/web//x", token.clone(), "200"),
        ("/service/marathon/v2/apps", token.clone(), "200"),
        ("/service/unknown/", token.clone(), "404"),
        ("/metadata", token.clone(), "200"),
    ] {
        let mut client = connect(door.server.local_addr()).await;
        let head = ask(&mut client, &get(path, &authorization)).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {head}");
    }
    assert_eq!(n_short(&door), 3, "everything else went the other road");
}

#[tokio::test]
async fn a_token_that_was_taken_back_opens_nothing_on_an_open_connection() {
    let door = Door::open().await;
    door.world.offer("/web", &labels("web", &[]), door.upstream("web"));
    let request = get("/service/web/", &format!("Authorization: token={}\r\n", door.token));
    let mut client = connect(door.server.local_addr()).await;
    assert!(ask(&mut client, &request).await.starts_with("HTTP/1.1 200 "));
    client.until("x-forwarded-for: 127.0.0.1\n").await;
    take_back(&door);
    assert!(ask(&mut client, &request).await.starts_with("HTTP/1.1 401 "));
    assert_eq!(n_short(&door), 1);
}

/// The user's tokens count no more.
fn take_back(door: &Door) {
    door.world.change(|state| {
        let user = state.users.get("admin").expect("there is one");
        let user =
            tepui::model::access::User { generation: user.generation + 1, ..(**user).clone() };
        state.users.insert(user.uid.clone(), std::sync::Arc::new(user));
    });
}

#[tokio::test]
async fn events_end_with_the_token_and_other_answers_do_not() {
    let door = Door::open().await;
    let listener = TcpListener::bind(loopback()).await.unwrap();
    door.world.offer("/web", &labels("web", &[]), listener.local_addr().unwrap());
    let request = get("/service/web/", &format!("Authorization: token={}\r\n", door.token));
    let (mut clients, mut peers) = (Vec::new(), Vec::new());
    for kind in ["text/event-stream", "application/octet-stream"] {
        let mut client = connect(door.server.local_addr()).await;
        client.send(&request).await;
        let mut peer = accept(&listener).await;
        peer.until("\r\n\r\n").await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n");
        peer.send(head + "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await;
        client.until("3\r\none\r\n").await;
        // Each piece is passed on before the next one is made.
        peer.send("3\r\ntwo\r\n").await;
        client.until("3\r\ntwo\r\n").await;
        clients.push(client);
        peers.push(peer);
    }
    take_back(&door);
    assert_eq!(clients[0].until("0\r\n\r\n").await, "0\r\n\r\n", "the stream ends as streams do");
    assert_eq!(peers.remove(0).rest().await, "", "the service sees its end");
    peers[0].send("5\r\nthree\r\n0\r\n\r\n").await;
    clients[1].until("5\r\nthree\r\n0\r\n\r\n").await;
    assert_eq!(n_short(&door), 2);
}

#[tokio::test]
async fn events_without_a_pause_end_with_the_token_too() {
    let door = Door::open().await;
    let listener = TcpListener::bind(loopback()).await.unwrap();
    door.world.offer("/web", &labels("web", &[]), listener.local_addr().unwrap());
    let request = get("/service/web/", &format!("Authorization: token={}\r\n", door.token));
    let mut client = connect(door.server.local_addr()).await;
    client.send(&request).await;
    let mut peer = accept(&listener).await;
    peer.until("\r\n\r\n").await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await;
    let feed = async {
        let events = "data: x\n\n".repeat(1000);
        while peer.tcp.write_all(events.as_bytes()).await.is_ok() {}
    };
    let read = async {
        client.until("\r\n\r\n").await;
        client.read_some().await;
        take_back(&door);
        let end = b"\r\n0\r\n\r\n";
        while !client.seen.ends_with(end) {
            client.seen.drain(..client.seen.len().saturating_sub(end.len()));
            client.read_some().await;
        }
    };
    let both = async { tokio::join!(feed, read) };
    tokio::time::timeout(DEADLINE, both).await.expect("both ends see the end");
}

#[tokio::test]
async fn a_token_shown_by_the_short_road_makes_a_stranger_known() {
    let door = Door::open().await;
    door.world.offer("/web", &labels("web", &[]), door.upstream("web"));
    let bounds = Bounds { strangers_local_max: 4, ..Bounds::of_descriptors(1024) };
    let (tasks, crowd) = (Tasks::new("t"), Crowd::new(bounds));
    let listener = Listener::bind(loopback()).unwrap();
    let server = listener.in_crowd(crowd.clone()).serve(door.gateway.clone(), &tasks);
    let request = get("/service/web/", &format!("Authorization: token={}\r\n", door.token));
    let mut known = connect(server.local_addr()).await;
    assert!(ask(&mut known, &request).await.starts_with("HTTP/1.1 200 "));
    known.until("x-forwarded-for: 127.0.0.1\n").await;
    let mut strangers = Vec::new();
    while crowd.n_sent_away() < 8 {
        strangers.push(connect(server.local_addr()).await);
        tokio::task::yield_now().await;
    }
    assert!(ask(&mut known, &request).await.starts_with("HTTP/1.1 200 "), "it keeps its place");
    assert_eq!(n_short(&door), 2);
    assert_eq!(strangers.remove(0).rest().await, "", "the oldest stranger left");
}
