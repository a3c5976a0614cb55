//! What the front door makes of paths and headers before anybody else sees them.

use http::header::{AUTHORIZATION, COOKIE, LOCATION};

use super::*;

#[test]
fn slashes_in_front_are_one() {
    for (path, wanted) in [
        ("/", "/"),
        ("/a", "/a"),
        ("//a", "/a"),
        ("///a//b", "/a//b"),
        ("///", "/"),
        ("*", "*"),
        ("", ""),
    ] {
        assert_eq!(one_slash(path), wanted, "{path}");
    }
}

#[test]
fn a_service_without_its_slash_is_sent_to_it() {
    let to = |path: &str, query: Option<&str>| {
        let redirect = slash_redirect(path, query)?;
        assert_eq!(redirect.status(), 301);
        Some(redirect.headers()[LOCATION].to_str().unwrap().to_owned())
    };
    assert_eq!(to("/service/web", None).as_deref(), Some("/service/web/"));
    assert_eq!(to("/service/web-1.x", Some("a=b&c")).as_deref(), Some("/service/web-1.x/?a=b&c"));
    for path in
        ["/service/", "/service/web/", "/service/n1/web", "/service", "/mesos", "/service/a%2f"]
    {
        assert_eq!(to(path, None), None, "{path}");
    }
}

#[test]
fn services_get_the_token_and_never_our_cookies() {
    let auth = "dcos-acs-auth-cookie=t0k";
    let info = "dcos-acs-info-cookie=aW5mbw";
    let both = format!("{info}; a=b; {auth};c=d ;");
    for (cookies, authorization, kept, told) in [
        (vec![], None, None, None),
        (vec!["a=b"], None, Some("a=b"), None),
        (vec![auth], None, None, Some("token=t0k")),
        (vec![both.as_str()], None, Some("a=b; c=d"), Some("token=t0k")),
        // Several headers are one list.
        (vec!["a=b", auth, "c=d"], None, Some("a=b; c=d"), Some("token=t0k")),
        // A header is not outdone by a cookie.
        (vec![auth], Some("token=own"), None, Some("token=own")),
        (vec![auth], Some("Basic eA=="), None, Some("Basic eA==")),
        // What only begins alike is not ours.
        (vec!["dcos-acs-auth-cookie2=x"], None, Some("dcos-acs-auth-cookie2=x"), None),
        (vec![info], None, None, None),
    ] {
        let mut headers = HeaderMap::new();
        for cookie in &cookies {
            headers.append(COOKIE, cookie.parse().unwrap());
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        }
        hand_over_token(&mut headers);
        let got = |name: header::HeaderName| headers.get(name).map(|v| v.to_str().unwrap());
        assert_eq!(
            (got(COOKIE), got(AUTHORIZATION)),
            (kept, told),
            "{cookies:?} {authorization:?}"
        );
        assert!(headers.get_all(COOKIE).iter().count() <= 1);
    }
}

#[test]
fn the_short_road_looks_for_the_names_the_long_one_does() {
    let plain = |path: &str| plain_names(path).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(plain("a/b/c"), ["a", "a/b"]);
    assert_eq!(plain("a/"), ["a"]);
    for path in ["", "a", "/a/b", "marathon/v2/apps", "metronome/v1/jobs"] {
        assert_eq!(plain(path), [""; 0], "{path}");
    }
    assert_eq!(plain("a//b/c"), ["a"], "what has slashes too many takes the long road");
    let deep = "1/2/3/4/5/6/7/8/9/10/11/12";
    assert_eq!(plain(deep).len(), service::SEGMENTS_MAX);
    for path in ["a/b/c", "n1/web/x", "web/", deep] {
        for known in plain(path) {
            let (_, name, rest) = search(path, |name| (name == known).then_some(())).unwrap();
            assert_eq!((name.as_str(), rest), (known.as_str(), &path[known.len()..]), "{path}");
        }
    }
}

#[test]
fn the_query_outlives_a_new_path() {
    let mut request = Request::new(crate::http::Body::full("x"));
    *request.uri_mut() = "http://h/mesos/state?a=%20b".parse().unwrap();
    set_path(&mut request, "/state").unwrap();
    assert_eq!(request.uri().to_string(), "/state?a=%20b");
    assert!(set_path(&mut request, "/a b").is_err());
    assert_eq!(
        request.uri().to_string(),
        "/state?a=%20b",
        "a path that makes no sense changes nothing"
    );
}
