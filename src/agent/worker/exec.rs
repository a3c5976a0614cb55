//! Exec sessions and the other questions of the API.
//!
//! A session is a task that joins a command in a container with stream messages of the link. Input
//! that comes faster than the command reads ends the session, and output is taken only as its reader
//! has room: nothing is buffered without bound.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::{
    io::AsyncWriteExt as _,
    sync::{Semaphore, mpsc},
};

use super::{Input, Worker};
use crate::{
    agent::{runtime::Runtime, sandbox::search::Wanted as Sought},
    base::{error::chain, pattern::Pattern},
    host::docker::{
        EngineError,
        session::{EndPlan, ExecPlan},
    },
    model::{
        InstanceId,
        container::Command,
        link::{Answer, AskError, Channel, FromAgent, Question, SESSION_WINDOW},
    },
};

/// Pieces of input waiting for a command.
const INPUT_MAX: usize = 256;
/// Sessions at a time.
const SESSIONS_MAX: usize = 100;
/// How often the exit code is asked for after the output has ended.
const EXIT_POLL: Duration = Duration::from_millis(20);
const EXIT_POLL_MAX: Duration = Duration::from_secs(1);
/// Longest piece of output in one message.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// Input of a session; `None` is its end.
type Piece = Option<(Channel, Vec<u8>)>;

/// Open sessions by number.
#[derive(Default)]
pub struct Sessions {
    open: HashMap<u64, Open>,
}

/// The agent's side of one session.
struct Open {
    input: mpsc::Sender<Piece>,
    /// Pieces of output its reader has room for.
    credit: Arc<Semaphore>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.credit.close();
    }
}

impl Sessions {
    /// Bytes for a session; none at all on standard input are its end.
    pub fn data(&mut self, id: u64, channel: Channel, bytes: Vec<u8>) {
        let Some(session) = self.open.get(&id) else { return };
        let is_end = channel == Channel::Stdin && bytes.is_empty();
        let piece = (!is_end).then_some((channel, bytes));
        // A full queue ends the session.
        if session.input.try_send(piece).is_err() {
            self.open.remove(&id);
        }
    }

    /// The reader has room for `n` pieces more.
    pub fn credit(&self, id: u64, n: u32) {
        let Some(session) = self.open.get(&id) else { return };
        let room = (SESSION_WINDOW as usize).saturating_sub(session.credit.available_permits());
        session.credit.add_permits(room.min(n as usize));
    }

    /// Nobody listens to a session any more.
    pub fn close(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// The peer of all sessions is gone.
    pub fn close_all(&mut self) {
        self.open.clear();
    }
}

/// A session to be opened.
struct Wanted {
    id: u64,
    container: String,
    plan: ExecPlan,
}

impl Worker {
    /// Answers a question, at once or by a task of its own.
    pub(super) fn asked(&mut self, id: u64, question: Question) {
        let Some(to) = self.to_master() else { return };
        let sandboxes = self.sandboxes.clone();
        let on_disk: Box<dyn FnOnce() -> Result<Answer, AskError> + Send> = match question {
            Question::Usage => {
                let answer = Ok(Answer::Usage(self.last_usage()));
                drop(to.try_send(FromAgent::Answer { id, answer })); // asked again if lost
                return;
            }
            Question::Exec { instance, container, command, tty, stdin } => {
                let wanted = self.wanted(id, &instance, &container, command, tty, stdin);
                return self.open_session(to, id, wanted);
            }
            Question::ListFiles { instance, incarnation, path } => {
                Box::new(move || sandboxes.list(instance.as_str(), incarnation, &path))
            }
            Question::SearchFile {
                instance,
                incarnation,
                path,
                pattern,
                offset,
                line,
                hits_max,
            } => {
                let pattern = Pattern::new(&pattern).map_err(AskError::Invalid);
                let hits_max = hits_max as usize;
                Box::new(move || {
                    let sought = Sought { pattern: pattern?, offset, line, hits_max };
                    sandboxes.search(instance.as_str(), incarnation, &path, &sought)
                })
            }
            Question::ReadFile { instance, incarnation, path, offset, bytes_max } => {
                Box::new(move || {
                    sandboxes.read(instance.as_str(), incarnation, &path, offset, bytes_max)
                })
            }
        };
        self.tasks.connection("answer", async move {
            let answer = tokio::task::spawn_blocking(on_disk)
                .await
                .unwrap_or_else(|error| Err(AskError::Failed(error.to_string())));
            drop(to.send(FromAgent::Answer { id, answer }).await);
        });
    }

    fn wanted(
        &self,
        id: u64,
        instance: &InstanceId,
        container: &str,
        command: Command,
        tty: bool,
        stdin: bool,
    ) -> Result<Wanted, AskError> {
        let running = self
            .live
            .range((instance.clone(), 0)..=(instance.clone(), u32::MAX))
            .next_back()
            .and_then(|(_, live)| {
                let ids: Vec<&str> = live.running_ids().collect();
                live.members
                    .iter()
                    .find(|m| m.name == container && ids.contains(&m.id.as_str()))
                    .map(|m| m.id.clone())
            });
        let running = running
            .ok_or_else(|| AskError::NotFound(format!("running container of {instance}")))?;
        let command = match command {
            Command::Shell(text) => ["/bin/sh", "-c", &text].map(str::to_owned).to_vec(),
            Command::Args(args) | Command::Exec(args) if !args.is_empty() => args,
            Command::Args(_) | Command::Exec(_) | Command::Image => {
                return Err(AskError::Invalid("no command is given".to_owned()));
            }
        };
        if self.sessions.open.len() >= SESSIONS_MAX {
            return Err(AskError::Failed(format!("{SESSIONS_MAX} sessions are open")));
        }
        let env = if tty { vec!["TERM=xterm".to_owned()] } else { Vec::new() };
        let mark = self.prober.marks.next();
        let plan = ExecPlan { command, tty, stdin, env, user: None, working_dir: None, mark };
        Ok(Wanted { id, container: running, plan })
    }

    fn open_session(
        &mut self,
        to: mpsc::Sender<FromAgent>,
        id: u64,
        wanted: Result<Wanted, AskError>,
    ) {
        let (input, pieces) = mpsc::channel(INPUT_MAX);
        let credit = Arc::new(Semaphore::new(SESSION_WINDOW as usize));
        if wanted.is_ok() {
            self.sessions.open.insert(id, Open { input, credit: credit.clone() });
        }
        let (runtime, inbox) = (self.runtime.clone(), self.inbox.clone());
        self.tasks.connection("exec", async move {
            let ran = match wanted {
                Ok(wanted) => run(&*runtime, wanted, pieces, &to, &credit).await,
                Err(error) => Err(error),
            };
            let message = match ran {
                Ok(exit_code) => FromAgent::End { id, exit_code },
                Err(error) => FromAgent::Answer { id, answer: Err(error) },
            };
            drop(to.send(message).await);
            drop(inbox.send(Input::SessionOver(id)).await);
        });
    }
}

/// The next piece of output, taken only when its reader has room for it. `None` is the end, of the
/// command or of its session.
async fn next_within<S: Stream + Unpin>(credit: &Semaphore, output: &mut S) -> Option<S::Item> {
    let room = credit.acquire().await.ok()?;
    let piece = output.next().await;
    room.forget();
    piece
}

/// Runs a session to its end; an error means that it never began. A command whose listener has gone
/// is ended.
async fn run(
    runtime: &dyn Runtime,
    wanted: Wanted,
    pieces: mpsc::Receiver<Piece>,
    to: &mpsc::Sender<FromAgent>,
    credit: &Semaphore,
) -> Result<Option<i32>, AskError> {
    let (container, mark) = (wanted.container.clone(), wanted.plan.mark.clone());
    let mut session = None;
    let ended = join(runtime, wanted, pieces, to, credit, &mut session).await?;
    if ended.is_none()
        && let Some(session) = session
    {
        let plan = EndPlan { mark, session, gently: true };
        if !runtime.exec_end(&container, plan).await {
            tracing::warn!(container, "a command nobody listens to cannot be ended");
        }
    }
    Ok(ended)
}

/// Joins a command and its listener until one of them ends; `None`: the command goes on.
async fn join(
    runtime: &dyn Runtime,
    wanted: Wanted,
    mut pieces: mpsc::Receiver<Piece>,
    to: &mpsc::Sender<FromAgent>,
    credit: &Semaphore,
    started_as: &mut Option<String>,
) -> Result<Option<i32>, AskError> {
    let Wanted { id, container, plan } = wanted;
    let tty = plan.tty;
    let session = runtime.exec(&container, plan).await.map_err(|error| match error {
        EngineError::NoSuch(text) => AskError::NotFound(text),
        other => AskError::Failed(chain(&other)),
    })?;
    *started_as = Some(session.id.clone());
    let (mut output, mut input) = (session.output, Some(session.input));
    let started = FromAgent::Answer { id, answer: Ok(Answer::Started) };
    if to.send(started).await.is_err() {
        return Ok(None);
    }
    loop {
        tokio::select! {
            piece = next_within(credit, &mut output) => match piece {
                Some(Ok((is_stderr, bytes))) => {
                    let channel = if is_stderr { Channel::Stderr } else { Channel::Stdout };
                    for (n, part) in bytes.chunks(PIECE_BYTES_MAX).enumerate() {
                        // The first was allowed for when it was taken from the command.
                        if n > 0 {
                            match credit.acquire().await {
                                Ok(room) => room.forget(),
                                Err(_) => return Ok(None),
                            }
                        }
                        let data = FromAgent::Data { id, channel, bytes: part.to_vec() };
                        if to.send(data).await.is_err() {
                            return Ok(None);
                        }
                    }
                }
                Some(Err(_)) | None => break,
            },
            piece = pieces.recv() => match piece {
                Some(Some((Channel::Resize, bytes))) => {
                    if let [a, b, c, d] = bytes[..] {
                        let (rows, columns) =
                            (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
                        // A terminal of the wrong size still works.
                        drop(runtime.exec_resize(&session.id, rows, columns).await);
                    }
                }
                Some(Some((Channel::Stdin, bytes))) => {
                    let write = async {
                        match &mut input {
                            Some(input) => {
                                input.write_all(&bytes).await?;
                                input.flush().await
                            }
                            None => Ok(()),
                        }
                    };
                    if write.await.is_err() {
                        input = None;
                    }
                }
                Some(Some((Channel::Stdout | Channel::Stderr, _))) => {}
                // The end of input closes it, but a terminal stays open.
                Some(None) => {
                    if !tty && let Some(mut done) = input.take() {
                        drop(done.shutdown().await);
                    }
                }
                // Nobody listens any more.
                None => return Ok(None),
            },
        }
    }
    // It may close its output and go on: as long as somebody listens, its end is waited for.
    let mut wait = EXIT_POLL;
    loop {
        match runtime.exec_exit_code(&session.id).await {
            Ok(None) => {}
            Ok(code) => return Ok(code),
            Err(_) => return Ok(None),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(EXIT_POLL_MAX),
            piece = pieces.recv() => if piece.is_none() { return Ok(None) },
        }
    }
}
