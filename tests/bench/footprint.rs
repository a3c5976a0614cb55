//! What the system costs before it does anything: size of the binary, time to ready, memory and
//! processor time when idle.

use std::{fs, process::Command, time::Duration};

use anyhow::Context as _;

use crate::{
    Plan,
    child::{self, Scratch, Server},
    engine::Engine,
    report::Section,
    system::{PROGRAM, System},
};

/// Idle for this long before memory is read.
const SETTLE: Duration = Duration::from_secs(10);
/// And for this long while processor time is counted.
const WATCH: Duration = Duration::from_secs(10);
const STARTS: usize = 5;

pub fn run(_: &Plan) -> anyhow::Result<Section> {
    let mut section = Section::new("Footprint of `tepui dev`", &["what", "value"]);
    #[allow(clippy::cast_precision_loss)] // numbers for people
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    section.row(["binary with page, stripped".to_owned(), mb(fs::metadata(PROGRAM)?.len())]);
    let scratch = Scratch::new("footprint")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let engine = runtime.block_on(Engine::find(&scratch))?;
    let mut fresh = Vec::new();
    for i in 0..STARTS {
        let mut system = System::start(&format!("fresh-{i}"), &engine.socket, &scratch)?;
        fresh.push(system.ready_after);
        system.stop()?;
    }
    let mut again = Vec::new();
    for _ in 0..STARTS {
        let mut system = System::start("fresh-0", &engine.socket, &scratch)?;
        again.push(system.ready_after);
        system.stop()?;
    }
    for (what, mut times) in
        [("start to ready, new data directory", fresh), ("start to ready, again", again)]
    {
        times.sort();
        let median = times[times.len() / 2];
        section.row([what.to_owned(), format!("{:.0} ms", median.as_secs_f64() * 1e3)]);
    }
    let system = System::start("fresh-0", &engine.socket, &scratch)?;
    std::thread::sleep(SETTLE);
    section.row(["resident memory, idle".to_owned(), mb(child::rss_bytes(system.pid()))]);
    let before = child::cpu(system.pid());
    std::thread::sleep(WATCH);
    let used = child::cpu(system.pid()) - before;
    let share = used.as_secs_f64() / WATCH.as_secs_f64() * 100.0;
    section.row(["one processor, idle".to_owned(), format!("{share:.2} %")]);
    drop(system);
    let [master, agent] = apart(&engine.socket, &scratch)?;
    section.row(["resident memory, idle, a master alone".to_owned(), mb(master)]);
    section.row(["resident memory, idle, an agent alone".to_owned(), mb(agent)]);
    section.note(format!(
        "Master, agent and public agent in one process unless said otherwise, nothing deployed, {} s \
         after it was ready. Median of {STARTS} starts. For comparison, published: k3s takes 1,400 MB \
         for the same parts, and 275 MB for an agent. The master alone has just made its first user: \
         hashing a password takes 19 MB, given back later.",
        SETTLE.as_secs()
    ));
    Ok(section)
}

/// Resident bytes of a master and of an agent that joined it, in processes of their own.
fn apart(docker: &str, scratch: &Scratch) -> anyhow::Result<[u64; 2]> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let common = "address: 127.0.0.1\nlisten: 127.0.0.1\ncompat_ports: false\nrouter_port: 0\ntls: off\n\
                  dns_port: 0\npeer_port: 0\n";
    let start = |name: &str, settings: String| -> anyhow::Result<Server> {
        let data_dir = scratch.file(name);
        let path = scratch.file(&format!("{name}.yaml"));
        fs::write(&path, format!("{common}data_dir: {data_dir}\ndocker: {docker}\n{settings}"))?;
        Server::start(&[PROGRAM, "node", "--config", &path], None, scratch)
    };
    let mut master = start("master", "roles: [master]\n".to_owned())?;
    let env = scratch.path().join("master/client.env");
    master.wait_until(PATIENCE, || env.exists())?;
    let env = fs::read_to_string(env)?;
    let lines = env.lines().filter_map(|line| line.split_once('='));
    let variables = lines.map(|(key, value)| (key, value.trim_matches('"')));
    let invited = Command::new(PROGRAM).args(["node", "invite"]).envs(variables).output()?;
    let joining = String::from_utf8(invited.stdout).context("an invitation is text")?;
    let agent = start("agent", format!("roles: [agent]\n{joining}"))?;
    std::thread::sleep(SETTLE);
    Ok([&master, &agent].map(|server| child::rss_bytes(server.pid())))
}
