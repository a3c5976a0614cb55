//! Clean stops: whatever stands between the container's first process and the server, the server
//! gets its SIGTERM once, has its time, and what stood between ends by itself.
//!
//! Needs dash, bash, busybox-static, Node and npm on this machine; images run them from its `/usr`.

use std::{path::Path, time::Duration};

use tepui::{
    base::clock::SystemClock,
    host::docker::Engine,
    model::{
        container::{Command, ContainerSpec, Engine as Dialect, Volume, VolumeSource},
        instance::Condition,
        link::Order,
        workload::NetworkMode,
    },
};

use super::rig::{Rig, image_container, killed, order, plain_container, socket, spec};

/// An image whose programs are the machine's: links, and `/usr` as a volume.
const IMAGE: &str = "tepui-it/of-this-machine:2";
const GRACE: Duration = Duration::from_secs(20);

/// Cleans up for 2 s when told to stop; a second SIGTERM ends it with 9.
const SERVER: &str = "
let told = false;
process.on('SIGTERM', () => {
  if (told) process.exit(9);
  told = true;
  console.log('cleaning up');
  setTimeout(() => { console.log('clean'); process.exit(0); }, 2000);
});
setInterval(() => {}, 1000);
console.log('serving');
";
/// The same as a shell script, for images without Node's libraries too.
const SCRIPT: &str = "
trap 'echo cleaning up; sleep 2; echo clean; exit 0' TERM
echo serving
while true; do sleep 0.1; done
";
/// A master with two workers: it ends them when told to stop and replaces them otherwise.
const MASTER: &str = "
const { fork } = require('child_process');
if (process.argv[2] === 'worker') {
  process.on('SIGTERM', () => setTimeout(() => process.exit(0), 500));
  setInterval(() => {}, 1000);
} else {
  let stopping = false;
  const workers = new Set();
  const start = () => {
    const worker = fork(__filename, ['worker']);
    workers.add(worker);
    worker.on('exit', () => {
      workers.delete(worker);
      if (!stopping) { console.log('replaced a worker'); start(); }
      else if (workers.size === 0) { console.log('clean'); process.exit(0); }
    });
  };
  process.on('SIGTERM', () => {
    if (stopping) process.exit(9);
    stopping = true;
    setTimeout(() => { for (const worker of workers) worker.kill('SIGTERM'); }, 1000);
  });
  start(); start();
  console.log('serving');
}
";

async fn image() {
    let engine = Engine::new(&socket());
    if engine.has_image(IMAGE).await.expect("the engine answers") {
        return;
    }
    let mut tar = tar::Builder::new(Vec::new());
    for name in ["bin", "lib", "lib64"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, name, format!("usr/{name}")).unwrap();
    }
    // The engine puts its init into `/sbin`, which must not lead into the read-only `/usr`.
    for name in ["usr/", "sbin/", "tmp/", "root/"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o777);
        header.set_size(0);
        tar.append_data(&mut header, name, std::io::empty()).unwrap();
    }
    let (repo, tag) = IMAGE.split_once(':').unwrap();
    engine.import(repo, tag, tar.into_inner().unwrap()).await.unwrap();
}

/// The programs in a directory that every container sees at the same path.
fn programs(dir: &Path) {
    for program in ["dash", "bash", "busybox", "node", "npm"] {
        let path = Path::new("/usr/bin").join(program);
        assert!(path.exists(), "these tests need {program} at {}", path.display());
    }
    let package = r#"{"name": "app", "version": "1.0.0", "scripts": {"start": "node server.js"}}"#;
    for (name, text) in [
        ("server.js", SERVER),
        ("server.sh", SCRIPT),
        ("master.js", MASTER),
        ("package.json", package),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
}

/// `command` by a shell or as arguments, of the node or of an image.
fn container(command: Command, dir: &Path, in_image: bool) -> ContainerSpec {
    let mut container = if in_image { image_container("") } else { plain_container("") };
    container.command = command;
    // Node takes 40 MB before it does anything.
    container.resources = tepui::model::Scalars::of(0.1, 256.0, 0.0, 0.0);
    container.kill_grace_ms = Some(GRACE.as_millis().try_into().unwrap());
    if let Some(image) = &mut container.image {
        image.name = IMAGE.into();
        let mounted = |path: &str| Volume {
            container_path: path.into(),
            read_only: true,
            source: VolumeSource::Host(path.into()),
        };
        container.volumes = vec![mounted("/usr"), mounted(dir.to_str().unwrap())];
    }
    container
}

fn args(words: &[&str]) -> Command {
    Command::Args(words.iter().map(|w| (*w).to_owned()).collect())
}

/// Starts all, waits until each serves, kills all; gives back how long that took.
async fn start_and_kill(rig: &mut Rig, orders: &[Order]) -> Duration {
    rig.desire(orders.to_vec()).await;
    for order in orders {
        let id = order.instance.as_str().to_owned();
        rig.until_condition(&id, 1, Condition::Running).await;
        while !rig.read(&id, "stdout").await.contains("serving") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let began = SystemClock::shared().now();
    rig.desire(orders.iter().map(killed).collect()).await;
    for order in orders {
        rig.until_condition(order.instance.as_str(), 1, Condition::Killed).await;
    }
    SystemClock::shared().now().since(began)
}

/// Kills all and says which did not end with 0 and `clean` as the last line of their output.
async fn unclean(rig: &mut Rig, orders: &[Order]) -> Vec<String> {
    let took = start_and_kill(rig, orders).await;
    println!("{} clean stops took {took:?}", orders.len());
    let mut wrong = Vec::new();
    for order in orders {
        let id = order.instance.as_str();
        let message = rig.last(id, 1).unwrap().message.clone();
        let output = rig.read(id, "stdout").await;
        if !message.ends_with("exited with status 0") || !output.ends_with("clean\n") {
            wrong.push(format!("{id}: {message}; {output:?}"));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_a_shell_cleans_up() {
    let mut rig = Rig::new().await;
    image().await;
    let dir = tempfile::tempdir().unwrap();
    programs(dir.path());
    let server = format!("busybox sh {}/server.sh", dir.path().display());
    let mut orders = Vec::new();
    for (kind, in_image) in [("plain", false), ("image", true)] {
        for (name, shell) in [
            ("dash", &["dash", "-c"][..]),
            ("bash", &["bash", "-c"]),
            ("busybox", &["busybox", "sh", "-c"]),
        ] {
            for (end, text) in [("", server.clone()), ("-n", format!("{server}\n"))] {
                let words: Vec<&str> = shell.iter().copied().chain([text.as_str()]).collect();
                let container = container(args(&words), dir.path(), in_image);
                let id = format!("{name}-{kind}{end}");
                orders.push(order(&id, spec(container, NetworkMode::Host), vec![]));
            }
        }
    }
    assert_eq!(unclean(&mut rig, &orders).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_npm_or_an_init_cleans_up() {
    let mut rig = Rig::new().await;
    image().await;
    let dir = tempfile::tempdir().unwrap();
    programs(dir.path());
    let at = dir.path().display();
    let npm = format!("cd {at} && HOME=/tmp npm start");
    let node = format!("node {at}/server.js");
    let mut orders = Vec::new();
    for (id, command, in_image) in [
        ("npm-plain", &npm, false),
        ("npm-image", &npm, true),
        ("node-plain", &node, false),
        ("node-image", &node, true),
    ] {
        let container = container(Command::Shell(command.clone()), dir.path(), in_image);
        orders.push(order(id, spec(container, NetworkMode::Host), vec![]));
    }
    for (id, command) in [("init-shell", &node), ("init-npm", &npm)] {
        let mut container = container(Command::Shell(command.clone()), dir.path(), true);
        let parameters = &mut container.image.as_mut().unwrap().parameters;
        parameters.push(("init".into(), "true".into()));
        orders.push(order(id, spec(container, NetworkMode::Host), vec![]));
    }
    let mut universal = container(Command::Shell(node.clone()), dir.path(), true);
    universal.engine = Some(Dialect::Mesos);
    orders.push(order("init-mesos", spec(universal, NetworkMode::Host), vec![]));
    assert_eq!(unclean(&mut rig, &orders).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_ends_its_workers_itself() {
    let mut rig = Rig::new().await;
    image().await;
    let dir = tempfile::tempdir().unwrap();
    programs(dir.path());
    let master = format!("{}/master.js", dir.path().display());
    let orders: Vec<Order> = [
        ("first", args(&["node", &master])),
        ("behind-a-shell", Command::Shell(format!("node {master}; true"))),
    ]
    .into_iter()
    .map(|(id, command)| {
        order(id, spec(container(command, dir.path(), true), NetworkMode::Host), vec![])
    })
    .collect();
    assert_eq!(unclean(&mut rig, &orders).await, Vec::<String>::new());
    for order in &orders {
        let output = rig.read(order.instance.as_str(), "stdout").await;
        assert!(!output.contains("replaced"), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ignores_it_ends_at_the_grace() {
    let mut rig = Rig::new().await;
    image().await;
    let dir = tempfile::tempdir().unwrap();
    programs(dir.path());
    let ignoring = "trap '' TERM; echo serving; while true; do sleep 0.1; done";
    let mut orders = Vec::new();
    for (id, command, in_image) in [
        ("plain", Command::Shell(ignoring.into()), false),
        ("behind", Command::Shell(format!("dash -c \"{ignoring}\"; true")), false),
        ("image", args(&["dash", "-c", ignoring]), true),
        ("image-behind", Command::Shell(format!("dash -c \"{ignoring}\"; true")), true),
    ] {
        let mut container = container(command, dir.path(), in_image);
        container.kill_grace_ms = Some(3_000);
        orders.push(order(id, spec(container, NetworkMode::Host), vec![]));
    }
    let took = start_and_kill(&mut rig, &orders).await;
    for order in &orders {
        let message = &rig.last(order.instance.as_str(), 1).unwrap().message;
        assert!(message.ends_with("of SIGTERM, SIGKILL was sent"), "{message}");
    }
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(8), "{took:?}");
}
