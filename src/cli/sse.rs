//! Reading a stream of server-sent events.

use hyper::body::Incoming;

use super::{client::next_piece, error::Outcome};

/// Longest single event: one megabyte of log, escaped.
const EVENT_BYTES_MAX: usize = 8 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: String,
}

/// The events of one answer.
pub struct Events {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Events {
    pub fn new(body: Incoming) -> Self {
        Self { body, buffer: Vec::new() }
    }

    /// The next event; `None` when the server ends the stream.
    pub async fn next(&mut self) -> Outcome<Option<Event>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\n\n") {
                let rest = self.buffer.split_off(end + 2);
                let text = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some(parse(&String::from_utf8_lossy(&text))));
            }
            if self.buffer.len() > EVENT_BYTES_MAX {
                return Err(super::error::CliError::failure("an event of the stream is too long"));
            }
            match next_piece(&mut self.body).await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|w| w == wanted)
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "id" => value.clone_into(&mut event.id),
            "data" => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(value);
            }
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_parsed_line_by_line() {
        let event = parse("event: data\nid: 7\ndata: a\ndata: b\n\n");
        assert_eq!(event, Event { name: "data".into(), id: "7".into(), data: "a\nb".into() });
        assert_eq!(parse(":\n\n"), Event::default());
    }
}
