//! The short road: what is frequent at the front door, passed on with little work.
//!
//! A plain request (`head`: HTTP/1.1, kept alive, nothing odd, its small body already there) that a
//! `Guide` knows the way of is written anew for the upstream and its answer for the client, both
//! straight from the bytes that came. No header map is built, no body is boxed, no timer is made.
//!
//! ```text
//!  client ── head ── Guide::way ── pass ── Line (kept) ── upstream
//!              └ odd, or no way ┐
//!                               └─ the bytes as they came ── hyper, Handler, Proxy
//! ```
//! The choice is made before anything is sent anywhere, and everything that is not plainly frequent
//! goes the other road, which keeps the connection then. So this one never says no to anybody: a
//! bad token, a wrong path, two lengths are answered where they always were. What holds on that road
//! holds on this one: bounds, time-outs, sending again, leases, draining, counting
//! (docs/adr/0010-a-short-road-for-plain-requests.md).

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::HeaderValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    RequestId, auth::Memo, crowd::Seat, io::Guarded, meter::Meter, metrics::Door, proxy::Proxy,
    upstream::Upstream,
};

mod answer;
mod ask;
mod back;
mod chunks;
mod client;
mod date;
mod deadline;
mod field;
mod head;
mod last;
mod lines;
mod pass;
mod window;

use ask::Plan;
use client::Client;
use head::Seen;
pub use lines::Lines;
use pass::Next;
use window::{Lent, WINDOW_BYTES};

/// How often the beginning of a request is looked at before the other road waits for the rest.
const LOOKS_MAX: u8 = 4;
/// How long the body of a small request may come behind its head.
const BODY_WAIT: Duration = Duration::from_millis(50);

/// Finds the way of plain requests.
pub trait Guide: Send + Sync + 'static {
    /// What passes them on.
    fn proxy(&self) -> &Proxy;

    /// Where this request goes, when its caller may ask and nothing else is to be done with it;
    /// `None` leaves it to the handler, which answers as if nobody had looked before. `memo` is the
    /// connection's; what an answer that goes on ends with is taken from it.
    fn way(&self, asked: &Asked<'_>, memo: &mut Memo) -> Option<Way>;

    /// What the requests it knows the way of have in common, for log lines.
    fn pattern(&self) -> &'static str;
}

/// What a guide looks at. There is no cookie, and one host.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Path and query; the path starts with a slash.
    pub target: &'a str,
    /// The one `Authorization`, of ASCII.
    pub authorization: Option<&'a [u8]>,
}

/// Where a request goes and what is changed on the way.
#[derive(Debug)]
pub struct Way {
    pub upstream: Upstream,
    /// As `proxy::Target::spare`.
    pub spare: Option<Upstream>,
    /// Bytes cut off the front of the target; what is left starts with a slash.
    pub n_cut: usize,
    /// Bytes in front of the target that the client knows the upstream under.
    pub n_prefix: usize,
    /// As `proxy::Target::meter`.
    pub meter: Option<Arc<Meter>>,
}

/// The listener's side of one connection.
pub struct Doorway<'a> {
    pub guide: &'a dyn Guide,
    pub peer: SocketAddr,
    pub peer_text: &'a HeaderValue,
    pub tls: bool,
    pub seat: Option<&'a Arc<Seat>>,
    pub door: Door,
    /// As `serve::Limits::read`.
    pub read: Duration,
    /// As `serve::Limits::head_bytes_max`; what is larger than a window is not for this road anyway.
    pub head_bytes_max: usize,
    pub drain: &'a CancellationToken,
    pub next_id: &'a AtomicU64,
}

impl Doorway<'_> {
    fn request_id(&self) -> RequestId {
        RequestId::new(self.next_id.fetch_add(1, Ordering::Relaxed))
    }
}

/// Serves a connection as long as its requests are plain. The transport comes back, with every byte
/// that nobody has answered in front, when the other road has to take it.
pub async fn serve(io: Guarded, door: &Doorway<'_>) -> Option<Guarded> {
    let mut client = Client::new(io, Instant::now() + door.read, door.drain.clone());
    loop {
        let mut request = None;
        let coming = next(&mut client, door, &mut request).await;
        if matches!(coming, Coming::Odd) {
            return Some(client.into_io());
        }
        let Some((plan, lent)) = request else { break };
        let n_used = plan.n_used;
        match pass::pass(&mut client, door, plan, lent).await {
            Next::Keep(now) => client.answered(n_used, now + door.read),
            Next::Close => break,
            Next::Gone => return None,
        }
    }
    client.close().await;
    None
}

/// What comes on a connection.
enum Coming {
    Request,
    /// Something for the other road.
    Odd,
    /// The client is gone or slow, or we are to stop.
    Nothing,
}

/// Waits for the next request and puts it into `request`, with what is to be written to the upstream.
async fn next(
    client: &mut Client,
    door: &Doorway<'_>,
    request: &mut Option<(Plan, Lent)>,
) -> Coming {
    let mut looks = 0;
    loop {
        let mut has_head = false;
        if !client.input.is_empty() {
            match ask::plan(client.input.filled(), door, &mut client.memo, &mut client.last) {
                Seen::Whole(Some(planned)) => {
                    *request = Some(planned);
                    return Coming::Request;
                }
                Seen::Whole(None) => has_head = true,
                Seen::Odd => return Coming::Odd,
                Seen::Part => {}
            }
            looks += 1;
            let is_full = client.input.is_full();
            if looks > LOOKS_MAX || (is_full && client.input.capacity() >= WINDOW_BYTES) {
                return Coming::Odd;
            }
            if is_full {
                client.input.grow(WINDOW_BYTES);
            }
        }
        if has_head {
            client.wait.set(Instant::now() + BODY_WAIT);
        }
        match std::future::poll_fn(|cx| client.poll_more(cx)).await {
            Some(Ok(n)) if n > 0 => {}
            None if has_head && !client.is_drained() => return Coming::Odd,
            Some(_) | None => return Coming::Nothing,
        }
    }
}

/// For the fuzzer: what would be sent to an upstream for the plain request in front of `bytes`, and
/// how much of them it is.
pub fn fuzz_request(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut room = head::Room::default();
    let Seen::Whole(head) = head::read(bytes, &mut room) else { return None };
    let n_used = head.n_head + head.n_body;
    let body = bytes.get(head.n_head..n_used)?;
    let mut out = Vec::new();
    ask::fuzz_write(&mut out, &head);
    out.extend_from_slice(body);
    Some((out, n_used))
}

/// For the fuzzer: what would be sent to a client that asked by GET when an upstream answers with
/// `bytes` and no more; an error where the answer makes no sense or breaks off.
pub fn fuzz_answer(bytes: &[u8]) -> Result<Vec<u8>, String> {
    use super::proxy::Here;
    let mut input = window::Window::new(bytes.len().max(1));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut unread = bytes;
    let _filled = input.poll_fill(&mut unread, &mut cx);
    let mut out = Vec::new();
    let begun = {
        let mut room = answer::Room::default();
        let seen = answer::read(input.filled(), &mut room, head::Method::Get);
        let Seen::Whole(answer) = seen.map_err(|error| error.to_string())? else {
            return Err("a part".to_owned());
        };
        let to = Upstream { addr: ([192, 0, 2, 1], 80).into(), tls: false };
        let here = Here { to, host: Some(b"door"), is_https: false, prefix: b"/service/web" };
        answer::Last::default().write(&answer, &mut out, head::Method::Get, &here, false)
    };
    input.consume(begun.n_head);
    match begun.framing {
        answer::Framing::Nothing => {}
        answer::Framing::Length(n) => {
            let n = usize::try_from(n).map_err(|error| error.to_string())?;
            out.extend_from_slice(input.filled().get(..n).ok_or("a part")?);
        }
        answer::Framing::Chunked => {
            let mut chunks = chunks::Chunks::default();
            chunks.pass(&mut input, &mut out).map_err(|error| error.to_string())?;
            chunks.is_done().then_some(()).ok_or("a part")?;
        }
        answer::Framing::Rest => {
            if !input.is_empty() {
                chunks::write(&mut out, input.filled());
            }
            out.extend_from_slice(chunks::LAST);
        }
    }
    Ok(out)
}
