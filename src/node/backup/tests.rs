//! Backups of a small cluster: read back, refused where they are not what they should be, restored. One that
//! was made when the format was landed is opened by the present build.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    archive::{Piece, Writer},
    *,
};
use crate::{
    base::{
        clock::{Clock as _, ManualClock, Timestamp},
        level::LEVEL,
        rng::Rng,
        task::Tasks,
        wire::sample::{hold, records, shape},
    },
    control::backup::Lock,
    core::{
        AdmissionCommand, ClusterCommand, Command, NodeCommand, State, WorkloadCommand,
        command::{Init, Seat},
        invariant,
    },
    host::pki::{Authority, Identity, node::As},
    log::{Disk, Log, LogConfig, memory::MemoryDisk, stopped::Stopped},
    model::{
        AppId,
        access::User,
        master::{Addresses, Master},
    },
    sim::build,
};

const START: Timestamp = Timestamp::from_ms(1_800_000_000_000);
/// A key made for these tests; what it opens holds no secret.
const SECRET_KEY: &str = include_str!("../../../tests/golden/formats/backup-key.txt");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/formats/backup-1.backup");

/// A log with a cluster in it: two masters, an agent, an app, a user.
struct World {
    log: Log<State>,
    authority: Authority,
    clock: std::sync::Arc<ManualClock>,
    tasks: Tasks,
}

fn user(uid: &str) -> User {
    User {
        uid: uid.to_owned(),
        description: String::new(),
        password_hash: Some("$argon2id$x".to_owned()),
        public_key: None,
        provider_type: "internal".to_owned(),
        provider_id: String::new(),
        is_remote: false,
        superuser: true,
        generation: 0,
    }
}

impl World {
    async fn new() -> Self {
        let (tasks, clock) = (Tasks::new("test"), ManualClock::new(START));
        let authority = Authority::create("test", START).unwrap();
        let config =
            LogConfig::single("test", Disk::Memory(MemoryDisk::default()), Rng::from_seed(7));
        let log = Log::open(config, None, clock.clone(), tasks.clone()).await.unwrap();
        log.ready(Duration::from_secs(10)).await.unwrap();
        let world = Self { log, authority, clock, tasks };
        let (cluster, name) = ("c0ffee00-0000-4000-8000-000000000000", "kept");
        world
            .has(ClusterCommand::Init(Init {
                cluster: cluster.to_owned(),
                name: name.to_owned(),
                secret: [7; 32],
                users: vec![user("ann")],
                level: LEVEL,
            }))
            .await;
        for id in 1..=2 {
            let peers = format!("10.0.0.{id}:5070");
            let addresses = Addresses { peers, ..Addresses::default() };
            let master = Master::new(id, "0.1.0", LEVEL, addresses);
            world.has(ClusterCommand::RegisterMaster(Box::new(master.clone()))).await;
            let node = Some(format!("m{id}").into());
            let master = Master { node, ..master };
            let expires_at = START + Duration::from_secs(86_400);
            let serial = format!("0{id}").as_str().into();
            let seat = Seat { invitation: None, key: [1; 32], serial, expires_at, master };
            world.has(AdmissionCommand::SeatMaster(Box::new(seat))).await;
        }
        world.has(NodeCommand::RegisterNode(Box::new(build::node(0, 4.0, 4_096.0, &[])))).await;
        let apps = [build::app("/shop/web", 3, 0.1, 32.0, 1)].into_iter();
        let apps = build::new_apps("d1".to_owned().into(), apps);
        world.has(WorkloadCommand::PutApps(Box::new(apps))).await;
        world
    }

    async fn has(&self, command: impl Into<Command>) {
        self.clock.advance(Duration::from_millis(10));
        self.log.propose(command.into()).await.unwrap().unwrap();
    }

    async fn source(&self) -> make::Source {
        let (certificate, key) = self.authority.secrets();
        make::Source {
            copied: self.log.copy().await.unwrap(),
            authority: std::sync::Arc::new(Authority::of_secrets(&certificate, &key).unwrap()),
            master: 1,
            node: "m1".into(),
            made_at: self.clock.now(),
        }
    }

    async fn backup(&self, lock: &Lock) -> Vec<u8> {
        make::write(&self.source().await, lock, Vec::new()).unwrap()
    }

    async fn end(self) {
        self.log.stop().await;
        self.tasks.stop(Duration::from_secs(5)).await;
    }
}

/// The pair of keys of these tests.
fn pair() -> (Lock, Key) {
    let public = SECRET_KEY.lines().find_map(|line| line.strip_prefix("# public key: "));
    (Lock::Keys(vec![public.unwrap().to_owned()]), Key::of_file(SECRET_KEY).unwrap())
}

fn refused(bytes: &[u8], key: &Key) -> String {
    match verify(bytes, key) {
        Ok(_) => panic!("it was taken"),
        Err(error) => crate::base::error::chain(&error),
    }
}

#[test]
fn what_a_backup_is_written_in_stays_readable() {
    hold("backup", &[shape::<Head>(), shape::<Piece>()]);
}

#[tokio::test]
async fn what_was_there_is_in_it_and_nobody_reads_it_without_the_key() {
    let world = World::new().await;
    let (lock, key) = pair();
    let bytes = world.backup(&lock).await;
    let state = world.log.state();
    let content = verify(&bytes[..], &key).unwrap();
    assert_eq!(content.state.rows().collect::<Vec<_>>(), state.rows().collect::<Vec<_>>());
    assert_eq!(content.fingerprint, state.fingerprint());
    assert_eq!(content.authority.secrets(), world.authority.secrets());
    assert!(
        content.n_records > 0 && content.n_rows > 8,
        "{} {}",
        content.n_records,
        content.n_rows
    );
    let head = &content.head;
    assert_eq!((head.name.as_str(), head.level, head.revision), ("kept", LEVEL, state.revision));
    assert_eq!((head.master, head.made_at), (1, world.clock.now()));
    assert_eq!(head.index, world.log.metrics().last_applied.unwrap().index);

    // Its name, and what stands in it in clear, are all that can be read.
    assert!(bytes.starts_with(b"tepui backup 1\n"));
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("kept") && holds("c0ffee00-0000"));
    assert!(!holds("ann") && !holds("shop") && !holds("argon2id"));

    let (other, _) = new_key();
    assert_eq!(refused(&bytes, &Key::of_file(&other).unwrap()), "none of these keys opens it");
    let text = refused(&bytes, &Key::passphrase("a good passphrase"));
    assert_eq!(text, "it was made for a key, and none was given");
    world.end().await;
}

#[tokio::test]
async fn a_passphrase_opens_what_was_made_with_it() {
    let world = World::new().await;
    let bytes = world.backup(&Lock::Passphrase("correct horse battery".to_owned())).await;
    assert!(verify(&bytes[..], &Key::passphrase("correct horse battery")).is_ok());
    let text = refused(&bytes, &Key::passphrase("correct horse batterie"));
    assert_eq!(text, "the passphrase is not the one it was made with");
    assert_eq!(refused(&bytes, &pair().1), "it was made with a passphrase, and a key was given");
    let source = world.source().await;
    for (lock, said) in [
        (Lock::Passphrase("short".to_owned()), "a passphrase has 12 characters or more"),
        (Lock::Keys(Vec::new()), "a backup is made for 1 to 20 public keys"),
        (Lock::Keys(vec!["age1x".to_owned()]), "\"age1x\" is no public key"),
    ] {
        let error = make::write(&source, &lock, Vec::new()).unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_cut_short_or_changed_is_refused_wherever_it_is() {
    let world = World::new().await;
    let (lock, key) = pair();
    let bytes = world.backup(&lock).await;
    let n = bytes.len();
    let sampled = (0..n).filter(|at| *at < 400 || at % 97 == 0 || n - at < 40);
    for at in sampled {
        assert!(!refused(&bytes[..at], &key).is_empty(), "cut at {at} of {n}");
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        assert!(!refused(&changed, &key).is_empty(), "changed at {at} of {n}");
    }
    assert!(refused(&[&bytes[..], b"x"].concat(), &key).starts_with("it is damaged"));
    assert_eq!(refused(b"", &key), "it is no backup of tepui");
    assert_eq!(refused(b"#!/bin/sh\necho\n", &key), "it is no backup of tepui");
    let text = refused(&bytes[..n - 1], &key);
    assert!(text.starts_with("it is damaged or cut short: "), "{text}");
    world.end().await;
}

#[tokio::test]
async fn what_a_newer_release_made_is_refused_in_words() {
    let world = World::new().await;
    let (lock, key) = pair();
    let content = verify(&world.backup(&lock).await[..], &key).unwrap();
    let newer = [b"tepui backup 2\n", &[0; 40][..]].concat();
    let text = refused(&newer, &key);
    assert!(text.starts_with("it is of a newer release: its format is 2"), "{text}");
    let head = Head { level: LEVEL + 1, release: "9.0.0".to_owned(), ..content.head.clone() };
    let writer = Writer::begin(Vec::new(), &head, &lock).unwrap();
    let text = refused(&writer.finish().unwrap(), &key);
    let said = format!("it is of a newer release: tepui 9.0.0 at level {}", LEVEL + 1);
    assert!(text.starts_with(&said), "{text}");
    world.end().await;
}

#[tokio::test]
async fn what_does_not_hold_together_is_refused() {
    let world = World::new().await;
    let (lock, key) = pair();
    let content = verify(&world.backup(&lock).await[..], &key).unwrap();
    let rows: Vec<_> = content.state.rows().collect();
    let (certificate, secret) = content.authority.secrets();
    let fingerprint = content.fingerprint;
    let end = |n_rows: usize, fingerprint| Piece::End {
        n_rows: n_rows as u64,
        n_records: 0,
        fingerprint,
    };
    let authority = Piece::Authority { certificate: certificate.clone(), key: secret };
    let (_, foreign) = Authority::create("other", START).unwrap().secrets();
    let foreign = Piece::Authority { certificate, key: foreign };
    let all = || Piece::State { rows: rows.clone() };
    let less = || Piece::State { rows: rows[..rows.len() - 1].to_vec() };
    let n = rows.len();
    for (pieces, said) in [
        (vec![all(), end(n, fingerprint)], "it lacks the cluster's authority"),
        (vec![foreign, all(), end(n, fingerprint)], "the key is not the authority's"),
        (vec![authority.clone(), all()], "it has no end"),
        (vec![authority.clone(), all(), end(n + 1, fingerprint)], "rows and 0 records"),
        (vec![authority.clone(), less(), end(n - 1, fingerprint)], "fingerprint of its rows"),
        (vec![authority.clone(), all(), end(n, fingerprint), all()], "pieces follow its end"),
    ] {
        let mut writer = Writer::begin(Vec::new(), &content.head, &lock).unwrap();
        pieces.iter().for_each(|piece| writer.put(piece).unwrap());
        let text = refused(&writer.finish().unwrap(), &key);
        assert!(text.contains(said), "{text}");
    }
    world.end().await;
}

fn target(dir: &Path) -> Target {
    Target { data_dir: dir.to_owned(), in_place_of: None, host: "new".to_owned() }
}

async fn restored(bytes: &[u8], key: Key, target: Target) -> anyhow::Result<Restored> {
    let clock = ManualClock::new(START + Duration::from_secs(3_600));
    let source = std::io::Cursor::new(bytes.to_vec());
    restore(source, key, target, (clock, &mut Rng::from_seed(3))).await
}

#[cfg(feature = "rocksdb")]
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_master_is_the_only_one_and_has_everything() {
    let world = World::new().await;
    let (lock, key) = pair();
    let bytes = world.backup(&lock).await;
    let before = world.log.state();
    world.end().await;
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let done = restored(&bytes, key, target(&data_dir)).await.unwrap();
    assert_eq!((done.master, done.node.as_str(), done.gone.len()), (3, "m1", 2));
    assert_eq!(unfinished(&data_dir), None);

    // Its certificate is its own, of the same authority, and known; those of the lost ones are not good.
    let pki = data_dir.join("pki");
    let facts = Identity::load(&pki).unwrap().facts().unwrap();
    assert_eq!((facts.is, facts.node.as_str()), (As::Master(3), "m1"));
    assert!(Authority::load(&pki).unwrap().is_some());
    let stopped = Stopped::look(&Disk::at(data_dir.join("log"))).await.unwrap();
    let whole = stopped.read::<State>(LEVEL).unwrap();
    assert!(stopped.read_history().unwrap().n_rows > 0);
    stopped.close().await;
    let after = &whole.machine;
    assert_eq!(invariant::check(after), []);
    assert_eq!(after.masters.keys().collect::<Vec<_>>(), [&3]);
    assert_eq!(whole.members.membership().voter_ids().collect::<Vec<_>>(), [3]);
    let good = |node: &str| {
        let node = node.into();
        let all = after.certificates_of(&node);
        all.filter(|c| c.problem().is_none()).map(|c| c.serial.clone()).collect::<Vec<_>>()
    };
    assert_eq!((good("m1"), good("m2")), (vec![facts.serial], vec![]));
    assert_eq!((&after.apps, &after.specs), (&before.apps, &before.specs));
    assert_eq!((&after.users, &after.instances), (&before.users, &before.instances));
    let secret = |state: &State| state.cluster.as_ref().unwrap().secret;
    assert_eq!(secret(after), secret(&before));
    assert!(after.masters[&3].sealed.is_some());
}

#[cfg(feature = "rocksdb")]
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_refused_leaves_nothing_behind() {
    let world = World::new().await;
    let (lock, _) = pair();
    let bytes = world.backup(&lock).await;
    world.end().await;
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let error = restored(&bytes[..bytes.len() / 2], pair().1, target(&data_dir)).await.unwrap_err();
    assert!(format!("{error:#}").contains("damaged or cut short"), "{error:#}");
    assert!(!data_dir.exists());

    std::fs::create_dir_all(data_dir.join("lost+found")).unwrap();
    let key = Key::of_file(&new_key().0).unwrap();
    let error = restored(&bytes, key, target(&data_dir)).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "none of these keys opens it");
    let left = || -> Vec<PathBuf> {
        std::fs::read_dir(&data_dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!(left(), [data_dir.join("lost+found")]);

    let stranger = Target { in_place_of: Some(9), ..target(&data_dir) };
    let error = restored(&bytes, pair().1, stranger).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "the backup knows no master 9; it knows 1, 2");
    assert_eq!(left().len(), 1);

    let second = Target { in_place_of: Some(2), ..target(&data_dir) };
    assert_eq!(restored(&bytes, pair().1, second).await.unwrap().node.as_str(), "m2");
    let error = restored(&bytes, pair().1, target(&data_dir)).await.unwrap_err().to_string();
    assert!(
        error.contains("is not empty") && error.contains("nothing is restored over"),
        "{error}"
    );

    let broken_off = dir.path().join("broken");
    std::fs::create_dir_all(broken_off.join("restoring")).unwrap();
    assert!(unfinished(&broken_off).is_some_and(|why| why.contains("was broken off")));
}

#[tokio::test]
async fn a_backup_of_the_first_format_opens_and_means_what_it_meant() {
    let (lock, key) = pair();
    if records() && !Path::new(GOLDEN).exists() {
        let world = World::new().await;
        let bytes = world.backup(&lock).await;
        std::fs::File::options()
            .write(true)
            .create_new(true)
            .open(GOLDEN)
            .and_then(|mut file| file.write_all(&bytes))
            .unwrap();
        world.end().await;
    }
    let bytes = std::fs::read(GOLDEN).expect("the record");
    let content = verify(&bytes[..], &key).unwrap();
    let (head, state) = (&content.head, &content.state);
    assert_eq!(
        (head.cluster.as_str(), head.name.as_str()),
        ("c0ffee00-0000-4000-8000-000000000000", "kept")
    );
    assert_eq!((head.level, head.master, head.node.as_str()), (4, 1, "m1"));
    assert_eq!(state.revision, head.revision);
    let web = AppId::parse("/shop/web");
    assert_eq!(state.spec(&web).map(|spec| spec.instances), Some(3));
    assert_eq!(state.nodes.len(), 1);
    assert_eq!(state.masters.len(), 2);
    assert!(state.users["ann"].superuser);
    assert_eq!(state.cluster.as_ref().map(|cluster| cluster.secret), Some([7; 32]));
    assert!(content.n_records > 0);
    let facts = content
        .authority
        .issue(&crate::host::pki::Subject { node: "x", roles: &[], names: &[] }, START);
    assert!(facts.is_ok(), "its authority still signs");
}

#[test]
fn a_name_says_whose_a_backup_is_and_from_when() {
    let cluster = "c0ffee00-0000-4000-8000-000000000000";
    let at = Timestamp::parse("2026-11-29T09:55:00.042Z").unwrap();
    let name = make::name(cluster, at);
    assert_eq!(name, "tepui-c0ffee00-20261129T095500042Z.backup");
    assert_eq!(make::made_at(cluster, &name), Some(at));
    for other in [
        "tepui-c0ffee01-20261129T095500042Z.backup",
        "tepui-c0ffee00-20261129T095500042Z.backup.part",
        "tepui-c0ffee00-20261129095500042Z.backup",
        "tepui-c0ffee00-2026112é9T095500042Z.backup",
        "tepui-c0ffee00-20269929T095500042Z.backup",
        "tepui-c0ffee00-T.backup",
        "notes.txt",
    ] {
        assert_eq!(make::made_at(cluster, other), None, "{other}");
    }
}

#[test]
fn a_file_of_keys_may_have_comments_and_must_have_keys() {
    let (file, public) = new_key();
    assert!(file.contains(&public) && Key::of_file(&file).is_ok());
    for bad in ["", "# nothing\n", "AGE-SECRET-KEY-1X", public.as_str()] {
        assert!(matches!(Key::of_file(bad), Err(ArchiveError::Lock(_))), "{bad}");
    }
}
