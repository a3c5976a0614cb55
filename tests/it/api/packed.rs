//! Answers packed for those who take that, over a connection: lengths, HEAD, refusals, streams.

use std::{collections::BTreeMap, io::Read as _};

use flate2::read::GzDecoder;
use tepui::{base::task::Tasks, http::serve::Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{DEADLINE, serve};
use crate::world::World;

struct Answer {
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn unpacked(&self) -> String {
        let mut text = String::new();
        GzDecoder::new(&*self.body).read_to_string(&mut text).unwrap();
        text
    }
}

/// What comes until the connection ends, or until `n_bytes` of body did.
async fn ask(server: &Server, method: &str, path: &str, takes: &str, n_bytes: usize) -> Answer {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let request = format!(
        "{method} /tepui/v1{path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {takes}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut all, mut head_end) = (Vec::new(), None);
    while head_end.is_none_or(|end| all.len() < end + n_bytes) {
        if timeout(DEADLINE, stream.read_buf(&mut all)).await.unwrap().unwrap() == 0 {
            break;
        }
        head_end = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
    }
    let end = head_end.unwrap();
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let headers = fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Answer { headers, body: all[end..].to_vec() }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_are_packed_for_those_who_take_it() {
    let (world, tasks) = (World::new(), Tasks::new("test"));
    for n in 0..200 {
        world.app(&format!("/shop/web-{n}"), 0, |_| {});
    }
    let server = serve(&world, &tasks);
    for path in ["/apps", "/openapi.yaml"] {
        let whole = ask(&server, "GET", path, "identity", usize::MAX / 2).await;
        assert_eq!(whole.header("content-encoding"), None);
        assert_eq!(whole.header("vary"), Some("Accept-Encoding"));
        let packed = ask(&server, "GET", path, "br, gzip;q=0.8", usize::MAX / 2).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        assert_eq!(packed.header("vary"), Some("Accept-Encoding"));
        assert_eq!(packed.header("content-type"), whole.header("content-type"));
        assert_eq!(packed.header("content-length").unwrap(), packed.body.len().to_string());
        assert!(packed.body.len() < whole.body.len() / 2, "{path}: {}", packed.body.len());
        assert_eq!(packed.unpacked(), String::from_utf8(whole.body).unwrap());
        // A look at the head tells of the same answer, and brings nothing of it.
        let head = ask(&server, "HEAD", path, "gzip", usize::MAX / 2).await;
        assert_eq!(head.header("content-encoding"), Some("gzip"));
        assert_eq!(head.header("content-length"), packed.header("content-length"));
        assert!(head.body.is_empty());
        let refused = ask(&server, "GET", path, "gzip;q=0, *", usize::MAX / 2).await;
        assert_eq!(refused.header("content-encoding"), None);
    }
    let short = ask(&server, "GET", "/me", "gzip", usize::MAX / 2).await;
    assert_eq!((short.header("content-encoding"), short.header("vary")), (None, None));
    // Each event of a stream arrives when it happens, as it is.
    let stream = ask(&server, "GET", "/events", "gzip", 100).await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.header("content-encoding"), None);
    assert!(String::from_utf8_lossy(&stream.body).contains("event: snapshot"));
    tasks.stop(DEADLINE).await;
}
