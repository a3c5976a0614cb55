//! The peer port with everything real but containers: the log, TLS, sockets, certificates.
//!
//! An agent here is its end of a link, moved by hand.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tepui::{
    agent::link::{Connector as _, LinkEnds},
    base::{
        clock::{Clock, ManualClock, SystemClock, Timestamp},
        level,
        rng::Rng,
        task::Tasks,
    },
    control::links::Links,
    core::{
        ClusterCommand, NodeCommand, State,
        command::Init,
        naming::{
            Data, Listing,
            known::{Known, Received},
        },
    },
    dns::follow,
    host::pki::{Authority, Identity},
    log::{Disk, Log, LogConfig, memory::MemoryDisk},
    model::{
        NodeId, Pools,
        credential::Invited,
        link::{FromAgent, Hello, ToAgent},
        node::{NodeInfo, NodeKind},
    },
    node::{
        door::{self, Door},
        member::{self, Member, MemberParts},
        seat::Seat,
    },
};
use tokio::{net::TcpListener, time::timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_secs(86_400);

/// A master's peer port, and what must outlive it.
struct Master {
    log: Log<State>,
    disk: MemoryDisk,
    pki: TempDir,
    authority: Authority,
    door: Arc<Door>,
    address: SocketAddr,
    clock: Arc<ManualClock>,
    tasks: Tasks,
}

impl Master {
    async fn start() -> Self {
        Self::start_at(level::LEVEL).await
    }

    /// Of a cluster at this level.
    async fn start_at(level: u32) -> Self {
        // So long ago that the clock can go forward by most of a certificate's life without
        // overtaking that of the TLS library.
        Self::start_by(ManualClock::new(SystemClock.now() - DAY * 63), level).await
    }

    async fn start_by(clock: Arc<ManualClock>, level: u32) -> Self {
        let master = Self::open(MemoryDisk::default(), tempfile::tempdir().unwrap(), clock).await;
        let init = Init {
            cluster: "c".into(),
            name: "test".into(),
            secret: [7; 32],
            users: Vec::new(),
            level,
        };
        master.log.propose(ClusterCommand::Init(init).into()).await.unwrap().unwrap();
        master
    }

    async fn open(disk: MemoryDisk, pki: TempDir, clock: Arc<ManualClock>) -> Self {
        let tasks = Tasks::new("master");
        let config = LogConfig::single("test", Disk::Memory(disk.clone()), Rng::from_os());
        let log = Log::open(config, None, clock.clone(), tasks.child("log")).await.unwrap();
        log.ready(PATIENCE).await.unwrap();
        let links = Links::new(log.clone(), clock.clone(), tasks.child("links"));
        links.begin_term();
        links.tell_names(follow::single([10, 0, 0, 1].into(), 5050, 5051, 8080));
        let dispatch = links.clone().dispatch();
        tasks.connection("dispatch", async move { drop(dispatch.await) });
        let authority = Authority::load_or_create(pki.path(), "test", clock.now()).unwrap();
        let node = NodeId::from("m-S0");
        let with: (&Arc<dyn Clock>, _) = (&(clock.clone() as Arc<dyn Clock>), &mut Rng::from_os());
        let seat = Seat::found(pki.path().to_owned(), &authority, node, "m1", with).unwrap();
        let parts = door::Parts {
            seat: Arc::new(seat),
            log: log.clone(),
            clock: clock.clone(),
            rng: Rng::from_os(),
            logs: tokio::sync::mpsc::channel(1).0,
        };
        let door = Arc::new(Door::new(parts).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tasks.vital("door", door.clone().run(listener, links, tasks.child("peers")));
        Self { log, disk, pki, authority, door, address, clock, tasks }
    }

    async fn restart(self) -> Self {
        self.log.stop().await;
        self.tasks.stop(PATIENCE).await;
        Self::open(self.disk, self.pki, self.clock).await
    }

    /// Lets the clock on the wall go forward; no link falls silent by that.
    fn pass(&self, time: Duration) {
        self.clock.step_ms(i64::try_from(time.as_millis()).unwrap());
    }

    async fn join_with(&self, dir: &Path, token: &str) -> anyhow::Result<Identity> {
        self.join_as(dir, token, Invited::Agent).await
    }

    async fn join_as(&self, dir: &Path, token: &str, role: Invited) -> anyhow::Result<Identity> {
        let masters = [self.address.to_string()];
        member::identity(dir, &masters, Some(token), "host", role).await
    }

    async fn invite(&self, role: Option<Invited>) -> (String, Timestamp) {
        self.door.invite(role, Duration::from_secs(3_600)).await.unwrap()
    }

    async fn join(&self) -> (Identity, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let (token, _) = self.invite(None).await;
        (self.join_with(dir.path(), &token).await.unwrap(), dir)
    }

    fn member(&self, identity: Identity, dir: &Path) -> Arc<Member> {
        Member::new(MemberParts {
            masters: vec![self.address.to_string()],
            identity,
            dir: dir.to_owned(),
            host: "host".into(),
            clock: self.clock.clone(),
            tasks: self.tasks.child("member"),
        })
    }

    async fn connect(&self, identity: Identity) -> LinkEnds {
        let dir = tempfile::tempdir().unwrap();
        self.member(identity, dir.path()).connect().await.unwrap()
    }

    /// A link that has said hello as `id`, and the first thing it was told.
    async fn hello(&self, identity: Identity, id: &NodeId) -> (LinkEnds, Option<ToAgent>) {
        let mut link = self.connect(identity).await;
        let hello = Hello { info: info(id), reports: Vec::new() };
        let _ = link.to_master.send(FromAgent::Hello(Box::new(hello))).await;
        let told = next(&mut link).await;
        (link, told)
    }

    async fn welcomed(&self, identity: Identity) -> LinkEnds {
        let id = identity.facts().unwrap().node;
        let (link, told) = self.hello(identity, &id).await;
        assert!(matches!(told, Some(ToAgent::Welcome { .. })), "{told:?}");
        link
    }

    /// Why a link of this identity is refused.
    async fn refused(&self, identity: Identity) -> String {
        let id = identity.facts().unwrap().node;
        match self.hello(identity, &id).await.1 {
            Some(ToAgent::Refused(why) | ToAgent::Removed(why)) => why,
            other => panic!("not refused: {other:?}"),
        }
    }
}

fn info(id: &NodeId) -> NodeInfo {
    NodeInfo {
        id: id.clone(),
        hostname: id.to_string(),
        address: IpAddr::from([127, 0, 0, 1]),
        kind: NodeKind::Agent,
        attributes: Default::default(),
        fault_domain: None,
        total: Pools::default(),
        version: String::new(),
        level: tepui::base::level::LEVEL,
    }
}

async fn next(link: &mut LinkEnds) -> Option<ToAgent> {
    timeout(PATIENCE, link.from_master.recv()).await.expect("an answer or the end")
}

/// Whether the link is still there.
async fn lives(link: &mut LinkEnds) -> bool {
    let ended = async { while link.from_master.recv().await.is_some() {} };
    timeout(Duration::from_millis(300), ended).await.is_err()
}

/// The same identity once more: a copy of its files.
fn copy(identity: &Identity) -> Identity {
    let dir = tempfile::tempdir().unwrap();
    identity.save(dir.path()).unwrap();
    Identity::load(dir.path()).unwrap()
}

#[tokio::test]
async fn a_node_is_who_its_certificate_says() {
    let master = Master::start().await;
    let ((first, dir), (second, _)) = (master.join().await, master.join().await);
    let (id, other) = (first.facts().unwrap().node, second.facts().unwrap().node);
    assert_eq!((id.as_str(), other.as_str()), ("c-S1", "c-S2"));
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "the authority, and key and certificate: {left:?}");

    let mut link = master.welcomed(first).await;
    let (_, told) = master.hello(copy(&second), &id).await;
    let Some(ToAgent::Refused(why)) = told else { panic!("let in as another: {told:?}") };
    assert!(why.contains("is of node c-S2") && why.contains("says it is c-S1"), "{why}");
    assert!(lives(&mut link).await, "the real one is not disturbed");
    master.welcomed(second).await;
    master.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn an_agent_that_comes_back_takes_its_own_place() {
    let master = Master::start().await;
    let (identity, _dir) = master.join().await;
    let mut before = master.welcomed(copy(&identity)).await;
    let mut after = master.welcomed(identity).await;
    assert!(!lives(&mut before).await, "there is one link of a node");
    assert!(lives(&mut after).await);
    master.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn an_invitation_outlives_a_restart_and_is_good_for_one_key() {
    let master = Master::start().await;
    let (token, until) = master.invite(None).await;
    let master = master.restart().await;
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let wrong = format!("{}.{}", "0".repeat(32), token.split_once('.').unwrap().1);
    let error = master.join_with(two.path(), &wrong).await.err().unwrap().to_string();
    assert!(error.contains("the token is not known"), "{error}");

    let key = one.path().join("join.key");
    std::fs::write(&key, tepui::host::pki::node::Request::new().unwrap().to_pem()).unwrap();
    let lost = tempfile::tempdir().unwrap();
    std::fs::copy(&key, lost.path().join("join.key")).unwrap();
    let first = master.join_with(lost.path(), &token).await.unwrap();
    let again = master.join_with(one.path(), &token).await.unwrap();
    let ids = [&first, &again].map(|i| i.facts().unwrap().node);
    assert_eq!(ids[0], ids[1], "the answer got lost: the same key is the same node");
    let error = master.join_with(two.path(), &token).await.err().unwrap().to_string();
    assert!(error.contains("was used already"), "{error}");

    let (late, _) = master.invite(None).await;
    master.pass(until.since(master.clock.now()) + Duration::from_secs(60));
    let error = master.join_with(two.path(), &late).await.err().unwrap().to_string();
    assert!(error.contains("too old"), "{error}");
    master.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_removed_node_is_parted_from_and_never_let_in_again() {
    let master = Master::start().await;
    let ((identity, _dir), (stays, _)) = (master.join().await, master.join().await);
    let id = identity.facts().unwrap().node;
    let mut link = master.welcomed(copy(&identity)).await;
    let mut other = master.welcomed(stays).await;
    master.log.propose(NodeCommand::RemoveNode(id.clone()).into()).await.unwrap().unwrap();
    let told = loop {
        match next(&mut link).await {
            Some(
                ToAgent::Desired(_) | ToAgent::Names(_) | ToAgent::Masters(_) | ToAgent::Volumes(_),
            ) => {}
            told => break told,
        }
    };
    assert!(matches!(&told, Some(ToAgent::Removed(why)) if why.contains("removed")), "{told:?}");
    assert!(!lives(&mut link).await);
    let why = master.refused(copy(&identity)).await;
    assert!(why.contains("was removed from the cluster"), "{why}");
    let error = member::renew(&master.address.to_string(), &identity, "h").await.err().unwrap();
    assert!(error.to_string().contains("was removed from the cluster"), "{error}");
    assert!(!master.log.state().nodes.contains_key(&id), "and it does not come back as a node");
    assert!(lives(&mut other).await);

    let master = master.restart().await;
    let why = master.refused(identity).await;
    assert!(why.contains("was removed from the cluster"), "also after a restart: {why}");
    master.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time_and_the_one_before_ends() {
    let master = Master::start().await;
    let (identity, dir) = master.join().await;
    let old = copy(&identity);
    let member = master.member(identity, dir.path());
    master.pass(DAY * 59);
    assert!(!member.renew_if_due().await.unwrap(), "more than a third is left");
    let mut link = member.connect().await.unwrap();
    master.pass(DAY * 2);
    assert!(member.renew_if_due().await.unwrap());
    assert!(!lives(&mut link).await, "the link comes anew with the new certificate");
    let new = Identity::load(dir.path()).unwrap();
    let (before, after) = (old.facts().unwrap(), new.facts().unwrap());
    assert_eq!(before.node, after.node);
    assert_ne!((before.key, before.serial), (after.key, after.serial));

    // Until the new one has been used the old one is good: the answer may have got lost.
    master.welcomed(copy(&old)).await;
    let mut link = master.welcomed(copy(&new)).await;
    let why = master.refused(old).await;
    assert!(why.contains("replaced by a newer one"), "{why}");
    assert!(lives(&mut link).await, "the one with the new certificate is not disturbed");
    // This master's own certificate is as old; it was made anew too.
    assert!(member.renew_if_due().await.is_ok_and(|renewed| !renewed));
    master.tasks.stop(PATIENCE).await;
}

/// Both ends go by the cluster's clock, in TLS too: an agent that looks once a day, is away for a month each
/// year, and a master whose own certificate is made anew as agents knock.
#[tokio::test]
async fn five_years_go_by_without_a_certificate_that_ends() {
    const THIRD: Duration = DAY.saturating_mul(30);
    let clock = ManualClock::new(SystemClock.now());
    let master = Master::start_by(clock, level::LEVEL).await;
    let (identity, dir) = master.join().await;
    let first = copy(&identity);
    let node = first.facts().unwrap().node;
    let member = master.member(identity, dir.path());
    let (mut n_renewed, mut masters) = (0, BTreeSet::new());
    for day in 0..5 * 365 {
        master.pass(DAY);
        let left = || {
            let facts = Identity::load(dir.path()).unwrap().facts().unwrap();
            facts.expires_at.since(master.clock.now())
        };
        if day % 365 > 335 {
            assert!(!left().is_zero(), "one that was away for a month, on day {day}");
            continue;
        }
        n_renewed += usize::from(member.renew_if_due().await.unwrap());
        assert!(left() > THIRD - DAY, "two thirds have passed on day {day}");
        if day % 10 == 0 {
            let link = member.connect().await.unwrap();
            let hello = Hello { info: info(&node), reports: Vec::new() };
            link.to_master.send(FromAgent::Hello(Box::new(hello))).await.unwrap();
            let mut link = link;
            assert!(matches!(
                next(&mut link).await,
                Some(ToAgent::Masters(_) | ToAgent::Welcome { .. })
            ));
            let own = Identity::load(master.pki.path()).unwrap().facts().unwrap();
            assert!(own.expires_at.since(master.clock.now()) > THIRD - DAY, "the master's own");
            masters.insert(own.serial);
        }
    }
    // Sixty days each, and one more or less for each month away.
    assert!((25..=35).contains(&n_renewed), "{n_renewed} times");
    assert!((25..=35).contains(&masters.len()), "the master {} times", masters.len());
    let n_kept = master.log.state().certificates_of(&node).count();
    assert!(n_kept <= 4, "{n_kept} certificates are kept");
    let (address, clock) = (master.address.to_string(), master.clock.clone() as Arc<dyn Clock>);
    let first = first.by_clock(&clock);
    assert!(member::renew(&address, &first, "h").await.is_err(), "it is long good for nothing");
    master.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn certificates_the_cluster_did_not_give_are_refused() {
    use tepui::host::pki::node::{Asked, Named, Request, draw_serial};
    let master = Master::start().await;
    let (real, _dir) = master.join().await;
    let node = real.facts().unwrap().node;
    let mut link = master.welcomed(real).await;
    let serial = draw_serial(&mut Rng::from_os());
    let forge = |authority: &Authority| {
        let key = Request::new().unwrap();
        let asked = Asked::read(&key.to_der().unwrap()).unwrap();
        let named = Named { cluster: "c", node: &node, serial: &serial, host: "h" };
        let signed = authority.sign(&asked, &named, master.clock.now()).unwrap();
        key.complete(signed, master.authority.certificate_der().to_vec()).unwrap()
    };
    // Signed by the right authority, but not among those it gave.
    let why = master.refused(forge(&master.authority)).await;
    assert!(why.contains("not among those this cluster has given"), "{why}");
    // Signed by another authority: the handshake fails.
    let foreign = Authority::create("other", master.clock.now()).unwrap();
    let (_, told) = master.hello(forge(&foreign), &node).await;
    assert!(told.is_none(), "{told:?}");
    assert!(lives(&mut link).await, "the real one is not disturbed");
    master.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_made_up_invitation_costs_no_write_of_the_log() {
    let master = Master::start().await;
    let (token, _) = master.invite(None).await;
    let (_, fingerprint) = token.split_once('.').unwrap();
    let before = master.log.state().revision;
    for n in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let made_up = format!("{n:032}.{fingerprint}");
        let refused = master.join_with(dir.path(), &made_up).await.err().expect("refused");
        assert!(format!("{refused:#}").contains("token"), "{refused:#}");
    }
    assert_eq!(master.log.state().revision, before);
    let dir = tempfile::tempdir().unwrap();
    master.join_with(dir.path(), &token).await.expect("the real one is good");
    master.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn silent_connections_do_not_hold_the_door() {
    let master = Master::start().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(tokio::net::TcpStream::connect(master.address).await.unwrap());
    }
    let began = Instant::now();
    let (identity, _dir) = master.join().await;
    master.welcomed(identity).await;
    let took = began.elapsed();
    println!("joined and welcomed in {took:?} beside {} silent connections", silent.len());
    assert!(took < Duration::from_secs(2), "{took:?}");
    master.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_master_shows_a_fresh_certificate_without_a_restart() {
    let master = Master::start().await;
    let shown = async || {
        let (token, _) = master.invite(None).await;
        let config =
            tepui::host::pki::join::client_config(token.split_once('.').unwrap().1).unwrap();
        let address = master.address.to_string();
        let purpose = tepui::node::peers::Purpose::Join;
        let tls = tepui::node::peers::open(&address, &config, purpose).await.unwrap();
        let (_, connection) = tls.get_ref();
        connection.peer_certificates().unwrap()[0].to_vec()
    };
    let first = shown().await;
    assert_eq!(shown().await, first, "it is not made anew for each connection");
    master.pass(DAY * 61);
    assert_ne!(shown().await, first);
    master.tasks.stop(PATIENCE).await;
}

/// Takes what a link brings until it has told the whole set of names, or a change of it.
async fn known(link: &mut LinkEnds, received: &mut Received) -> Known {
    loop {
        match next(link).await {
            Some(ToAgent::Names(news)) => {
                if let Some(known) = received.take(&news) {
                    return known.clone();
                }
            }
            Some(_) => {}
            None => panic!("the link has ended"),
        }
    }
}

fn addresses_of(known: &Known, name: &str) -> Vec<IpAddr> {
    let mut listing = Listing::default();
    known.records([10, 0, 0, 9].into(), &mut listing);
    let of = |r: tepui::core::naming::Record| match r.data {
        Data::Address(ip) if r.name == name => Some(ip),
        _ => None,
    };
    listing.into_records().into_iter().filter_map(of).collect()
}

#[tokio::test]
async fn a_node_is_told_the_names_once_all_can_be_and_what_becomes_of_them() {
    let master = Master::start_at(level::NAMES - 1).await;
    let (first, _dir) = master.join().await;
    let mut link = master.welcomed(first).await;
    let mut received = Received::default();
    let early = timeout(Duration::from_millis(1_200), known(&mut link, &mut received)).await;
    assert!(early.is_err(), "older agents would not understand it: {early:?}");
    master.log.propose(ClusterCommand::RaiseLevel(level::NAMES).into()).await.unwrap().unwrap();
    let told = known(&mut link, &mut received).await;
    assert_eq!(addresses_of(&told, "leader.mesos"), [IpAddr::from([10, 0, 0, 1])]);
    assert_eq!(addresses_of(&told, "slave.mesos"), [IpAddr::from([127, 0, 0, 1])]);
    assert_eq!(
        addresses_of(&told, "thisnode.thisdcos.directory"),
        [IpAddr::from([10, 0, 0, 9])],
        "the node that answers"
    );

    // Another node comes, and is told as well; both hear when it is lost.
    let (second, _dir) = master.join().await;
    let id = second.facts().unwrap().node;
    let mut moved = info(&id);
    moved.address = [10, 0, 0, 2].into();
    let mut other = master.connect(second).await;
    let hello = Hello { info: moved, reports: Vec::new() };
    other.to_master.send(FromAgent::Hello(Box::new(hello))).await.unwrap();
    let both = [IpAddr::from([10, 0, 0, 2]), IpAddr::from([127, 0, 0, 1])];
    assert_eq!(addresses_of(&known(&mut link, &mut received).await, "slave.mesos"), both);
    let mut others = Received::default();
    assert_eq!(addresses_of(&known(&mut other, &mut others).await, "slave.mesos"), both);
    let lost = NodeCommand::NodeReach { node: id, reachable: false }.into();
    master.log.propose(lost).await.unwrap().unwrap();
    for (link, received) in [(&mut link, &mut received), (&mut other, &mut others)] {
        let told = known(link, received).await;
        assert_eq!(addresses_of(&told, "slave.mesos"), both[1..]);
    }
    master.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_token_is_good_for_its_role_and_the_certificate_says_which() {
    use tepui::host::pki::node::As;
    let master = Master::start().await;
    let roles = [Invited::Agent, Invited::PublicAgent, Invited::Master];
    for of in [None, Some(Invited::Agent), Some(Invited::PublicAgent), Some(Invited::Master)] {
        for wanted in roles {
            let (token, _) = master.invite(of).await;
            let dir = tempfile::tempdir().unwrap();
            let joined = master.join_as(dir.path(), &token, wanted).await;
            let is_good = of.map_or(wanted != Invited::Master, |of| of == wanted);
            match (joined, wanted) {
                (Ok(identity), Invited::Agent) if is_good => {
                    assert_eq!(identity.facts().unwrap().is, As::Agent);
                }
                (Ok(identity), Invited::PublicAgent) if is_good => {
                    assert_eq!(identity.facts().unwrap().is, As::PublicAgent);
                }
                (Err(error), Invited::Master) if is_good => {
                    // It says nothing of itself here, which a master has to.
                    let error = format!("{error:#}");
                    assert!(error.contains("says where it is reached"), "{error}");
                }
                (Err(error), _) if !is_good => {
                    let error = format!("{error:#}");
                    let hint = format!("`tepui node invite --role {}`", wanted.as_str());
                    assert!(error.contains("the token is for") && error.contains(&hint), "{error}");
                }
                (other, _) => panic!("{of:?} as {wanted:?}: {:?}", other.map(|i| i.facts())),
            }
        }
    }
    master.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn before_its_level_the_cluster_invites_for_no_role() {
    let master = Master::start_at(level::MASTERS - 1).await;
    let hour = Duration::from_secs(3_600);
    let why = master.door.invite(Some(Invited::Master), hour).await.unwrap_err();
    assert!(why.contains("`tepui cluster raise`"), "{why}");
    let (token, _) = master.invite(None).await;
    let dir = tempfile::tempdir().unwrap();
    master.join_with(dir.path(), &token).await.expect("agents join as ever");
    master.tasks.stop(PATIENCE).await;
}
