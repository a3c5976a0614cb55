//! From a client's bytes to the upstream's: whether a request is plain, and what is sent on.

use std::ops::Range;

use super::{
    Asked, Doorway, Way, field,
    head::{self, First, Head, Method, Room, Seen, VERSION},
    last::{Last, place},
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
/// `Whole(Some(…))`: what goes to the upstream is in the output. `memo` and `last` are the
/// connection's, so `door` has to be the same each time.
pub fn plan(
    bytes: &[u8],
    door: &Doorway<'_>,
    memo: &mut Memo,
    last: &mut Last,
) -> Seen<Option<(Plan, Lent)>> {
    if let Some(First { method, target, n_bytes }) = last.again(bytes) {
        let n_head = n_bytes + last.lines().len();
        let lines = &bytes[n_bytes..n_head];
        let authorization = last.authorization().map(|at| &lines[at]);
        let taken = Taken { method, target, authorization, n_head, n_body: last.n_body() };
        let host = n_bytes + last.host().start..n_bytes + last.host().end;
        return taken.plan(bytes, door, memo, host, |out| out.extend_from_slice(last.written()));
    }
    let mut room = Room::default();
    let head = match head::read(bytes, &mut room) {
        Seen::Whole(head) => head,
        Seen::Part => return Seen::Part,
        Seen::Odd => return Seen::Odd,
    };
    let Head { method, target, authorization, n_head, n_body, .. } = head;
    let taken = Taken { method, target, authorization, n_head, n_body };
    taken.plan(bytes, door, memo, place(bytes, head.host), |out| {
        let at = out.len();
        write_lines(out, &head, (door.peer_text.as_bytes(), door.tls));
        let n_first = method.as_str().len() + 1 + target.len() + VERSION.len();
        last.remember(&head, n_first, &out[at..]);
    })
}

/// What is taken from a head, whichever way it was read.
struct Taken<'a> {
    method: Method,
    target: &'a str,
    authorization: Option<&'a [u8]>,
    n_head: usize,
    n_body: usize,
}

impl Taken<'_> {
    /// `lines` writes what comes behind the first line.
    fn plan(
        self,
        bytes: &[u8],
        door: &Doorway<'_>,
        memo: &mut Memo,
        host: Range<usize>,
        lines: impl FnOnce(&mut Vec<u8>),
    ) -> Seen<Option<(Plan, Lent)>> {
        let Self { method, target, authorization, n_head, n_body } = self;
        let n_used = n_head + n_body;
        if n_used > WINDOW_BYTES || n_head > door.head_bytes_max {
            return Seen::Odd;
        }
        if n_used > bytes.len() {
            return Seen::Whole(None);
        }
        let Some(way) = door.guide.way(&Asked { target, authorization }, memo) else {
            return Seen::Odd;
        };
        let is_cut_well = target.get(way.n_cut..).is_some_and(|rest| rest.starts_with('/'));
        if !is_cut_well || way.n_prefix > target.len() {
            return Seen::Odd;
        }
        let mut lent = Lent::take();
        let out = &mut lent.get().out;
        write_first(out, method, &target[way.n_cut..]);
        lines(out);
        out.extend_from_slice(&bytes[n_head..n_used]);
        let prefix = place(bytes, &target.as_bytes()[..way.n_prefix]);
        let plan = Plan { method, n_used, has_body: n_body > 0, host, prefix, way };
        Seen::Whole(Some((plan, lent)))
    }
}

fn write_first(out: &mut Vec<u8>, method: Method, target: &str) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(VERSION);
}

/// Writes the lines for the upstream, asked by somebody at `peer`, perhaps over TLS.
fn write_lines(out: &mut Vec<u8>, head: &Head<'_, '_>, (peer, tls): (&[u8], bool)) {
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

/// For the fuzzer: the head as an upstream at the root gets it.
pub fn fuzz_write(out: &mut Vec<u8>, head: &Head<'_, '_>) {
    write_first(out, head.method, head.target);
    write_lines(out, head, (b"192.0.2.1", false));
}

#[cfg(test)]
mod tests;
