//! What the services of the rig run: `rig serve PORT [SECONDS]` answers every request with 200, `/slow` after
//! a while. On SIGTERM it ends at once, whatever is under way; with `SECONDS` it goes on for so long,
//! ending kept connections with their next answer, as a server does that knows that its name is still known.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// How long an answer to `/slow` takes.
const SLOW: Duration = Duration::from_millis(300);
const HEAD_BYTES_MAX: usize = 16 << 10;

pub fn run(mut args: impl Iterator<Item = String>) -> Result<()> {
    let port: u16 = args.next().context("serve PORT [SECONDS]")?.parse()?;
    let goes_on =
        args.next().map(|seconds| seconds.parse().map(Duration::from_secs)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(port, goes_on))
}

async fn serve(port: u16, goes_on: Option<Duration>) -> Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    let leaves = Arc::new(AtomicBool::new(false));
    let told = leaves.clone();
    let end = async move {
        let Some(goes_on) = goes_on else { return std::future::pending().await };
        signal(SignalKind::terminate())?.recv().await;
        told.store(true, Ordering::Relaxed);
        sleep(goes_on).await;
        Ok(())
    };
    let take = async {
        loop {
            let (stream, _) = listener.accept().await?;
            let leaves = leaves.clone();
            // A client that goes away is nobody's trouble.
            tokio::spawn(async move { answer(stream, &leaves).await.ok() });
        }
    };
    tokio::select! {
        ended = end => ended,
        failed = take => failed,
    }
}

/// Answers what comes over one connection, until it ends.
async fn answer(mut stream: TcpStream, leaves: &AtomicBool) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let n_head = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            anyhow::ensure!(buffer.len() < HEAD_BYTES_MAX, "a head without end");
            anyhow::ensure!(stream.read_buf(&mut buffer).await? > 0, "the client is gone");
        };
        let head = String::from_utf8_lossy(&buffer[..n_head]).to_ascii_lowercase();
        let field = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or("")
        };
        let n_body = field("content-length:").parse().unwrap_or(0);
        while buffer.len() < n_head + n_body {
            anyhow::ensure!(stream.read_buf(&mut buffer).await? > 0, "half a body");
        }
        buffer.drain(..n_head + n_body);
        if head.split(' ').nth(1).is_some_and(|path| path.ends_with("/slow")) {
            sleep(SLOW).await;
        }
        let closes = leaves.load(Ordering::Relaxed) || field("connection:") == "close";
        let more = if closes { "Connection: close\r\n" } else { "" };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n{more}\r\nok\n");
        stream.write_all(answer.as_bytes()).await?;
        if closes {
            return Ok(stream.shutdown().await?);
        }
    }
}
