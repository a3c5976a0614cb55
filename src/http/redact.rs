//! Answers to readers nobody knows: the values of `env` are taken out of JSON as it passes.
//!
//! Works on bytes as they come, in any pieces, on plain JSON as well as on JSON inside server-sent
//! events, and keeps nothing but where in the text it is. Everything but the text values inside an
//! object (or text) named `env` goes through unchanged.

use bytes::Bytes;
use http::header;
use http_body_util::BodyExt as _;

use super::{Body, Response};

/// The field whose values are nobody's business.
const FIELD: &[u8] = b"env";
/// What stands there instead.
const INSTEAD: &[u8] = b"(hidden)";

/// Where in a JSON text the filter is.
#[derive(Debug, Default)]
pub struct Redactor {
    /// Open brackets, from the outermost: whether each is an object.
    open: Vec<bool>,
    /// Inside an object a name comes next.
    expects_name: bool,
    text: Option<Text>,
    /// The last name read, as far as it can be the field's.
    name: Vec<u8>,
    /// The value that comes next belongs to the field.
    at_field: bool,
    /// Number of brackets open inside the field's value, from its own on.
    hidden_from: Option<usize>,
}

/// A text that is being read.
#[derive(Debug, Clone, Copy)]
struct Text {
    is_name: bool,
    is_hidden: bool,
    is_escaped: bool,
}

impl Redactor {
    /// The next piece, without what is hidden.
    pub fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len());
        for &byte in piece {
            match self.text {
                Some(text) => self.inside(text, byte, &mut out),
                None => self.between(byte, &mut out),
            }
        }
        out
    }

    fn inside(&mut self, text: Text, byte: u8, out: &mut Vec<u8>) {
        let ends = byte == b'"' && !text.is_escaped;
        if !text.is_hidden || ends {
            out.push(byte);
        }
        if ends {
            self.text = None;
            return;
        }
        if text.is_name && self.name.len() <= FIELD.len() {
            self.name.push(byte);
        }
        let is_escaped = byte == b'\\' && !text.is_escaped;
        self.text = Some(Text { is_escaped, ..text });
    }

    fn between(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        match byte {
            b'"' => {
                let is_name = self.expects_name;
                let is_hidden = !is_name && (self.hidden_from.is_some() || self.at_field);
                if is_name {
                    self.name.clear();
                }
                if is_hidden {
                    out.extend(INSTEAD);
                }
                self.at_field = false;
                self.text = Some(Text { is_name, is_hidden, is_escaped: false });
            }
            b'{' | b'[' => {
                self.open.push(byte == b'{');
                self.expects_name = byte == b'{';
                if self.at_field && self.hidden_from.is_none() {
                    self.hidden_from = Some(self.open.len());
                }
                self.at_field = false;
            }
            b'}' | b']' => {
                self.open.pop();
                self.expects_name = false;
                if self.hidden_from.is_some_and(|depth| self.open.len() < depth) {
                    self.hidden_from = None;
                }
            }
            b':' if self.expects_name => {
                self.expects_name = false;
                self.at_field = self.name == FIELD;
            }
            b',' => {
                self.expects_name = self.open.last() == Some(&true);
                self.at_field = false;
            }
            _ => {}
        }
    }
}

/// `response` without the values of `env`.
pub fn hide(mut response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let holds_json = kind
        .is_some_and(|kind| kind.ends_with(b"json") || kind.starts_with(b"text/event-stream"))
        || kind.is_some_and(|kind| kind.starts_with(b"application/json"));
    if !holds_json {
        return response;
    }
    if let Some(bytes) = response.body().bytes() {
        let hidden = Redactor::default().pass(bytes);
        *response.body_mut() = Body::full(hidden);
    } else {
        let body = std::mem::take(response.body_mut());
        let mut redactor = Redactor::default();
        let hidden =
            body.map_frame(move |frame| frame.map_data(|piece| Bytes::from(redactor.pass(&piece))));
        *response.body_mut() = Body::stream(hidden);
    }
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        // In every way of cutting the text in two.
        for at in 0..=text.len() {
            let mut redactor = Redactor::default();
            let (head, tail) = text.as_bytes().split_at(at);
            let got = [redactor.pass(head), redactor.pass(tail)].concat();
            assert_eq!(String::from_utf8(got).unwrap(), want, "cut at {at}");
        }
    }

    #[test]
    fn values_of_env_are_hidden_and_nothing_else() {
        check(r#"{"id":"/a","env":{}}"#, r#"{"id":"/a","env":{}}"#);
        check(
            r#"{"env": {"A":"x\"y\\","B":{"secret":"s"}}, "cmd":"env"}"#,
            r#"{"env": {"A":"(hidden)","B":{"secret":"(hidden)"}}, "cmd":"env"}"#,
        );
        check(
            r#"[{"x":{"env":{"a":["p","q"],"env":{"b":"c"}},"environment":"e"},"y":"env"}]"#,
            r#"[{"x":{"env":{"a":["(hidden)","(hidden)"],"env":{"b":"(hidden)"}},"environment":"e"},"y":"env"}]"#,
        );
        check(r#"{"env":"A=b","e":"f"}"#, r#"{"env":"(hidden)","e":"f"}"#);
        check(
            r#"{"env":null,"e":"f","env2":{"g":"h"}}"#,
            r#"{"env":null,"e":"f","env2":{"g":"h"}}"#,
        );
        check(
            "event: a\ndata: {\"app\":{\"env\":{\"K\":\"v\"}}}\n\nevent: b\ndata: {\"k\":\"v\"}\n\n",
            "event: a\ndata: {\"app\":{\"env\":{\"K\":\"(hidden)\"}}}\n\nevent: b\ndata: {\"k\":\"v\"}\n\n",
        );
    }
}
