//! The output of a task: a piece of a file, or its end followed as a stream of events.
//!
//! While one is followed, the agent is asked again whenever the file may have grown: at once while
//! bytes keep coming, else after a pause that is short at first and grows while nothing comes. The
//! reader's pace holds the asking back; nothing is buffered beyond two chunks.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tokio::time::{Instant, sleep};

use super::{
    context::Api,
    files::{self, Piece},
    tasks,
    view::instance::{Located, locate},
};
use crate::{
    base::limit,
    http::{
        Call, Response,
        error::ApiError,
        reply,
        stream::{self, LAST_EVENT_ID},
    },
};

/// Bytes of one chunk unless the caller asks for another number.
const CHUNK_BYTES: u32 = 64 << 10;
const PIECE_BYTES: u32 = 256 << 10;
/// First and longest pause between two questions to the agent while nothing new comes.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How often a silent stream shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long an agent may be out of reach before the stream is given up.
const AGENT_GONE_MAX: Duration = Duration::from_secs(30);

pub async fn log(api: Arc<Api>, call: Call) -> Result<Response, ApiError> {
    let found = tasks::find(&api, call.param("id")).await?;
    let query = call.query();
    let file = files::relative(query.get("file").unwrap_or("stdout"))?;
    let path = of_container(&found, file);
    let offset = files::number(&query, "offset")?.unwrap_or(0);
    if query.flag("follow") {
        let resume = call.header(LAST_EVENT_ID).and_then(|id| id.parse::<i64>().ok());
        return follow(&api, found, path, resume.unwrap_or(offset)).await;
    }
    let max = limit::FILE_READ_BYTES_MAX as i64;
    let wanted = files::number(&query, "limit")?.unwrap_or(i64::from(CHUNK_BYTES)).clamp(1, max);
    let piece =
        files::read(&api, &found, &path, offset, u32::try_from(wanted).unwrap_or(CHUNK_BYTES));
    Ok(reply::json(StatusCode::OK, &files::chunk(&piece.await?, true)))
}

/// Where a file of a task is in its instance's sandbox: a pod's containers have a directory each.
fn of_container(task: &Located, file: String) -> String {
    let container = &task.container;
    let is_inside = file.split('/').next() == Some(container);
    if container.is_empty() || is_inside { file } else { format!("{container}/{file}") }
}

/// Streams `path` from `offset` (negative: from the end). Fails before the stream begins when the
/// file cannot be read.
async fn follow(
    api: &Arc<Api>,
    task: Located,
    path: String,
    offset: i64,
) -> Result<Response, ApiError> {
    let slot = api.live.follower_slot()?;
    let first = files::read(api, &task, &path, offset, PIECE_BYTES).await?;
    let (sender, body) = stream::channel(2);
    let follower = Follower { api: api.clone(), task, path, sender };
    api.streams.connection("log follow", async move {
        let _slot = slot;
        follower.run(first).await;
    });
    Ok(stream::response(body))
}

struct Follower {
    api: Arc<Api>,
    task: Located,
    path: String,
    sender: stream::Sender,
}

impl Follower {
    async fn run(self, first: Piece) {
        let (mut piece, mut pause) = (first, PAUSE);
        let mut told_at = Instant::now();
        let mut heard_at = Instant::now();
        loop {
            // Looked at before the next read: what is empty after that stays empty.
            let ended = self.ended();
            let chunk = files::chunk(&piece, ended);
            let grew = chunk.next_offset > chunk.offset;
            let next = chunk.next_offset;
            if grew {
                let id = next.to_string();
                let Ok(data) = serde_json::to_string(&chunk) else { return };
                if self
                    .sender
                    .send_in_time(stream::event(Some("data"), Some(&id), &data))
                    .await
                    .is_err()
                {
                    return;
                }
                (told_at, pause) = (Instant::now(), PAUSE);
            } else if ended && piece.bytes.is_empty() {
                let end = stream::event(Some("end"), None, r#"{"reason":"task_ended"}"#);
                self.sender.send_in_time(end).await.ok();
                return;
            } else {
                if told_at.elapsed() >= HEARTBEAT {
                    let beat = stream::event(Some("heartbeat"), None, "{}");
                    if self.sender.send_in_time(beat).await.is_err() {
                        return;
                    }
                    told_at = Instant::now();
                }
                tokio::select! {
                    () = self.sender.closed() => return,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
            match self.read(next).await {
                Ok(next) => (piece, heard_at) = (next, Instant::now()),
                Err(_) if heard_at.elapsed() < AGENT_GONE_MAX => {
                    let size = piece.size;
                    piece = Piece { offset: next, size, bytes: Vec::new() };
                }
                Err(_) => return, // the client connects again from its last offset
            }
        }
    }

    async fn read(&self, from: u64) -> Result<Piece, ApiError> {
        let offset = i64::try_from(from).unwrap_or(i64::MAX);
        let piece = files::read(&self.api, &self.task, &self.path, offset, PIECE_BYTES).await?;
        if piece.size < from {
            // The file was cut (a task may do that to its own files): begin anew.
            return files::read(&self.api, &self.task, &self.path, 0, PIECE_BYTES).await;
        }
        Ok(piece)
    }

    /// Whether the followed incarnation has ended, by the newest state.
    fn ended(&self) -> bool {
        let state = self.api.state();
        let Some(incarnation) = self.task.incarnation else {
            // An instance as such ends when it is forgotten; its next incarnation is followed on.
            return locate(&state, self.task.instance.as_str()).is_none_or(|t| t.ended);
        };
        let name = if self.task.container.is_empty() { "_app" } else { &self.task.container };
        let id = format!("{}.{name}.{incarnation}", self.task.instance);
        locate(&state, &id).is_none_or(|t| t.ended)
    }
}
