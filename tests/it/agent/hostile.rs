//! Tasks and archives that mean harm. What must not be touched lies in a directory of the test's
//! own, to which links are planted wherever the agent, as root, makes, writes, reads or binds.

use std::{
    fs,
    io::Write as _,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use tepui::model::{
    Scalars,
    container::{DiskKind, PersistentVolume},
};

use super::{
    rig::{PATIENCE, Rig, image_container, order, plain_container, serve_all, spec},
    *,
};

/// A place on the node that no task may change: one file of root's.
struct Node {
    dir: PathBuf,
    before: (u32, u32, u64),
}

impl Node {
    fn new(rig: &Rig) -> Self {
        fs::set_permissions(rig.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let dir = rig.dir.path().join("node");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        fs::write(dir.join("root"), "root's").unwrap();
        fs::set_permissions(dir.join("root"), fs::Permissions::from_mode(0o600)).unwrap();
        Self { before: Self::look(&dir.join("root")), dir }
    }

    fn look(file: &Path) -> (u32, u32, u64) {
        let meta = fs::metadata(file).unwrap();
        (meta.uid(), meta.mode(), meta.nlink())
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn is_untouched(&self) {
        assert_eq!(fs::read_to_string(self.dir.join("root")).unwrap(), "root's");
        assert_eq!(Self::look(&self.dir.join("root")), self.before);
        let names: Vec<_> = fs::read_dir(&self.dir).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "nothing was made: {names:?}");
    }
}

enum Entry<'a> {
    File(&'a [u8]),
    Link(&'a str),
}

fn archive(entries: &[(&str, Entry<'_>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, entry) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match entry {
            Entry::File(content) => {
                header.set_size(content.len() as u64);
                tar.append_data(&mut header, name, *content).unwrap();
            }
            Entry::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, name, target).unwrap();
            }
        }
    }
    gz(&tar.into_inner().unwrap())
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn fetched(uri: String, dest: Option<&str>) -> Artifact {
    let dest_path = dest.map(str::to_owned);
    Artifact { uri, extract: true, executable: false, cache: false, dest_path }
}

fn host_volume(path: &str, inside: &str) -> Volume {
    let source = VolumeSource::Host(path.into());
    Volume { container_path: inside.into(), read_only: false, source }
}

fn on_host(id: &str, container: ContainerSpec) -> Order {
    order(id, spec(container, NetworkMode::Host), vec![])
}

async fn bytes_of(rig: &mut Rig, instance: &str, path: &str, offset: i64) -> Vec<u8> {
    let question = Question::ReadFile {
        instance: InstanceId::from(instance),
        incarnation: None,
        path: path.into(),
        offset: Some(offset),
        bytes_max: 1 << 20,
    };
    match rig.ask(998, question).await {
        Ok(Answer::File { bytes, .. }) => bytes,
        other => panic!("{other:?}"),
    }
}

async fn until_output(rig: &mut Rig, instance: &str, end: &str) {
    // Megabytes go by, and other tests want the processors as well.
    let deadline = tokio::time::Instant::now() + 3 * PATIENCE;
    loop {
        let bytes = bytes_of(rig, instance, "stdout", -64).await;
        if bytes.ends_with(end.as_bytes()) {
            return;
        }
        let text = String::from_utf8_lossy(&bytes);
        assert!(tokio::time::Instant::now() < deadline, "no {end:?} at the end of {text:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_links_its_output_to_the_node_writes_nothing_there() {
    let mut rig = Rig::new().await;
    let node = Node::new(&rig);
    let script = format!(
        "cd /mnt/mesos/sandbox; race() {{ while true; do for n in stdout stdout.1 stderr; do \
         busybox ln -sfn $1 $n; done; done; }}; race {} & A=$!; race {} & B=$!; echo begin; \
         sleep 1; busybox yes 0123456789abcdef | busybox head -c 10600000; echo; sleep 3; \
         echo PWNED; sleep 1; kill $A $B; echo over; sleep 1000",
        node.path("new"),
        node.path("root"),
    );
    let mut container = image_container(&script);
    container.resources = Scalars::of(0.5, 256.0, 0.0, 0.0);
    rig.desire(vec![on_host("links", container)]).await;
    rig.until_condition("links", 1, Condition::Running).await;
    until_output(&mut rig, "links", "PWNED\nover\n").await;
    node.is_untouched();
    // The agent opens everything again.
    let mut rig = rig.restarted(async |_| {}).await;
    rig.until_condition("links", 1, Condition::Running).await;
    until_output(&mut rig, "links", "PWNED\nover\n").await;
    node.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_command_that_links_its_output_to_the_node_is_given_nothing() {
    let mut rig = Rig::new().await;
    let node = Node::new(&rig);
    let mut orders = Vec::new();
    for n in 0..4 {
        let script = format!(
            "ln -sf {} stdout; ln -sf {} stderr; echo out; echo err >&2; sleep 1; exit 0",
            node.path("new"),
            node.path("root"),
        );
        let mut container = plain_container(&script);
        container.user = Some("nobody".into());
        orders.push(on_host(&format!("p{n}"), container));
    }
    rig.desire(orders).await;
    for n in 0..4 {
        let id = format!("p{n}");
        rig.until_condition(&id, 1, Condition::Finished).await;
        assert_eq!(rig.read(&id, "stdout").await, "out\n");
        assert_eq!(rig.read(&id, "stderr").await, "err\n");
    }
    node.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_an_archive_lead_no_later_file_out() {
    let mut rig = Rig::new().await;
    let node = Node::new(&rig);
    let (root, dir, new) = (node.path("root"), node.path(""), node.path("new"));
    let links = archive(&[
        ("conf.json", Entry::Link(&root)),
        ("sub", Entry::Link(dir.trim_end_matches('/'))),
        ("stdout", Entry::Link(&new)),
        ("stderr", Entry::Link(&root)),
        ("data", Entry::Link(dir.trim_end_matches('/'))),
    ]);
    let port = serve_all(vec![("links.tgz", links), ("conf.json", b"fetched".to_vec())]).await;
    let uri = |name: &str| format!("http://127.0.0.1:{port}/files/{name}");
    let with = |fetch: Vec<Artifact>| {
        let mut container = plain_container("cat conf.json; echo; echo oh >&2");
        container.user = Some("nobody".into());
        container.fetch = fetch;
        container
    };
    let (links, conf) = (fetched(uri("links.tgz"), None), fetched(uri("conf.json"), None));
    let through = fetched(uri("conf.json"), Some("sub/x"));
    let mut bound = with(vec![links.clone()]);
    bound.volumes = vec![host_volume("data", "/mnt")];
    let mut deeper = with(vec![links.clone()]);
    deeper.volumes = vec![host_volume("data/made", "/mnt")];
    rig.desire(vec![
        on_host("over", with(vec![links.clone(), conf])),
        on_host("through", with(vec![links, through])),
        on_host("bound", bound),
        on_host("deeper", deeper),
    ])
    .await;
    rig.until_condition("over", 1, Condition::Finished).await;
    assert_eq!(rig.read("over", "stdout").await, "fetched\n");
    assert_eq!(rig.read("over", "stderr").await, "oh\n");
    for (id, link) in [("through", "'sub'"), ("bound", "'data'"), ("deeper", "'data")] {
        let report = rig.until_condition(id, 1, Condition::Failed).await;
        let told = report.message.contains(link) && report.message.contains("link");
        assert!(told, "{id}: {}", report.message);
    }
    node.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_that_would_fill_the_memory_are_refused() {
    let mut rig = Rig::new().await;
    // A name of three gigabytes: the same packed sixteen megabytes over and over.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(3 << 30);
    header.set_cksum();
    let mut bomb = gz(header.as_bytes());
    bomb.extend(gz(&vec![b'x'; 16 << 20]).repeat(192));
    let login = archive(&[
        (".docker/config.json", Entry::Link("/dev/zero")),
        (".dockercfg", Entry::Link("/dev/zero")),
        ("here", Entry::File(b"x")),
    ]);
    let port = serve_all(vec![("bomb.tgz", bomb), ("docker.tar.gz", login)]).await;
    let uri = |name: &str| format!("http://127.0.0.1:{port}/files/{name}");
    let mut bombed = plain_container("true");
    bombed.fetch = vec![fetched(uri("bomb.tgz"), None)];
    let mut login = image_container("cat /mnt/mesos/sandbox/here");
    login.fetch = vec![fetched(uri("docker.tar.gz"), None)];
    rig.desire(vec![on_host("bomb", bombed), on_host("login", login)]).await;
    let report = rig.until_condition("bomb", 1, Condition::Failed).await;
    assert!(report.message.contains("too long"), "{}", report.message);
    rig.until_condition("login", 1, Condition::Finished).await;
    assert_eq!(rig.read("login", "stdout").await, "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_node_are_fetched_with_the_rights_of_the_task_s_user() {
    let mut rig = Rig::new().await;
    let node = Node::new(&rig);
    let mut container = plain_container("cat root");
    container.fetch = vec![fetched(format!("file://{}", node.path("root")), None)];
    let as_root = on_host("root", container.clone());
    container.user = Some("nobody".into());
    rig.desire(vec![as_root, on_host("nobody", container)]).await;
    rig.until_condition("root", 1, Condition::Finished).await;
    assert_eq!(rig.read("root", "stdout").await, "root's");
    let report = rig.until_condition("nobody", 1, Condition::Failed).await;
    assert!(report.message.contains("as user 'nobody': Permission denied"), "{}", report.message);
    node.is_untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_users_of_the_node_read_nothing_of_a_task() {
    let mut rig = Rig::new().await;
    let _node = Node::new(&rig);
    let secret = "hidden-in-the-environment";
    let mut orders = Vec::new();
    for (id, mut container) in
        [("i", image_container("env; sleep 1000")), ("p", plain_container("env; sleep 1000"))]
    {
        container.env.insert("DB_PASSWORD".into(), EnvValue::Text(secret.into()));
        container.volumes = vec![host_volume("data", "inside")];
        orders.push(on_host(id, container));
    }
    rig.desire(orders).await;
    for id in ["i", "p"] {
        rig.until_condition(id, 1, Condition::Running).await;
        while !rig.read(id, "stdout").await.contains(secret) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let grep = |uid: u32| {
        let mut grep = std::process::Command::new("grep");
        grep.args(["-rl", secret]).arg(rig.dir.path().join("agent")).uid(uid).gid(uid);
        String::from_utf8(grep.output().unwrap().stdout).unwrap().lines().count()
    };
    assert_eq!(grep(65_534), 0);
    assert!(grep(0) >= 4, "records and output are there for root");
    for id in ["i", "p"] {
        for path in ["stdout", "data", ""] {
            let path = rig.dir.path().join(format!("agent/sandboxes/it_app/{id}/1/{path}"));
            assert!(path.exists());
            let mut test = std::process::Command::new("ls");
            let status = test.arg(&path).uid(65_534).gid(65_534).output().unwrap().status;
            assert!(!status.success(), "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_s_user_writes_to_its_sandbox_and_volumes() {
    let mut rig = Rig::new().await;
    let port = serve_all(vec![("conf", b"fetched".to_vec())]).await;
    let data = PersistentVolume {
        kind: DiskKind::Root,
        size_mb: 10,
        size_mb_max: None,
        profile: None,
        constraints: Vec::new(),
    };
    let mut orders = Vec::new();
    for (n, user) in ["web", "33", "1234:5678"].into_iter().enumerate() {
        let mut container = image_container(
            "cd /mnt/mesos/sandbox && echo a > mine && echo b > /relative/mine && \
             echo c > kept/mine && echo d >> conf && cat mine /relative/mine kept/mine conf",
        );
        container.user = Some(user.into());
        container.fetch = vec![fetched(format!("http://127.0.0.1:{port}/files/conf"), None)];
        let kept = VolumeSource::Persistent(data.clone());
        container.volumes = vec![
            host_volume("relative", "/relative"),
            Volume { container_path: "kept".into(), read_only: false, source: kept },
        ];
        orders.push(on_host(&format!("u{n}"), container));
    }
    rig.desire(orders).await;
    for n in 0..3 {
        let id = format!("u{n}");
        rig.until_condition(&id, 1, Condition::Finished).await;
        assert_eq!(rig.read(&id, "stdout").await, "a\nb\nc\nfetchedd\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relative_volume_may_name_a_fetched_file() {
    let mut rig = Rig::new().await;
    let packed = archive(&[("etc/deep.conf", Entry::File(b"unpacked\n"))]);
    let port = serve_all(vec![("app.conf", b"fetched\n".to_vec()), ("a.tgz", packed)]).await;
    let uri = |name: &str| format!("http://127.0.0.1:{port}/files/{name}");
    let mut container = image_container("cat /etc/app.conf /deep.conf");
    container.fetch = vec![fetched(uri("app.conf"), None), fetched(uri("a.tgz"), None)];
    container.volumes =
        vec![host_volume("app.conf", "/etc/app.conf"), host_volume("etc/deep.conf", "/deep.conf")];
    rig.desire(vec![on_host("f", container)]).await;
    rig.until_condition("f", 1, Condition::Finished).await;
    assert_eq!(rig.read("f", "stdout").await, "fetched\nunpacked\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_comes_byte_for_byte() {
    let mut rig = Rig::new().await;
    // Lines longer than what the engine passes on in one piece, cut in the middle of characters.
    let mut wanted = "aé€𝄞".repeat(4_000).into_bytes();
    wanted.extend(b"\nshort\n");
    wanted.extend([0xe9; 40_000]);
    wanted.extend(b"\r\n\n\0\xff\xfe latin \xe9\n");
    wanted.extend([b'x'; 16 << 10]);
    wanted.extend(b"\nno line break at the end");
    let port = serve_all(vec![("bytes", wanted.clone())]).await;
    let mut orders = Vec::new();
    for (id, mut container) in [
        ("image", image_container("cat /mnt/mesos/sandbox/bytes")),
        ("plain", plain_container("cat bytes")),
    ] {
        container.fetch = vec![fetched(format!("http://127.0.0.1:{port}/files/bytes"), None)];
        orders.push(on_host(id, container));
    }
    rig.desire(orders).await;
    for id in ["image", "plain"] {
        rig.until_condition(id, 1, Condition::Finished).await;
        let found = bytes_of(&mut rig, id, "stdout", 0).await;
        assert!(found == wanted, "{id}: {} of {} bytes", found.len(), wanted.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_survives_the_engine_s_own_rotation_exactly() {
    let mut rig = Rig::new().await;
    // The engine's file is full after two thirds; what it then sends again is not taken twice.
    let script = "i=0; while [ $i -lt 22 ]; do busybox seq $((1000000+i*20000)) \
                  $((1000000+i*20000+19999)); sleep 0.3; i=$((i+1)); done";
    let mut container = image_container(script);
    container.resources = Scalars::of(1.0, 64.0, 0.0, 0.0);
    rig.desire(vec![on_host("long", container)]).await;
    rig.until_condition("long", 1, Condition::Finished).await;
    let path = rig.dir.path().join("agent/sandboxes/it_app/long/1/stdout");
    let wanted: String = (1_000_000..1_440_000).map(|n| format!("{n}\n")).collect();
    // The end is reported two seconds after it at the latest, whatever is still to be read.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while fs::metadata(&path).unwrap().len() < wanted.len() as u64 {
        assert!(tokio::time::Instant::now() < deadline, "output is missing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let text = fs::read_to_string(path).unwrap();
    assert!(text == wanted, "{} of {} bytes", text.len(), wanted.len());
}

/// A small disk of its own below the rig's directory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("none"), &path, Some("tmpfs"), flags, Some("size=1m,mode=711"))
            .expect("root may mount");
        Self(path)
    }

    fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH).expect("root may unmount");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_goes_on_when_a_full_disk_has_room_again() {
    image().await;
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let disk = SmallDisk::mount(dir.path().join("agent"));
    let cluster = format!("it-{}", Rng::from_os().hex(12));
    let mut rig = Rig::on(dir, cluster, rig::socket()).await;
    let script = "i=0; while true; do i=$((i+1)); busybox printf '%0200d\\n' $i; \
                  [ -e /mnt/mesos/sandbox/stop ] && break; sleep 0.02; done; sleep 1000";
    rig.desire(vec![on_host("full", image_container(script))]).await;
    rig.until_condition("full", 1, Condition::Running).await;
    let stdout = disk.0.join("sandboxes/it_app/full/1/stdout");
    let len = || fs::metadata(&stdout).map_or(0, |m| m.len());
    let until = async |what: &str, done: &dyn Fn() -> bool| {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !done() {
            assert!(tokio::time::Instant::now() < deadline, "{what}: {} bytes", len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until("output", &|| len() > 2_000).await;
    disk.fill();
    // What is left of the last page is written; then nothing more for a while.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stuck = len();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(len(), stuck, "the disk is full");
    fs::remove_file(disk.0.join("filler")).unwrap();
    until("more output", &|| len() > stuck + 20_000).await;
    fs::write(disk.0.join("sandboxes/it_app/full/1/stop"), "").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let text = rig.read("full", "stdout").await;
    let numbers: Vec<usize> = text.lines().map(|l| l.parse().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>(), "nothing lost, nothing twice");
}
