//! Files as downloads: the bytes come from somewhere else, piece by piece, at the reader's pace.

use http::{StatusCode, header};

use super::{Response, reply, stream};
use crate::base::task::Tasks;

/// A file of `size` bytes named `name` as an attachment. `first` are its first bytes, `next` reads
/// more from a position; it is asked as fast as the reader takes, and no more than `size` bytes are
/// sent. Where it answers nothing the body ends short of its length, which the reader sees as a
/// broken download.
pub fn response<F, R>(tasks: &Tasks, name: &str, size: u64, first: Vec<u8>, mut next: F) -> Response
where
    F: FnMut(u64) -> R + Send + 'static,
    R: Future<Output = Option<Vec<u8>>> + Send,
{
    let (sender, body) = stream::channel(2);
    tasks.connection("download", async move {
        let (mut sent, mut piece) = (0, first);
        while !piece.is_empty() && sent < size {
            piece.truncate(usize::try_from(size - sent).unwrap_or(usize::MAX));
            sent += piece.len() as u64;
            if sender.send_waiting(piece.into()).await.is_err() || sent >= size {
                return;
            }
            let Some(more) = next(sent).await else { return };
            piece = more;
        }
    });
    let mut response = reply::empty(StatusCode::OK);
    *response.body_mut() = body;
    let shown: String = name
        .chars()
        .map(|c| if c.is_control() || matches!(c, '"' | '\\') { '_' } else { c })
        .collect();
    for (header, value) in [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{shown}\"")),
        (header::CONTENT_LENGTH, size.to_string()),
    ] {
        // Bytes beyond ASCII go as they are: browsers read them as UTF-8.
        if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
            response.headers_mut().insert(header, value);
        }
    }
    response
}
