//! Sandboxes: folders, files, downloads, and pieces of files as text.
//!
//! The bytes live on the task's agent; every read is a question over the agent's link, bounded in
//! size, and answered by an error within the link's own deadline when the agent is gone.

mod search;

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::{
    context::Api,
    tasks,
    view::{Iso, instance::Located},
};
use crate::{
    base::limit,
    http::{Call, Response, download, error::ApiError, query::Query, reply},
    model::link::{self, Answer, Question},
};

pub use search::search;

/// `LogChunk` of the contract.
#[derive(Debug, PartialEq, Serialize)]
pub struct LogChunk {
    pub offset: u64,
    pub next_offset: u64,
    pub data: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub eof: bool,
}

#[derive(Serialize)]
struct Folder {
    path: String,
    entries: Vec<Entry>,
}

/// `FileEntry` of the contract.
#[derive(Serialize)]
struct Entry {
    name: String,
    path: String,
    directory: bool,
    size_bytes: u64,
    mode: String,
    uid: String,
    gid: String,
    modified_at: Iso,
}

pub async fn files(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let found = tasks::find(&api, call.param("id")).await?;
    let query = call.query();
    let path = relative(query.get("path").unwrap_or_default())?;
    if query.flag("download") {
        return whole(&api, found, path).await;
    }
    let question = Question::ListFiles {
        instance: found.instance.clone(),
        incarnation: found.incarnation,
        path: path.clone(),
    };
    let Answer::Files(entries) = ask(&api, &found, question).await? else {
        return Err(another_answer());
    };
    let mut entries: Vec<Entry> = entries.into_iter().map(entry).collect();
    entries.sort_by(|a, b| b.directory.cmp(&a.directory).then_with(|| a.name.cmp(&b.name)));
    Ok(reply::json(StatusCode::OK, &Folder { path, entries }))
}

/// Bytes of a file as the agent has them.
#[derive(Debug)]
pub struct Piece {
    pub offset: u64,
    /// The file's present length.
    pub size: u64,
    pub bytes: Vec<u8>,
}

/// Reads up to `bytes_max` bytes from `offset` (negative: from the end).
pub async fn read(
    api: &Api,
    task: &Located,
    path: &str,
    offset: i64,
    bytes_max: u32,
) -> Result<Piece, ApiError> {
    let question = Question::ReadFile {
        instance: task.instance.clone(),
        incarnation: task.incarnation,
        path: path.to_owned(),
        offset: Some(offset),
        bytes_max,
    };
    match ask(api, task, question).await? {
        Answer::File { offset, size, bytes } => Ok(Piece { offset, size, bytes }),
        Answer::Files(_) | Answer::Started | Answer::Usage(_) | Answer::Searched { .. } => {
            Err(another_answer())
        }
    }
}

fn another_answer() -> ApiError {
    ApiError::internal("the agent answered another question than the one asked")
}

/// A piece as text. It ends at a character's end; an incomplete character at the end of the piece
/// is left for the next one, unless `all` says that there is none.
pub fn chunk(piece: &Piece, all: bool) -> LogChunk {
    let mut n_used = piece.bytes.len();
    let eof = piece.offset + n_used as u64 >= piece.size;
    if !(all && eof) {
        n_used -= incomplete_tail(&piece.bytes);
    }
    LogChunk {
        offset: piece.offset,
        next_offset: piece.offset + n_used as u64,
        data: String::from_utf8_lossy(&piece.bytes[..n_used]).into_owned(),
        eof,
    }
}

/// How many bytes at the end belong to a UTF-8 character that has not ended.
fn incomplete_tail(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let wanted = match byte {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        // A lone start byte with nothing before it must still move on.
        return if wanted > back && back < bytes.len() { back } else { 0 };
    }
    0
}

/// Sends a whole file, piece by piece, as long as it was when the download began.
async fn whole(api: &Arc<Api>, task: Located, path: String) -> Result<Response, ApiError> {
    const PIECE_BYTES: u32 = limit::FILE_READ_BYTES_MAX as u32;
    let first = read(api, &task, &path, 0, PIECE_BYTES).await?;
    let name = shown_name(&task, &path);
    let from = Arc::new((api.clone(), task, path));
    let next = move |offset: u64| {
        let from = from.clone();
        async move {
            let (api, task, path) = &*from;
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            Some(read(api, task, path, offset, PIECE_BYTES).await.ok()?.bytes)
        }
    };
    Ok(download::response(&api.tasks, &name, first.size, first.bytes, next))
}

/// What a file is called where it is saved. Every instance has its output under the same name: there it
/// is named after the instance, and the attempt where one was asked for.
fn shown_name(task: &Located, path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or("file");
    if !matches!(name, "stdout" | "stderr" | "stdout.1" | "stderr.1") {
        return name.to_owned();
    }
    let id = task.instance.as_str();
    let short = match id.rsplit_once("instance-") {
        Some((app, uuid)) => format!("{app}{}", uuid.get(..8).unwrap_or(uuid)),
        None => id.to_owned(),
    };
    let attempt = task.incarnation.map(|number| format!(".{number}")).unwrap_or_default();
    format!("{short}{attempt}-{name}.log")
}

/// Asks the task's agent.
pub async fn ask(api: &Api, task: &Located, question: Question) -> Result<Answer, ApiError> {
    let node = task.node.as_ref().ok_or_else(|| {
        ApiError::not_found(format!("a sandbox of {}", task.instance))
            .hint("the task has no node yet; GET /tepui/v1/apps/{id}/why says what it waits for")
    })?;
    Ok(api.cluster.ask(node, question).await?)
}

fn entry(file: link::FileEntry) -> Entry {
    let name = file.path.rsplit('/').next().unwrap_or_default().to_owned();
    Entry {
        name,
        directory: file.is_dir,
        size_bytes: file.bytes,
        mode: file.mode_text(),
        uid: file.uid.to_string(),
        gid: file.gid.to_string(),
        modified_at: Iso(file.modified_at),
        path: file.path,
    }
}

/// A path inside the sandbox; ways out of it do not exist (the agent checks links again).
pub fn relative(path: &str) -> Result<String, ApiError> {
    let path = path.trim_matches('/');
    if path.split('/').any(|part| part == "..") || path.contains('\0') {
        return Err(ApiError::not_found(format!("file {path}")));
    }
    Ok(path.to_owned())
}

/// A whole number of the query, if it is there.
pub fn number(query: &Query, name: &'static str) -> Result<Option<i64>, ApiError> {
    query.get(name).filter(|text| !text.is_empty()).map_or(Ok(None), |text| {
        text.parse()
            .map(Some)
            .map_err(|_| ApiError::invalid(name, format!("{text:?} is not a whole number")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8], size: u64) -> (String, u64) {
        let chunk = chunk(&Piece { offset: 10, size, bytes: bytes.to_vec() }, false);
        (chunk.data, chunk.next_offset)
    }

    #[test]
    fn chunks_end_at_characters() {
        assert_eq!(cut(b"abc", 99), ("abc".into(), 13));
        assert_eq!(cut("aü".as_bytes(), 99), ("aü".into(), 13));
        assert_eq!(cut(&"aü".as_bytes()[..2], 99), ("a".into(), 11));
        assert_eq!(cut(&"a😀".as_bytes()[..4], 99), ("a".into(), 11));
        assert_eq!(cut(b"a\xff", 99), ("a\u{fffd}".into(), 12));
        assert_eq!(cut(b"\xf0", 99), ("\u{fffd}".into(), 11), "must move on");
        let last = chunk(&Piece { offset: 0, size: 2, bytes: vec![b'a', 0xF0] }, true);
        assert_eq!((last.data.as_str(), last.next_offset, last.eof), ("a\u{fffd}", 2, true));
    }

    #[test]
    fn output_is_saved_under_its_instance() {
        let task = Located {
            instance: crate::model::InstanceId::new("shop_web.instance-0123456789ab"),
            incarnation: Some(3),
            container: String::new(),
            node: None,
            running: true,
            ended: false,
        };
        for (path, wanted) in [
            ("stdout", "shop_web.01234567.3-stdout.log"),
            ("sidecar/stderr.1", "shop_web.01234567.3-stderr.1.log"),
            ("etc/stdout.conf", "stdout.conf"),
        ] {
            assert_eq!(shown_name(&task, path), wanted);
        }
        let any = Located { incarnation: None, ..task };
        assert_eq!(shown_name(&any, "stdout"), "shop_web.01234567-stdout.log");
    }

    #[test]
    fn no_path_leads_out() {
        assert_eq!(relative("/a/b/").unwrap(), "a/b");
        assert!(relative("a/../../etc/passwd").is_err());
    }

    #[test]
    fn pieces_put_together_are_the_file() {
        let text = "aü€😀\u{7ff}\u{ffff}z".repeat(3);
        for bytes_max in 4..9 {
            let (mut offset, mut read) = (0, String::new());
            loop {
                let from = usize::try_from(offset).unwrap();
                let end = text.len().min(from + bytes_max);
                let (size, bytes) = (text.len() as u64, text.as_bytes()[from..end].to_vec());
                let chunk = chunk(&Piece { offset, size, bytes }, false);
                assert!(chunk.next_offset > offset || chunk.eof, "{bytes_max}: it goes on");
                read.push_str(&chunk.data);
                offset = chunk.next_offset;
                if chunk.eof {
                    break;
                }
            }
            assert_eq!(read, text, "in pieces of {bytes_max}");
        }
    }

    #[test]
    fn numbers_of_a_query_are_whole() {
        let of = |text: &str| number(&Query::parse(text), "offset").ok();
        for (text, wanted) in [
            ("", Some(None)),
            ("offset=", Some(None)),
            ("offset=0", Some(Some(0))),
            ("offset=-100", Some(Some(-100))),
            ("offset=1.5", None),
            ("offset=x", None),
            ("offset=99999999999999999999", None),
        ] {
            assert_eq!(of(text), wanted, "{text}");
        }
    }
}
