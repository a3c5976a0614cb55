//! `tepui exec`: a command inside a task, with this terminal's input and output.
//!
//! The exit code is the command's own.

use std::io::Read;

use bytes::Bytes;
use http::StatusCode;
use hyper_util::rt::TokioIo;
use nix::sys::termios::{self, SetArg, Termios};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::timeout,
};

use super::{
    args::Exec,
    client::{Ask, PIECE, segment},
    error::{CliError, Exit, Outcome},
    run::Context,
    tasks,
    text::field,
};
use crate::api::frames::{FRAME_BYTES_MAX, PROTOCOL, channel, frame, read_frame};

pub async fn run(cx: &mut Context, exec: Exec) -> Outcome<u8> {
    let found = tasks::of_target(cx, &exec.target).await?;
    let task = found.iter().find(|t| field(t, "condition") == "running").ok_or_else(|| {
        let text = format!("nothing of {} is running", exec.target);
        CliError::new(Exit::Conflict, text).hint("tepui task list shows which tasks run")
    })?;
    if exec.tty && !(cx.io.terminal[0] && cx.io.terminal[1]) {
        return Err(CliError::usage("-t wants a terminal on both sides")
            .hint("leave -t away when input or output is a file or a pipe"));
    }
    let size = terminal_size::terminal_size().filter(|_| exec.tty);
    let mut body = json!({"cmd": exec.command, "tty": exec.tty, "stdin": exec.interactive});
    if let Some((cols, rows)) = size {
        (body["rows"], body["cols"]) = (rows.0.into(), cols.0.into());
    }
    let ask = Ask::post(format!("/tepui/v1/tasks/{}/exec", segment(tasks::id(task))))
        .header("connection", "Upgrade")
        .header("upgrade", PROTOCOL)
        .json(&body);
    let response = cx.client.open(ask).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(CliError::failure("the server did not open a session"));
    }
    let io = hyper::upgrade::on(response).await;
    let io = io.map_err(|error| CliError::new(Exit::Unreachable, error.to_string()))?;
    let raw = exec.tty.then(RawTerminal::enter).transpose()?;
    let outcome = session(cx, TokioIo::new(io), exec.interactive).await;
    drop(raw); // before any error is printed
    outcome
}

/// Carries bytes both ways until the command ends.
async fn session(
    cx: &mut Context,
    io: TokioIo<hyper::upgrade::Upgraded>,
    stdin: bool,
) -> Outcome<u8> {
    let (mut from, mut to) = tokio::io::split(io);
    let mut input = stdin.then(|| read_stdin(cx)).transpose()?;
    let mut resized = signal(SignalKind::window_change())?;
    // Reading a frame must not be interrupted halfway, so it is a task of its own.
    let (frames, mut arrived) = mpsc::channel::<(u8, Bytes)>(16);
    let reading = async move {
        while let Ok(Ok(Some(frame))) = timeout(PIECE, read_frame(&mut from)).await {
            if frames.send(frame).await.is_err() {
                return;
            }
        }
    };
    tokio::pin!(reading);
    let mut done_reading = false;
    loop {
        let out = tokio::select! {
            biased;
            next = arrived.recv() => match next {
                Some((channel::STDOUT, bytes)) => { cx.printer.raw(&bytes)?; continue }
                Some((channel::STDERR, bytes)) => { cx.printer.raw_err(&bytes)?; continue }
                Some((channel::END, bytes)) => return ended(&bytes),
                Some((channel::PING, bytes)) => frame(channel::PONG, &bytes),
                Some(_) => continue,
                None => {
                    return Err(CliError::new(Exit::Unreachable, "the session broke off"));
                }
            },
            () = &mut reading, if !done_reading => { done_reading = true; continue }
            Some(bytes) = next_input(&mut input) => {
                if bytes.is_empty() {
                    input = None;
                }
                frame(channel::STDIN, &bytes)
            }
            Some(()) = resized.recv() => match terminal_size::terminal_size() {
                Some((cols, rows)) => {
                    let size = json!({"rows": rows.0, "cols": cols.0}).to_string();
                    frame(channel::RESIZE, size.as_bytes())
                }
                None => continue,
            },
        };
        if to.write_all(&out).await.is_err() {
            // The other side is gone; what it said last may still be on the way.
            input = None;
        }
    }
}

async fn next_input(input: &mut Option<mpsc::Receiver<Bytes>>) -> Option<Bytes> {
    match input {
        Some(input) => Some(input.recv().await.unwrap_or_default()),
        None => std::future::pending().await,
    }
}

/// What the last frame says: the exit code, or why there is none.
fn ended(bytes: &[u8]) -> Outcome<u8> {
    let end: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    match end["exit_code"].as_i64() {
        Some(code) => Ok(u8::try_from(code).unwrap_or(Exit::Failure as u8)),
        None => {
            let text = field(&end["error"], "message");
            let text = if text.is_empty() { "the session ended without a result" } else { text };
            Err(CliError::new(Exit::Unreachable, text))
        }
    }
}

/// Reads standard input on a thread of its own: a read there cannot be given up, and must not hold
/// the runtime when the session ends first. An empty piece is its end.
fn read_stdin(cx: &mut Context) -> Outcome<mpsc::Receiver<Bytes>> {
    let (sender, receiver) = mpsc::channel(4);
    let mut from: Box<dyn Read + Send> =
        std::mem::replace(&mut cx.io.stdin, Box::new(std::io::empty()));
    std::thread::Builder::new().name("stdin".into()).spawn(move || {
        let mut buffer = vec![0; FRAME_BYTES_MAX.min(16 << 10)];
        loop {
            let n = from.read(&mut buffer).unwrap_or(0);
            let sent = sender.blocking_send(Bytes::copy_from_slice(&buffer[..n]));
            if n == 0 || sent.is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// The terminal without line editing and signals of its own; as it was when dropped.
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> Outcome<Self> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(&stdin).map_err(std::io::Error::from)?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&stdin, SetArg::TCSANOW, &raw).map_err(std::io::Error::from)?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that is gone.
        termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_code_is_ours() {
        assert_eq!(ended(br#"{"exit_code":3}"#).unwrap(), 3);
        assert_eq!(ended(br#"{"exit_code":-1}"#).unwrap(), 1);
        let error = ended(br#"{"error":{"message":"gone"}}"#).unwrap_err();
        assert_eq!((error.message.as_str(), error.exit), ("gone", Exit::Unreachable));
    }
}
