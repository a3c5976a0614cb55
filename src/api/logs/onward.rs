//! One output stream of one attempt, read from a moment on, oldest lines first, within a budget.

use super::{
    line::{Found, Line, PIECE_BYTES, STREAM_MAX, Step, Wanted},
    reader::{Reader, Source},
};
use crate::{api::context::Api, http::error::ApiError};

/// The oldest lines of a stream that are wanted from `after` on.
pub async fn search(api: &Api, source: &Source, wanted: &Wanted, after: i64) -> Found {
    let mut found = Found::default();
    let reading = async {
        let mut n_missing = 0;
        for name in [format!("{}.1", source.stream), source.stream.to_owned()] {
            match search_file(api, source, wanted, (name, after), &mut found).await {
                Ok(Step::On) => {}
                Ok(Step::Enough) => return Ok(()),
                // A stream without an older part is a whole one.
                Err(error) if error.status() == http::StatusCode::NOT_FOUND => n_missing += 1,
                Err(error) => return Err(error),
            }
        }
        if n_missing == 2 {
            found.cut = Some("not_kept");
        }
        Ok(())
    };
    match tokio::time::timeout(STREAM_MAX, reading).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => found.cut = Some("unreachable"),
        Err(_) => {
            found.cut = Some("time");
            // The moment of the last line may not be whole.
            found.until = Some(found.lines.last().and_then(|line| line.at).unwrap_or(after));
        }
    }
    // A search that stands still would be asked for again for ever.
    found.until = found.until.map(|until| until.max(after + 1));
    found
}

async fn search_file(
    api: &Api,
    source: &Source,
    wanted: &Wanted,
    (name, after): (String, i64),
    found: &mut Found,
) -> Result<Step, ApiError> {
    let mut reader = Reader::new(api, source, name);
    let size = reader.bytes(0, 0).await?.size;
    reader.more_times(true).await?;
    let Some(mut at) = reader.start(after).await? else { return Ok(Step::On) };
    // A line that goes on in the next piece, and where it began.
    let (mut rest, mut begun): (Vec<u8>, u64) = (Vec::new(), at);
    while at < size {
        if found.searched_bytes >= wanted.bytes_max {
            found.cut = Some("bytes");
            found.until = reader.time_of(begun).await?;
            return Ok(Step::Enough);
        }
        let piece = reader.bytes(at, PIECE_BYTES.min(size - at)).await?;
        if piece.bytes.is_empty() {
            break;
        }
        found.searched_bytes += piece.bytes.len() as u64;
        at += piece.bytes.len() as u64;
        for part in piece.bytes.split_inclusive(|byte| *byte == b'\n') {
            rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                if take(&mut reader, wanted, found, begun, &rest).await? == Step::Enough {
                    return Ok(Step::Enough);
                }
                begun += rest.len() as u64;
                rest.clear();
            }
        }
    }
    if rest.is_empty() {
        return Ok(Step::On);
    }
    take(&mut reader, wanted, found, begun, &rest).await
}

/// Looks at one line.
async fn take(
    reader: &mut Reader<'_>,
    wanted: &Wanted,
    found: &mut Found,
    offset: u64,
    line: &[u8],
) -> Result<Step, ApiError> {
    let at = reader.time_of(offset).await?;
    if at.zip(wanted.before).is_some_and(|(at, before)| at >= before) {
        return Ok(Step::Enough);
    }
    if found.is_full(wanted.lines_max, at) {
        found.until = at;
        found.cut = Some("lines");
        return Ok(Step::Enough);
    }
    let line = Line::new(at, offset, line);
    if wanted.matches(&line.text) {
        found.lines.push(line);
    }
    Ok(Step::On)
}
