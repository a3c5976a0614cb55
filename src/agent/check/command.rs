//! Commands of checks in a task's container: each ends, with all its processes, when its time is up.
//!
//! The engine ends none, and may start one long after it was asked to. So each runs in a task of its
//! own that is there until the command is gone; who asked waits no longer than the time-out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use tokio::{
    sync::{Mutex, oneshot},
    time::Instant,
};

use crate::{
    agent::runtime::Runtime,
    base::{error::chain, rng::Rng, task::Tasks},
    host::docker::session::{EndPlan, ExecPlan, Session},
};

/// How often the exit code is asked for after the output has ended.
const EXIT_POLL: Duration = Duration::from_millis(20);

/// Names for commands, to know their processes by.
#[derive(Debug)]
pub struct Marks {
    own: String,
    n: AtomicU64,
}

impl Default for Marks {
    fn default() -> Self {
        Self { own: format!("{}.", Rng::from_os().hex(16)), n: AtomicU64::new(0) }
    }
}

impl Marks {
    /// What all marks of this process of ours begin with, and of no former one.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// A mark that no other command has.
    pub fn next(&self) -> String {
        format!("{}{}", self.own, self.n.fetch_add(1, Ordering::Relaxed))
    }
}

/// The commands of one check; they run one after the other.
#[derive(Clone)]
pub struct Commands {
    pub runtime: Arc<dyn Runtime>,
    pub tasks: Tasks,
    pub marks: Arc<Marks>,
    /// Held for as long as a process of the last one may be left.
    pub turn: Arc<Mutex<()>>,
}

impl Commands {
    /// Runs `argv` in container `id`, for `timeout` at most; its exit code.
    pub async fn run(&self, id: &str, argv: Vec<String>, timeout: Duration) -> Result<i32, String> {
        let deadline = Instant::now() + timeout;
        let late = || format!("Command has not returned after {timeout:?}");
        let turn = tokio::time::timeout_at(deadline, self.turn.clone().lock_owned()).await;
        let turn =
            turn.map_err(|_| "the last command of this check has not ended yet".to_owned())?;
        let (tell, told) = oneshot::channel();
        let (commands, id) = (self.clone(), id.to_owned());
        self.tasks.connection("check-command", async move {
            commands.run_here(&id, argv, deadline, tell).await;
            drop(turn);
        });
        match tokio::time::timeout_at(deadline, told).await {
            Ok(Ok(outcome)) => outcome?.ok_or_else(late),
            Ok(Err(_)) => Err("the agent is stopping".to_owned()),
            Err(_) => Err(late()),
        }
    }

    /// Tells the exit code as soon as there is one, and comes back when the command is gone.
    async fn run_here(
        &self,
        id: &str,
        command: Vec<String>,
        deadline: Instant,
        tell: oneshot::Sender<Result<Option<i32>, String>>,
    ) {
        let mark = self.marks.next();
        let plan = ExecPlan { command, mark: mark.clone(), ..ExecPlan::default() };
        let mut session = match self.runtime.exec(id, plan).await {
            Ok(session) => session,
            Err(error) => return drop(tell.send(Err(chain(&error)))),
        };
        let code = tokio::time::timeout_at(deadline, self.code_of(&mut session)).await;
        match code {
            Ok(Ok(code)) => return drop(tell.send(Ok(Some(code)))),
            Ok(Err(text)) => drop(tell.send(Err(text))),
            Err(_) => drop(tell.send(Ok(None))),
        }
        let plan = EndPlan { mark, session: session.id, gently: false };
        while !self.runtime.exec_end(id, plan.clone()).await {
            tracing::warn!(container = id, "the command of a check cannot be ended");
        }
    }

    async fn code_of(&self, session: &mut Session) -> Result<i32, String> {
        while session.output.next().await.is_some() {}
        loop {
            match self.runtime.exec_exit_code(&session.id).await {
                Ok(Some(code)) => return Ok(code),
                Ok(None) => tokio::time::sleep(EXIT_POLL).await,
                Err(error) => return Err(chain(&error)),
            }
        }
    }
}
