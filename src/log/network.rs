//! openraft's network over the peer links.

use std::{collections::HashMap, iter, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use openraft::{
    RaftLogId as _, RaftNetwork, RaftNetworkFactory, Snapshot,
    error::{
        Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
    },
    network::{Backoff, RPCOption},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
    },
};
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

use super::{
    lead::Lead,
    peer::{
        client::{Peer, PeerError, Route},
        transport::Connect,
        wire::{self, Call, Reply},
    },
    types::{Image, LogId, Member, MemberId, Types, View, Vote},
};
use crate::base::{rng::Rng, task::Tasks};

/// Pause before replication to an unreachable peer is tried again.
const BACKOFF: Duration = Duration::from_millis(150);

type RpcError = RPCError<MemberId, Member, RaftError<MemberId>>;
type Answer = oneshot::Receiver<Result<Reply, PeerError>>;

/// The links to all peers, opened on demand. Clones share them.
#[derive(Clone)]
pub struct Network {
    cluster: String,
    from: MemberId,
    connect: Option<Arc<dyn Connect>>,
    lead: Arc<Lead>,
    links: Arc<Mutex<Links>>,
    tasks: Tasks,
}

struct Links {
    by_id: HashMap<MemberId, (String, Peer)>,
    rng: Rng,
}

impl Network {
    /// Without `connect` no peer is ever reached: a cluster of one.
    pub fn new(
        cluster: String,
        from: MemberId,
        connect: Option<Arc<dyn Connect>>,
        lead: Arc<Lead>,
        rng: Rng,
        tasks: Tasks,
    ) -> Self {
        let links = Arc::new(Mutex::new(Links { by_id: HashMap::new(), rng }));
        Self { cluster, from, connect, lead, links, tasks }
    }

    /// The link to a member.
    pub fn peer(&self, to: MemberId, member: &Member) -> Result<Peer, PeerError> {
        let connect = self.connect.as_ref().ok_or(PeerError::Unreachable(to))?;
        let mut links = self.links.lock();
        if let Some((address, peer)) = links.by_id.get(&to)
            && *address == member.address
        {
            return Ok(peer.clone());
        }
        let rng = links.rng.child(&to.to_string());
        let (cluster, address) = (self.cluster.clone(), member.address.clone());
        let route = Route { cluster, from: self.from, to, address: address.clone() };
        let peer = Peer::start(route, connect.clone(), rng, &self.tasks);
        links.by_id.insert(to, (address, peer.clone()));
        Ok(peer)
    }
}

impl Network {
    /// How long ago a member last answered this one; `None` when it never did.
    pub fn silent(&self, id: MemberId) -> Option<Duration> {
        self.links.lock().by_id.get(&id).and_then(|(_, peer)| peer.silent())
    }

    /// Whether a member says within `limit` that it hears no leader.
    pub fn hears_none(
        &self,
        id: MemberId,
        member: &Member,
        limit: Duration,
    ) -> BoxFuture<'static, bool> {
        let peer = self.peer(id, member);
        async move {
            let Ok(peer) = peer else { return false };
            matches!(peer.call(Call::Hears, limit).await, Ok(Reply::Hears(false)))
        }
        .boxed()
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Target;

    async fn new_client(&mut self, target: MemberId, node: &Member) -> Target {
        Target { network: self.clone(), id: target, member: node.clone(), sent: None }
    }
}

/// One replication stream to one peer.
pub struct Target {
    network: Network,
    id: MemberId,
    member: Member,
    /// Entries on their way whose sender gave up waiting.
    sent: Option<Sent>,
}

/// openraft gives up on a message after one heartbeat interval and sends the same entries again.
/// On a slow disk or line that would pile up copies, so the second attempt waits for the first.
struct Sent {
    vote: Vote,
    prev: Option<LogId>,
    last: LogId,
    at: Instant,
    answer: Answer,
}

impl Sent {
    fn serves(&self, rpc: &AppendEntriesRequest<Types>) -> bool {
        let last = rpc.entries.last().map(|entry| *entry.get_log_id());
        self.vote == rpc.vote && self.prev == rpc.prev_log_id && Some(self.last) <= last
    }
}

impl Target {
    fn peer(&self) -> Result<Peer, RpcError> {
        self.network.peer(self.id, &self.member).map_err(|e| rpc_error(&e))
    }

    /// The reply, and when what it answers was sent.
    async fn append(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
    ) -> Result<(Reply, Instant), RpcError> {
        let (peer, at) = (self.peer()?, Instant::now());
        let mut sent = match self.sent.take() {
            Some(sent) if sent.serves(&rpc) => sent,
            _ => {
                let (vote, prev) = (rpc.vote, rpc.prev_log_id);
                let last = rpc.entries.last().map(|entry| *entry.get_log_id());
                let committed = rpc.leader_commit.map_or(0, |id| id.index);
                let told_ago = self.network.lead.told_ago(committed);
                let answer = peer.tell(Call::Append(rpc), told_ago).map_err(|e| rpc_error(&e))?;
                let Some(last) = last else {
                    let reply = peer.unpack(answer.await).map_err(|e| rpc_error(&e))?;
                    return Ok((reply, at));
                };
                Sent { vote, prev, last, at, answer }
            }
        };
        let (last, at) = (sent.last, sent.at);
        // Kept where the next attempt finds it while this one waits and may be dropped.
        let sent = self.sent.insert({
            let (_, gone) = oneshot::channel();
            let answer = std::mem::replace(&mut sent.answer, gone);
            Sent { answer, ..sent }
        });
        let answer = (&mut sent.answer).await;
        self.sent = None;
        match peer.unpack(answer).map_err(|e| rpc_error(&e))? {
            // The caller may want more acknowledged than was in that message.
            Reply::Append(AppendEntriesResponse::Success) => {
                Ok((Reply::Append(AppendEntriesResponse::PartialSuccess(Some(last))), at))
            }
            reply => Ok((reply, at)),
        }
    }

    async fn send_image(
        &self,
        vote: Vote,
        snapshot: Snapshot<Types>,
    ) -> Result<SnapshotResponse<MemberId>, PeerError> {
        let peer = self.network.peer(self.id, &self.member)?;
        let Image::View(view) = *snapshot.snapshot else {
            return Err(PeerError::Lost(self.id));
        };
        let begin = Call::ImageBegin { vote, meta: snapshot.meta };
        let transfer = match peer.call(begin, wire::IMAGE_CHUNK).await? {
            Reply::ImageBegun(transfer) => transfer,
            Reply::ImageDone(vote) => return Ok(SnapshotResponse { vote }),
            _ => return Err(PeerError::Lost(self.id)),
        };
        send_rows(&peer, transfer, view.as_ref()).await?;
        match peer.call(Call::ImageEnd { transfer }, wire::IMAGE_INSTALL).await? {
            Reply::ImageDone(vote) => Ok(SnapshotResponse { vote }),
            _ => Err(PeerError::Lost(self.id)),
        }
    }
}

/// Sends a state row by row, one chunk at a time: neither side holds more than that in memory.
async fn send_rows(peer: &Peer, transfer: u64, view: &dyn View) -> Result<(), PeerError> {
    let mut rows = view.rows().peekable();
    while rows.peek().is_some() {
        let mut chunk = Vec::new();
        let mut size = 0;
        while size < wire::IMAGE_CHUNK_BYTES
            && let Some((key, value)) = rows.next()
        {
            size += key.len() + value.len();
            chunk.push((key, value));
        }
        peer.call(Call::ImageRows { transfer, rows: chunk }, wire::IMAGE_CHUNK).await?;
    }
    Ok(())
}

impl RaftNetwork<Types> for Target {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<MemberId>, RpcError> {
        let (vote, last) = (rpc.vote, rpc.entries.last().map(|entry| *entry.get_log_id()));
        let (reply, sent_at) = self.append(rpc).await?;
        if let Reply::Append(response) = &reply
            && !matches!(response, AppendEntriesResponse::HigherVote(_))
        {
            self.network.lead.followed(vote, self.id, sent_at);
        }
        match reply {
            Reply::Append(AppendEntriesResponse::PartialSuccess(upto)) if upto == last => {
                Ok(AppendEntriesResponse::Success)
            }
            Reply::Append(response) => Ok(response),
            _ => Err(rpc_error(&PeerError::Lost(self.id))),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<MemberId>,
        option: RPCOption,
    ) -> Result<VoteResponse<MemberId>, RpcError> {
        let called = self.peer()?.call(Call::Vote(rpc), option.hard_ttl()).await;
        match called.map_err(|e| rpc_error(&e))? {
            Reply::Vote(response) => Ok(response),
            _ => Err(rpc_error(&PeerError::Lost(self.id))),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<Types>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<MemberId>, StreamingError<Types, Fatal<MemberId>>> {
        let cancel = std::pin::pin!(cancel);
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_image(vote, snapshot) => sent.map_err(|error| match error {
                PeerError::Unreachable(_) | PeerError::Busy(_) | PeerError::Refused(..) => {
                    StreamingError::Unreachable(Unreachable::new(&error))
                }
                PeerError::Timeout(_) | PeerError::Lost(_) => {
                    StreamingError::Network(NetworkError::new(&error))
                }
            }),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(iter::repeat(BACKOFF))
    }
}

fn rpc_error(error: &PeerError) -> RpcError {
    match error {
        PeerError::Unreachable(_) | PeerError::Busy(_) => {
            RPCError::Unreachable(Unreachable::new(error))
        }
        PeerError::Timeout(_) | PeerError::Lost(_) | PeerError::Refused(..) => {
            RPCError::Network(NetworkError::new(error))
        }
    }
}
