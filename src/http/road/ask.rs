//! From a client's bytes to the upstream's: whether a request is plain, and what is sent on.

use std::ops::Range;

use super::{
    Asked, Doorway, Way, field,
    head::{self, Head, Method, Room, Seen},
    window::{Lent, WINDOW_BYTES},
};
use crate::http::auth::Memo;

/// A plain request whose way is known. Places are counted from its first byte.
#[derive(Debug)]
pub struct Plan {
    pub method: Method,
    pub way: Way,
    /// Bytes of head and body.
    pub n_used: usize,
    pub has_body: bool,
    pub host: Range<usize>,
    pub prefix: Range<usize>,
}

/// Looks at what a client sent. `Whole(None)`: the head is plain, its body is still to come.
/// `Whole(Some(…))`: what goes to the upstream is in the output.
pub fn plan(bytes: &[u8], door: &Doorway<'_>, memo: &mut Memo) -> Seen<Option<(Plan, Lent)>> {
    let mut room = Room::default();
    let head = match head::read(bytes, &mut room) {
        Seen::Whole(head) => head,
        Seen::Part => return Seen::Part,
        Seen::Odd => return Seen::Odd,
    };
    let n_used = head.n_head + head.n_body;
    if n_used > WINDOW_BYTES || head.n_head > door.head_bytes_max {
        return Seen::Odd;
    }
    if n_used > bytes.len() {
        return Seen::Whole(None);
    }
    let asked = Asked { target: head.target, authorization: head.authorization };
    let Some(way) = door.guide.way(&asked, memo) else { return Seen::Odd };
    let is_cut_well = head.target.get(way.n_cut..).is_some_and(|rest| rest.starts_with('/'));
    if !is_cut_well || way.n_prefix > head.target.len() {
        return Seen::Odd;
    }
    let mut lent = Lent::take();
    let out = &mut lent.get().out;
    write(out, &head, way.n_cut, (door.peer_text.as_bytes(), door.tls));
    out.extend_from_slice(&bytes[head.n_head..n_used]);
    let [host, target] = [head.host, head.target.as_bytes()].map(|part| field::offset(bytes, part));
    let plan = Plan {
        method: head.method,
        n_used,
        has_body: head.n_body > 0,
        host: host..host + head.host.len(),
        prefix: target..target + way.n_prefix,
        way,
    };
    Seen::Whole(Some((plan, lent)))
}

/// Writes the head for the upstream, asked by somebody at `peer`, perhaps over TLS.
pub fn write(out: &mut Vec<u8>, head: &Head<'_, '_>, n_cut: usize, (peer, tls): (&[u8], bool)) {
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(&head.target.as_bytes()[n_cut..]);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    field::write(out, "host", head.host);
    for (name, value) in head.passed() {
        field::rewrite(out, head.text, name, value);
    }
    field::write(out, "x-forwarded-host", head.host);
    out.extend_from_slice(if tls {
        b"x-forwarded-proto: https\r\nx-real-ip: "
    } else {
        b"x-forwarded-proto: http\r\nx-real-ip: "
    });
    out.extend_from_slice(peer);
    out.extend_from_slice(b"\r\nx-forwarded-for: ");
    if let Some(before) = head.forwarded_for {
        out.extend_from_slice(before);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(peer);
    out.extend_from_slice(b"\r\n\r\n");
}
