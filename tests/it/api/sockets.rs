//! Commands inside a task over a WebSocket: who gets one, what it carries, how it is taken over, and
//! that whoever is hostile costs nobody else anything.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{SinkExt as _, StreamExt as _};
use http::Request as Head;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tepui::{
    api::{Api, frames::channel, routes},
    base::{clock::SystemClock, task::Tasks},
    compat::marathon::Apps,
    http::{
        Body, Request,
        auth::{Account, Accounts, Asked, Rights, TOKEN_LIFE, TokenGuard, Tokens},
        reply,
        serve::{Listener, Server},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, frame::coding::CloseCode},
    },
};

use super::{DEADLINE, World, head, show};

/// Users with the generation of their tokens. All but `eve` are superusers.
struct Users(Mutex<BTreeMap<&'static str, u64>>);

impl Accounts for Users {
    fn secret(&self) -> Option<[u8; 32]> {
        Some([7; 32])
    }

    fn account(&self, uid: &str) -> Option<Account> {
        let generation = *self.0.lock().get(uid)?;
        Some(Account { generation, rights: Rights::of_user(uid != "eve") })
    }

    fn password_hash(&self, _: &str) -> Option<String> {
        None
    }
}

/// A server with one running task.
struct Rig {
    server: Server,
    task: String,
    users: Arc<Users>,
    tokens: Arc<Tokens>,
    _tasks: Tasks,
}

impl Rig {
    fn start() -> Self {
        let (world, tasks) = (World::new(), Tasks::new("test"));
        world.app("/a", 1, |_| {});
        let users = Arc::new(Users(Mutex::new([("ann", 1), ("bob", 1), ("eve", 1)].into())));
        let clock = SystemClock::shared();
        let tokens = Arc::new(Tokens::new(users.clone()));
        let guard = Arc::new(TokenGuard::new(tokens.clone(), clock.clone(), |refusal, _| {
            reply::text(http::StatusCode::UNAUTHORIZED, refusal.to_string())
        }));
        let table = Arc::new(routes::table(Api::new(
            world.clone(),
            clock,
            &tasks,
            show,
            Arc::new(Apps::default()),
        )));
        // As the front door does: the caller is known before the table is asked.
        let handler = move |mut request: Request| {
            let (guard, table) = (guard.clone(), table.clone());
            async move {
                let asked = Asked::from(&request);
                match guard.caller(asked) {
                    Ok(caller) => caller.note(&mut request),
                    Err(refusal) => return guard.refuse(refusal, asked),
                }
                table.answer(request).await
            }
        };
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let server = listener.serve(Arc::new(handler), &tasks);
        Self { server, task: world.task_id("/a"), users, tokens, _tasks: tasks }
    }

    fn token(&self, uid: &str) -> String {
        self.tokens.issue(uid, SystemClock::shared().now(), TOKEN_LIFE).unwrap()
    }

    fn origin(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    /// The answer to a handshake with these headers in place of the usual ones.
    async fn shake(&self, uid: &str, changes: &[(&str, &str)]) -> (String, TcpStream) {
        let (host, token) = (self.server.local_addr().to_string(), self.token(uid));
        let authorization = format!("token={token}");
        let mut headers = BTreeMap::from([
            ("host", host.as_str()),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "tepui-exec.v1"),
            ("authorization", &authorization),
        ]);
        let cookie = format!("dcos-acs-auth-cookie={token}");
        for (name, value) in changes {
            match *value {
                "" => drop(headers.remove(name)),
                "own" if *name == "cookie" => {
                    headers.remove("authorization");
                    headers.insert("cookie", &cookie);
                }
                value => drop(headers.insert(name, value)),
            }
        }
        let mut text = format!("GET /tepui/v1/tasks/{}/exec/ws HTTP/1.1\r\n", self.task);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut tcp = TcpStream::connect(self.server.local_addr()).await.unwrap();
        tcp.write_all((text + "\r\n").as_bytes()).await.unwrap();
        (head(&mut tcp).await, tcp)
    }

    async fn status(&self, uid: &str, changes: &[(&str, &str)]) -> u16 {
        let (answer, _) = self.shake(uid, changes).await;
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// A connection that has said what it wants.
    async fn open(&self, uid: &str, wanted: &Value) -> Client {
        let (answer, tcp) = self.shake(uid, &[]).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let mut client = Client(WebSocketStream::from_raw_socket(tcp, Role::Client, None).await);
        client.say(channel::OPEN, wanted.to_string().as_bytes()).await;
        client
    }

    /// A session of `cat`, with its id.
    async fn cat(&self, uid: &str) -> (Client, String) {
        let mut client = self.open(uid, &json!({"cmd": ["cat"], "tty": true})).await;
        let hello = client.json(channel::OPEN).await;
        (client, hello["session"].as_str().unwrap().to_owned())
    }
}

/// The browser's side.
struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn say(&mut self, channel: u8, payload: &[u8]) {
        let message = [&[channel], payload].concat();
        self.0.send(Message::Binary(message.into())).await.unwrap();
    }

    /// The next message, or the code of the server's good-bye.
    async fn hear(&mut self) -> Result<(u8, Vec<u8>), u16> {
        loop {
            let next = timeout(DEADLINE, self.0.next()).await.expect("the server says something");
            match next {
                Some(Ok(Message::Binary(bytes))) => return Ok((bytes[0], bytes[1..].to_vec())),
                Some(Ok(Message::Close(close))) => {
                    // As browsers do by themselves.
                    let _ = self.0.flush().await;
                    return Err(close.unwrap().code.into());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(0),
            }
        }
    }

    async fn json(&mut self, wanted: u8) -> Value {
        let (channel, bytes) = self.hear().await.expect("no good-bye yet");
        assert_eq!(channel, wanted, "{}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap()
    }

    /// As many bytes of output.
    async fn output(&mut self, n_bytes: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < n_bytes {
            let (channel, bytes) = self.hear().await.expect("no good-bye yet");
            assert_eq!(channel, channel::STDOUT);
            all.extend(bytes);
        }
        all
    }

    async fn received(&mut self, position: usize) {
        self.say(channel::RECEIVED, &(position as u64).to_be_bytes()).await;
    }
}

#[tokio::test]
async fn a_page_has_a_command_with_input_size_and_end() {
    let rig = Rig::start();
    let own = rig.origin();
    let (answer, tcp) = rig.shake("ann", &[("cookie", "own"), ("origin", &own)]).await;
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    assert!(answer.contains("sec-websocket-protocol: tepui-exec.v1"), "{answer}");
    let mut client = Client(WebSocketStream::from_raw_socket(tcp, Role::Client, None).await);
    let wanted = json!({"cmd": ["cat"], "tty": true, "rows": 24, "cols": 80});
    client.say(channel::OPEN, wanted.to_string().as_bytes()).await;
    let hello = client.json(channel::OPEN).await;
    assert_eq!((&hello["from"], &hello["resume_s"]), (&json!(0), &json!(60)));
    // This command says back all that it is told, sizes too.
    assert_eq!(client.output(4).await, [24, 0, 80, 0]);
    client.say(channel::STDIN, b"hello").await;
    assert_eq!(client.output(5).await, b"hello");
    client.say(channel::RESIZE, br#"{"rows":30,"cols":300}"#).await;
    assert_eq!(client.output(4).await, [30, 0, 44, 1]);
    client.say(channel::PING, b"p").await;
    assert_eq!(client.hear().await, Ok((channel::PONG, b"p".to_vec())));
    client.say(channel::STDIN, b"").await;
    assert_eq!(client.json(channel::END).await, json!({"exit_code": 0}));
    assert_eq!(client.hear().await, Err(1000));
}

#[tokio::test]
async fn who_may_not_gets_no_socket() {
    let rig = Rig::start();
    let own = rig.origin();
    let cookie = ("cookie", "own");
    for (uid, changes, wanted) in [
        ("ann", &[("origin", own.as_str())][..], 101),
        ("ann", &[("origin", "http://evil")], 403),
        ("ann", &[("origin", "null")], 403),
        ("ann", &[("sec-fetch-site", "cross-site")], 403),
        // A cookie goes with whatever any page asks for.
        ("ann", &[cookie], 401),
        ("ann", &[cookie, ("origin", "http://evil")], 401),
        ("ann", &[cookie, ("origin", &own)], 101),
        ("eve", &[cookie, ("origin", &own)], 403),
        ("eve", &[], 403),
        ("ann", &[("authorization", "token=x")], 401),
        ("ann", &[("upgrade", "")], 426),
        ("ann", &[("upgrade", "tepui-exec")], 426),
        ("ann", &[("sec-websocket-version", "12")], 426),
        ("ann", &[("sec-websocket-key", "short")], 400),
        ("ann", &[("sec-websocket-protocol", "tepui-exec.v9")], 400),
        ("ann", &[("sec-websocket-protocol", "")], 400),
    ] {
        assert_eq!(rig.status(uid, changes).await, wanted, "{uid} {changes:?}");
    }
    let (answer, _) = rig.shake("ann", &[("sec-websocket-version", "12")]).await;
    assert!(answer.contains("sec-websocket-version: 13"), "{answer}");
}

#[tokio::test]
async fn what_cannot_be_begun_is_said_in_the_socket() {
    let rig = Rig::start();
    for (wanted, code) in [
        (json!({"cmd": []}), "invalid"),
        (json!({"session": "nope"}), "not_found"),
        (json!({"rows": 3}), "bad_request"),
        (json!(7), "bad_request"),
    ] {
        let mut client = rig.open("ann", &wanted).await;
        let end = client.json(channel::END).await;
        assert_eq!(end["error"]["code"], code, "{wanted}: {end}");
        assert!(client.hear().await.is_err());
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_good_for_its_owner_alone() {
    let rig = Rig::start();
    let (mut first, session) = rig.cat("ann").await;
    first.say(channel::STDIN, b"one").await;
    assert_eq!(first.output(3).await, b"one");
    first.say(channel::STDIN, b"two").await;
    assert_eq!(first.output(3).await, b"two");
    drop(first); // without a word, and "two" was on its way

    let mut thief = rig.open("bob", &json!({"session": session})).await;
    assert_eq!(thief.json(channel::END).await["error"]["code"], "not_found");

    let mut second = rig.open("ann", &json!({"session": session, "from": 3})).await;
    let hello = second.json(channel::OPEN).await;
    assert_eq!((&hello["session"], &hello["from"]), (&json!(session), &json!(3)));
    assert_eq!(second.output(3).await, b"two");
    second.say(channel::STDIN, b"three").await;
    assert_eq!(second.output(5).await, b"three");

    // A page that was loaded anew has nothing; the window that had the session is told.
    let mut third = rig.open("ann", &json!({"session": session, "rows": 1, "cols": 2})).await;
    assert_eq!(third.json(channel::OPEN).await["from"], 0);
    assert_eq!(third.output(15).await, b"onetwothree\x01\x00\x02\x00");
    assert_eq!(second.hear().await, Err(4001));

    // A good-bye is one, the session goes with it.
    let close = tokio_tungstenite::tungstenite::protocol::CloseFrame {
        code: CloseCode::Normal,
        reason: Default::default(),
    };
    third.0.close(Some(close)).await.unwrap();
    assert_eq!(third.hear().await, Err(1000));
    let mut late = rig.open("ann", &json!({"session": session})).await;
    assert_eq!(late.json(channel::END).await["error"]["code"], "not_found");
}

#[tokio::test]
async fn a_reader_that_confirms_nothing_holds_its_command_up_and_loses_nothing() {
    const PIECE: usize = 16 << 10;
    const N: usize = 20;
    let rig = Rig::start();
    let (client, session) = rig.cat("ann").await;
    let (mut to, from) = client.0.split();
    let wanted: Vec<u8> = (0..N * PIECE).map(|i| (i % 251) as u8).collect();
    let input = wanted.clone();
    let sending = async move {
        for piece in input.chunks(PIECE) {
            let message = [&[channel::STDIN], piece].concat();
            to.send(Message::Binary(message.into())).await.unwrap();
        }
        to
    };
    let reading = async move {
        let mut from = from;
        let mut all = Vec::new();
        // As much as may be unconfirmed comes, and then only the server's pings.
        loop {
            match timeout(DEADLINE, from.next()).await.unwrap().unwrap().unwrap() {
                Message::Binary(bytes) => all.extend_from_slice(&bytes[1..]),
                Message::Ping(_) if all.len() >= 128 << 10 => return (all, from),
                _ => {}
            }
        }
    };
    let (to, (got, from)) = tokio::join!(sending, reading);
    assert!(got.len() < (128 << 10) + PIECE, "{}", got.len());
    assert_eq!(got, wanted[..got.len()]);
    let mut client = Client(from.reunite(to).unwrap());
    client.received(got.len()).await;
    let mut all = got;
    while all.len() < wanted.len() {
        all.extend(client.output(1).await);
        client.received(all.len()).await;
    }
    assert_eq!(all, wanted);
    // What was confirmed is kept as far as it has room: a new screen gets the end of it.
    drop(client);
    let mut again = rig.open("ann", &json!({"session": session})).await;
    let kept = again.json(channel::OPEN).await["from"].as_u64().unwrap();
    let kept = usize::try_from(kept).unwrap();
    assert_eq!(again.output(wanted.len() - kept).await, wanted[kept..]);
    assert!(wanted.len() - kept <= 256 << 10, "{kept}");
}

#[tokio::test]
async fn hostile_frames_end_their_connection_and_nothing_else() {
    let rig = Rig::start();
    let masked = |head: &[u8]| [head, &[0; 4]].concat();
    let cases: [(&str, Vec<u8>, u16); 7] = [
        ("text", masked(&[0x81, 0x80]), 1003),
        ("unmasked", vec![0x82, 0x01, channel::STDIN], 1002),
        ("reserved bits", masked(&[0xF2, 0x80]), 1002),
        ("an unknown kind", masked(&[0x83, 0x80]), 1002),
        ("a long ping", [masked(&[0x89, 0xFE, 0, 200]), vec![7; 200]].concat(), 1002),
        ("the middle of nothing", masked(&[0x80, 0x80]), 1002),
        ("a terabyte", masked(&[0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0]), 1009),
    ];
    for (what, bytes, wanted) in cases {
        let (mut client, session) = rig.cat("ann").await;
        client.0.get_mut().write_all(&bytes).await.unwrap();
        assert_eq!(client.hear().await, Err(wanted), "{what}");
        let mut again = rig.open("ann", &json!({"session": session})).await;
        assert_eq!(again.json(channel::OPEN).await["session"], json!(session), "{what}");
        again.say(channel::STDIN, b"").await;
        assert_eq!(again.json(channel::END).await["exit_code"], 0, "{what}");
    }
    // Input in one piece has a bound too; what is no channel of ours is passed over.
    let (mut client, _) = rig.cat("ann").await;
    client.say(99, b"what a later version says").await;
    client.say(channel::RESIZE, b"no size").await;
    client.0.send(Message::Binary(Vec::new().into())).await.unwrap();
    client.say(channel::STDIN, &[7; 16 << 10]).await;
    assert_eq!(client.output(16 << 10).await, [7; 16 << 10]);
    client.say(channel::STDIN, &[7; (16 << 10) + 1]).await;
    assert_eq!(client.hear().await, Err(1009));
}

#[tokio::test]
async fn a_session_ends_with_its_credential() {
    let rig = Rig::start();
    let (mut open, session) = rig.cat("ann").await;
    let (mut others, _) = rig.cat("bob").await;
    rig.users.0.lock().insert("ann", 2);
    assert_eq!(open.hear().await, Err(4003));
    let mut again = rig.open("ann", &json!({"session": session})).await;
    assert_eq!(again.json(channel::END).await["error"]["code"], "not_found");
    others.say(channel::STDIN, b"still here").await;
    assert_eq!(others.output(10).await, b"still here");
}

#[tokio::test]
async fn one_user_has_so_many_sessions_and_others_still_theirs() {
    let rig = Rig::start();
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(rig.cat("ann").await);
    }
    let mut more = rig.open("ann", &json!({"cmd": ["cat"]})).await;
    assert_eq!(more.json(channel::END).await["error"]["code"], "too_many_sessions");
    rig.cat("bob").await;
    let (mut last, session) = open.pop().unwrap();
    last.say(channel::STDIN, b"").await;
    assert_eq!(last.json(channel::END).await["exit_code"], 0);
    assert_eq!(last.hear().await, Err(1000));
    // Its place is free once its good-bye is answered, which takes the server a moment to read.
    let wanted = json!({"cmd": ["cat"]});
    for _ in 0..200 {
        let mut next = rig.open("ann", &wanted).await;
        let (channel, _) = next.hear().await.unwrap();
        if channel == channel::OPEN {
            let gone = rig.open("ann", &json!({"session": session})).await.json(channel::END).await;
            assert_eq!(gone["error"]["code"], "not_found");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the place of a session that ended is never free");
}

#[tokio::test]
async fn a_socket_that_says_nothing_is_let_go() {
    let rig = Rig::start();
    let (answer, mut tcp) = rig.shake("ann", &[]).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    // The first message is waited for ten seconds, then the server says why it leaves, and closes.
    let mut all = Vec::new();
    timeout(DEADLINE, tcp.read_to_end(&mut all)).await.expect("an end").expect("read");
    let text = String::from_utf8_lossy(&all);
    assert!(text.contains("bad_request"), "{text}");
}

/// A request made in memory has no connection that could be taken over.
#[tokio::test]
async fn a_head_alone_is_no_socket() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    world.app("/a", 1, |_| {});
    let path = format!("/tepui/v1/tasks/{}/exec/ws", world.task_id("/a"));
    let request = Head::get(path)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "tepui-exec.v1")
        .body(Body::empty())
        .unwrap();
    assert_eq!(super::table(&world, &tasks).answer(request).await.status(), 426);
}
