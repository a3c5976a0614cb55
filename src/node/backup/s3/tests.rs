//! The store against a small one of these tests, which takes signed requests only and keeps bytes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::*;
use crate::{
    http::{Request, Response, body, query::Query, reply, serve::Listener},
    node::backup::place::Place,
};

/// What the small store holds.
#[derive(Default)]
struct Held {
    objects: BTreeMap<String, Vec<u8>>,
    /// Parts of uploads, by key.
    parts: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// Every request of a kind that is not signed, or by somebody else.
    n_strange: u32,
    /// Says no to the next part.
    refuses_parts: bool,
}

type Store = Arc<Mutex<Held>>;

fn xml(text: String) -> Response {
    reply::content(StatusCode::OK, "application/xml", text)
}

fn error(status: StatusCode, code: &str) -> Response {
    let text = format!("<Error><Code>{code}</Code><Message>says the store</Message></Error>");
    reply::content(status, "application/xml", text)
}

async fn answer(store: Store, request: Request) -> Response {
    let (head, sent) = request.into_parts();
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let sent = body::read(sent, 32 << 20).await.expect("a body").to_vec();
    let mut held = store.lock();
    let credential = query.get("X-Amz-Credential").unwrap_or_default();
    let signature = query.get("X-Amz-Signature").unwrap_or_default();
    if !credential.starts_with("key-1/") || signature.len() != 64 {
        held.n_strange += 1;
        return error(StatusCode::FORBIDDEN, "AccessDenied");
    }
    let Some(path) = head.uri.path().strip_prefix("/bucket") else {
        return error(StatusCode::NOT_FOUND, "NoSuchBucket");
    };
    let key = path.trim_start_matches('/').to_owned();
    let part = query.get("partNumber").and_then(|n| n.parse::<u32>().ok());
    match (head.method.as_str(), part) {
        ("GET", _) => list(&held, &query),
        ("POST", _) if query.get("uploads").is_some() => {
            held.parts.insert(key, BTreeMap::new());
            xml(format!(
                "<InitiateMultipartUploadResult xmlns=\"{NS}\"><UploadId>u1</UploadId>\
                         </InitiateMultipartUploadResult>"
            ))
        }
        ("POST", _) => {
            let parts = held.parts.remove(&key).expect("begun");
            let told = String::from_utf8_lossy(&sent).matches("<PartNumber>").count();
            assert_eq!(told, parts.len());
            held.objects.insert(key, parts.into_values().flatten().collect());
            xml(format!(
                "<CompleteMultipartUploadResult xmlns=\"{NS}\"><ETag>\"t\"</ETag>\
                         </CompleteMultipartUploadResult>"
            ))
        }
        ("PUT", Some(_)) if held.refuses_parts => {
            error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")
        }
        ("PUT", Some(n)) => {
            held.parts.get_mut(&key).expect("begun").insert(n, sent);
            let done = reply::empty(StatusCode::OK);
            reply::with_header(done, header::ETAG, &format!("\"part-{n}\""))
        }
        ("PUT", None) => {
            held.objects.insert(key, sent);
            reply::empty(StatusCode::OK)
        }
        ("DELETE", _) if query.get("uploadId").is_some() => {
            held.parts.remove(&key);
            reply::empty(StatusCode::NO_CONTENT)
        }
        ("DELETE", _) => {
            held.objects.remove(&key);
            reply::empty(StatusCode::NO_CONTENT)
        }
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

const NS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Two names an answer, so that lists go on.
fn list(held: &Held, query: &Query) -> Response {
    let prefix = query.get("prefix").unwrap_or_default();
    let from = query.get("continuation-token").unwrap_or_default();
    let found: Vec<_> = held
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(&*prefix) && key.as_str() > &*from)
        .collect();
    let rows: String = found
        .iter()
        .take(2)
        .map(|(key, bytes)| {
            let size = bytes.len();
            format!("<Contents><Key>{key}</Key><Size>{size}</Size></Contents>")
        })
        .collect();
    let is_cut = found.len() > 2;
    let next = match found.get(1).filter(|_| is_cut) {
        Some((key, _)) => format!("<NextContinuationToken>{key}</NextContinuationToken>"),
        None => String::new(),
    };
    xml(format!(
        "<ListBucketResult xmlns=\"{NS}\">{rows}<IsTruncated>{is_cut}</IsTruncated>{next}\
         </ListBucketResult>"
    ))
}

fn archive(name: &str, n_bytes: usize) -> Archive {
    let (to, pieces) = mpsc::channel(n_bytes / (64 << 10) + 2);
    let bytes: Vec<u8> = (0..n_bytes).map(|at| u8::try_from(at % 251).unwrap()).collect();
    for piece in bytes.chunks(64 << 10) {
        to.try_send(Ok(piece.to_vec().into())).unwrap();
    }
    Archive { name: name.to_owned(), pieces }
}

fn bucket(at: std::net::SocketAddr) -> config::Bucket {
    config::Bucket {
        endpoint: format!("http://{at}"),
        region: "here".to_owned(),
        bucket: "bucket".to_owned(),
        prefix: "site/".to_owned(),
        key_id: "key-1".to_owned(),
        secret: "hush".to_owned(),
        ca: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_there_whole_and_old_ones_go() {
    let (tasks, store) = (Tasks::new("test"), Store::default());
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let (at, held) = (listener.local_addr(), store.clone());
    let _server = listener.serve(Arc::new(move |request| answer(held.clone(), request)), &tasks);
    let place = Place::open(&config::To::S3(bucket(at)), &tasks).unwrap();
    let name = |n: u32| format!("tepui-c0ffee00-20261129T09550000{n}Z.backup");
    for (n, n_bytes) in [(0, 10), (1, 2 * PART_BYTES + 17), (2, 0), (3, PART_BYTES)] {
        assert_eq!(place.put(archive(&name(n), n_bytes)).await.unwrap(), n_bytes as u64);
        let kept = store.lock().objects.get(&format!("site/{}", name(n))).cloned().unwrap();
        assert_eq!(kept.len(), n_bytes);
        assert!(kept.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251));
    }
    store.lock().objects.insert("site/tepui-c0ffee00-notes".to_owned(), Vec::new());
    store.lock().objects.insert("elsewhere".to_owned(), Vec::new());
    let kept = place.list("c0ffee00-1111").await.unwrap();
    let names: Vec<String> = kept.iter().map(|kept| kept.name.clone()).collect();
    assert_eq!(names, [3, 2, 1, 0].map(name));
    assert_eq!(kept[2].n_bytes, 2 * PART_BYTES as u64 + 17);
    place.remove(&name(2)).await.unwrap();
    assert_eq!(place.list("c0ffee00-1111").await.unwrap().len(), 3);

    // An upload that breaks off leaves nothing.
    store.lock().refuses_parts = true;
    let error = place.put(archive(&name(4), 3 * PART_BYTES)).await.unwrap_err().to_string();
    assert!(error.ends_with("503 SlowDown: says the store"), "{error}");
    store.lock().refuses_parts = false;
    let mut broken = archive(&name(5), 2 * PART_BYTES);
    let (to, pieces) = mpsc::channel(512);
    while let Some(piece) = broken.pieces.recv().await {
        to.try_send(piece).unwrap();
    }
    to.try_send(Err("the log has stopped".to_owned())).unwrap();
    let broken = Archive { name: name(5), pieces };
    let error = place.put(broken).await.unwrap_err().to_string();
    assert_eq!(error, "the log has stopped");
    assert_eq!(place.list("c0ffee00-1111").await.unwrap().len(), 3);
    assert!(store.lock().parts.is_empty(), "no part stays");

    assert_eq!(store.lock().n_strange, 0);
    let stranger = config::Bucket { key_id: "key-2".to_owned(), ..bucket(at) };
    let stranger = Place::open(&config::To::S3(stranger), &tasks).unwrap();
    let error = stranger.list("c0ffee00-1111").await.unwrap_err().to_string();
    assert!(error.ends_with(": 403 AccessDenied: says the store"), "{error}");
    let nowhere = config::Bucket { bucket: "nowhere".to_owned(), ..bucket(at) };
    let nowhere = Place::open(&config::To::S3(nowhere), &tasks).unwrap();
    let error = nowhere.put(archive(&name(6), 1)).await.unwrap_err().to_string();
    assert!(error.ends_with(": 404 NoSuchBucket: says the store"), "{error}");
    tasks.stop(Duration::from_secs(5)).await;
    let error = place.remove(&name(0)).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1"), "{error}");
}

#[test]
fn what_a_store_says_is_told_in_short() {
    let body = b"<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>It is\n not \
                 there</Message><Key>k</Key></Error>";
    assert_eq!(said(body), "NoSuchBucket: It is not there");
    assert_eq!(said(b"<html>"), "");
    let long = format!("<Code>{}</Code>", "x".repeat(5_000));
    assert_eq!(said(long.as_bytes()).len(), SAID_CHARS_MAX);
}
