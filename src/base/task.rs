//! Supervised tasks: every task belongs to a group, has a kind and a name, and stops in order.
//!
//! A group is stopped by `Tasks::stop` (cancel, then wait up to a deadline). The kind fixes what an
//! error or a panic means:
//!
//! | kind | an error or panic | a normal end |
//! |---|---|---|
//! | `Vital` | ends the process: the first one is reported by `Tasks::failed` | fine after cancel, else as an error |
//! | `Restart` | is logged and the task starts again after a growing delay | fine |
//! | `Connection` | is a log line | fine |

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::oncall::OnCall;

/// Pieces of long work at a time: others keep a processor, and the memory such work takes has a
/// bound.
const HEAVY_AT_ONCE_MAX: usize = 2;
static HEAVY: Semaphore = Semaphore::const_new(HEAVY_AT_ONCE_MAX);

/// Does work that keeps a processor for long (a large body parsed, checked, turned into a command),
/// so that the threads that serve everybody else go on. Few such pieces run at a time; more wait.
pub async fn heavy<T>(work: impl FnOnce() -> T) -> T {
    let _slot = HEAVY.acquire().await;
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    match flavor {
        // Tests run on one thread; there is none to hand the others' work to.
        tokio::runtime::RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::block_in_place(work),
    }
}

/// A group of tasks that are stopped together. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    cancel: CancellationToken,
    tracker: TaskTracker,
    running: Mutex<Vec<(&'static str, &'static str)>>,
    failed: watch::Sender<Option<String>>,
}

impl Tasks {
    /// An empty group.
    pub fn new(name: &'static str) -> Self {
        Self::with(name, CancellationToken::new(), watch::Sender::new(None))
    }

    /// A group that is cancelled with this one; a vital failure in it is also reported here.
    pub fn child(&self, name: &'static str) -> Self {
        Self::with(name, self.inner.cancel.child_token(), self.inner.failed.clone())
    }

    /// The token that tells the group's tasks to end.
    pub fn cancelled(&self) -> CancellationToken {
        self.inner.cancel.clone()
    }

    /// Starts a task whose end before cancellation, for whatever reason, is fatal.
    pub fn vital<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let inner = self.inner.clone();
        self.track("vital", name, async move {
            let outcome = catch(task).await;
            if inner.cancel.is_cancelled() {
                return;
            }
            let text = match outcome {
                Ok(()) => "ended although nobody asked it to".to_owned(),
                Err(text) => text,
            };
            tracing::error!(task = name, error = %text, "vital task failed");
            inner.failed.send_if_modified(|first| {
                let is_first = first.is_none();
                if is_first {
                    *first = Some(format!("{name}: {text}"));
                }
                is_first
            });
        });
    }

    /// Starts a task that is made anew by `make` after each error, with a delay growing from 100 ms
    /// to 10 s; an end without error ends it. It is dropped when the group is cancelled.
    pub fn restart<M, F>(&self, name: &'static str, mut make: M)
    where
        M: FnMut() -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let cancel = self.inner.cancel.clone();
        self.track("restart", name, async move {
            let mut delay = Duration::from_millis(100);
            loop {
                let Some(outcome) = cancel.run_until_cancelled(catch(make())).await else { return };
                match outcome {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(task = name, %error, "task failed, restarting"),
                }
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = tokio::time::sleep(delay) => {}
                }
                delay = (delay * 2).min(Duration::from_secs(10));
            }
        });
    }

    /// Starts a task that serves one peer; it is dropped when the group is cancelled.
    pub fn connection<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let cancel = self.inner.cancel.clone();
        self.track("connection", name, async move {
            tokio::select! {
                biased;
                () = OnCall::new(cancel.cancelled()) => {}
                outcome = catch(async move { task.await; Ok(()) }) => {
                    if let Err(error) = outcome {
                        tracing::warn!(task = name, %error, "connection task failed");
                    }
                }
            }
        });
    }

    /// Waits for the first vital failure of this group or one of its children and tells it.
    pub async fn failed(&self) -> String {
        let mut receiver = self.inner.failed.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(text) => text.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether a vital task of this group has failed.
    pub fn has_failed(&self) -> bool {
        self.inner.failed.borrow().is_some()
    }

    /// Cancels the group and waits for its tasks; gives up after `deadline` and says what hung.
    pub async fn stop(&self, deadline: Duration) {
        self.inner.cancel.cancel();
        self.inner.tracker.close();
        if tokio::time::timeout(deadline, self.inner.tracker.wait()).await.is_err() {
            let left = self.list();
            tracing::warn!(group = self.inner.name, ?left, "tasks did not stop in time");
        }
    }

    /// Kind and name of each running task, for the debug endpoint.
    pub fn list(&self) -> Vec<(&'static str, &'static str)> {
        self.inner.running.lock().clone()
    }

    fn with(
        name: &'static str,
        cancel: CancellationToken,
        failed: watch::Sender<Option<String>>,
    ) -> Self {
        let tracker = TaskTracker::new();
        let running = Mutex::default();
        Self { inner: Arc::new(Inner { name, cancel, tracker, running, failed }) }
    }

    #[allow(clippy::disallowed_methods)] // the one place that spawns
    fn track<F>(&self, kind: &'static str, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let inner = self.inner.clone();
        inner.running.lock().push((kind, name));
        let entry = Listed { inner: inner.clone(), kind, name };
        inner.tracker.spawn(async move {
            let _listed = entry;
            task.await;
        });
    }
}

/// Takes its entry off the list of running tasks when the task ends, however it ends.
struct Listed {
    inner: Arc<Inner>,
    kind: &'static str,
    name: &'static str,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut running = self.inner.running.lock();
        if let Some(at) = running.iter().position(|e| *e == (self.kind, self.name)) {
            running.swap_remove(at);
        }
    }
}

/// Runs `task`; an error or a panic becomes text.
async fn catch<F>(task: F) -> Result<(), String>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    use futures_util::FutureExt as _;
    match std::panic::AssertUnwindSafe(task).catch_unwind().await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Err(format!("panicked: {}", text.unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_vital_failure_in_a_child_is_told_to_the_parent() {
        let parent = Tasks::new("parent");
        parent.child("child").vital("broken", async { anyhow::bail!("no ground") });
        assert_eq!(parent.failed().await, "broken: no ground");
    }

    #[tokio::test(start_paused = true)]
    async fn a_restarted_task_runs_until_it_succeeds() {
        let tasks = Tasks::new("t");
        let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
        let mut n = 0;
        tasks.restart("flaky", move || {
            n += 1;
            let (n, tx) = (n, tx.clone());
            async move {
                tx.send(n)?;
                anyhow::ensure!(n == 3, "not yet");
                Ok(())
            }
        });
        assert_eq!(
            (rx.recv().await, rx.recv().await, rx.recv().await),
            (Some(1), Some(2), Some(3))
        );
        tasks.stop(Duration::from_secs(1)).await;
        assert!(tasks.list().is_empty());
    }

    #[tokio::test]
    async fn stop_ends_connections() {
        let tasks = Tasks::new("t");
        tasks.connection("idle", std::future::pending());
        tasks.stop(Duration::from_secs(5)).await;
        assert!(tasks.list().is_empty());
    }
}
