//! One agent's connection from its hello to its end.

use std::{collections::HashMap, sync::Arc, sync::atomic::Ordering, time::Duration};

use tokio::sync::mpsc;

use super::{Connected, Links, Peer, SessionOutput, Shown, TO_AGENT_MAX, Wire, names::Standing};
use crate::{
    base::limit,
    control::metrics,
    core::{AdmissionCommand, NodeCommand, State, TaskCommand, VolumeCommand, apply::admission},
    model::{
        link::{Answer, AskError, FromAgent, Hello, Report, ToAgent},
        node::NodeId,
    },
};

/// How long a new connection may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// The full set is sent again after this long, whatever the feed said.
const FULL: Duration = Duration::from_secs(60);
/// How often it is looked whether the full set is owed.
const OWED: Duration = Duration::from_millis(500);
/// Input of sessions, and room in them, waiting for one agent; past that the sessions wait.
const INPUTS_MAX: usize = 64;
/// Reports waiting to be proposed; an agent that is ahead of the log waits.
const REPORTS_MAX: usize = 1_024;

/// Serves one connection until it ends.
pub async fn serve(links: &Links, mut wire: Wire, peer: Peer) {
    let hello = match tokio::time::timeout(HELLO, wire.from_agent.recv()).await {
        Ok(Some(FromAgent::Hello(hello))) => *hello,
        Ok(_) | Err(_) => return refuse(&wire, "the first message must be a hello").await,
    };
    if !links.inner.log.is_leader() {
        if let Some(masters) = links.masters().filter(|_| peer.certificate.is_some()) {
            let _ = wire.to_agent.send(masters).await;
        }
        return refuse(&wire, "this master does not lead").await;
    }
    if let Err(text) = check(links, &hello, &peer) {
        tracing::warn!(target: "audit", node = %peer.node, why = text, "agent refused");
        return refuse(&wire, &text).await;
    }
    let node = peer.node.clone();
    if let Err(text) = greet(links, &hello, &peer).await {
        tracing::warn!(node = %node, why = text, "agent not registered");
        links.note(|heard, (now, _)| heard.lose(&node, now));
        return refuse(&wire, &text).await;
    }
    let epoch = links.inner.next.fetch_add(1, Ordering::Relaxed);
    let (to_agent, outbox) = mpsc::channel(TO_AGENT_MAX);
    let (input, inputs) = mpsc::channel(INPUTS_MAX);
    connect(links, &peer, epoch, to_agent, input);
    let _counted = metrics::Connection::of(&node);
    run(links, &node, epoch, wire, (outbox, inputs)).await;
    disconnect(links, &node, epoch);
}

async fn refuse(wire: &Wire, text: &str) {
    let _ = wire.to_agent.send(ToAgent::Refused(text.to_owned())).await;
}

/// Registers a node that has introduced itself. It is heard before its registration is proposed, so
/// that nothing proposed behind that calls it lost for what was before; and it stays heard while
/// the log takes its time, which is no silence of the node's.
async fn greet(links: &Links, hello: &Hello, peer: &Peer) -> Result<(), String> {
    let node = &hello.info.id;
    let (registered, heard) = (register(links, hello, peer), async {
        loop {
            links.note(|heard, (now, at)| heard.greet(node, now, at));
            tokio::time::sleep(limit::HEARTBEAT).await;
        }
    });
    tokio::select! {
        biased;
        () = heard => Ok(()),
        outcome = registered => outcome,
    }
}

/// Whether `peer` may speak for the node it says it is.
fn check(links: &Links, hello: &Hello, peer: &Peer) -> Result<(), String> {
    let node = &peer.node;
    if hello.info.id != *node {
        return Err(format!(
            "this connection is of node {node} by its certificate, but says it is {}; a node's id \
             cannot be chosen",
            hello.info.id
        ));
    }
    let state = links.inner.log.feed().latest();
    let live = links.with(node, |agent| agent.certificate.clone());
    match live {
        Some(live) if !succeeds(&state, node, &live, &peer.certificate) => Err(format!(
            "node {node} is connected already, with another key; a second machine with the id of \
             the first must join by itself"
        )),
        _ => Ok(()),
    }
}

/// Whether a connection with certificate `new` may take the place of a live one: the same key, so
/// the same machine, or the certificate that machine was given later.
pub(super) fn succeeds(
    state: &State,
    node: &NodeId,
    live: &Option<Shown>,
    new: &Option<Shown>,
) -> bool {
    let (live, new) = match (live, new) {
        (None, None) => return true,
        (Some(live), Some(new)) => (live, new),
        _ => return false,
    };
    let issued = |shown: &Shown| {
        state.certificates.get(&(node.clone(), shown.serial.clone())).map(|c| c.issued_at)
    };
    live.key == new.key || issued(new) > issued(live)
}

/// Brings the node and what it tells of its tasks into the state.
async fn register(links: &Links, hello: &Hello, peer: &Peer) -> Result<(), String> {
    let log = &links.inner.log;
    let node = hello.info.id.clone();
    let mut commands = Vec::new();
    if let Some(shown) = &peer.certificate
        && admission::is_first_use(&log.feed().latest(), &node, &shown.serial)
    {
        let (node, serial) = (node.clone(), shown.serial.clone());
        commands.push(AdmissionCommand::UseCertificate { node, serial }.into());
    }
    commands.push(NodeCommand::RegisterNode(Box::new(hello.info.clone())).into());
    commands.push(TaskCommand::Report { node, reports: hello.reports.clone() }.into());
    for command in commands {
        match log.propose(command).await {
            Ok(Ok(_)) => {}
            Ok(Err(rejected)) => return Err(rejected.to_string()),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

/// Enters the agent and sends the full set, such that no later change can be missed: both happen
/// while the dispatcher cannot look.
fn connect(
    links: &Links,
    peer: &Peer,
    epoch: u64,
    to_agent: mpsc::Sender<ToAgent>,
    input: mpsc::Sender<ToAgent>,
) {
    let node = &peer.node;
    let inner = &links.inner;
    let mut agents = inner.agents.lock();
    let state = inner.log.feed().latest();
    let cluster = state.cluster.as_ref().map(|c| c.id.clone()).unwrap_or_default();
    let welcomed = to_agent.try_send(ToAgent::Welcome { cluster });
    debug_assert!(welcomed.is_ok(), "a new channel has room");
    if let Some(masters) = links.masters().filter(|_| peer.certificate.is_some()) {
        let _ = to_agent.try_send(masters);
    }
    let mut agent = Connected {
        epoch,
        certificate: peer.certificate.clone(),
        to_agent,
        input,
        sent: 0,
        owed: true,
        untold: false,
        names: Standing::of(peer),
        usage: None,
        asks: HashMap::new(),
        sessions: HashMap::new(),
    };
    agent.send_full(&state, node);
    agents.insert(node.clone(), agent);
    links.note(|heard, (now, at)| heard.open(node, now, at));
}

async fn run(
    links: &Links,
    node: &NodeId,
    epoch: u64,
    mut wire: Wire,
    (mut outbox, mut inputs): (mpsc::Receiver<ToAgent>, mpsc::Receiver<ToAgent>),
) {
    let (reports, inbox) = mpsc::channel(REPORTS_MAX);
    let proposer = propose_reports(links.clone(), node.clone(), inbox);
    let writer = async {
        loop {
            // Orders and questions go before what people type.
            let message = tokio::select! {
                biased;
                message = outbox.recv() => message,
                Some(message) = inputs.recv() => Some(message),
            };
            let Some(message) = message else { break };
            if wire.to_agent.send(message).await.is_err() {
                break;
            }
        }
    };
    let reader = async {
        while let Some(message) = wire.from_agent.recv().await {
            hear(links, node);
            if !take(links, node, epoch, message, &reports).await {
                break;
            }
        }
    };
    let refresher = refresh(links, node, epoch);
    let silence = silence(links, node);
    tokio::select! {
        () = writer => {}
        () = reader => {}
        () = proposer => {}
        () = refresher => {}
        () = silence => {}
    }
}

/// Ends when the agent has been silent for so long that the connection cannot be alive.
async fn silence(links: &Links, node: &NodeId) {
    loop {
        tokio::time::sleep(limit::HEARTBEAT).await;
        if links.note(|heard, _| heard.is_lost(node)).unwrap_or(true) {
            return;
        }
    }
}

/// Sends the full set every minute and whenever it is owed; ends when the agent was replaced.
async fn refresh(links: &Links, node: &NodeId, epoch: u64) {
    let mut waited = Duration::ZERO;
    loop {
        tokio::time::sleep(OWED).await;
        waited += OWED;
        if links.with(node, |agent| agent.names.is_owed()) == Some(true) {
            // Of a hundred thousand tasks it takes too long for a thread that serves connections.
            let (links, node) = (links.clone(), node.clone());
            let send = move || links.inner.names.send_whole(&links, &node, epoch);
            let _ = tokio::task::spawn_blocking(send).await;
        }
        let mut agents = links.inner.agents.lock();
        let Some(agent) = agents.get_mut(node).filter(|a| a.epoch == epoch) else { return };
        if agent.untold {
            agent.untold = agent.to_agent.try_send(ToAgent::TellAll).is_err();
        }
        if !agent.owed && waited < FULL {
            continue;
        }
        let state = links.inner.log.feed().latest();
        if agent.send_full(&state, node) {
            waited = Duration::ZERO;
        }
    }
}

/// Takes one message in; false ends the connection.
async fn take(
    links: &Links,
    node: &NodeId,
    epoch: u64,
    message: FromAgent,
    reports: &mpsc::Sender<Vec<Report>>,
) -> bool {
    match message {
        FromAgent::Hello(_) => return false,
        FromAgent::Reports(news) => return reports.send(news).await.is_ok(),
        FromAgent::Heartbeat(usage) => {
            links.with(node, |agent| agent.usage = Some(Arc::new(usage)));
        }
        FromAgent::Wiped(instances) => {
            let (log, node) = (links.inner.log.clone(), node.clone());
            links.inner.tasks.connection("volumes-wiped", async move {
                // Told again with the next full set, the agent says so again.
                let _ = log.propose(VolumeCommand::Wiped { node, instances }.into()).await;
            });
        }
        FromAgent::Answer { id, answer } => answered(links, node, id, answer),
        FromAgent::Data { id, channel, bytes } => {
            deliver(links, node, id, SessionOutput::Data(channel, bytes));
        }
        FromAgent::End { id, exit_code } => {
            deliver(links, node, id, SessionOutput::End(exit_code));
            links.with(node, |agent| agent.sessions.remove(&id));
        }
    }
    links.with(node, |agent| agent.epoch) == Some(epoch)
}

fn answered(links: &Links, node: &NodeId, id: u64, answer: Result<Answer, AskError>) {
    if let Some(Some(waiting)) = links.with(node, |agent| agent.asks.remove(&id)) {
        let _ = waiting.send(answer);
    }
}

/// Hands a piece to a session's reader and waits for nobody: an agent sends no more than the reader
/// has room for. A session whose reader is gone, or that is sent more all the same, ends.
fn deliver(links: &Links, node: &NodeId, id: u64, piece: SessionOutput) {
    links.with(node, |agent| {
        let Some(reader) = agent.sessions.get(&id) else { return };
        if reader.try_send(piece).is_err() {
            agent.sessions.remove(&id);
            // A full channel: the agent hears of it with the next piece.
            let _ = agent.to_agent.try_send(ToAgent::End { id });
        }
    });
}

/// Proposes reports in order, as many at a time as have come in.
async fn propose_reports(links: Links, node: NodeId, mut inbox: mpsc::Receiver<Vec<Report>>) {
    let mut batches = Vec::new();
    while inbox.recv_many(&mut batches, REPORTS_MAX).await > 0 {
        let reports: Vec<Report> = batches.drain(..).flatten().collect();
        let n = reports.len();
        let command = TaskCommand::Report { node: node.clone(), reports }.into();
        let outcome = links.inner.log.propose(command).await;
        metrics::reported(&node, n, &outcome);
        if outcome.is_err() {
            return; // the agent tells them again to whoever leads next
        }
    }
}

fn hear(links: &Links, node: &NodeId) {
    links.note(|heard, (now, at)| heard.hear(node, now, at));
}

fn disconnect(links: &Links, node: &NodeId, epoch: u64) {
    let mut agents = links.inner.agents.lock();
    if agents.get(node).is_some_and(|a| a.epoch == epoch) {
        agents.remove(node);
        links.note(|heard, (now, _)| heard.lose(node, now));
    }
}
