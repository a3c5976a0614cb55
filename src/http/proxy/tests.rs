//! Header work of the proxy. The rest is tested on real sockets in `tests/it/router.rs`.

use super::*;

const TO: &str = "10.0.0.7:3000";

fn check(location: &str, want: &str) {
    let to = Upstream { addr: TO.parse().unwrap(), tls: false };
    let here =
        Here { to, host: Some(b"cluster.example:8000"), is_https: false, prefix: b"/service/web" };
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, location.parse().unwrap());
    rewrite_location(&mut headers, &here);
    assert_eq!(headers[header::LOCATION], want, "{location}");
}

#[test]
fn locations_of_the_upstream_get_the_prefix() {
    check("/login?x=1", "/service/web/login?x=1");
    check("/service/web/login", "/service/web/login");
    check("/service/webby", "/service/web/service/webby");
    check("http://cluster.example:8000/a", "/service/web/a");
    check("http://cluster.example:8000/service/web/a", "/service/web/a");
    check("http://10.0.0.7:3000", "/service/web/");
}

#[test]
fn locations_elsewhere_are_left_alone() {
    for location in ["https://cluster.example:8000/a", "http://other/a", "//other/a", "relative"] {
        check(location, location);
    }
}

#[test]
fn connection_headers_do_not_pass() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "keep-alive, X-Private"),
        ("keep-alive", "timeout=5"),
        ("x-private", "1"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("proxy-authorization", "Basic YTpi"),
        ("proxy-authenticate", "Basic"),
        ("connection", "close"),
        ("connection", "x-second,X-Third"),
        ("x-second", "1"),
        ("x-third", "1"),
        ("accept", "*/*"),
    ] {
        headers.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    drop_hop_by_hop(&mut headers);
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
}
