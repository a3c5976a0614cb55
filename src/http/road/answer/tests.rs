//! Heads of answers as text in, text out.

use super::*;
use crate::http::upstream::Upstream;

const HOST: &[u8] = b"cluster.example";

fn here() -> Here<'static> {
    let to = Upstream { addr: "10.0.0.7:3000".parse().unwrap(), tls: false };
    Here { to, host: Some(HOST), is_https: false, prefix: b"/service/web" }
}

/// What the client gets for `lines`, without the date, and how the body is framed.
fn passed(lines: &str, method: Method) -> (String, Framing, bool) {
    let text = format!("{lines}Date: now\r\n\r\n");
    let mut room = Room::default();
    let seen = read(text.as_bytes(), &mut room, method).unwrap();
    let Seen::Whole(answer) = seen else { panic!("{lines}") };
    assert_eq!(answer.n_head, text.len());
    let (mut out, mut last) = (Vec::new(), Last::default());
    let begun = last.write(&answer, &mut out, method, &here(), false);
    let out = String::from_utf8(out).unwrap();
    (out.replace("date: now\r\n", ""), begun.framing, begun.keeps)
}

#[track_caller]
fn check(lines: &str, framing: Framing, keeps: bool, want: &str) {
    let got = passed(lines, Method::Get);
    assert_eq!(got, (format!("{want}\r\n"), framing, keeps), "{lines}");
}

#[test]
fn bodies_are_framed_once() {
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n",
        Framing::Length(5),
        true,
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n",
        Framing::Chunked,
        true,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
    );
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        Framing::Chunked,
        false,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
    );
    check(
        "HTTP/1.1 404 Nope\r\nX-Own: a\r\n",
        Framing::Rest,
        false,
        "HTTP/1.1 404 Nope\r\nx-own: a\r\ntransfer-encoding: chunked\r\n",
    );
    check(
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n",
        Framing::Length(0),
        false,
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
    );
    check(
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n",
        Framing::Length(0),
        true,
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
    );
    check(
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n",
        Framing::Nothing,
        true,
        "HTTP/1.1 304 Not Modified\r\netag: x\r\n",
    );
}

#[test]
fn what_belongs_to_one_connection_ends_here() {
    check(
        "HTTP/1.1 200 OK\r\nConnection: close, X-Hop, Content-Length\r\nX-Hop: a\r\nX-Stay: b\r\n\
         Keep-Alive: 5\r\nUpgrade: h2c\r\nTrailer: X\r\nTE: a\r\nProxy-Authenticate: Basic\r\n\
         Proxy-Connection: close\r\nContent-Length: 1\r\n",
        Framing::Length(1),
        false,
        "HTTP/1.1 200 OK\r\nx-stay: b\r\ncontent-length: 1\r\n",
    );
}

#[test]
fn the_answer_to_head_tells_the_length_and_has_no_body() {
    let (text, framing, keeps) = passed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Method::Head);
    assert_eq!((framing, keeps), (Framing::Nothing, true));
    assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
}

#[test]
fn redirects_get_the_prefix() {
    check(
        "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n",
        Framing::Length(0),
        true,
        "HTTP/1.1 302 Found\r\nlocation: /service/web/login\r\ncontent-length: 0\r\n",
    );
    check(
        "HTTP/1.1 302 Found\r\nLocation: http://cluster.example/a\r\nLocation: /b\r\nContent-Length: 0\r\n",
        Framing::Length(0),
        true,
        "HTTP/1.1 302 Found\r\nlocation: /service/web/a\r\ncontent-length: 0\r\n",
    );
    check(
        "HTTP/1.1 302 Found\r\nLocation: https://other/\r\nContent-Length: 0\r\n",
        Framing::Length(0),
        true,
        "HTTP/1.1 302 Found\r\nlocation: https://other/\r\ncontent-length: 0\r\n",
    );
}

#[test]
fn what_makes_no_sense_is_no_answer() {
    for (lines, why) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n", Nonsense::Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n", Nonsense::Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n", Nonsense::Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n", Nonsense::Length),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n", Nonsense::Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n", Nonsense::Length),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", Nonsense::Chunks),
        ("HTTP/1.1 099 Odd\r\n", Nonsense::Status),
    ] {
        let text = format!("{lines}\r\n");
        let seen = read(text.as_bytes(), &mut Room::default(), Method::Get).map(drop);
        assert_eq!(seen, Err(why), "{lines}");
    }
    for text in
        ["SSH-2.0-x\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"]
    {
        let seen = read(text.as_bytes(), &mut Room::default(), Method::Get).map(drop);
        assert!(matches!(seen, Err(Nonsense::Head(_))), "{text}");
    }
}

#[test]
fn an_event_stream_goes_on() {
    for (kind, goes_on) in [("text/event-stream; charset=utf-8", true), ("text/html", false)] {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n");
        let mut room = Room::default();
        let Ok(Seen::Whole(answer)) = read(text.as_bytes(), &mut room, Method::Get) else {
            panic!("{kind}")
        };
        assert_eq!(answer.goes_on, goes_on, "{kind}");
    }
}

#[test]
fn our_own_answers_are_whole() {
    let own = crate::http::reply::text(StatusCode::BAD_GATEWAY, "502 Bad Gateway\n");
    for (method, closes) in [(Method::Get, false), (Method::Head, true)] {
        let mut out = Vec::new();
        write_own(&mut out, &own, method, closes);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain"), "{text}");
        assert!(text.contains("\r\ncontent-length: 16\r\n"), "{text}");
        assert_eq!(text.ends_with("\r\n\r\n502 Bad Gateway\n"), method == Method::Get, "{text}");
        assert_eq!(text.contains("\r\nconnection: close\r\n"), closes, "{text}");
    }
}

/// The answers to a few requests over one connection, looked at with and without what came before.
#[test]
fn a_head_that_came_before_is_written_as_at_first() {
    let lines = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: s\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: s\r\nDate: now\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
    ];
    let hosts = [Here { prefix: b"/service/other", ..here() }, here()];
    let (mut last, mut n_again, mut n) = (Last::default(), 0, 0);
    for first in lines {
        for second in lines {
            for (text, here) in [first, first, second, first].into_iter().zip(hosts.iter().cycle())
            {
                for (method, closes) in [
                    (Method::Get, false),
                    (Method::Get, true),
                    (Method::Head, false),
                    (Method::Head, false),
                ] {
                    n += 1;
                    let bytes = format!("{text}12345HTTP/1.1");
                    let mut room = Room::default();
                    let seen = read(bytes.as_bytes(), &mut room, method).unwrap();
                    let Seen::Whole(answer) = seen else { panic!("{text}") };
                    let (mut fresh, mut kept) = (Vec::new(), b"what lay there".to_vec());
                    let mut none = Last::default();
                    let expected = none.write(&answer, &mut fresh, method, here, closes);
                    let begun = match last.again(bytes.as_bytes(), &mut kept, method, closes) {
                        Some(begun) => {
                            n_again += 1;
                            begun
                        }
                        None => last.write(&answer, &mut kept, method, here, closes),
                    };
                    assert_eq!(kept.escape_ascii().to_string(), fresh.escape_ascii().to_string());
                    assert_eq!(format!("{begun:?}"), format!("{expected:?}"));
                    // No beginning of a head is taken for the whole.
                    let part = &bytes.as_bytes()[..answer.n_head - 1];
                    assert!(last.again(part, &mut kept, method, closes).is_none());
                }
            }
        }
    }
    assert!(n_again > n / 4, "{n_again} of {n}");
}

#[test]
fn a_large_head_is_not_remembered() {
    let text = format!("HTTP/1.1 204 No\r\nX: {}\r\n\r\n", "a".repeat(LAST_BYTES_MAX));
    let mut room = Room::default();
    let Ok(Seen::Whole(answer)) = read(text.as_bytes(), &mut room, Method::Get) else {
        panic!("{text}")
    };
    let (mut last, mut out) = (Last::default(), Vec::new());
    last.write(&answer, &mut out, Method::Get, &here(), false);
    assert!(out.len() > LAST_BYTES_MAX);
    assert!(last.again(text.as_bytes(), &mut out, Method::Get, false).is_none());
    assert_eq!((last.head.capacity(), last.written.capacity()), (0, 0));
}
