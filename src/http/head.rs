//! What a request's head must be before any handler sees it.
//!
//! Handlers find their way by a path that starts with a slash. HTTP knows targets without one: the
//! `*` of `OPTIONS *`, and the `host:port` of `CONNECT`, which asks for a proxy we are not. Both end
//! here, as does a request that names two hosts: two readers of it would choose differently
//! (RFC 9112 §3.2).

use http::{HeaderMap, Method, StatusCode, Uri, header};

use super::{Response, reply};

/// Methods any handler may be asked for.
const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The finished refusal of a head that nobody can answer.
#[allow(clippy::result_large_err)] // a refusal is moved once
pub fn check(method: &Method, target: &Uri, headers: &HeaderMap) -> Result<(), Response> {
    if method == Method::CONNECT {
        let text = "405 Method Not Allowed: this is no proxy\n";
        let refusal = reply::text(StatusCode::METHOD_NOT_ALLOWED, text);
        return Err(reply::with_header(refusal, header::ALLOW, ALLOW));
    }
    if method == Method::OPTIONS && target.path() == "*" {
        return Err(reply::with_header(reply::empty(StatusCode::OK), header::ALLOW, ALLOW));
    }
    if !target.path().starts_with('/') {
        return Err(bad("the target is no path"));
    }
    if headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(bad("more than one Host header"));
    }
    Ok(())
}

fn bad(why: &str) -> Response {
    reply::text(StatusCode::BAD_REQUEST, format!("400 Bad Request: {why}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, target: &str, hosts: &[&str]) -> u16 {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        match check(&method, &target.parse().unwrap(), &headers) {
            Ok(()) => 0,
            Err(refusal) => refusal.status().as_u16(),
        }
    }

    #[test]
    fn only_paths_get_through() {
        for (method, target, expected) in [
            (Method::GET, "/", 0),
            (Method::GET, "http://x/a", 0),
            (Method::GET, "http://x", 0),
            (Method::OPTIONS, "/a", 0),
            (Method::OPTIONS, "*", 200),
            (Method::GET, "*", 400),
            (Method::GET, "x:1", 400),
            (Method::CONNECT, "a:1", 405),
            (Method::CONNECT, "/", 405),
        ] {
            assert_eq!(status(method.clone(), target, &["x"]), expected, "{method} {target}");
        }
    }

    #[test]
    fn two_hosts_are_none() {
        assert_eq!(status(Method::GET, "/", &["a", "a"]), 400);
        assert_eq!(status(Method::GET, "/", &[]), 0);
    }
}
