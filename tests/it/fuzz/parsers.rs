//! One parser each.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use tepui::{
    base::{
        clock::Timestamp,
        rng::Rng,
        wire::{Message as _, encode},
    },
    compat::dcos::Known,
    dns::{answer::fuzz_answer, wire},
    host::pki::node::{Asked as CertificateRequest, Request as NodeRequest},
    http::{
        Body, Handler as _,
        auth::{Asked, Basic, Passwords, TOKEN_LIFE, Tokens, cookie_token, header_token},
        body::{check_values, parse_json},
        head,
        pattern::{Pattern, segments},
        query::{Query, cookie, percent_decode},
        redact::Redactor,
        road::{fuzz_answer as passed_answer, fuzz_request as passed_request},
    },
    model::{PathId, link::FromAgent, link::Usage},
    node::{
        front::ToHttps,
        peers::{self, JoinRequest},
    },
};

use super::{class, fuzz};
use crate::dcos::door::{NOW, World};

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

#[test]
fn request_targets() {
    let seeds: [&[u8]; 4] = [b"/service/marathon/v2/apps?x=1", b"*", b"http://a:1/b", b"[::1]:80"];
    let patterns = ["/v2/apps/{id...}/tasks/{task}", "/v2/{id...}", "/"].map(Pattern::new);
    fuzz("targets", &seeds, |bytes| {
        let Ok(target) = Uri::try_from(bytes) else { return 0 };
        let verdict = head::check(&Method::GET, &target, &HeaderMap::new()).is_ok();
        assert!(!verdict || target.path().starts_with('/'), "{target}");
        let path: Vec<&str> = segments(target.path()).collect();
        let found = patterns.iter().filter(|p| p.matches(&path).is_some()).count();
        class((verdict, found, path.len().min(40), percent_decode(target.path()).len() % 8))
    });
}

/// Names in lower case and values of a head that has one first line and lines that end by CRLF.
fn strict_lines(text: &[u8]) -> (Vec<(String, Vec<u8>)>, usize) {
    let n_head = text.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    let head = &text[..n_head - 2];
    let pairs = head.windows(2).filter(|w| *w == b"\r\n").count();
    let ends = head.iter().filter(|b| **b == b'\n').count();
    let returns = head.iter().filter(|b| **b == b'\r').count();
    assert!(pairs == ends && pairs == returns, "{}", head.escape_ascii());
    let mut lines = Vec::new();
    for line in head.split(|b| *b == b'\n').skip(1).filter(|line| !line.is_empty()) {
        let line = line.strip_suffix(b"\r").expect("CRLF");
        let at = line.iter().position(|b| *b == b':').expect("a name");
        let name = String::from_utf8(line[..at].to_vec()).expect("a token");
        assert!(!name.is_empty() && !name.contains([' ', '\t']), "{name:?}");
        lines.push((name.to_ascii_lowercase(), line[at + 1..].trim_ascii().to_vec()));
    }
    (lines, n_head)
}

fn n_of(lines: &[(String, Vec<u8>)], name: &str) -> usize {
    lines.iter().filter(|(n, _)| n == name).count()
}

#[test]
fn plain_requests() {
    let seeds: [&[u8]; 4] = [
        b"GET /service/web/a?b=c HTTP/1.1\r\nHost: door\r\nAccept: */*\r\n\r\n",
        b"POST /service/web/ HTTP/1.1\r\nhost: a\r\nContent-Length: 4\r\nX-A:b \r\n\r\nbodyGET ",
        b"PUT /x HTTP/1.1\r\nHost:a\r\nAuthorization: token=a.b.c\r\nX-Forwarded-For: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    fuzz("plain requests", &seeds, |bytes| {
        let Some((sent, n_used)) = passed_request(bytes) else { return 0 };
        let (lines, n_head) = strict_lines(&sent);
        assert_eq!(n_of(&lines, "host"), 1);
        assert_eq!(n_of(&lines, "x-forwarded-for"), 1);
        for name in ["connection", "transfer-encoding", "te", "upgrade", "cookie", "expect"] {
            assert_eq!(n_of(&lines, name), 0, "{name}");
        }
        let length = lines.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or("0", |(_, value)| std::str::from_utf8(value).unwrap());
        assert_eq!(length.parse(), Ok(sent.len() - n_head));
        assert!(n_of(&lines, "content-length") < 2);
        assert!(bytes[..n_used].ends_with(&sent[n_head..]), "the body is the client's");
        // With the lines that were added it may have more than this road takes.
        let again = passed_request(&sent).map(|(_, all)| all);
        assert!(lines.len() > 60 || again == Some(sent.len()), "what is sent on is plain");
        class((lines.len(), sent.first(), length.len()))
    });
}

#[test]
fn answers_of_upstreams() {
    let seeds: [&[u8]; 5] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n",
        b"HTTP/1.0 302 Found\nLocation: /a\nConnection: x\nX: y\n\nrest",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ];
    fuzz("answers", &seeds, |bytes| {
        let told = match passed_answer(bytes) {
            Ok(told) => told,
            Err(why) => return class(why),
        };
        let (lines, _) = strict_lines(&told);
        let framings = ["content-length", "transfer-encoding"].map(|name| n_of(&lines, name));
        assert!(framings.iter().sum::<usize>() <= 1, "{}", told.escape_ascii());
        for name in ["connection", "keep-alive", "upgrade", "trailer", "te"] {
            assert_eq!(n_of(&lines, name), 0, "{name}");
        }
        assert_eq!(n_of(&lines, "date").min(1), 1);
        // Whoever passes on what we passed on passes on the same; with the lines of our own it may be
        // one or two more than an answer can have.
        if lines.len() > 100 {
            return class(lines.len());
        }
        let again = passed_answer(&told).expect("what is told makes sense");
        let body = |text: &[u8]| text[strict_lines(text).1..].to_vec();
        assert_eq!(body(&again), body(&told));
        class((lines.len(), framings, told.get(9..12).map(<[u8]>::to_vec)))
    });
}

#[test]
fn queries_and_cookies() {
    let seeds: [&[u8]; 3] = [b"embed=apps.tasks&force=true", b"a=%2f&a=+&&=", b"a=b; c=\"d\"; e"];
    fuzz("queries", &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let query = Query::parse(&text);
        class((query.get("a").map(str::len), cookie(&text, "c").map(str::len)))
    });
}

#[test]
fn tokens_in_headers() {
    let seeds: [&[u8]; 4] =
        [b"token=a.b.c", b"Bearer a.b.c", b"Basic YTpi", b"dcos-acs-auth-cookie=a; b=c"];
    fuzz("tokens in headers", &seeds, |bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else { return 0 };
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, value.clone());
        let cookie = cookie_token(&headers).map(str::len);
        headers.insert(header::AUTHORIZATION, value);
        class((cookie, header_token(&headers).map(str::len), Basic::is_offered(&headers)))
    });
}

#[test]
fn forged_tokens() {
    let world = block_on(World::new());
    let tokens = Tokens::new(Arc::new(Known(world)));
    let good = tokens.issue("admin", NOW, TOKEN_LIFE).unwrap();
    let none = good.replacen("HS256", "none", 1);
    let unsigned = good.rsplit_once('.').unwrap().0.to_owned() + ".";
    let seeds = [good.as_bytes(), none.as_bytes(), unsigned.as_bytes(), b"a.b.c"];
    fuzz("forged tokens", &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let judged = tokens.check(&text, NOW);
        // The signature's last letter holds two bits that count for nothing.
        let all_but_last = |text: &str| text.as_bytes().split_last().map(|(_, rest)| rest.to_vec());
        let same = all_but_last(&text) == all_but_last(&good);
        assert!(judged.is_err() || same, "taken: {text}");
        let late = tokens.check(&text, Timestamp::from_ms(i64::MAX));
        assert!(late.is_err(), "for ever: {text}");
        class(judged.err())
    });
}

#[test]
fn names_and_passwords() {
    let world = block_on(World::new());
    let basic =
        Basic::new(Arc::new(Known(world)), Arc::new(Passwords::default()), &mut Rng::from_seed(3));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seeds: [&[u8]; 4] =
        [b"Basic YWRtaW46aHVudGVyMw==", b"basic  Og==", b"Basic YWRtaW4=", b"Basic //79"];
    let mut n = 0_u32;
    fuzz("names and passwords", &seeds, |bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else { return 0 };
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        n += 1;
        // Some of two addresses, each of which soon has to wait.
        let peer = IpAddr::from((0x0A00_0000 + n / 64 % 2).to_be_bytes());
        let judged = runtime.block_on(basic.check(&headers, Some(peer)));
        assert!(judged.is_err(), "let in");
        class((judged.err(), Basic::is_offered(&headers)))
    });
}

#[test]
fn pages_that_ask() {
    let seeds: [&[u8]; 5] = [
        b"https://door\ndoor\nsame-origin",
        b"null\ndoor\ncross-site",
        b"http://door:80/x\ndoor\n",
        b"https://[::1]:443\n[::1]\nnone",
        b"https://evil@door\ndoor\n",
    ];
    fuzz("pages that ask", &seeds, |bytes| {
        let parts: Vec<&[u8]> = bytes.splitn(3, |b| *b == b'\n').collect();
        let mut headers = HeaderMap::new();
        for (name, value) in [header::ORIGIN, header::HOST].into_iter().zip(&parts) {
            let Ok(value) = HeaderValue::from_bytes(value) else { return 0 };
            headers.insert(name, value);
        }
        if let Some(Ok(site)) = parts.get(2).map(|site| HeaderValue::from_bytes(site)) {
            headers.insert("sec-fetch-site", site);
        }
        let (method, uri) = (Method::POST, Uri::from_static("/v2/apps"));
        let asked = Asked { method: &method, uri: &uri, headers: &headers, origin: None };
        let judged = asked.trusts_ambient();
        if judged.is_ok() && headers.contains_key(header::ORIGIN) {
            let text = |name| {
                let value = headers.get(name).map(HeaderValue::as_bytes);
                String::from_utf8_lossy(value.unwrap_or_default()).to_ascii_lowercase()
            };
            let host = text(header::HOST);
            let host = host.rsplit('@').next().unwrap_or_default().to_owned();
            let host = host.split(':').next().unwrap_or_default();
            let from = text(header::ORIGIN);
            assert!(from.contains(host), "{from} for {host}");
        }
        class((judged, asked.trusts_password()))
    });
}

#[test]
fn hosts_to_send_on_to() {
    let plain = ToHttps { ca: None, port: 443, address: [10, 0, 0, 5].into() };
    let seeds: [&[u8]; 4] = [b"m1:80 /a/b?c", b"[::1]:80 /", b"u@h /x", b"evil/path //x"];
    fuzz("hosts", &seeds, |bytes| {
        let at = bytes.iter().position(|b| *b == b' ').unwrap_or(bytes.len());
        let (host, target) = bytes.split_at(at);
        let Ok(target) = Uri::try_from(target.trim_ascii()) else { return 0 };
        let mut request = http::Request::new(Body::empty());
        *request.uri_mut() = target;
        let Ok(host) = HeaderValue::from_bytes(host) else { return 1 };
        request.headers_mut().insert(header::HOST, host);
        if head::check(request.method(), request.uri(), request.headers()).is_err() {
            return 2;
        }
        let answer = block_on(plain.call(request));
        let location = answer.headers().get(header::LOCATION).map(|l| l.as_bytes().to_vec());
        assert!(location.as_ref().is_some_and(|l| l.starts_with(b"https://")), "{location:?}");
        class(location.map(|l| l.len() % 32))
    });
}

#[test]
fn ids_and_json() {
    let seeds: [&[u8]; 4] = [
        b"/shop/../web//a",
        br#"{"uid":"a","password":"b\""}"#,
        b"[[[0,1]]]",
        br#"{"env":{"A":"b"},"x":[{"env":"y"}]}"#,
    ];
    fuzz("json", &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let id = PathId::parse(&text);
        assert_eq!(PathId::parse(id.as_str()), id);
        let json = parse_json::<serde_json::Value>(bytes);
        let hidden = Redactor::default().pass(bytes);
        if json.is_ok() {
            let shown: serde_json::Value = serde_json::from_slice(&hidden).expect("still JSON");
            assert!(shown.pointer("/env/A").is_none_or(|v| !v.is_string() || v == "(hidden)"));
        }
        let error = json.err().map(|e| e.to_string().split(" at line").next().map(str::to_owned));
        class((id.check_size().is_ok(), check_values(bytes).is_ok(), error))
    });
}

#[test]
fn join_messages() {
    let request = NodeRequest::new().unwrap().to_der().unwrap();
    let join = JoinRequest {
        secret: "s".repeat(32),
        request: request.clone(),
        host: "h".into(),
        role: None,
        master: None,
    };
    let mut message = Vec::new();
    block_on(peers::send(&mut message, &join)).unwrap();
    fuzz("joins", &[&message, &request], |bytes| {
        let mut stream = bytes;
        let received: anyhow::Result<JoinRequest> = block_on(peers::receive(&mut stream));
        let der = received.as_ref().map_or(bytes, |join| &join.request);
        let asked = CertificateRequest::read(der).map(|asked| asked.key());
        class((received.is_ok(), asked.map_err(|error| error.to_string())))
    });
}

#[test]
fn messages_of_agents() {
    let message = encode(&FromAgent::Heartbeat(Usage::default()));
    fuzz("messages of agents", &[&message, &[0; 64], &[1; 64], &[2; 64], &[3; 64]], |bytes| {
        let read = FromAgent::read(bytes);
        class(
            read.map(|message| std::mem::discriminant(&message)).map_err(|error| error.to_string()),
        )
    });
}

#[test]
fn dns_messages() {
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x03web\x08marathon\x05mesos\
        \x00\x00\x01\x00\x01\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00";
    let service = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04_web\x04_tcp\x08marathon\
        \x05mesos\x00\x00\x21\x00\x01";
    let reverse =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x011\x010\x010\x02127\x07in-addr\
        \x04arpa\x00\x00\x0c\x00\x01";
    let pointer = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01";
    fuzz("dns", &[question, service, reverse, pointer], |bytes| {
        fuzz_answer(bytes);
        class(wire::parse(bytes).map(|query| query.name().len()).map_err(|why| format!("{why:?}")))
    });
}
