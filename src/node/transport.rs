//! The agent link over a byte stream: length-prefixed messages in both directions.
//!
//! A frame is four bytes of length, big-endian, and a message (`base::wire`). The first frame in each
//! direction is a `Greeting`: what follows is read only when both sides speak the same version.
//! Whatever carries the bytes (mutual TLS between nodes) is the caller's choice; inside one process no bytes are needed and
//! `in_process` joins the two ends directly.

use std::time::Duration;

use anyhow::Context as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter},
    sync::mpsc,
    time::timeout,
};

use crate::{
    agent::link::LinkEnds,
    base::{
        limit,
        task::Tasks,
        wire::{self, Message},
    },
    control::links::Wire,
    model::link::{Greeting, ToAgent},
};

/// Messages on their way in one direction; past that the sender waits.
const IN_FLIGHT_MAX: usize = 256;
/// How long the last messages may take when a connection is ended from here.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long the other side's greeting may take.
const GREETING: Duration = Duration::from_secs(5);
/// A greeting is some ten bytes; a later release may say more.
const GREETING_BYTES_MAX: usize = 4 << 10;

/// Joins a leader and an agent of the same process.
pub fn in_process() -> (Wire, LinkEnds) {
    let (to_master, from_agent) = mpsc::channel(IN_FLIGHT_MAX);
    let (to_agent, from_master) = mpsc::channel(IN_FLIGHT_MAX);
    (Wire { from_agent, to_agent }, LinkEnds { to_master, from_master })
}

/// The leader's end of `stream`.
pub fn leader_end<S>(stream: S, tasks: &Tasks) -> Wire
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (from_agent, to_agent) = messages(stream, |_| {}, tasks);
    Wire { from_agent, to_agent }
}

/// The agent's end of `stream`; `look` sees each message before the agent does.
pub fn agent_end<S>(stream: S, look: impl Fn(&ToAgent) + Send + 'static, tasks: &Tasks) -> LinkEnds
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (from_master, to_master) = messages(stream, look, tasks);
    LinkEnds { to_master, from_master }
}

/// Turns a byte stream into two channels. Either channel's end closes the stream, and the
/// stream's end closes both channels.
fn messages<S, In, Out>(
    stream: S,
    look: impl Fn(&In) + Send + 'static,
    tasks: &Tasks,
) -> (mpsc::Receiver<In>, mpsc::Sender<Out>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
    In: Message + Send + 'static,
    Out: Message + Send + Sync + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let (incoming, received) = mpsc::channel(IN_FLIGHT_MAX);
    let (send, outgoing) = mpsc::channel(IN_FLIGHT_MAX);
    tasks.connection("agent-link", async move {
        if let Err(error) = carry(reader, writer, (incoming, look), outgoing).await {
            tracing::warn!(error = %in_words(&error), "agent link ended");
        }
    });
    (received, send)
}

/// Greets, and then carries messages until either side ends.
async fn carry<R, W, In, Out>(
    reader: R,
    writer: W,
    incoming: (mpsc::Sender<In>, impl Fn(&In)),
    outgoing: mpsc::Receiver<Out>,
) -> anyhow::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    In: Message,
    Out: Message,
{
    let mut writer = BufWriter::new(writer);
    // Ours first, whatever theirs is: they are to know as well why it ends.
    timeout(GREETING, greet(&mut writer)).await??;
    let write = write(writer, outgoing);
    tokio::pin!(write);
    tokio::select! {
        ended = read(reader, incoming) => match ended {
            // Nobody listens here any more, but the last words may still be on their way.
            Ok(()) => timeout(LAST_WORDS, write).await.unwrap_or(Ok(())),
            Err(error) => Err(error),
        },
        ended = &mut write => ended,
    }
}

async fn greet<W: AsyncWrite + Unpin>(writer: &mut BufWriter<W>) -> anyhow::Result<()> {
    put(writer, &wire::encode(&Greeting::ours())).await?;
    Ok(writer.flush().await?)
}

/// Why a stream ended, with the alerts of the other side in words.
fn in_words(error: &anyhow::Error) -> String {
    use rustls::AlertDescription as Alert;
    let tls = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let text = match tls {
        Some(rustls::Error::AlertReceived(Alert::UnknownCA | Alert::DecryptError)) => {
            "the master does not trust this node's certificate: it is another cluster's"
        }
        Some(rustls::Error::AlertReceived(Alert::CertificateExpired)) => {
            "the master says that this node's certificate has ended"
        }
        Some(rustls::Error::AlertReceived(
            Alert::CertificateUnknown | Alert::BadCertificate | Alert::AccessDenied,
        )) => "the master refuses this node's certificate",
        _ => return format!("{error:#}"),
    };
    text.to_owned()
}

async fn read<R, In>(
    reader: R,
    (messages, look): (mpsc::Sender<In>, impl Fn(&In)),
) -> anyhow::Result<()>
where
    R: AsyncRead + Unpin,
    In: Message,
{
    let mut reader = BufReader::new(reader);
    let mut frame = Vec::new();
    timeout(GREETING, next(&mut reader, &mut frame, GREETING_BYTES_MAX)).await??;
    let theirs = Greeting::read(&frame);
    let theirs = theirs.context("the other side speaks no agent link of a released tepui")?;
    if let Some(problem) = Greeting::ours().problem(&theirs) {
        anyhow::bail!(problem);
    }
    loop {
        next(&mut reader, &mut frame, limit::LINK_MESSAGE_BYTES_MAX).await?;
        let message = In::read(&frame)?;
        look(&message);
        if messages.send(message).await.is_err() {
            return Ok(());
        }
    }
}

/// Reads the next frame.
async fn next<R>(reader: &mut R, frame: &mut Vec<u8>, bytes_max: usize) -> anyhow::Result<()>
where
    R: AsyncRead + Unpin,
{
    let n_bytes = reader.read_u32().await? as usize;
    anyhow::ensure!(
        n_bytes <= bytes_max,
        "a message of {n_bytes} bytes; {bytes_max} is the maximum"
    );
    frame.resize(n_bytes, 0);
    reader.read_exact(frame).await?;
    Ok(())
}

async fn write<W, Out>(
    mut writer: BufWriter<W>,
    mut messages: mpsc::Receiver<Out>,
) -> anyhow::Result<()>
where
    W: AsyncWrite + Unpin,
    Out: Message,
{
    while let Some(message) = messages.recv().await {
        let frame = wire::encode(&message);
        if frame.len() > limit::LINK_MESSAGE_BYTES_MAX {
            // The other side would end the link for it, again after each reconnect.
            tracing::error!(bytes = frame.len(), "a message too large for the link is left out");
            continue;
        }
        put(&mut writer, &frame).await?;
        if messages.is_empty() {
            writer.flush().await?;
        }
    }
    writer.shutdown().await?;
    Ok(())
}

async fn put<W>(writer: &mut W, frame: &[u8]) -> anyhow::Result<()>
where
    W: AsyncWrite + Unpin,
{
    writer.write_u32(u32::try_from(frame.len())?).await?;
    Ok(writer.write_all(frame).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::link::{FromAgent, Usage, VERSIONS};

    #[tokio::test]
    async fn messages_cross_a_byte_stream_both_ways_and_the_end_is_seen() {
        let tasks = Tasks::new("test");
        let (a, b) = tokio::io::duplex(64);
        let (mut leader, agent) = (leader_end(a, &tasks), agent_end(b, |_| {}, &tasks));
        let mut from_master = agent.from_master;
        agent.to_master.send(FromAgent::Heartbeat(Usage::default())).await.expect("sent");
        let message = leader.from_agent.recv().await;
        assert!(matches!(message, Some(FromAgent::Heartbeat(_))));
        leader.to_agent.send(ToAgent::Welcome { cluster: "c".into() }).await.expect("sent");
        let message = from_master.recv().await;
        assert!(matches!(message, Some(ToAgent::Welcome { .. })));
        drop(leader);
        assert!(from_master.recv().await.is_none());
    }

    #[tokio::test]
    async fn nothing_is_read_from_a_side_that_speaks_another_version() {
        let greeting =
            |oldest, newest| wire::encode(&Greeting { oldest, newest, release: "9.9".into() });
        let versions = (*VERSIONS.start(), *VERSIONS.end());
        let heartbeat = wire::encode(&FromAgent::Heartbeat(Usage::default()));
        let cases = [
            (greeting(versions.0, versions.1 + 7), true),
            (greeting(versions.1 + 1, versions.1 + 7), false),
            (greeting(0, versions.0 - 1), false),
            (heartbeat.clone(), false), // what was the first frame before there were greetings
        ];
        for (first, is_read) in cases {
            let tasks = Tasks::new("test");
            let (a, mut b) = tokio::io::duplex(1024);
            let mut leader = leader_end(a, &tasks);
            put(&mut b, &first).await.expect("sent");
            put(&mut b, &heartbeat).await.expect("sent");
            assert_eq!(leader.from_agent.recv().await.is_some(), is_read, "{first:?}");
            let mut frame = Vec::new();
            next(&mut b, &mut frame, GREETING_BYTES_MAX).await.expect("its greeting comes anyway");
            assert_eq!(Greeting::read(&frame).expect("a greeting"), Greeting::ours());
        }
    }
}
