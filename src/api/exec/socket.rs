//! Commands inside a task over a WebSocket, for browsers.
//!
//! Each message is a byte of channel and its payload, as in `frames`. The first one of the client opens
//! a session or takes one over again; a session whose connection was lost waits a minute for that,
//! and goes on at the byte its owner had last. Refusals after the handshake are last messages, since
//! a page never sees the status of a failed one.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use http::{StatusCode, header};
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, interval, timeout},
};
use tokio_tungstenite::tungstenite::{
    Error, Message, Utf8Bytes,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{
    ExecRequest, PING, Size, WRITE_MAX, end_text, ended,
    output::{Next, Output},
    size_bytes, start,
};
use crate::{
    api::{
        context::Api,
        frames::channel,
        sessions::{Attach, Place},
    },
    control::links::{Session, SessionOutput, SessionReader},
    http::{
        Call, RequestId, Response,
        auth::{Asked, Lease},
        error::ApiError,
        reply::{self, Reply as _},
        websocket::{self, Refused, Socket},
    },
    model::link::Channel,
};

/// The subprotocol, with its version.
pub const PROTOCOL: &str = "tepui-exec.v1";
/// Longest message of a client.
const MESSAGE_BYTES_MAX: usize = 160 << 10;
/// Longest piece of input: with as many as may wait, 1 MiB.
const INPUT_BYTES_MAX: usize = 16 << 10;
const INPUT_WAITING_MAX: usize = 64;
/// How long a client may take to say what it wants.
const OPEN_MAX: Duration = Duration::from_secs(10);
/// How long a client may be silent: browsers answer our pings by themselves.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// How long a session waits for its owner after a connection was lost.
const RESUME_MAX: Duration = Duration::from_secs(60);
/// How long a client may take to say good-bye.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Another connection took the session over.
const TAKEN_OVER: CloseCode = CloseCode::Library(4001);
/// The credential counts no more.
const CREDENTIAL_ENDED: CloseCode = CloseCode::Library(4003);

type Sink = SplitSink<Socket, Message>;
type Stream = SplitStream<Socket>;

/// Who is at the other end.
struct Caller {
    uid: Arc<str>,
    task: String,
    lease: Option<Lease>,
    request: RequestId,
}

/// The first message of a client: a command, or a session that it had.
#[derive(Deserialize)]
#[serde(untagged)]
enum Opening {
    Resume { session: String, from: Option<u64>, rows: Option<u16>, cols: Option<u16> },
    Start(ExecRequest),
}

pub async fn exec(api: Arc<Api>, mut call: Call) -> Result<Response, ApiError> {
    // Whatever the credential: no other site's page gets a terminal.
    if Asked::from(&call.parts).is_foreign() {
        return Err(ApiError::forbidden("a page of another origin asks for a terminal"));
    }
    let (upgrade, response) = match websocket::accept(&mut call.parts, PROTOCOL) {
        Ok(accepted) => accepted,
        Err(refused) => return Ok(refusal(refused).reply_to(call.request_id())),
    };
    let caller = Caller {
        uid: call.principal.uid().into(),
        task: call.param("id").to_owned(),
        lease: call.parts.extensions.remove::<Lease>(),
        request: call.request_id(),
    };
    let streams = api.streams.clone();
    streams.connection("exec socket", async move { serve(api, caller, upgrade).await });
    Ok(response)
}

/// A request that is no handshake of ours.
struct Refusal(Refused, ApiError);

fn refusal(refused: Refused) -> Refusal {
    let (status, code) = match refused {
        Refused::Plain | Refused::Version => (StatusCode::UPGRADE_REQUIRED, "upgrade_required"),
        Refused::Key | Refused::Protocol => (StatusCode::BAD_REQUEST, "bad_request"),
    };
    let hint = format!("Upgrade: websocket, Sec-WebSocket-Protocol: {PROTOCOL}");
    Refusal(refused, ApiError::new(status, code, refused.to_string()).hint(hint))
}

impl Refusal {
    fn reply_to(self, request: RequestId) -> Response {
        let response = self.1.reply(request);
        match self.0 {
            Refused::Version => {
                reply::with_header(response, header::SEC_WEBSOCKET_VERSION, websocket::VERSION)
            }
            Refused::Plain | Refused::Key | Refused::Protocol => response,
        }
    }
}

/// Hears what a client wants, and does it.
async fn serve(api: Arc<Api>, caller: Caller, upgrade: OnUpgrade) {
    let mut socket = match websocket::open(upgrade, MESSAGE_BYTES_MAX).await {
        Ok(socket) => socket,
        Err(error) => return tracing::debug!(%error, "exec client left before the session began"),
    };
    let request = caller.request;
    let Ok(Some(opening)) = timeout(OPEN_MAX, opening(&mut socket)).await else {
        let text = "the first message must be {\"cmd\":[…]} or {\"session\":…} on channel 7";
        return refuse(socket, &ApiError::bad_request(text).to_json(request)).await;
    };
    match opening {
        Opening::Resume { session, from, rows, cols } => {
            match api.sessions.find(&session, &caller.uid, &caller.task) {
                Ok(way) => {
                    tracing::info!(
                        target: "audit", uid = &*caller.uid, task = caller.task, "exec resumed"
                    );
                    let (size, lease) = (rows.zip(cols), caller.lease);
                    // A session that ends at this moment drops the connection, like any lost one.
                    drop(way.send(Attach { socket, from, size, lease }).await);
                }
                Err(error) => refuse(socket, &error.to_json(request)).await,
            }
        }
        Opening::Start(asked) => {
            let size = asked.size();
            match begin(&api, &caller, asked).await {
                Ok((place, session)) => {
                    let lease = caller.lease;
                    run(place, session, Attach { socket, from: None, size, lease }).await;
                }
                Err(error) => refuse(socket, &error.to_json(request)).await,
            }
        }
    }
}

/// The client's first message; `None` when it is none of ours.
async fn opening(socket: &mut Socket) -> Option<Opening> {
    loop {
        match socket.next().await?.ok()? {
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Binary(bytes) => {
                let (channel, payload) = bytes.split_first()?;
                let opening = serde_json::from_slice(payload).ok()?;
                return (*channel == channel::OPEN).then_some(opening);
            }
            Message::Text(_) | Message::Close(_) | Message::Frame(_) => return None,
        }
    }
}

async fn begin(
    api: &Api,
    caller: &Caller,
    asked: ExecRequest,
) -> Result<(Place, Session), ApiError> {
    let place = api.sessions.place(&caller.uid, &caller.task)?;
    let session = start(api, &caller.uid, &caller.task, asked).await?;
    Ok((place, session))
}

/// Last words to a client that gets no session.
async fn refuse(mut socket: Socket, text: &str) {
    let last = async {
        socket.send(message(channel::END, text.as_bytes())).await?;
        socket.send(close(CloseCode::Normal)).await?;
        while socket.next().await.is_some() {}
        Ok::<_, Error>(())
    };
    drop(timeout(CLOSE_MAX, last).await);
}

fn message(channel: u8, payload: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(payload.len() + 1);
    bytes.extend_from_slice(&[channel]);
    bytes.extend_from_slice(payload);
    Message::Binary(bytes.freeze())
}

fn close(code: CloseCode) -> Message {
    Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::default() }))
}

/// What a session's parts share.
#[derive(Default)]
struct Shared {
    output: Mutex<Output>,
    /// There is more to send.
    more: Notify,
    /// There may be room for more.
    room: Notify,
}

/// How a connection ended.
enum Over {
    /// Its owner wants the session no more.
    Done,
    /// The command has ended, and its last words are sent.
    Told,
    /// The session waits for its owner.
    Lost(CloseCode),
    Taken(Box<Attach>),
    CredentialEnded,
}

/// Runs a session to its end, over one connection after another.
async fn run(mut place: Place, session: Session, first: Attach) {
    let shared = Shared::default();
    let Session { input, output } = session;
    let (pieces, mut waiting) = mpsc::channel(INPUT_WAITING_MAX);
    let feeding = async {
        while let Some(piece) = waiting.recv().await {
            if input.send(piece).await.is_err() {
                break; // the command has ended; its last output is still on its way
            }
        }
        waiting.close();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = connections(&mut place, &shared, &pieces, first) => {}
        () = fill(output, &shared) => {}
        () = feeding => {}
    }
}

/// Serves one connection after another, until the session is over or nobody comes back to it.
async fn connections(
    place: &mut Place,
    shared: &Shared,
    input: &mpsc::Sender<(Channel, Vec<u8>)>,
    first: Attach,
) {
    let mut next = Some(first);
    let mut lease = None;
    loop {
        let attach = match next.take() {
            Some(attach) => attach,
            None => tokio::select! {
                attach = timeout(RESUME_MAX, place.attaches.recv()) => match attach {
                    Ok(Some(attach)) => attach,
                    Ok(None) | Err(_) => return,
                },
                () = ended(lease.clone()) => return,
            },
        };
        lease.clone_from(&attach.lease);
        match connection(place, shared, input, attach).await {
            Over::Done | Over::Told | Over::CredentialEnded => return,
            Over::Lost(_) => {}
            Over::Taken(attach) => next = Some(*attach),
        }
    }
}

/// Takes output from the command as far as there is room for it. Never ends.
async fn fill(mut output: SessionReader, shared: &Shared) {
    loop {
        while !shared.output.lock().has_room() {
            shared.room.notified().await;
        }
        let last = match output.recv().await {
            Some(SessionOutput::Data(from, bytes)) => {
                let channel = match from {
                    Channel::Stderr => channel::STDERR,
                    Channel::Stdout | Channel::Stdin | Channel::Resize => channel::STDOUT,
                };
                shared.output.lock().push(channel, bytes.into());
                shared.more.notify_one();
                continue;
            }
            Some(SessionOutput::End(code)) => end_text(code),
            None => end_text(None),
        };
        shared.output.lock().finish(last);
        shared.more.notify_one();
        return std::future::pending().await;
    }
}

/// Carries messages both ways until the connection or the session ends.
async fn connection(
    place: &mut Place,
    shared: &Shared,
    input: &mpsc::Sender<(Channel, Vec<u8>)>,
    attach: Attach,
) -> Over {
    let Attach { socket, from, size, lease } = attach;
    let (mut sink, mut stream) = socket.split();
    if let Some((rows, cols)) = size {
        // A terminal of the wrong size still works.
        let _ = input.try_send((Channel::Resize, size_bytes(rows, cols)));
    }
    let from = shared.output.lock().resume(from);
    shared.room.notify_one();
    let hello = format!(
        r#"{{"session":"{}","from":{from},"resume_s":{}}}"#,
        place.id,
        RESUME_MAX.as_secs()
    );
    if !sent(&mut sink, message(channel::OPEN, hello.as_bytes())).await {
        return Over::Lost(CloseCode::Away);
    }
    let heard = Mutex::new(Instant::now());
    let (pongs, mut pong_queue) = mpsc::channel(4);
    let over = tokio::select! {
        over = hear(&mut stream, shared, input, &pongs, &heard) => over,
        over = tell(&mut sink, shared, &mut pong_queue, from, &heard) => over,
        Some(attach) = place.attaches.recv() => Over::Taken(Box::new(attach)),
        () = ended(lease) => Over::CredentialEnded,
    };
    let code = match &over {
        Over::Done | Over::Told => CloseCode::Normal,
        Over::Lost(code) => *code,
        Over::Taken(_) => TAKEN_OVER,
        Over::CredentialEnded => CREDENTIAL_ENDED,
    };
    let closing = timeout(CLOSE_MAX, async {
        // Refused where the client said good-bye first; then its answer is on the way out already.
        let _ = sink.send(close(code)).await;
        sink.close().await
    });
    let is_closing = matches!(closing.await, Ok(Ok(())));
    match over {
        // Whether the last words arrived is not known otherwise: they are kept for a while.
        Over::Told if !is_closing || !good_bye(&mut stream).await => Over::Lost(CloseCode::Normal),
        over => over,
    }
}

/// Whether the client answers our good-bye.
async fn good_bye(stream: &mut Stream) -> bool {
    let answer = async {
        loop {
            match stream.next().await {
                Some(Ok(Message::Close(_))) => return true,
                Some(Ok(_)) => {}
                Some(Err(Error::ConnectionClosed)) => return true,
                Some(Err(_)) | None => return false,
            }
        }
    };
    timeout(CLOSE_MAX, answer).await.unwrap_or(false)
}

/// Sends one message, if the client takes it in time.
async fn sent(sink: &mut Sink, message: Message) -> bool {
    matches!(timeout(WRITE_MAX, sink.send(message)).await, Ok(Ok(())))
}

/// Reads what the client says, until it leaves.
async fn hear(
    stream: &mut Stream,
    shared: &Shared,
    input: &mpsc::Sender<(Channel, Vec<u8>)>,
    pongs: &mpsc::Sender<Bytes>,
    heard: &Mutex<Instant>,
) -> Over {
    while let Some(next) = stream.next().await {
        *heard.lock() = Instant::now();
        let bytes = match next {
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => continue,
            Ok(Message::Text(_)) => return Over::Lost(CloseCode::Unsupported),
            // A page that is left or loaded anew says "away", and may come back.
            Ok(Message::Close(Some(close))) if close.code == CloseCode::Normal => {
                return Over::Done;
            }
            Ok(Message::Close(_)) => return Over::Lost(CloseCode::Normal),
            Err(Error::Capacity(_)) => return Over::Lost(CloseCode::Size),
            Err(_) => return Over::Lost(CloseCode::Protocol),
        };
        let Some((channel, payload)) = bytes.split_first() else { continue };
        let piece = match *channel {
            channel::STDIN if payload.len() > INPUT_BYTES_MAX => {
                return Over::Lost(CloseCode::Size);
            }
            channel::STDIN => (Channel::Stdin, payload.to_vec()),
            channel::RESIZE => match serde_json::from_slice::<Size>(payload) {
                Ok(size) => (Channel::Resize, size_bytes(size.rows, size.cols)),
                Err(_) => continue,
            },
            channel::PING => {
                // A client that floods gets fewer pongs.
                let _ = pongs.try_send(bytes.slice(1..));
                continue;
            }
            channel::RECEIVED => {
                if let Some(position) = payload.first_chunk().map(|n| u64::from_be_bytes(*n)) {
                    shared.output.lock().confirm(position);
                    shared.room.notify_one();
                }
                continue;
            }
            _ => continue, // what later versions may add
        };
        if timeout(WRITE_MAX, input.send(piece)).await.is_err() {
            // The command reads nothing: what waits for it is all there is room for.
            return Over::Lost(CloseCode::Again);
        }
    }
    Over::Lost(CloseCode::Away)
}

/// Sends the client the output from `position` on, and pings, until the last words.
async fn tell(
    sink: &mut Sink,
    shared: &Shared,
    pongs: &mut mpsc::Receiver<Bytes>,
    mut position: u64,
    heard: &Mutex<Instant>,
) -> Over {
    let mut ping = interval(PING);
    loop {
        let next = match shared.output.lock().next(position) {
            Next::Piece(channel, bytes) => {
                position += bytes.len() as u64;
                Some((message(channel, &bytes), false))
            }
            Next::End(last) => Some((message(channel::END, last.as_bytes()), true)),
            Next::Nothing => None,
        };
        let (message, is_last) = match next {
            Some(next) => next,
            None => tokio::select! {
                () = shared.more.notified() => continue,
                Some(payload) = pongs.recv() => (message(channel::PONG, &payload), false),
                _ = ping.tick() => {
                    if heard.lock().elapsed() > SILENT_MAX {
                        return Over::Lost(CloseCode::Away);
                    }
                    (Message::Ping(Bytes::new()), false)
                }
            },
        };
        if !sent(sink, message).await {
            return Over::Lost(CloseCode::Away);
        }
        if is_last {
            return Over::Told;
        }
    }
}
