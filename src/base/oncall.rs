//! A future that is polled only when it has asked for it.
//!
//! What a long-lived task looks out for beside its work (the end of its group, a drain) is otherwise
//! polled with every piece of that work, and a poll of a cancellation takes two locks which all tasks
//! share. On call, it costs one look at a flag of the task's own.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// `F`, polled at first and then whenever its waker was used.
pub struct OnCall<F> {
    work: Pin<Box<F>>,
    bell: Arc<Bell>,
    /// Rings the bell.
    ringer: Waker,
    /// Whom the bell wakes.
    told: Option<Waker>,
}

/// Remembers that it was rung, and wakes the task.
struct Bell {
    is_rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future> OnCall<F> {
    pub fn new(work: F) -> Self {
        let bell = Arc::new(Bell { is_rung: AtomicBool::new(true), task: AtomicWaker::new() });
        let ringer = Waker::from(bell.clone());
        Self { work: Box::pin(work), bell, ringer, told: None }
    }

    /// Whether it has come to its end, or may have since it was polled last.
    pub fn has_rung(&self) -> bool {
        self.bell.is_rung.load(Ordering::Acquire)
    }
}

impl<F: Future> Future for OnCall<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let knows_us = this.told.as_ref().is_some_and(|told| told.will_wake(cx.waker()));
        if knows_us && !this.has_rung() {
            return Poll::Pending;
        }
        // Before the flag is taken down: a ring after that finds whom to wake.
        this.bell.task.register(cx.waker());
        if !knows_us {
            this.told = Some(cx.waker().clone());
        }
        if !this.bell.is_rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = this.work.as_mut().poll(&mut Context::from_waker(&this.ringer));
        if polled.is_ready() {
            this.bell.is_rung.store(true, Ordering::Release);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn},
        sync::atomic::AtomicUsize,
        time::Duration,
    };

    use tokio_util::sync::CancellationToken;

    use super::*;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_is_polled_when_it_rang_and_wakes_the_last_task_that_asked() {
        let (first, second) = (Arc::<Task>::default(), Arc::<Task>::default());
        let (mut n_polls, mut ringer, mut is_over) = (0, None, false);
        {
            let work = poll_fn(|cx: &mut Context<'_>| {
                n_polls += 1;
                ringer = Some(cx.waker().clone());
                if n_polls == 3 { Poll::Ready(7) } else { Poll::Pending }
            });
            let mut on_call = OnCall::new(work);
            let mut poll = |task: &Arc<Task>| {
                let waker = Waker::from(task.clone());
                let polled = Pin::new(&mut on_call).poll(&mut Context::from_waker(&waker));
                (polled, on_call.ringer.clone(), on_call.has_rung())
            };
            let (polled, bell, _) = poll(&first);
            assert_eq!(polled, Poll::Pending);
            for _ in 0..5 {
                assert_eq!(poll(&first).0, Poll::Pending);
                assert_eq!(poll(&second).0, Poll::Pending, "another task is no ring");
            }
            bell.wake_by_ref();
            bell.wake_by_ref();
            let told = [&first, &second].map(|task| task.0.load(Ordering::Relaxed));
            assert_eq!(told, [0, 1], "once, and the one that asked last");
            let (polled, _, has_rung) = poll(&second);
            assert_eq!((polled, has_rung), (Poll::Pending, false));
            bell.wake_by_ref();
            assert_eq!(second.0.load(Ordering::Relaxed), 2);
            let (polled, _, has_rung) = poll(&second);
            is_over |= polled == Poll::Ready(7) && has_rung;
        }
        assert!(is_over && ringer.is_some());
        assert_eq!(n_polls, 3);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_cancellation_is_missed() {
        for _ in 0..2000 {
            let token = CancellationToken::new();
            let watched = token.clone();
            let task = async move {
                tokio::select! {
                    biased;
                    () = OnCall::new(watched.cancelled()) => {}
                    () = async { loop { tokio::task::yield_now().await } } => {}
                    () = pending() => {}
                }
            };
            let tasks = crate::base::task::Tasks::new("t");
            let (done, ended) = tokio::sync::oneshot::channel();
            tasks.connection("watch", async move {
                task.await;
                let _ = done.send(());
            });
            token.cancel();
            let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
            ended.expect("the task saw it").unwrap();
        }
    }
}
