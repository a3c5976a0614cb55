//! Requests of one connection, looked at with and without what came before them.

use std::{net::SocketAddr, sync::Arc};

use http::HeaderValue;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    base::task::Tasks,
    http::{
        metrics::Door,
        proxy::{Proxy, Upstream},
        road::Guide,
    },
};

/// Knows one service, and callers whose token begins well.
struct One(Arc<Proxy>);

impl Guide for One {
    fn proxy(&self) -> &Proxy {
        &self.0
    }

    fn way(&self, asked: &Asked<'_>, _: &mut Memo) -> Option<Way> {
        if asked.authorization.is_some_and(|text| !text.starts_with(b"token=")) {
            return None;
        }
        let n_prefix = "/service/web".len();
        asked.target.strip_prefix("/service/web")?.starts_with('/').then_some(())?;
        let upstream = Upstream { addr: ([192, 0, 2, 7], 80).into(), tls: false };
        Some(Way { upstream, spare: None, n_cut: n_prefix, n_prefix, meter: None })
    }

    fn pattern(&self) -> &'static str {
        "test"
    }
}

/// What became of a request: its plan, what is sent on, and the places in it as text.
fn words(bytes: &[u8], seen: Seen<Option<(Plan, Lent)>>) -> String {
    match seen {
        Seen::Part => "part".to_owned(),
        Seen::Odd => "odd".to_owned(),
        Seen::Whole(None) => "body to come".to_owned(),
        Seen::Whole(Some((plan, mut lent))) => {
            let (host, prefix) = (&bytes[plan.host.clone()], &bytes[plan.prefix.clone()]);
            let [host, prefix] = [host, prefix].map(|part| part.escape_ascii().to_string());
            let sent = lent.get().out.escape_ascii().to_string();
            format!("{plan:?} for {host} at {prefix}: {sent}")
        }
    }
}

/// Some heads of one client, in the order they come: most have the lines of the one before.
fn requests() -> impl Strategy<Value = Vec<String>> {
    let first = prop_oneof![
        8 => "(GET|HEAD|POST|PUT|DELETE|OPTIONS) /service/web/[a-z?%=]{0,6} HTTP/1\\.1\r\n",
        1 => "(GET|get|PATCHES|GET ) ?(/service/web|service|/other)/[a-z#]{0,3} HTTP/1\\.[01]\r?\n",
    ];
    let lines = prop::sample::select(vec![
        "Host: a\r\n\r\n",
        "Host: b:80\r\nX-Own:1\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n",
        "Host: a\r\nAuthorization: token=x\r\n\r\n",
        "Host: a\r\nAuthorization: x\r\n\r\n",
        "Authorization: token=y\r\nContent-Length: 3\r\nHost: a\r\n\r\n",
        "Host: a\r\nContent-Length: 30000\r\n\r\n",
        "Host: a\r\nHost: b\r\n\r\n",
        "Host: a\nX: y\r\n\r\n",
        "Host: a\r\nCookie: y\r\n\r\n",
        "\r\n",
    ]);
    let tail = prop::sample::select(vec!["", "abc", "ab", "GET /", "\r\n"]);
    let stretch = (lines, prop::collection::vec((first, tail), 1..6));
    let one = |(lines, requests): (&'static str, Vec<(String, &'static str)>)| {
        let whole = |(first, tail): (String, &str)| format!("{first}{lines}{tail}");
        requests.into_iter().map(whole).collect::<Vec<_>>()
    };
    prop::collection::vec(stretch.prop_map(one), 1..6).prop_map(|all| all.concat())
}

#[test]
fn what_came_before_changes_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _in_it = runtime.enter();
    let guide = One(Proxy::new(&Tasks::new("t")));
    let (text, drain) = (HeaderValue::from_static("192.0.2.1"), CancellationToken::new());
    let door = Doorway {
        guide: &guide,
        peer: SocketAddr::from(([192, 0, 2, 1], 9)),
        peer_text: &text,
        tls: true,
        seat: None,
        door: Door::Front,
        read: std::time::Duration::from_secs(1),
        head_bytes_max: 400,
        drain: &drain,
        next_id: &Default::default(),
    };
    let n_again = std::cell::Cell::new(0);
    proptest!(ProptestConfig { failure_persistence: None, ..Default::default() }, |(requests in requests())| {
        let (mut memo, mut last) = (Memo::default(), Last::default());
        for request in requests {
            // As it comes in two pieces, and whole.
            for n in [request.len() / 2, request.len()] {
                let bytes = &request.as_bytes()[..n];
                n_again.set(n_again.get() + u32::from(last.again(bytes).is_some()));
                let kept = words(bytes, plan(bytes, &door, &mut memo, &mut last));
                let fresh = plan(bytes, &door, &mut Memo::default(), &mut Last::default());
                prop_assert_eq!(kept, words(bytes, fresh));
            }
        }
    });
    assert!(n_again.get() > 200, "{n_again:?}");
}
