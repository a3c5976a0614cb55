//! The same bytes by both roads: the upstream must be asked the same, and the client told the same.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use parking_lot::Mutex;
use proptest::prelude::*;
use tepui::{base::task::Tasks, http::proxy::Proxy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{super::router::loopback, front_to};

/// After so much silence nothing more is taken to come.
const QUIET: Duration = Duration::from_millis(150);
/// The same where the machine may have been busy.
const LONG_QUIET: Duration = Duration::from_secs(3);

/// One message as far as it matters: names in lower case, lines in order of the alphabet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    first: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What was seen of one case.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    asked: Vec<Message>,
    answered: Vec<Message>,
    /// Whether the client's connection was closed, and what was left of an answer then.
    closed: Option<Vec<u8>>,
}

/// The first whole message in `bytes` and its length; `closed`: nothing more will come.
fn message(bytes: &[u8], closed: bool, has_body: bool) -> Option<(Message, usize)> {
    let n_head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..n_head - 4]).into_owned();
    let mut lines = text.split("\r\n");
    let first = lines.next()?.to_owned();
    let is_answer = first.starts_with("HTTP/");
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let mut headers: Vec<_> = lines.filter_map(header).filter(|(name, _)| name != "date").collect();
    headers.sort();
    let of = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    let rest = &bytes[n_head..];
    let bodiless = ["204", "304"].iter().any(|code| first.contains(&format!(" {code}")));
    let (body, n_body) = if !has_body || (is_answer && bodiless) {
        (Vec::new(), 0)
    } else if of("transfer-encoding").is_some() {
        unchunk(rest)?
    } else if let Some(n) = of("content-length") {
        let n: usize = n.parse().ok()?;
        (rest.get(..n)?.to_vec(), n)
    } else if is_answer {
        closed.then(|| (rest.to_vec(), rest.len()))?
    } else {
        (Vec::new(), 0)
    };
    if is_answer && bodiless {
        // The long road tells one where HEAD was asked, although there can be none.
        headers.retain(|(name, _)| name != "content-length");
    }
    // How a body is cut into chunks is nobody's business.
    Some((Message { first, headers, body }, n_head + n_body))
}

fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut out, mut at) = (Vec::new(), 0);
    loop {
        let end = bytes[at..].windows(2).position(|w| w == b"\r\n")? + at;
        let size = std::str::from_utf8(&bytes[at..end]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        at = end + 2;
        out.extend_from_slice(bytes.get(at..at + size)?);
        at += size;
        (bytes.get(at..at + 2)? == b"\r\n").then_some(())?;
        at += 2;
        if size == 0 {
            return Some((out, at));
        }
    }
}

/// Answers every request with the same bytes and remembers what it was asked.
async fn upstream(listener: TcpListener, answer: Arc<Vec<u8>>, asked: Arc<Mutex<Vec<Message>>>) {
    let served = Tasks::new("upstream");
    while let Ok((mut tcp, _)) = listener.accept().await {
        let (answer, asked) = (answer.clone(), asked.clone());
        served.connection("peer", async move {
            let mut seen = Vec::new();
            loop {
                while let Some((request, n)) = message(&seen, false, true) {
                    seen.drain(..n);
                    asked.lock().push(request);
                    let closes = answer.starts_with(b"!");
                    let answer = answer.strip_prefix(b"!").unwrap_or(&answer);
                    tcp.write_all(answer).await.ok();
                    if closes {
                        return;
                    }
                }
                if tcp.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                    return;
                }
            }
        });
    }
}

async fn client(
    door: SocketAddr,
    request: &[u8],
    quiet: Duration,
) -> (Vec<Message>, Option<Vec<u8>>) {
    let mut tcp = TcpStream::connect(door).await.unwrap();
    tcp.write_all(request).await.ok();
    let has_body = !request.starts_with(b"HEAD");
    let (mut seen, mut answered, mut closed) = (Vec::new(), Vec::new(), None);
    while closed.is_none() {
        let Ok(read) = tokio::time::timeout(quiet, tcp.read_buf(&mut seen)).await else { break };
        let is_end = read.unwrap_or(0) == 0;
        while let Some((answer, n)) = message(&seen, is_end, has_body) {
            seen.drain(..n);
            answered.push(answer);
        }
        closed = is_end.then(|| seen.clone());
    }
    (answered, closed)
}

/// What both ends see when `request` goes by one of the roads.
async fn by(request: &[u8], answer: &[u8], is_short: bool, quiet: Duration) -> (Seen, u64) {
    let tasks = Tasks::new("t");
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let asked: Arc<Mutex<Vec<Message>>> = Arc::default();
    tasks.connection("upstream", upstream(listener, Arc::new(answer.to_vec()), asked.clone()));
    let (front, proxy) = front_to(&tasks, addr, None, is_short, Proxy::new(&tasks));
    let (answered, closed) = client(front.local_addr(), request, quiet).await;
    let mut asked = asked.lock().clone();
    // Where the client names no host the upstream's own address stands.
    let headers = asked.iter_mut().flat_map(|request| &mut request.headers);
    headers.filter(|(_, v)| *v == addr.to_string()).for_each(|(_, v)| *v = "upstream".to_owned());
    let n_short = proxy.counters().short.load(std::sync::atomic::Ordering::Relaxed);
    tasks.stop(Duration::from_secs(5)).await;
    (Seen { asked, answered, closed }, n_short)
}

/// Compares the roads; tells whether the short one was taken.
async fn same(request: &[u8], answer: &[u8]) -> bool {
    let both = async |quiet| {
        tokio::join!(by(request, answer, false, quiet), by(request, answer, true, quiet))
    };
    let ((mut long, none), (mut short, mut n_short)) = both(QUIET).await;
    assert_eq!(none, 0);
    if short != long {
        // A busy machine may be slow to answer; what differs goes on to.
        ((long, _), (short, n_short)) = both(LONG_QUIET).await;
    }
    let (request, answer) = (request.escape_ascii(), answer.escape_ascii());
    assert_eq!(short, long, "{request} answered {answer}");
    n_short > 0
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Up: 1\r\n\r\nok";

fn request(first: &str, lines: &str) -> String {
    format!("{first} HTTP/1.1\r\nHost: front\r\n{lines}\r\n")
}

#[tokio::test]
async fn requests_reach_the_upstream_the_same() {
    // Request and whether the short road takes it.
    let get = "GET /service/web/a%20b/?x=%2F&y=1";
    let post = "POST /service/web/";
    let cases = [
        (request(get, ""), true),
        (request("HEAD /service/web/", ""), true),
        (request("DELETE /service/web/x", ""), true),
        (request("OPTIONS /service/web/x", ""), true),
        (request("GET /service/web//x", ""), true),
        (request("GET /service/web/?", ""), true),
        (request("GET /service/web/../x/./y", ""), true),
        (request(get, "X-A: 1\r\nx-a:2\r\nX-B: \t3 \t\r\nX-Empty:\r\n"), true),
        (request(get, "Accept: */*\r\nUser-Agent: a/1 (b; c)\r\nAccept-Encoding: gzip\r\n"), true),
        (request(get, "Connection: keep-alive\r\n"), true),
        (request(get, "X-Forwarded-For: 10.1.1.1, 10.2.2.2\r\n"), true),
        (request(get, "X-Forwarded-Host: evil\r\nX-Forwarded-Proto: gopher\r\n"), true),
        (request(get, "X-Forwarded-Host: a\r\nX-Forwarded-Host: b\r\nX-Real-Ip: 1\r\n"), true),
        (request(get, "Authorization: token=x\r\nOrigin: http://a\r\nRange: bytes=0-1\r\n"), true),
        (request(get, "Content-Length: 0\r\n"), true),
        (request(get, "Content-Length: 3\r\n") + "abc", true),
        (request(post, ""), true),
        (request(post, "Content-Length: 4\r\nContent-Type: text/plain\r\n") + "body", true),
        (request("PUT /service/web/", "Content-Length: 4\r\n") + "body", true),
        (request("PATCH /service/web/", "content-length: 4\r\n") + "body", true),
        // From here on the other road's.
        (request(post, "Transfer-Encoding: chunked\r\n") + "4\r\nbody\r\n0\r\n\r\n", false),
        (request(post, "Content-Length: 4\r\nContent-Length: 4\r\n") + "body", false),
        (request(post, "Content-Length: 4\r\nContent-Length: 5\r\n") + "body!", false),
        (request(post, "Content-Length: 4, 4\r\n") + "body", false),
        (request(post, "Content-Length: +4\r\n") + "body", false),
        (request(post, "Content-Length: 04\r\n") + "body", false),
        (
            request(post, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n")
                + "0\r\n\r\nGET /service/web/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
            false,
        ),
        (request(post, "Transfer-Encoding: xchunked\r\n") + "0\r\n\r\n", false),
        (request(post, "Transfer-Encoding : chunked\r\n") + "0\r\n\r\n", false),
        (request(get, "Connection: close\r\n"), false),
        (request(get, "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"), false),
        (request(get, "Connection: X-Forwarded-For\r\nX-Forwarded-For: 1\r\n"), false),
        (request(get, "Keep-Alive: 5\r\nTE: trailers\r\nTrailer: X\r\n"), false),
        (request(get, "Proxy-Authorization: Basic YTpi\r\nProxy-Connection: x\r\n"), false),
        (request(get, "Cookie: dcos-acs-auth-cookie=x; a=b\r\n"), false),
        (request(get, "Expect: 100-continue\r\n"), false),
        (request(get, "Host: other\r\n"), false),
        (request(get, "X-Forwarded-For: a\r\nX-Forwarded-For: b\r\n"), false),
        (request(get, "X-Fold: a\r\n b\r\n"), false),
        (request(get, "X-Bare: a\nX-Second: b\r\n"), false),
        (request(get, "X-Return: a\rb\r\n"), false),
        (request(get, "X-Null: \0\r\n"), false),
        (request(get, "X-Byte: \u{e9}\r\n"), false),
        (request(get, "Bad Name: a\r\n"), false),
        (request(get, ": a\r\n"), false),
        (request("GET /service/web/#part", ""), false),
        (request("GET http://front/service/web/", ""), false),
        (request("get /service/web/", ""), false),
        (request("TRACE /service/web/", ""), false),
        (request("GET  /service/web/", ""), false),
        (request("GET /service/webby/", ""), false),
        ("GET /service/web/ HTTP/1.0\r\nHost: x\r\n\r\n".to_owned(), false),
        ("GET /service/web/ HTTP/1.1\r\n\r\n".to_owned(), false),
        ("GET /service/web/ HTTP/1.1\nHost: x\n\n".to_owned(), false),
        ("\r\nGET /service/web/ HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), false),
        ("GET /service/web/ HTTP/1.1\r\nHost: x\r\n X: y\r\n\r\n".to_owned(), false),
    ];
    let all = cases.iter().map(async |(request, is_short)| {
        let taken = same(request.as_bytes(), OK.as_bytes()).await;
        assert_eq!(taken, *is_short, "{request:?}");
    });
    join_all(all).await;
}

#[tokio::test]
async fn answers_reach_the_client_the_same() {
    let answers = [
        OK,
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 Fine by me\r\nContent-Length: 2\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nok",
        "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 302 Found\r\nLocation: /in/?x=1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://front/in/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/in/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nVary: x\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nX-Byte: \u{e9}\r\nContent-Length: 2\r\n\r\nok",
        // Followed by the end of the connection.
        "!HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        "!HTTP/1.1 200 OK\r\n\r\nto the end",
        "!HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        "!HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nto the end",
        "!HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nab",
        "!HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab",
        "!HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "!HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "!HTTP/1.1 20 OK\r\n\r\n",
        "!HTTP/2.0 200 OK\r\n\r\n",
        "!SSH-2.0-x\r\n",
        "!",
    ];
    let methods = ["GET", "HEAD", "POST"];
    let cases = answers.iter().flat_map(|answer| methods.map(|method| (method, *answer)));
    // An answer to HEAD with a length that is none, or two, is 502 by the short road; the long one
    // passes the first on and closes on the second.
    let odd_length = |answer: &str| ["Length: x", "Length: 6"].iter().any(|l| answer.contains(l));
    let cases = cases.filter(|(method, answer)| *method != "HEAD" || !odd_length(answer));
    let all = cases.map(async |(method, answer)| {
        let request = request(&format!("{method} /service/web/"), "");
        assert!(same(request.as_bytes(), answer.as_bytes()).await, "{request} {answer}");
    });
    join_all(all).await;
}

/// Mostly one of `usual`, now and then one of `odd`.
fn mostly(
    usual: &'static [&'static str],
    odd: &'static [&'static str],
) -> BoxedStrategy<&'static str> {
    prop_oneof![9 => prop::sample::select(usual), 1 => prop::sample::select(odd)].boxed()
}

/// A head that is nearly right, of parts that are.
fn heads() -> impl Strategy<Value = String> {
    let first = mostly(&["GET", "GET", "HEAD", "POST", "PUT", "DELETE"], &["FETCH", "get"]);
    let path = prop_oneof![
        9 => "/service/web/[a-z0-9%/.?&=~]{0,12}",
        1 => "/service/web/[a-z#\"{]{0,12}",
    ];
    let version = mostly(&["HTTP/1.1"], &["HTTP/1.0", "HTTP/1.2"]);
    let name = mostly(
        &["X-Own", "x-own", "Accept", "Range", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP"],
        &[
            "Authorization",
            "Connection",
            "TE",
            "Trailer",
            "Keep-Alive",
            "Proxy-Connection",
            "Cookie",
            "Content-Length",
            "Transfer-Encoding",
            "Host",
            "Expect",
            "Bad Name",
            "X-\u{e9}",
            "",
        ],
    );
    let value = prop_oneof![
        "[ -~\t]{0,12}",
        Just("0".to_owned()),
        Just("3".to_owned()),
        Just("chunked".to_owned()),
        Just("keep-alive".to_owned()),
        Just("close, x-own".to_owned()),
    ];
    let end = mostly(&["\r\n"], &["\n", "\r\n ", " \r\n"]);
    let line = (name, value, end).prop_map(|(name, value, end)| format!("{name}: {value}{end}"));
    let lines = prop::collection::vec(line, 0..4);
    let body = mostly(&[""], &["abc", "0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n"]);
    (first, path, version, lines, body).prop_map(|(first, path, version, lines, body)| {
        let lines = lines.concat();
        // Whatever the lines are, the head has an end.
        format!("{first} {path} {version}\r\nHost: front\r\n{lines}X-Last: 1\r\n\r\n{body}")
    })
}

/// An answer that is nearly right.
fn answers() -> impl Strategy<Value = String> {
    let status =
        prop::sample::select(vec!["200 OK", "200 OK", "404 Not Found", "500 ", "204 No Content"]);
    let line = prop::sample::select(vec![
        "X-Up: 1\r\n",
        "x-up:2\r\n",
        "Connection: x-up\r\n",
        "Keep-Alive: 1\r\n",
        "Location: /a\r\n",
        "Content-Type: text/event-stream\r\n",
        "Trailer: a\r\n",
        "Vary: \t*\r\n",
        "Server: s\n",
    ]);
    let lines = prop::collection::vec(line, 0..4);
    let body = prop::sample::select(vec![
        "Content-Length: 3\r\n\r\nabc",
        "Content-Length: 0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n2\r\nbc\r\n0\r\nT: 1\r\n\r\n",
    ]);
    (status, lines, body)
        .prop_map(|(status, lines, body)| format!("HTTP/1.1 {status}\r\n{}{body}", lines.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_goes_the_same_by_both_roads(
        cases in prop::collection::vec((heads(), answers()), 24)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Each as it is and three times over one connection.
        let one = cases.iter().map(|(head, answer)| (head.clone(), answer));
        let three = cases.iter().map(|(head, answer)| (head.repeat(3), answer));
        let all = one.chain(three).collect::<Vec<_>>();
        let all = all.iter().map(|(head, answer)| same(head.as_bytes(), answer.as_bytes()));
        let taken = runtime.block_on(join_all(all));
        prop_assert!(taken.iter().any(|taken| *taken), "none took the short road");
    }
}
