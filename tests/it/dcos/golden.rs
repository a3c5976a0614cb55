//! The golden stories of `tests/golden/dcos`, at a front door on real sockets. `{token}` stands for
//! a superuser's.

use regex::Regex;

use super::door::Door;
use crate::golden::{self, Answer, Asked, Stage};

#[tokio::test]
async fn answers_are_those_of_the_golden_files() {
    golden::play_all("dcos", Door::open).await;
}

impl Stage for Door {
    const SHOWN: &[&str] = &[
        "allow",
        "cache-control",
        "content-type",
        "expires",
        "location",
        "pragma",
        "set-cookie",
        "www-authenticate",
    ];

    async fn ask(&self, asked: Asked) -> Answer {
        let Asked { method, target, headers, body } = asked;
        let mut raw = format!("{method} {target} HTTP/1.1\r\nHost: door\r\nConnection: close\r\n");
        for (name, value) in headers {
            raw += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            raw += &format!("Content-Length: {}\r\n", body.len());
        }
        let answer = Self::ask(self, &format!("{raw}\r\n{body}")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        Answer {
            status: head[9..12].parse().unwrap(),
            headers: headers.map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect(),
            body: body.to_owned(),
        }
    }

    fn filled(&self, text: &str) -> String {
        text.replace("{token}", &self.token)
    }

    /// Tokens tell their signer, builds their release, errors their request.
    fn masked(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for (pattern, name) in [
            (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "<token>"),
            (r"[0-9a-f]{40}", "<build>"),
            (r#""request_id":"[0-9a-f]+""#, r#""request_id":"<request>""#),
        ] {
            masked = Regex::new(pattern).unwrap().replace_all(&masked, name).into_owned();
        }
        masked
    }
}
