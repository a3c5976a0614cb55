//! Tokens, passwords, and which of them a request may stand on.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Request as Head, StatusCode};
use parking_lot::Mutex;

use super::*;
use crate::{
    base::clock::{Clock as _, ManualClock, Timestamp},
    http::{Body, Origin, Request, RequestId, reply},
};

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// Users with their generation and password hash, and the secret. `root` is the superuser.
struct Known {
    secret: Mutex<[u8; 32]>,
    users: Mutex<BTreeMap<String, (u64, Option<String>)>>,
    superuser: Mutex<&'static str>,
}

impl Known {
    fn with(secret: u8, users: &[&str]) -> Arc<Self> {
        let users = users.iter().map(|uid| ((*uid).to_owned(), (1, None))).collect();
        Arc::new(Self {
            secret: Mutex::new([secret; 32]),
            users: Mutex::new(users),
            superuser: Mutex::new("root"),
        })
    }

    fn set(&self, uid: &str, generation: u64, hash: Option<String>) {
        self.users.lock().insert(uid.to_owned(), (generation, hash));
    }
}

impl Accounts for Known {
    fn secret(&self) -> Option<[u8; 32]> {
        Some(*self.secret.lock())
    }

    fn account(&self, uid: &str) -> Option<Account> {
        let (generation, _) = *self.users.lock().get(uid)?;
        Some(Account { generation, rights: Rights::of_user(uid == *self.superuser.lock()) })
    }

    fn password_hash(&self, uid: &str) -> Option<String> {
        self.users.lock().get(uid)?.1.clone()
    }
}

fn uid(checked: Result<Holder, Refusal>) -> Result<String, Refusal> {
    checked.map(|holder| holder.principal.uid().to_owned())
}

#[test]
fn a_token_is_good_until_it_expires_and_never_longer_than_the_bound() {
    let tokens = Tokens::new(Known::with(1, &["ann"]));
    let token = tokens.issue("ann", NOW, HOUR).unwrap();
    for _ in 0..2 {
        assert_eq!(uid(tokens.check(&token, NOW)), Ok("ann".to_owned()));
    }
    assert_eq!(tokens.check(&token, NOW + HOUR), Err(Refusal::Expired));
    let endless = tokens.issue("ann", NOW, Duration::MAX).unwrap();
    let bound = NOW + TOKEN_LIFE_MAX;
    assert!(tokens.check(&endless, NOW + TOKEN_LIFE_MAX - HOUR).is_ok());
    assert_eq!(tokens.check(&endless, bound), Err(Refusal::Expired));
}

#[test]
fn a_token_ends_with_its_user_with_the_generation_and_with_the_secret() {
    let known = Known::with(1, &["ann", "bob"]);
    let tokens = Tokens::new(known.clone());
    let (ann, bob) =
        (tokens.issue("ann", NOW, HOUR).unwrap(), tokens.issue("bob", NOW, HOUR).unwrap());
    assert!(tokens.check(&ann, NOW).is_ok() && tokens.check(&bob, NOW).is_ok());
    known.users.lock().remove("bob");
    assert_eq!(tokens.check(&bob, NOW), Err(Refusal::Revoked));
    assert_eq!(tokens.issue("bob", NOW, HOUR), None);
    known.set("bob", 9, None); // another bob
    assert_eq!(tokens.check(&bob, NOW), Err(Refusal::Revoked));
    known.set("ann", 2, None); // another password, say
    assert_eq!(tokens.check(&ann, NOW), Err(Refusal::Revoked));
    let ann = tokens.issue("ann", NOW, HOUR).unwrap();
    assert!(tokens.check(&ann, NOW).is_ok());
    *known.secret.lock() = [2; 32];
    assert_eq!(tokens.check(&ann, NOW), Err(Refusal::Invalid));
    let ann = tokens.issue("ann", NOW, HOUR).unwrap();
    assert!(tokens.check(&ann, NOW).is_ok());
}

#[test]
fn what_was_good_is_asked_again_each_time_it_is_shown() {
    let (known, clock) = (Known::with(1, &["ann", "root"]), ManualClock::new(NOW));
    let tokens = Arc::new(Tokens::new(known.clone()));
    let refuse = |_: Refusal, _: Asked<'_>| reply::empty(StatusCode::UNAUTHORIZED);
    let guard = TokenGuard::new(tokens.clone(), clock.clone(), refuse);
    let token = |uid| format!("token={}", tokens.issue(uid, NOW, HOUR).unwrap());
    let (ann, root) = (token("ann"), token("root"));
    let mut memo = Memo::default();
    let who = |memo: &Memo| {
        let principal = memo.lease().map(|lease| lease.holder.principal.clone());
        principal.map(|p| (p.uid().to_owned(), p.rights()))
    };
    for bad in ["", "token=", "token=x", "Basic YTpi", &ann[6..]] {
        assert!(!guard.knows(bad.as_bytes(), &mut memo), "{bad}");
        assert_eq!(who(&memo), None, "{bad}");
    }
    for _ in 0..2 {
        assert!(guard.knows(ann.as_bytes(), &mut memo));
        assert_eq!(who(&memo), Some(("ann".to_owned(), Rights::Look)));
    }
    *known.superuser.lock() = "ann";
    assert!(guard.knows(ann.as_bytes(), &mut memo));
    assert_eq!(who(&memo), Some(("ann".to_owned(), Rights::All)), "rights are those of now");
    assert!(guard.knows(root.as_bytes(), &mut memo), "another one on the same connection");
    assert_eq!(who(&memo), Some(("root".to_owned(), Rights::Look)));
    assert!(guard.knows(ann.as_bytes(), &mut memo) && !guard.knows(b"token=x", &mut memo));
    assert_eq!(who(&memo), None, "a bad one leaves nothing of a good one");
    assert!(guard.knows(ann.as_bytes(), &mut memo));
    known.set("ann", 2, None);
    assert!(!guard.knows(ann.as_bytes(), &mut memo), "taken back");
    assert!(guard.knows(root.as_bytes(), &mut memo));
    *known.secret.lock() = [2; 32];
    assert!(!guard.knows(root.as_bytes(), &mut memo), "another secret");
    let root = format!("Bearer {}", tokens.issue("root", NOW, HOUR).unwrap());
    assert!(guard.knows(root.as_bytes(), &mut memo));
    clock.advance(HOUR);
    assert!(!guard.knows(root.as_bytes(), &mut memo), "expired");
}

#[test]
fn rights_are_those_of_now_whenever_the_token_was_made() {
    let known = Known::with(1, &["ann", "root"]);
    let tokens = Tokens::new(known.clone());
    let token = |uid| tokens.issue(uid, NOW, HOUR).unwrap();
    let (ann, root) = (token("ann"), token("root"));
    let rights = |token: &str| tokens.check(token, NOW).unwrap().principal.rights();
    for _ in 0..2 {
        assert_eq!((rights(&ann), rights(&root)), (Rights::Look, Rights::All));
    }
    *known.superuser.lock() = "ann";
    assert_eq!((rights(&ann), rights(&root)), (Rights::All, Rights::Look));
}

#[test]
fn strangers_and_unfinished_tokens_are_refused() {
    let tokens = Tokens::new(Known::with(1, &["ann"]));
    let theirs = Tokens::new(Known::with(2, &["ann"])).issue("ann", NOW, HOUR).unwrap();
    // header {"alg":"none"}, payload {"uid":"ann"}
    let none = "eyJhbGciOiJub25lIn0.eyJ1aWQiOiJhbm4ifQ.";
    for token in ["", "a.b.c", none, &theirs] {
        assert_eq!(tokens.check(token, NOW), Err(Refusal::Invalid), "{token}");
    }
    let sign = |claims: serde_json::Value| {
        let key = jsonwebtoken::EncodingKey::from_secret(&[1; 32]);
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let exp = NOW.as_ms() / 1000 + 60;
    let no_uid = sign(serde_json::json!({"exp": exp, "gen": 1}));
    assert_eq!(tokens.check(&no_uid, NOW), Err(Refusal::NoUid));
    for claims in [
        serde_json::json!({"uid": "ann", "gen": 1}),
        serde_json::json!({"uid": "ann", "exp": exp}),
        serde_json::json!({"uid": null, "exp": exp, "gen": 1}),
    ] {
        assert_eq!(tokens.check(&sign(claims.clone()), NOW), Err(Refusal::Invalid), "{claims}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_with_the_token() {
    let known = Known::with(1, &["ann"]);
    let clock = ManualClock::new(NOW);
    let guard = guard(&known, &clock);
    let token = guard_tokens(&known).issue("ann", NOW, HOUR).unwrap();
    let header = format!("token={token}");
    let lease = |guard: &TokenGuard| {
        let request = ask("GET", "/", &[("authorization", &header)]);
        guard.caller(Asked::from(&request)).unwrap().lease
    };
    let open = tokio::time::timeout(HOUR, lease(&guard).ended()).await;
    assert!(open.is_err(), "nothing has happened yet");
    let late = lease(&guard);
    known.set("ann", 2, None);
    tokio::time::timeout(Duration::from_secs(3), late.ended()).await.expect("ends at once");
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_with_the_rights_it_was_given_for() {
    let known = Known::with(1, &["root"]);
    let clock = ManualClock::new(NOW);
    let guard = guard(&known, &clock);
    let token = guard_tokens(&known).issue("root", NOW, HOUR).unwrap();
    let header = format!("token={token}");
    let request = ask("GET", "/", &[("authorization", &header)]);
    let lease = || guard.caller(Asked::from(&request)).unwrap().lease;
    let mighty = lease();
    *known.superuser.lock() = "nobody";
    tokio::time::timeout(Duration::from_secs(3), mighty.ended()).await.expect("ends at once");
    let looks = lease();
    *known.superuser.lock() = "root";
    let open = tokio::time::timeout(HOUR, looks.ended()).await;
    assert!(open.is_err(), "more rights are no reason to end");
}

fn guard_tokens(known: &Arc<Known>) -> Arc<Tokens> {
    Arc::new(Tokens::new(known.clone()))
}

fn guard(known: &Arc<Known>, clock: &Arc<ManualClock>) -> TokenGuard {
    let refuse = |_: Refusal, _: Asked<'_>| reply::empty(StatusCode::UNAUTHORIZED);
    TokenGuard::new(guard_tokens(known), clock.clone(), refuse)
}

/// A request as it comes from a browser or a script, to host `door`.
fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
    ask_over(false, method, path, headers)
}

fn ask_over(tls: bool, method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = Head::builder().method(method).uri(path).header("host", "door:8000");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let peer_text = HeaderValue::from_static("127.0.0.1");
    request.extensions_mut().insert(Origin {
        peer,
        tls,
        id: RequestId::new(1),
        peer_text,
        seat: None,
    });
    request
}

#[test]
fn a_cookie_counts_for_a_change_only_from_our_own_page() {
    let known = Known::with(1, &["ann"]);
    let clock = ManualClock::new(NOW);
    let guard = guard(&known, &clock);
    let token = guard_tokens(&known).issue("ann", clock.now(), HOUR).unwrap();
    let cookie = format!("a=b; {AUTH_COOKIE}={token}");
    let with_cookie = |tls, method, path, more: &[(&'static str, &'static str)]| {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(more);
        let request = ask_over(tls, method, path, &headers);
        guard.caller(Asked::from(&request)).map(|caller| caller.by)
    };
    let foreign = Err(Refusal::Foreign);
    let fine = Ok(Credential::Ambient);
    let site = |value| ("sec-fetch-site", value);
    let cases: [(&str, &str, &[(&'static str, &'static str)], _); 17] = [
        ("GET", "/x", &[], fine),
        ("GET", "/x", &[site("cross-site")], fine),
        ("GET", "/x?jsonp=f", &[], Err(Refusal::Script)),
        ("GET", "/x?jsonp", &[site("same-origin")], Err(Refusal::Script)),
        ("POST", "/x", &[], foreign),
        ("POST", "/x", &[site("none")], foreign),
        ("POST", "/x", &[site("cross-site")], foreign),
        ("POST", "/x", &[site("same-site"), ("origin", "http://door:8000")], foreign),
        ("POST", "/x", &[site("same-origin")], fine),
        ("DELETE", "/x", &[("origin", "http://door:8000")], fine),
        ("DELETE", "/x", &[("origin", "http://DOOR:8000")], fine),
        ("DELETE", "/x", &[("origin", "http://door:8080")], foreign),
        ("DELETE", "/x", &[("origin", "http://evil")], foreign),
        ("DELETE", "/x", &[("origin", "null")], foreign),
        ("PUT", "/x", &[("referer", "http://door:8000/page?a=b")], fine),
        ("PUT", "/x", &[("referer", "http://evil/http://door:8000/")], foreign),
        ("GET", "/x", &[("upgrade", "websocket"), ("origin", "http://evil")], foreign),
    ];
    for (method, path, more, want) in cases {
        assert_eq!(with_cookie(false, method, path, more), want, "{method} {path} {more:?}");
    }
    let plain = [("origin", "http://door:8000")];
    assert_eq!(with_cookie(true, "POST", "/x", &plain), foreign, "a page that came in clear");
    let safe = [("origin", "https://door:8000")];
    assert_eq!(with_cookie(true, "POST", "/x", &safe), fine);
    // Nor does a browser's memory of a password, while scripts send no such headers.
    for (method, path, more, want) in [
        ("POST", "/x", &[][..], Ok(())),
        ("POST", "/x", &[("origin", "http://door:8000")], Ok(())),
        ("POST", "/x", &[("origin", "http://evil")], Err(Refusal::Foreign)),
        ("POST", "/x", &[("referer", "http://evil/")], Err(Refusal::Foreign)),
        ("POST", "/x", &[site("cross-site")], Err(Refusal::Foreign)),
        ("GET", "/x?jsonp=f", &[], Err(Refusal::Script)),
    ] {
        let request = ask(method, path, more);
        assert_eq!(Asked::from(&request).trusts_password(), want, "{method} {path} {more:?}");
    }
    // The header is sent by whoever means it.
    let header = format!("token={token}");
    for path in ["/x", "/x?jsonp=f"] {
        let request = ask("POST", path, &[("authorization", &header), ("origin", "http://evil")]);
        let caller = guard.caller(Asked::from(&request)).unwrap();
        assert_eq!(caller.by, Credential::Token);
    }
    // A listener without pages takes no cookies at all.
    let direct = guard.without_cookies();
    let request = ask("GET", "/x", &[("cookie", cookie.as_str())]);
    assert_eq!(direct.caller(Asked::from(&request)).err(), Some(Refusal::Missing));
}

#[test]
fn a_body_needs_a_type_where_a_browser_may_have_been_made_to_send_it() {
    let typed_of = |ambient: bool, body: &'static str, kind: Option<&str>| {
        let headers: Vec<_> = kind.map(|kind| ("content-type", kind)).into_iter().collect();
        let mut request = ask("POST", "/x", &headers);
        *request.body_mut() = Body::from(body);
        if ambient {
            request.extensions_mut().insert(Ambient);
        }
        typed(&request)
    };
    assert!(!typed_of(true, "{}", None));
    assert!(typed_of(true, "{}", Some("application/json")));
    assert!(typed_of(true, "", None));
    assert!(typed_of(false, "{}", None));
}

#[test]
fn the_header_wins_over_the_cookie() {
    let mut headers = HeaderMap::new();
    assert_eq!((header_token(&headers), cookie_token(&headers)), (None, None));
    headers.insert(header::COOKIE, "a=b; dcos-acs-auth-cookie=c".parse().unwrap());
    assert_eq!(cookie_token(&headers), Some("c"));
    for (value, token) in
        [("token=t", Some("t")), ("Bearer  b", Some("b")), ("Basic x", None), ("token=", None)]
    {
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        assert_eq!(header_token(&headers), token, "{value}");
        assert_eq!(cookie_token(&headers), None, "{value}");
    }
}

#[tokio::test]
async fn passwords_verify_against_their_hash_only() {
    let passwords = Passwords::default();
    let hash = passwords.hash("secret".into(), &mut Rng::from_seed(1)).await.unwrap();
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    assert!(passwords.verify("secret".into(), Some(hash.clone())).await);
    assert!(!passwords.verify("Secret".into(), Some(hash)).await);
    assert!(!passwords.verify("secret".into(), Some("rubbish".into())).await);
    assert!(!passwords.verify("secret".into(), None).await);
}

#[tokio::test]
async fn a_name_and_a_password_count_while_they_are_right() {
    let known = Known::with(1, &["key-only"]);
    let passwords = Arc::new(Passwords::default());
    let hash = passwords.hash("se:cret".into(), &mut Rng::from_seed(1)).await.unwrap();
    known.set("ann", 1, Some(hash));
    let basic = Basic::new(known.clone(), passwords.clone(), &mut Rng::from_seed(2));
    let offer = |text: &str| {
        let mut headers = HeaderMap::new();
        let value = format!("Basic {}", STANDARD.encode(text));
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    };
    let right = offer("ann:se:cret");
    assert!(Basic::is_offered(&right) && !Basic::is_offered(&HeaderMap::new()));
    // The second time from memory: with no slot left to hash in, it is still answered.
    assert_eq!(uid(basic.check(&right, None).await), Ok("ann".to_owned()));
    passwords.slots.close();
    assert_eq!(uid(basic.check(&right, None).await), Ok("ann".to_owned()));
    for wrong in ["ann:secret", "ann", "bob:se:cret", "key-only:", ":", ""] {
        assert_eq!(basic.check(&offer(wrong), None).await, Err(Refusal::Password), "{wrong}");
    }
    known.set("ann", 2, Some("$argon2id$other".to_owned()));
    assert_eq!(basic.check(&right, None).await, Err(Refusal::Password), "another password");
    known.users.lock().remove("ann");
    assert_eq!(basic.check(&right, None).await, Err(Refusal::Password), "no such user");
}
