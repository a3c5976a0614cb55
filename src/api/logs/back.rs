//! One output stream of one attempt, read backwards from a moment on, within a budget.

use super::{
    line::{Found, LINE_BYTES_MAX, Line, PIECE_BYTES, STREAM_MAX, Step, Wanted},
    reader::{Reader, Source},
};
use crate::{api::context::Api, http::error::ApiError};

/// The newest lines of a stream that are wanted.
pub async fn search(api: &Api, source: &Source, wanted: &Wanted) -> Found {
    let mut found = Found::default();
    let reading = async {
        for (part, name) in
            [source.stream.to_owned(), format!("{}.1", source.stream)].into_iter().enumerate()
        {
            match search_file(api, source, wanted, name, part == 0, &mut found).await {
                Ok(Step::On) => {}
                Ok(Step::Enough) => return Ok(()),
                // A stream without an older part is a whole one.
                Err(error) if part > 0 && error.status() == http::StatusCode::NOT_FOUND => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    let ended = tokio::time::timeout(STREAM_MAX, reading).await;
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.status() == http::StatusCode::NOT_FOUND => {
            found.cut = Some("not_kept");
        }
        Ok(Err(_)) => found.cut = Some("unreachable"),
        Err(_) => {
            found.cut = Some("time");
            found.until = found.lines.last().and_then(|line| line.at).or(wanted.before);
        }
    }
    found
}

async fn search_file(
    api: &Api,
    source: &Source,
    wanted: &Wanted,
    name: String,
    is_newest: bool,
    found: &mut Found,
) -> Result<Step, ApiError> {
    let mut reader = Reader::new(api, source, name);
    let size = reader.bytes(0, 0).await?.size;
    if is_newest {
        found.next_offset = size;
    }
    reader.more_times(true).await?;
    let mut high = reader.end(size, wanted.before).await?;
    // What ends a running task's file may still be written on.
    let may_grow = is_newest && high == size && !source.task.ended;
    // The beginning of a line whose rest is in the piece that was read before.
    let mut rest: Vec<u8> = Vec::new();
    let mut is_rest_open = false;
    while high > 0 {
        if found.searched_bytes >= wanted.bytes_max {
            found.cut = Some("bytes");
            found.until = reader.time_of(high).await?;
            return Ok(Step::Enough);
        }
        let low = high.saturating_sub(PIECE_BYTES);
        let piece = reader.bytes(low, high - low).await?;
        found.searched_bytes += piece.bytes.len() as u64;
        let mut bytes = piece.bytes;
        bytes.truncate(usize::try_from(high - low).unwrap_or(usize::MAX));
        is_rest_open |= may_grow && high == size && !bytes.ends_with(b"\n");
        bytes.append(&mut rest);
        // The first line of the piece may have begun before it.
        let first = if low == 0 {
            0
        } else {
            bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1)
        };
        for (at, line) in lines_backwards(&bytes, first) {
            let offset = low + at as u64;
            let partial = std::mem::take(&mut is_rest_open);
            if partial {
                found.next_offset = offset;
            }
            if take(&mut reader, wanted, found, (offset, partial), line).await? == Step::Enough {
                return Ok(Step::Enough);
            }
        }
        bytes.truncate(first);
        // Of a long line only its beginning is told.
        bytes.truncate(LINE_BYTES_MAX + 1);
        rest = bytes;
        high = low;
    }
    Ok(Step::On)
}

/// Looks at one line.
async fn take(
    reader: &mut Reader<'_>,
    wanted: &Wanted,
    found: &mut Found,
    (offset, partial): (u64, bool),
    line: &[u8],
) -> Result<Step, ApiError> {
    let at = reader.time_of(offset).await?;
    if at.zip(wanted.since).is_some_and(|(at, since)| at < since) {
        return Ok(Step::Enough);
    }
    if found.is_full(wanted.lines_max, at) {
        found.until = found.lines.last().and_then(|line| line.at);
        found.cut = Some("lines");
        return Ok(Step::Enough);
    }
    let line = Line { partial, ..Line::new(at, offset, line) };
    if wanted.matches(&line.text) {
        found.lines.push(line);
    }
    Ok(Step::On)
}

/// The lines of `bytes[from..]` with their places, the last one first. A break at the very end ends a
/// line and begins none.
fn lines_backwards(bytes: &[u8], from: usize) -> Vec<(usize, &[u8])> {
    let mut lines = Vec::new();
    let mut at = from;
    for line in bytes[from..].split_inclusive(|byte| *byte == b'\n') {
        lines.push((at, line));
        at += line.len();
    }
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_last_first_with_their_places() {
        let cut = |text: &'static str, from| lines_backwards(text.as_bytes(), from);
        assert_eq!(cut("a\nbc\n", 0), [(2, &b"bc\n"[..]), (0, b"a\n")]);
        assert_eq!(cut("a\n\nbc", 0), [(3, &b"bc"[..]), (2, b"\n"), (0, b"a\n")]);
        assert_eq!(cut("ends\nb\r\n", 5), [(5, &b"b\r\n"[..])]);
        assert_eq!(cut("", 0), []);
    }
}
