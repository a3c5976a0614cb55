//! Who may look at the direct ports without signing in, and what everybody else is told.

use std::net::SocketAddr;

use ::http::HeaderValue;

use super::*;
use crate::http::RequestId;

fn asked(peer: &str, refusal: Option<Refusal>) -> Parts {
    let mut request = ::http::Request::get("/v2/apps").body(()).expect("a request");
    if let Ok(peer) = peer.parse::<SocketAddr>() {
        let (id, peer_text) = (RequestId::default(), HeaderValue::from_static("peer"));
        request.extensions_mut().insert(Origin { peer, tls: false, id, peer_text, seat: None });
    }
    if let Some(refusal) = refusal {
        request.extensions_mut().insert(refusal);
    }
    request.into_parts().0
}

#[test]
fn only_those_who_bring_nothing_look_only_from_opened_networks_and_only_look() {
    use Access::{Admin, Read, Write};
    use Refusal as R;
    let open_reads = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect(net)).to_vec();
    let guard = Strangers { open_reads };
    let near = "10.1.2.3:5";
    for (peer, refusal, access, status) in [
        (near, Some(R::Missing), Read, 0),
        (near, None, Read, 0),
        ("[::ffff:10.1.2.3]:5", Some(R::Missing), Read, 0),
        ("[fd12::1]:5", Some(R::Missing), Read, 0),
        ("11.1.2.3:5", Some(R::Missing), Read, 401),
        ("[fe80::1]:5", Some(R::Missing), Read, 401),
        ("nowhere", Some(R::Missing), Read, 401),
        (near, Some(R::Missing), Write, 401),
        (near, Some(R::Missing), Admin, 401),
        // Who brings something that is no good is told so.
        (near, Some(R::Invalid), Read, 401),
        (near, Some(R::Expired), Read, 401),
        (near, Some(R::Revoked), Read, 401),
        (near, Some(R::Password), Read, 401),
        (near, Some(R::NoUid), Read, 401),
        (near, Some(R::TooMany), Read, 429),
        (near, Some(R::Foreign), Read, 403),
        (near, Some(R::Script), Read, 403),
    ] {
        let what = format!("{peer} {refusal:?} {access:?}");
        match guard.admit(&asked(peer, refusal), access) {
            Ok(caller) => {
                assert_eq!(status, 0, "{what}");
                assert!(caller.is_anonymous() && caller.rights() == Rights::Look, "{what}");
            }
            Err(answer) => {
                assert_eq!(answer.status().as_u16(), status, "{what}");
                let asks = answer.headers().contains_key(header::WWW_AUTHENTICATE);
                assert_eq!(asks, status == 401, "{what}: whom a password would help");
                let told: serde_json::Value =
                    serde_json::from_slice(answer.body().bytes().expect("whole")).expect("json");
                assert!(told["message"].as_str().is_some_and(|m| !m.is_empty()), "{what}");
            }
        }
    }
}

#[test]
fn with_no_network_opened_nobody_looks() {
    let guard = Strangers { open_reads: Vec::new() };
    for peer in ["127.0.0.1:5", "[::1]:5", "10.0.0.1:5"] {
        let answer = guard.admit(&asked(peer, None), Access::Read).expect_err(peer);
        assert_eq!(answer.status().as_u16(), 401, "{peer}");
    }
}
