//! Commands inside a running task: an upgraded connection that carries frames.
//!
//! The session ends with the command, when the client goes away, with the credential it was opened
//! with, or after a minute without any frame from the client. For browsers, `socket` carries the same
//! over a WebSocket, in sessions that outlive their connection for a while (`output`).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    time::{Instant, interval, timeout},
};

use super::{
    context::Api,
    frames::{FRAME_BYTES_MAX, PROTOCOL, channel, frame, read_frame},
    tasks,
};
use crate::{
    control::links::{Session, SessionOutput},
    http::{Call, Response, auth::Lease, error::ApiError, reply},
    model::{
        container::Command,
        link::{Channel, Question},
    },
};

mod output;
mod socket;

pub use socket::exec as exec_socket;

/// The server's ping, and how long it waits for any sign of the client.
const PING: Duration = Duration::from_secs(10);
const CLIENT_SILENT_MAX: Duration = Duration::from_secs(60);
/// How long a client may take none of our bytes.
const WRITE_MAX: Duration = Duration::from_secs(60);
/// Longest command line: what Linux takes for all arguments on common machines.
const CMD_BYTES_MAX: usize = 128 << 10;

/// `ExecRequest` of the contract.
#[derive(Debug, Deserialize)]
struct ExecRequest {
    cmd: Vec<String>,
    #[serde(default)]
    tty: bool,
    #[serde(default = "yes")]
    stdin: bool,
    rows: Option<u16>,
    cols: Option<u16>,
}

fn yes() -> bool {
    true
}

impl ExecRequest {
    /// The terminal's size, if there is to be one.
    fn size(&self) -> Option<(u16, u16)> {
        self.rows.zip(self.cols).filter(|_| self.tty)
    }
}

/// `{"rows":24,"cols":80}`.
#[derive(Debug, Deserialize)]
struct Size {
    rows: u16,
    cols: u16,
}

pub async fn exec(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    let asked: ExecRequest = call.json().await?;
    let upgrade = upgrade(&mut call)?;
    let size = asked.size();
    let session = start(&api, call.principal.uid(), call.param("id"), asked).await?;
    let lease = call.parts.extensions.remove::<Lease>();
    api.streams.connection("exec", async move {
        // The session goes no further than the credential it was opened with.
        tokio::select! {
            () = serve(upgrade, session, size) => {}
            () = ended(lease) => {}
        }
    });
    let response = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let response = reply::with_header(response, header::CONNECTION, "Upgrade");
    Ok(reply::with_header(response, header::UPGRADE, PROTOCOL))
}

/// Resolves when the credential of a session counts no more; one without any never ends so.
async fn ended(lease: Option<Lease>) {
    match lease {
        Some(lease) => lease.ended().await,
        None => std::future::pending().await,
    }
}

/// Has the agent of a running task start a command.
async fn start(api: &Api, uid: &str, task: &str, asked: ExecRequest) -> Result<Session, ApiError> {
    if asked.cmd.is_empty() || asked.cmd.iter().map(String::len).sum::<usize>() > CMD_BYTES_MAX {
        return Err(ApiError::invalid("cmd", "must hold a program and be at most 128 KiB long"));
    }
    let found = tasks::locate(&api.state(), task)?;
    let node = found.node.clone().filter(|_| found.running).ok_or_else(|| {
        ApiError::new(
            StatusCode::CONFLICT,
            "not_running",
            format!("{} is not running", found.instance),
        )
        .hint("GET /tepui/v1/tasks shows which tasks run")
    })?;
    tracing::info!(
        target: "audit", uid, instance = %found.instance, cmd = ?asked.cmd, "exec"
    );
    let question = Question::Exec {
        instance: found.instance,
        container: found.container,
        command: Command::Args(asked.cmd),
        tty: asked.tty,
        stdin: asked.stdin,
    };
    Ok(api.cluster.exec(&node, question).await?)
}

/// The connection to take over, when the request asks for our protocol.
fn upgrade(call: &mut Call) -> Result<OnUpgrade, ApiError> {
    let asked = call.header(header::UPGRADE).is_some_and(|v| v.eq_ignore_ascii_case(PROTOCOL));
    let upgrade = call.parts.extensions.remove::<OnUpgrade>().filter(|_| asked);
    upgrade.ok_or_else(|| {
        let message = "this needs the headers Connection: Upgrade and Upgrade: tepui-exec";
        ApiError::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message)
    })
}

async fn serve(upgrade: OnUpgrade, session: Session, size: Option<(u16, u16)>) {
    if let Some((rows, cols)) = size {
        session.input.send((Channel::Resize, size_bytes(rows, cols))).await.ok();
    }
    match upgrade.await {
        Ok(io) => pump(TokioIo::new(io), session).await,
        Err(error) => tracing::debug!(%error, "exec client left before the session began"),
    }
}

/// Carries frames both ways until one side ends.
pub async fn pump<Io: AsyncRead + AsyncWrite + Send>(io: Io, session: Session) {
    let (mut from_client, mut to_client) = tokio::io::split(io);
    let Session { input, mut output } = session;
    let (pongs, mut pong_queue) = mpsc::channel::<Bytes>(4);
    let heard = parking_lot::Mutex::new(Instant::now());
    let reading = async {
        while let Ok(Some((channel, payload))) = read_frame(&mut from_client).await {
            *heard.lock() = Instant::now();
            let piece = match channel {
                channel::STDIN => (Channel::Stdin, payload.into()),
                channel::RESIZE => match serde_json::from_slice::<Size>(&payload) {
                    Ok(size) => (Channel::Resize, size_bytes(size.rows, size.cols)),
                    Err(_) => continue,
                },
                channel::PING => {
                    pongs.try_send(payload).ok(); // a client that floods gets fewer pongs
                    continue;
                }
                _ => continue, // pongs, and what later versions may add
            };
            if input.send(piece).await.is_err() {
                // The command has ended; its last output is still being written.
                std::future::pending::<()>().await;
            }
        }
    };
    let writing = async {
        let mut ping = interval(PING);
        loop {
            let frame = tokio::select! {
                piece = output.recv() => match piece {
                    Some(SessionOutput::Data(channel, bytes)) => data_frames(channel, &bytes),
                    Some(SessionOutput::End(code)) => return (to_client, end_frame(code)),
                    None => return (to_client, end_frame(None)),
                },
                Some(payload) = pong_queue.recv() => frame(channel::PONG, &payload),
                _ = ping.tick() => {
                    if heard.lock().elapsed() > CLIENT_SILENT_MAX {
                        return (to_client, Bytes::new());
                    }
                    frame(channel::PING, b"")
                }
            };
            match timeout(WRITE_MAX, to_client.write_all(&frame)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return (to_client, Bytes::new()),
            }
        }
    };
    tokio::select! {
        () = reading => {}
        (mut to_client, last) = writing => {
            let end = async {
                to_client.write_all(&last).await?;
                to_client.shutdown().await
            };
            timeout(WRITE_MAX, end).await.ok();
        }
    }
}

fn data_frames(channel: Channel, bytes: &[u8]) -> Bytes {
    let number = match channel {
        Channel::Stderr => channel::STDERR,
        Channel::Stdout | Channel::Stdin | Channel::Resize => channel::STDOUT,
    };
    let frames: Vec<Bytes> = bytes.chunks(FRAME_BYTES_MAX).map(|c| frame(number, c)).collect();
    frames.concat().into()
}

fn end_frame(code: Option<i32>) -> Bytes {
    frame(channel::END, end_text(code).as_bytes())
}

/// What the end of a session says; without a code it broke off.
fn end_text(code: Option<i32>) -> String {
    match code {
        Some(code) => format!(r#"{{"exit_code":{code}}}"#),
        None => r#"{"error":{"code":"agent_unreachable","message":"the session broke off before the command ended"}}"#.to_owned(),
    }
}

fn size_bytes(rows: u16, cols: u16) -> Vec<u8> {
    let ([a, b], [c, d]) = (rows.to_le_bytes(), cols.to_le_bytes());
    vec![a, b, c, d]
}
