//! The front door on real sockets: tokens, sign-in, services, redirects.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tepui::{
    http::auth::TOKEN_LIFE_MAX,
    model::{instance::Phase, node::Reach},
};

mod direct;
pub mod door;
mod golden;
mod strangers;
mod targets;

use door::{Door, LOCAL, NOW, labels, node};

fn check(answer: &str, parts: &[&str]) {
    for part in parts {
        assert!(answer.contains(part), "{part:?} is missing in {answer}");
    }
}

#[tokio::test]
async fn a_token_comes_by_header_or_cookie_and_the_header_wins() {
    let door = Door::open().await;
    let token = door.token.clone();
    for (header, good) in [
        (format!("Authorization: token={token}"), true),
        (format!("Authorization: Bearer {token}"), true),
        (format!("Cookie: a=b; dcos-acs-auth-cookie={token}"), true),
        (format!("Authorization: token=bad\r\nCookie: dcos-acs-auth-cookie={token}"), false),
        ("Authorization: token=".to_owned(), false),
        ("X-None: 1".to_owned(), false),
    ] {
        let request = "GET /metadata HTTP/1.1\r\nHost: door\r\nConnection: close\r\n";
        let answer = door.ask(&format!("{request}{header}\r\n\r\n")).await;
        assert_eq!(answer.starts_with("HTTP/1.1 200 OK"), good, "{header}: {answer}");
        assert_eq!(answer.starts_with("HTTP/1.1 401 "), !good, "{header}: {answer}");
    }
}

#[tokio::test]
async fn strangers_learn_nothing_of_what_exists() {
    let door = Door::open().await;
    let paths = [
        "/service/unknown/x",
        "/agent/unknown/x",
        "/slave/node-S0/state",
        "/mesos/state",
        "/marathon/v2/apps",
        "/acs/api/v1/users",
        "/system/health/v1/units",
        "/pkgpanda/active/",
        "/cache/master/state-summary",
        "//mesos/state",
        "/net/v1/nodes",
    ];
    for path in paths {
        let answer = door.get_openly(path).await;
        let page = ["WWW-Authenticate: acsjwt", "<html", "window.location", "</html>"];
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
        check(&answer.replace("www-authenticate", "WWW-Authenticate"), &page);
    }
}

#[tokio::test]
async fn parts_see_their_own_paths() {
    let door = Door::open().await;
    for (path, want) in [
        ("/", "ui /"),
        ("/assets/index.js", "ui /assets/index.js"),
        ("/tepui/v1/apps?x=1", "api /tepui/v1/apps?x=1"),
        ("/mesos/master/state?y=2", "mesos /master/state?y=2"),
        ("/cache/master/state-summary", "mesos /master/state-summary"),
        ("/marathon/v2/apps//a%20b/", "marathon /v2/apps//a%20b/"),
        ("/service/marathon/ping", "marathon /ping"),
        ("/service/marathon/", "marathon /"),
        ("/slave/node-S0/files/read.json?path=x", "agent /agent/node-S0/files/read.json?path=x"),
        ("/agent/node-S0", "agent /agent/node-S0/"),
        ("/agent/other/x", "404 Not Found: agent `other` unknown."),
        ("/package/search", "404 Not Found\n"),
    ] {
        let answer = door.get(path).await;
        assert!(answer.ends_with(&format!("\r\n\r\n{want}")), "{path}: {answer}");
    }
}

#[tokio::test]
async fn services_are_found_by_name_and_see_their_own_paths() {
    let door = Door::open().await;
    for name in ["a", "n1/a", "n2/n1/a"] {
        let addr = door.upstream(name);
        door.world.offer(&format!("/app/{name}"), &labels(name, &[]), addr);
    }
    for (path, want) in [
        ("/service/a/", "a GET /\n"),
        ("/service/a/foo/bar?x=%2F", "a GET /foo/bar?x=%2F\n"),
        ("/service/a/a%20b%3Fc%23d", "a GET /a%20b%3Fc%23d\n"),
        ("/service/n1/a", "n1/a GET /\n"),
        ("/service////n1////a///foo/bar", "n1/a GET /foo/bar\n"),
        ("/service/n2/n1/a/foo/bar", "n2/n1/a GET /foo/bar\n"),
        ("/service/n1/b", "404 Not Found: service not found."),
    ] {
        check(&door.get(path).await, &[want]);
    }
    let answer = door.get_openly("/service/a?x=1").await;
    check(&answer, &["HTTP/1.1 301 ", "location: /service/a/?x=1\r\n"]);
}

#[tokio::test]
async fn services_see_the_token_but_not_our_cookies() {
    let door = Door::open().await;
    let addr = door.upstream("web");
    let keeps = [("DCOS_SERVICE_REWRITE_REQUEST_URLS", "false")];
    door.world.offer("/web", &labels("/web", &keeps), addr);
    let token = &door.token;
    let answer = door
        .ask(&format!(
            "GET /service/web/x HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\
             Cookie: theme=dark; dcos-acs-auth-cookie={token}; dcos-acs-info-cookie=abc\r\n\r\n"
        ))
        .await;
    let header = format!("authorization: token={token}\n");
    check(&answer, &["web GET /service/web/x\n", &header, "cookie: theme=dark\n"]);
    assert!(!answer.contains("abc"), "{answer}");
}

#[tokio::test]
async fn instances_are_taken_in_turn_and_bad_ones_left_out() {
    let door = Door::open().await;
    let (one, two) = (door.upstream("one"), door.upstream("two"));
    door.world.offer("/web", &labels("web", &[]), one);
    door.world.add_instance("/web", two, 1, |_| {});
    let dead = SocketAddr::new(LOCAL, 1);
    door.world.add_instance("/web", dead, 2, |i| i.set_phase(Phase::Staging));
    door.world.add_instance("/web", dead, 3, |i| i.task_mut().unwrap().seen.ready = false);
    let mut seen = BTreeMap::new();
    for _ in 0..6 {
        let answer = door.get("/service/web/").await;
        let name = if answer.contains("one GET") { "one" } else { "two" };
        check(&answer, &["200 OK"]);
        *seen.entry(name).or_insert(0) += 1;
    }
    assert_eq!(seen, BTreeMap::from([("one", 3), ("two", 3)]));
    // With nothing good left, a running one is better than none.
    door.world.change(|state| {
        let not_ready: Vec<_> = state.instances.values().map(|i| (**i).clone()).collect();
        for mut instance in not_ready {
            let task = instance.task_mut().unwrap();
            task.seen.ready = false;
            let phase = match task.place.host_ports[0] {
                Some(1) => Phase::Killing,
                _ => Phase::Running,
            };
            instance.set_phase(phase);
            state.instances.insert(instance.id.clone(), Arc::new(instance));
        }
    });
    check(&door.get("/service/web/").await, &["200 OK"]);
    // A lost node takes its instances with it.
    door.world.change(|state| {
        let (id, mut node) = node();
        node.reach = Reach::Unreachable { since: NOW };
        state.nodes.insert(id, Arc::new(node));
    });
    let gone = async {
        // The table of services may be a little late.
        while !door.get("/service/web/").await.contains("404 Not Found: service not found.") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("in time");
}

#[tokio::test]
async fn an_app_with_bad_labels_harms_no_other() {
    let door = Door::open().await;
    let addr = door.upstream("good");
    door.world.offer("/good", &labels("good", &[]), addr);
    for (n, bad) in [
        ("DCOS_SERVICE_PORT_INDEX", "seven"),
        ("DCOS_SERVICE_PORT_INDEX", "7"),
        ("DCOS_SERVICE_SCHEME", "ftp"),
    ]
    .into_iter()
    .enumerate()
    {
        door.world.offer(&format!("/bad{n}"), &labels("bad", &[bad]), addr);
    }
    check(&door.get("/service/good/").await, &["good GET /\n"]);
    check(&door.get("/service/bad/").await, &["HTTP/1.1 404 "]);
}

#[tokio::test]
async fn a_cookie_changes_nothing_for_a_page_of_another_site() {
    let door = Door::open().await;
    let cookie = format!("Cookie: dcos-acs-auth-cookie={}\r\n", door.token);
    let put = async |headers: &str, body: &str| {
        door.ask(&format!(
            "PUT /service/marathon/v2/apps/x HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\
             {headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
    };
    let json = "Content-Type: application/json\r\n";
    for (headers, status) in [
        // A page elsewhere, in a browser that sends no Fetch Metadata to plain addresses.
        (format!("{cookie}Origin: http://evil\r\n"), 403),
        (format!("{cookie}{json}Origin: http://evil\r\n"), 403),
        (format!("{cookie}{json}Origin: http://door:8080\r\n"), 403),
        (format!("{cookie}{json}Referer: http://evil/\r\n"), 403),
        (format!("{cookie}{json}"), 403),
        (format!("{cookie}Origin: http://door\r\n"), 415),
        (format!("{cookie}{json}Origin: http://door\r\n"), 200),
        (format!("Authorization: token={}\r\nOrigin: http://evil\r\n", door.token), 200),
    ] {
        let answer = put(&headers, "{}").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {answer}");
    }
    for (path, status) in [("/mesos/master/state", 200), ("/mesos/master/state?x=1&jsonp=f", 403)] {
        let answer = door
            .ask(&format!("GET {path} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n{cookie}\r\n"))
            .await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
    }
}

#[tokio::test]
async fn tokens_end_with_their_user_and_its_password_and_never_last_for_ever() {
    let door = Door::open().await;
    let send = async |method: &str, path: &str, content: serde_json::Value| {
        let (token, content) = (&door.token, content.to_string());
        door.ask(&format!(
            "{method} /acs/api/v1/{path} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\
             Authorization: token={token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{content}",
            content.len()
        ))
        .await
    };
    let log_in = async |password: &str, exp: serde_json::Value| {
        let mut login = serde_json::json!({"uid": "bob", "password": password});
        if !exp.is_null() {
            login["exp"] = exp;
        }
        let answer = send("POST", "auth/login", login).await;
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let body: serde_json::Value = serde_json::from_str(body).expect(body);
        body["token"].as_str().expect("token").to_owned()
    };
    let status = async |token: &str| {
        let request = "GET /metadata HTTP/1.1\r\nHost: door\r\nConnection: close\r\n";
        let answer = door.ask(&format!("{request}Authorization: token={token}\r\n\r\n")).await;
        answer[9..12].to_owned()
    };
    let bob = serde_json::json!({"password": "hunter2"});
    check(&send("PUT", "users/bob", bob.clone()).await, &["HTTP/1.1 201 "]);
    // However long a life is asked for, there is an end.
    let bound = (NOW + TOKEN_LIFE_MAX).as_ms() / 1000;
    for exp in [serde_json::json!(0), serde_json::json!(i64::MAX)] {
        let token = log_in("hunter2", exp).await;
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["exp"], bound);
        assert_eq!(status(&token).await, "200");
    }
    // Another password, then another user of the same name.
    let old = log_in("hunter2", serde_json::Value::Null).await;
    let described = serde_json::json!({"description": "Bob"});
    check(&send("PATCH", "users/bob", described).await, &["HTTP/1.1 204 "]);
    assert_eq!(status(&old).await, "200");
    let changed = serde_json::json!({"password": "hunter3"});
    check(&send("PATCH", "users/bob", changed).await, &["HTTP/1.1 204 "]);
    assert_eq!(status(&old).await, "401");
    let new = log_in("hunter3", serde_json::Value::Null).await;
    assert_eq!(status(&new).await, "200");
    let none = serde_json::Value::Null;
    check(&send("DELETE", "users/bob", none.clone()).await, &["HTTP/1.1 204 "]);
    assert_eq!(status(&new).await, "401");
    check(&send("PUT", "users/bob", bob).await, &["HTTP/1.1 201 "]);
    assert_eq!(status(&new).await, "401");
    check(&send("DELETE", "users/bob", none.clone()).await, &["HTTP/1.1 204 "]);
    let last = ["HTTP/1.1 409 ", "ERR_LAST_USER", "last one who can sign in"];
    check(&send("DELETE", "users/admin", none).await, &last);
}

#[tokio::test]
async fn a_service_name_leads_to_whoever_had_it_first() {
    let door = Door::open().await;
    let (first, thief) = (door.upstream("first"), door.upstream("thief"));
    // Alphabetically first, and later in time.
    door.world.offer_at("/a-thief", &labels("web", &[]), thief, NOW + Duration::from_secs(9));
    door.world.offer("/z-first", &labels("web", &[]), first);
    for _ in 0..4 {
        check(&door.get("/service/web/").await, &["first GET /\n"]);
    }
    // Nor while the first is away.
    door.world.change(|state| {
        let mine = state
            .instances
            .values()
            .find(|i| i.app().is_some_and(|app| app.as_str() == "/z-first"));
        let id = mine.unwrap().id.clone();
        state.instances.remove(&id);
    });
    let gone = async {
        while !door.get("/service/web/").await.contains("404 Not Found: service not found.") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("in time");
}

/// An RSA key (PKCS#1, DER, base64) and its public half, made for this test.
const SERVICE_KEY: &str = "\
    MIIEpAIBAAKCAQEAwz9tyhCGYki9oEpMZT+R/mgWo6VpOpcdmXYMquqycfZcJeD9ngNDa9JrU5E4FJRveQL3jq89+7\
    oXItOnn9+1l6XB21D1fYyAzXSw0Qq8Y8nxumlmv2k6jnMAR5tAVpYmjfSRCJFuXT0qupMCBBi/yYkq9Px3hEy85ZWQ\
    sq15NF2yXxH6IdsV2Jqaein1PjBLqB3noCFVwIXq9StX8A4hmnfeif49G4maJE2EjVV3UWFGmZEz7wRs3a5CWvNwgR\
    dZMc3SLaFUzhgCV17793nYPYKQvQHDdIn//1MRXGYn7CT8UCN0ivUMthPYR4jlpnfO7lR5yzrf57uoN+tECtMWywID\
    AQABAoIBABxPszzMnp/byltWyrMXv7SzJS0/i/2p8enRu06BT7TEs2HuuPfTo1AcJ+HrOcWKLIvQiVMQSB2bQ0WSiU\
    jeaHd/2pdRqvc0i2y/UfBN7TlPDBUquXJh8NK9DDpV4cNsbFTDNNCYPfeZKfv52x369Lxlfmwdu7rcYbusr1mpW9zi\
    xEysoiuUZFo9+06eu+makXogn8YFvsj6KcI9Nz6cwVqUwsYRp0qeJQSaO262lSWVbCxy39aiQAH43NN8E/LrveUyiK\
    sPUK2MyjIBYgKtg9PM8drIgtsficHUlvbnRZSCK5ThuVBJDLiKvooGmgWdczYL4ZtSlv3K9kuKuZ5mbDkCgYEA7Jah\
    UvunsB2bdvFwksxq0f9cfSHfxSAdLsHyPMZ/plBgkeU8KhONMS9exSiU6YeqGz1fiR15AGs+iNJQqtFjAYdJxxPdg9\
    01YA6noaZxOmaI8vREyUBXPQJkJjCROsxvDyQAzqJYRsowK3VQ8VbVlaLlZeDa2ed7BNt9fAIzWi0CgYEA00R351a6\
    vXQH2inRQ9UwlPvAXjf1afoQI+5JhplhOahEJJ31P5uSfwbJTTpnY9b0Pw5P/iByN+/rz4GpR5zNPSjtpba2DrckiI\
    JSp6gIMukxHqPZWowP7tWlpoSI+PueioVZP3W8PNBKmzWXnOpifbuhu3FcRT49dPxWXf+7p9cCgYEA4mlszbtjyNks\
    tHFuaC4UdA9Ldbz7Ju0KwHp+1cao1oLJSBX2s9WuI0nQCiJCEBLyqcrcKJ359Hqth8atyCtF8mqEIm5SaSVDNUAREF\
    P2vArwOIGnammWkx48tYd5FKocBoNP+m/Gx0grPQuygKO3FtKjchHznuE2C3n55rk8Z6kCgYEAoRDWCPzKKZ3ITr8K\
    15g1DaBRLIOlCkKnA32reH5+7SInsXLrgq7spQNbfRFFuYwrcddLjQbXjWXQdcb4c6xLnJETfP8rFVTy+U/CDCfC+G\
    1oEWABWVLm4sLnI2hvtMLAQAMh44uzEvoJpwLYr7zRkeH2j50BJ5kn6YRnpApP2skCgYAabJroA4GmikAhmNTvWsv/\
    NPJ8fy+HQ3JCWQIaC5a+1UVinqTZ7LybUcaZzCH9UMs4hW8ivvOKqbZWhx9+QovuWpIWE68cnpcfyehcOut3hfacA9\
    YMRAKbW+PAZ2JnnePmNRJ5EkKFiQZEvXwctORucrKuC1l9dfLPSQ2P52UZ4w==";
const SERVICE_PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwz9tyhCGYki9oEpMZT+R\n\
    /mgWo6VpOpcdmXYMquqycfZcJeD9ngNDa9JrU5E4FJRveQL3jq89+7oXItOnn9+1\n\
    l6XB21D1fYyAzXSw0Qq8Y8nxumlmv2k6jnMAR5tAVpYmjfSRCJFuXT0qupMCBBi/\n\
    yYkq9Px3hEy85ZWQsq15NF2yXxH6IdsV2Jqaein1PjBLqB3noCFVwIXq9StX8A4h\n\
    mnfeif49G4maJE2EjVV3UWFGmZEz7wRs3a5CWvNwgRdZMc3SLaFUzhgCV17793nY\n\
    PYKQvQHDdIn//1MRXGYn7CT8UCN0ivUMthPYR4jlpnfO7lR5yzrf57uoN+tECtMW\n\
    ywIDAQAB\n\
    -----END PUBLIC KEY-----\n";

#[tokio::test]
async fn a_service_account_signs_in_with_its_key() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let door = Door::open().await;
    let send = async |method: &str, path: &str, content: serde_json::Value| {
        let (token, content) = (&door.token, content.to_string());
        door.ask(&format!(
            "{method} /acs/api/v1/{path} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\
             Authorization: token={token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{content}",
            content.len()
        ))
        .await
    };
    let account = serde_json::json!({"public_key": SERVICE_PUBLIC_KEY});
    check(&send("PUT", "users/svc", account).await, &["HTTP/1.1 201 "]);
    check(&door.get("/acs/api/v1/users/svc").await, &["\"is_service\": true", "BEGIN PUBLIC KEY"]);
    let key = jsonwebtoken::EncodingKey::from_rsa_der(&STANDARD.decode(SERVICE_KEY).unwrap());
    let rs256 = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    let sign = |claims: serde_json::Value| jsonwebtoken::encode(&rs256, &claims, &key).unwrap();
    let secs = NOW.as_ms() / 1000;
    for (claims, status) in [
        (serde_json::json!({"uid": "svc", "exp": secs + 60}), 200),
        (serde_json::json!({"uid": "svc", "exp": secs + 60, "extra": 1}), 200),
        // As `time.time() + 300` makes it.
        (serde_json::json!({"uid": "svc", "exp": secs as f64 + 0.25}), 200),
        (serde_json::json!({"uid": "svc", "exp": secs as f64 - 0.25}), 401),
        // Without an end it would be as good as the key for whoever saw it once.
        (serde_json::json!({"uid": "svc", "extra": 1}), 401),
        (serde_json::json!({"uid": "svc", "exp": null}), 401),
        (serde_json::json!({"uid": "svc", "exp": secs - 1}), 401),
        (serde_json::json!({"uid": "admin"}), 401),
        (serde_json::json!({}), 401),
    ] {
        let login = serde_json::json!({"uid": "svc", "token": sign(claims.clone())});
        let answer = send("POST", "auth/login", login).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{claims}: {answer}");
    }
    let forged = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    let secret = jsonwebtoken::EncodingKey::from_secret(SERVICE_PUBLIC_KEY.as_bytes());
    let claims = serde_json::json!({"uid": "svc"});
    let token = jsonwebtoken::encode(&forged, &claims, &secret).unwrap();
    let login = serde_json::json!({"uid": "svc", "token": token});
    check(&send("POST", "auth/login", login).await, &["HTTP/1.1 401 "]);
}
