//! The agent: containers of one node, as the leader wants them.
//!
//! ```text
//!  leader ⇄ link ⇄ worker ─► desired (pure): what should run against what does
//!                    │ ▲
//!                    ▼ │ inputs
//!          prepare · check · output ──► runtime ──► container engine
//! ```
//! | room | what is in it |
//! |---|---|
//! | `worker` | the one writer: incarnations (`live`), the engine's list (`adopt`), questions (`exec`), `gc` |
//! | `prepare`, `fetch`, `sandbox` | bringing one up: artifacts, its directory (`beneath`) and its `output` |
//! | `volumes` | what outlives sandboxes: whose it is, the latest launch, wiping |
//! | `check` | probes, each in a task of its own; `command` runs those in a container |
//! | `runtime` | the seam to what runs containers: the `engine`, or `memory` in tests |
//! | `machine` | this node: its `accounts`, `ports`, `resolver` |
//! | `desired`, `ending`, `launch`, `health`, `exit` | decisions, pure |
//!
//! Containers outlive this process: a restarted agent reads its records, lists the engine's
//! containers by label and goes on. Nothing without a label of our cluster is ever touched.

use std::{collections::BTreeMap, fs, io, sync::Arc};

use tokio::sync::{mpsc, watch};

use crate::{
    base::{clock::Clock, rng::Rng, task::Tasks},
    http::client::Trust,
};

pub mod config;
pub mod ending;
pub mod desired;
pub mod runtime;
pub mod machine;
pub mod launch;
pub mod sandbox;
pub mod record;
pub mod volumes;
pub mod fetch;
pub mod prepare;
pub mod exit;
pub mod health;
pub mod metrics;
pub mod check;
mod worker;
pub mod link;

pub use config::AgentConfig;
use link::LinkEnds;
pub use machine::resolver;
use runtime::Runtime;
pub use runtime::{engine, memory};
use worker::Input;

/// Inputs waiting for the worker.
const INPUTS_MAX: usize = 4096;

/// A running agent. Cheap to clone.
#[derive(Clone)]
pub struct AgentHandle {
    inbox: mpsc::Sender<Input>,
    standing: watch::Receiver<Standing>,
}

/// Whether an agent does its work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// A leader has welcomed it, and its engine answers.
    Works,
    /// What it waits for.
    Waits(String),
}

impl AgentHandle {
    /// Gives the agent a new link to the leader, which replaces the one before. `false` when the
    /// agent has stopped.
    pub async fn connect(&self, ends: LinkEnds) -> bool {
        self.inbox.send(Input::Link(ends)).await.is_ok()
    }

    /// Follows whether it does its work.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }
}

/// Starts an agent in `tasks`. It stops with them; its containers go on.
pub fn start(
    config: AgentConfig,
    runtime: Arc<dyn Runtime>,
    clock: Arc<dyn Clock>,
    rng: &Rng,
    tasks: &Tasks,
) -> io::Result<AgentHandle> {
    fs::create_dir_all(&config.data_dir)?;
    let config = Arc::new(config);
    let sandboxes = sandbox::Sandboxes::new(&config.data_dir);
    let (inbox, queue) = mpsc::channel(INPUTS_MAX);
    let cache = config.data_dir.join("cache");
    let starter = prepare::Starter {
        config: config.clone(),
        runtime: runtime.clone(),
        sandboxes: sandboxes.clone(),
        fetcher: Arc::new(fetch::Fetcher::new(cache, tasks.clone())),
        clock: clock.clone(),
        seccomp: BTreeMap::new(),
    };
    let prober = check::Prober {
        runtime: runtime.clone(),
        trust: Trust::anybody(),
        tasks: tasks.clone(),
        marks: Arc::default(),
        to: inbox.clone(),
    };
    let (told, standing) = watch::channel(Standing::Waits("it has just begun".to_owned()));
    let worker = worker::Worker::new(worker::Parts {
        config,
        runtime: runtime.clone(),
        clock: clock.clone(),
        tasks: tasks.clone(),
        sandboxes,
        starter: Arc::new(starter),
        prober,
        inbox: inbox.clone(),
        standing: told,
    });
    tasks.vital("agent", async move {
        worker.run(queue).await;
        Ok(())
    });
    let watch = worker::adopt::watch(runtime, clock, rng.child("engine-watch"), inbox.clone());
    tasks.connection("engine-watch", watch);
    Ok(AgentHandle { inbox, standing })
}
