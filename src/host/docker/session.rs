//! Commands run inside a running container, with their streams.
//!
//! The engine starts such a command and never ends it, not even when nobody listens any more: whoever
//! starts one ends it. Its processes are known by the entry its environment gets from us, which
//! children inherit, by the session of its first process and by their descent from it.

use std::{collections::HashSet, pin::Pin, time::Duration};

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
    models::ExecInspectResponse,
    query_parameters::InspectContainerOptions,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use nix::sys::signal::Signal;
use tokio::{io::AsyncWrite, time::Instant};

use super::{
    engine::{Engine, EngineError},
    processes::{self, Process},
};

/// Name of the entry in a command's environment that says which one it is.
const MARK: &str = "TEPUI_COMMAND";
/// How often a command that is to end is looked at: soon at first, then as long after as it has
/// taken already.
const POLL: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_secs(1);
/// A command that is hung up on has this long to go by itself.
const HANG_UP: Duration = Duration::from_secs(1);
/// How long one that is ended is waited for. An engine under load takes many seconds to start one,
/// and a process stuck in the kernel does not go.
const END: Duration = Duration::from_secs(60);

/// A command to run in a container.
#[derive(Clone, Debug, Default)]
pub struct ExecPlan {
    pub command: Vec<String>,
    pub tty: bool,
    pub stdin: bool,
    pub env: Vec<String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    /// Tells its processes from all others of its container; no `=` and no zero byte.
    pub mark: String,
}

/// A command to end.
#[derive(Clone, Debug, Default)]
pub struct EndPlan {
    pub mark: String,
    /// The engine's id for it.
    pub session: String,
    /// Let it go by itself first: a terminal that is closed, not a time-out.
    pub gently: bool,
}

/// How far the engine is with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its first process, as this machine numbers it.
    Runs(i32),
    /// Not started yet, or the engine does not say.
    Unknown,
    Over,
}

/// A command that runs.
pub struct Session {
    /// The engine's id for it.
    pub id: String,
    /// Pieces of output; `true`: standard error.
    pub output: BoxStream<'static, Result<(bool, Bytes), EngineError>>,
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Engine {
    /// Starts a command in container `id`.
    pub async fn exec(&self, id: &str, plan: ExecPlan) -> Result<Session, EngineError> {
        let client = self.client().await?;
        let options = CreateExecOptions {
            attach_stdin: Some(plan.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(plan.tty),
            env: Some(plan.env.into_iter().chain([format!("{MARK}={}", plan.mark)]).collect()),
            cmd: Some(plan.command),
            user: plan.user,
            working_dir: plan.working_dir,
            ..CreateExecOptions::default()
        };
        let made = client.create_exec(id, options).await.map_err(|e| self.error(&e))?;
        let start = StartExecOptions { detach: false, tty: plan.tty, output_capacity: None };
        let socket = self.socket().to_owned();
        match client.start_exec(&made.id, Some(start)).await.map_err(|e| self.error(&e))? {
            StartExecResults::Attached { output, input } => {
                let output = output.map(move |item| match item {
                    Ok(LogOutput::StdErr { message }) => Ok((true, message)),
                    Ok(other) => Ok((false, other.into_bytes())),
                    Err(error) => Err(EngineError::Away {
                        socket: socket.clone(),
                        cause: crate::base::error::chain(&error),
                    }),
                });
                Ok(Session { id: made.id, output: Box::pin(output), input })
            }
            StartExecResults::Detached => Err(EngineError::Refused {
                status: 500,
                message: "the engine detached a command that was to be attached".to_owned(),
            }),
        }
    }

    /// Ends every process of a command in container `id`. `true` once none is left and none will
    /// come: a command that the engine has yet to start is waited for.
    pub async fn end_exec(&self, id: &str, plan: &EndPlan) -> bool {
        let began = Instant::now();
        let mut known = HashSet::new();
        loop {
            // In this order: what has ended by now has all its processes in the list.
            let stage = self.exec_stage(&plan.session).await;
            let root = if let Stage::Runs(pid) = stage { Some(pid) } else { None };
            let mut processes = processes::of_container(id);
            if processes.is_empty() {
                // Its group is one of its own choosing, or it is gone.
                processes = processes::all();
            }
            let own = of_command(&processes, root, &mut known, |p| is_marked(p, &plan.mark));
            if own.is_empty() && stage == Stage::Over {
                return true;
            }
            let waited = began.elapsed();
            if waited > END {
                return false;
            }
            let hangs_up = plan.gently && waited < HANG_UP;
            let signal = if hangs_up { Signal::SIGHUP } else { Signal::SIGKILL };
            for process in own {
                process.signal(signal);
            }
            tokio::time::sleep(waited.clamp(POLL, POLL_MAX)).await;
        }
    }

    /// Ends the commands of container `id` that still run and whose marks do not begin with `keep`:
    /// those of a former process of ours, to which nobody listens any more.
    pub async fn end_other_execs(&self, id: &str, keep: &str) -> Result<(), EngineError> {
        let client = self.client().await?;
        let options = None::<InspectContainerOptions>;
        let answer = client.inspect_container(id, options).await.map_err(|e| self.error(&e))?;
        for session in answer.exec_ids.unwrap_or_default() {
            let Stage::Runs(root) = self.exec_stage(&session).await else { continue };
            let process = Process::read(root);
            // Without a mark it is somebody else's.
            let mark = process.and_then(|p| p.env(MARK)).filter(|mark| !mark.starts_with(keep));
            if let Some(mark) = mark {
                self.end_exec(id, &EndPlan { mark, session, gently: false }).await;
            }
        }
        Ok(())
    }

    async fn exec_stage(&self, session: &str) -> Stage {
        let Ok(client) = self.client().await else { return Stage::Unknown };
        match client.inspect_exec(session).await.map_err(|e| self.error(&e)) {
            Ok(answer) => stage(&answer),
            // Its container is gone, and all processes with it.
            Err(EngineError::NoSuch(_)) => Stage::Over,
            Err(_) => Stage::Unknown,
        }
    }

    /// Sets the size of a session's terminal.
    pub async fn exec_resize(
        &self,
        session: &str,
        rows: u16,
        columns: u16,
    ) -> Result<(), EngineError> {
        let client = self.client().await?;
        let size = ResizeExecOptions { height: rows, width: columns };
        client.resize_exec(session, size).await.map_err(|e| self.error(&e))
    }

    /// The exit code of a session that has ended; `None` while it runs.
    pub async fn exec_exit_code(&self, session: &str) -> Result<Option<i32>, EngineError> {
        let client = self.client().await?;
        let answer = client.inspect_exec(session).await.map_err(|e| self.error(&e))?;
        if answer.running == Some(true) {
            return Ok(None);
        }
        Ok(answer.exit_code.and_then(|c| i32::try_from(c).ok()))
    }
}

pub(super) fn stage(answer: &ExecInspectResponse) -> Stage {
    if answer.running == Some(true) {
        let pid = answer.pid.and_then(|pid| i32::try_from(pid).ok());
        return pid.filter(|pid| *pid > 1).map_or(Stage::Unknown, Stage::Runs);
    }
    if answer.exit_code.is_some() { Stage::Over } else { Stage::Unknown }
}

fn is_marked(process: &Process, mark: &str) -> bool {
    process.env(MARK).is_some_and(|value| value == mark)
}

/// Of a container's processes those of a command: marked, `root`, of the session that `root` leads,
/// or below one of them. `known` keeps them over the calls, so that a child whose parent has just
/// ended is still one.
fn of_command<'a>(
    processes: &'a [Process],
    root: Option<i32>,
    known: &mut HashSet<(i32, u64)>,
    is_marked: impl Fn(&Process) -> bool,
) -> Vec<&'a Process> {
    let mut own: HashSet<i32> = HashSet::new();
    loop {
        let before = own.len();
        for process in processes {
            let is_own = known.contains(&(process.pid, process.started))
                || own.contains(&process.parent)
                || root.is_some_and(|root| process.pid == root || process.session == root)
                || is_marked(process);
            if is_own && own.insert(process.pid) {
                known.insert((process.pid, process.started));
            }
        }
        if own.len() == before {
            break;
        }
    }
    processes.iter().filter(|p| own.contains(&p.pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::docker::processes::OnTerm;

    #[test]
    fn a_command_is_its_marked_processes_and_all_below() {
        let process = |(pid, parent, session)| Process {
            pid,
            parent,
            session,
            started: 1,
            is_first: false,
            term: OnTerm::Dies,
        };
        let all: Vec<Process> = [
            (13, 12, 13),
            (12, 11, 11),
            (11, 1, 11),
            (14, 1, 11),
            (20, 1, 1),
            (21, 20, 1),
            (30, 1, 1),
        ]
        .map(process)
        .to_vec();
        let mut known = HashSet::new();
        let own = |all: &[Process], known: &mut HashSet<(i32, u64)>| -> Vec<i32> {
            let own = of_command(all, Some(11), known, |p| p.pid == 21);
            own.iter().map(|p| p.pid).collect()
        };
        assert_eq!(own(&all, &mut known), [13, 12, 11, 14, 21]);
        let orphan = [process((13, 1, 13)), process((30, 1, 1))];
        assert_eq!(own(&orphan, &mut known), [13], "its parent has ended, it has not");
    }
}
