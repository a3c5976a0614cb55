//! Texts of strangers through the parsers that everything behind them relies on.

use std::collections::BTreeMap;

use ::http::{HeaderMap, Method, Uri, header};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    head,
    pattern::{Params, Pattern, segments},
    query::{Query, cookie, percent_decode, percent_encode},
    redact::Redactor,
};

/// JSON of any shape, with more fields named `env` than anybody writes.
fn document() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        3 => "[a-z \"\\\\{}:,\\[\\]]{0,8}",
        1 => Just("env".to_owned()),
        1 => "[äß語\u{1}\n]{0,3}",
    ];
    let leaf = prop_oneof![
        text.clone().prop_map(Value::String),
        any::<i32>().prop_map(|n| json!(n)),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
    ];
    let name = prop_oneof![2 => Just("env".to_owned()), 3 => text];
    leaf.prop_recursive(5, 60, 5, move |inner| {
        let fields = proptest::collection::vec((name.clone(), inner.clone()), 0..5);
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(Value::Array),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The same with every text below a field `env` hidden, told from the document itself.
fn hidden(value: &Value, inside: bool) -> Value {
    match value {
        Value::String(_) if inside => json!("(hidden)"),
        Value::Array(list) => list.iter().map(|v| hidden(v, inside)).collect(),
        Value::Object(fields) => {
            let field = |(k, v): (&String, &Value)| (k.clone(), hidden(v, inside || k == "env"));
            Value::Object(fields.iter().map(field).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// What is nobody's business is hidden wherever it stands and however the bytes arrive, and
    /// nothing else is touched.
    #[test]
    fn env_is_hidden_in_any_document_in_any_pieces(
        document in document(), is_pretty: bool,
        pieces in proptest::collection::vec(1_usize..9, 1..6),
    ) {
        let text = match is_pretty {
            true => serde_json::to_string_pretty(&document).unwrap(),
            false => document.to_string(),
        };
        let (mut redactor, mut out) = (Redactor::default(), Vec::new());
        let (mut rest, mut sizes) = (text.as_bytes(), pieces.iter().cycle());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            out.extend(redactor.pass(piece));
            rest = later;
        }
        let got: Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(got, hidden(&document, false));
    }

    #[test]
    fn any_text_survives_being_escaped_and_any_bytes_being_read(
        text in "\\PC{0,20}", raw in "[%a-f0-9+&=;\" /]{0,30}",
    ) {
        let escaped = percent_encode(&text);
        prop_assert_eq!(percent_decode(&escaped), text.as_str());
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%".contains(&b);
        prop_assert!(escaped.bytes().all(is_plain));
        let query = Query::parse(&raw);
        prop_assert!(query.iter().count() <= raw.split('&').count());
        for (key, value) in query.iter() {
            prop_assert!(query.all(key).any(|v| v == value));
        }
        let _ = (percent_decode(&raw), cookie(&raw, "a"));
    }

    /// A query that is written is read as it was meant, whatever its values are.
    #[test]
    fn what_is_put_into_a_query_comes_out(
        pairs in proptest::collection::vec(("\\PC{1,6}", "\\PC{0,8}"), 0..6),
    ) {
        let write = |(k, v): &(String, String)| [percent_encode(k), percent_encode(v)].join("=");
        let query = Query::parse(&pairs.iter().map(write).collect::<Vec<_>>().join("&"));
        let own = |(k, v): (&str, &str)| (k.to_owned(), v.to_owned());
        prop_assert_eq!(query.iter().map(own).collect::<Vec<_>>(), pairs);
    }

    /// An id in a path reaches its handler whole, with whatever it holds, and never reaches into
    /// what stands behind it.
    #[test]
    fn what_is_put_into_a_path_is_captured(
        id in "[a-z./ %?#äß]{1,10}", more in proptest::collection::vec("[a-z.]{1,4}", 1..4),
    ) {
        let one = Pattern::new("/v2/tasks/{id}/log");
        let path = format!("/v2/tasks/{}/log", percent_encode(&id));
        prop_assert_eq!(captured(&one, &path), Some(vec![("id", id.clone())]));
        let rest = Pattern::new("/v2/apps/{id...}/versions/{version}");
        let path = format!("/v2/apps/{}/versions/{}", more.join("/"), percent_encode(&id));
        let wanted = vec![("id", more.join("/")), ("version", id)];
        prop_assert_eq!(captured(&rest, &path), Some(wanted));
    }
}

fn captured(pattern: &Pattern, path: &str) -> Option<Vec<(&'static str, String)>> {
    let params: Params = pattern.matches(&segments(path).collect::<Vec<_>>())?;
    Some(params.into_iter().collect())
}

#[test]
fn of_patterns_that_match_the_one_that_says_most_wins_in_whatever_order_they_are_listed() {
    let mut all: Vec<Pattern> = [
        "/v2/apps",
        "/v2/apps/{id...}",
        "/v2/apps/{id...}/tasks",
        "/v2/apps/{id...}/tasks/{task}",
        "/v2/apps/{id...}/versions",
        "/v2/apps/{id...}::status",
        "/v2/tasks/{id}",
        "/v2/tasks/delete",
        "/{any...}",
    ]
    .into_iter()
    .map(Pattern::new)
    .collect();
    for turn in 0..all.len() {
        all.rotate_left(turn);
        let mut sorted: Vec<&Pattern> = all.iter().collect();
        sorted.sort_by(|a, b| a.by_specificity(b));
        for (path, wanted) in [
            ("/v2/apps", Some("/v2/apps")),
            ("/v2/apps/", Some("/v2/apps")),
            ("//v2//apps//a", Some("/v2/apps/{id...}")),
            ("/v2/apps/a/b", Some("/v2/apps/{id...}")),
            ("/v2/apps/a/tasks", Some("/v2/apps/{id...}/tasks")),
            ("/v2/apps/tasks", Some("/v2/apps/{id...}")),
            ("/v2/apps/tasks/tasks", Some("/v2/apps/{id...}/tasks")),
            ("/v2/apps/a/tasks/t", Some("/v2/apps/{id...}/tasks/{task}")),
            ("/v2/apps/a::status", Some("/v2/apps/{id...}::status")),
            ("/v2/apps/a/b::status", Some("/v2/apps/{id...}::status")),
            ("/v2/tasks/delete", Some("/v2/tasks/delete")),
            ("/v2/tasks/%64elete", Some("/v2/tasks/delete")),
            ("/v2/tasks/x", Some("/v2/tasks/{id}")),
            ("/v2/tasks/x/y", Some("/{any...}")),
            ("/else", Some("/{any...}")),
            ("/", None),
        ] {
            let found = sorted.iter().find(|p| captured(p, path).is_some()).map(|p| p.as_str());
            assert_eq!(found, wanted, "{path}, listed from {turn} on");
        }
    }
}

#[test]
fn cookies_are_read_by_their_whole_name_and_the_first_one_counts() {
    for (text, wanted) in [
        ("t=1", Some("1")),
        ("a=0; t=1; t=2", Some("1")),
        ("  t=1  ;a", Some("1")),
        ("t=\"1\"", Some("1")),
        ("t=a=b==", Some("a=b==")),
        ("t=", Some("")),
        ("xt=1", None),
        ("t x=1", None),
        ("T=1", None),
        ("t", None),
        (";;;", None),
        ("", None),
    ] {
        assert_eq!(cookie(text, "t"), wanted, "{text:?}");
    }
}

#[test]
fn a_head_gets_through_only_with_a_path_and_one_host() {
    let mut counts = BTreeMap::new();
    for method in [Method::GET, Method::POST, Method::OPTIONS, Method::CONNECT, Method::HEAD] {
        for target in
            ["/", "/a?b", "//x", "/..", "*", "x:1", "http://h", "http://h/p", "http://u:p@h/p"]
        {
            for hosts in 0..3 {
                let uri: Uri = target.parse().expect(target);
                let mut headers = HeaderMap::new();
                for _ in 0..hosts {
                    headers.append(header::HOST, "h".parse().unwrap());
                }
                let passes = head::check(&method, &uri, &headers).is_ok();
                let is_path = uri.path().starts_with('/');
                assert_eq!(
                    passes,
                    method != Method::CONNECT && is_path && hosts < 2,
                    "{method} {target} with {hosts} hosts"
                );
                *counts.entry(passes).or_insert(0) += 1;
            }
        }
    }
    assert!(counts[&true] > 20 && counts[&false] > 20, "{counts:?}");
}
