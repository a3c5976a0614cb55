//! A time-out that is moved with every request and costs a timer only when it rings.
//!
//! Moving a timer takes a lock and a place in the wheel. Here the next time-out is a plain number;
//! the timer stays where it was, and when it rings too early it is set to what counts by then.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tokio::time::{Instant, Sleep};

/// When something has waited for too long.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom the timer will wake as it stands.
    told: Option<Waker>,
}

impl Deadline {
    pub fn new(at: Instant) -> Self {
        Self { at, timer: None, told: None }
    }

    /// Another time counts from now on.
    pub fn set(&mut self, at: Instant) {
        self.at = at;
    }

    /// Ready once the time has come.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
            self.told = None;
        }
        let knows_us = self.told.as_ref().is_some_and(|told| told.will_wake(cx.waker()));
        if knows_us && !timer.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            self.told = Some(cx.waker().clone());
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_when_the_last_time_that_was_set_has_come() {
        let began = Instant::now();
        let after = |n| began + Duration::from_secs(n);
        let mut deadline = Deadline::new(after(10));
        assert!(poll_fn(|cx| Poll::Ready(deadline.poll(cx).is_pending())).await);
        deadline.set(after(30)); // later: the timer rings at 10 and is set anew
        assert!(poll_fn(|cx| Poll::Ready(deadline.poll(cx).is_pending())).await);
        tokio::time::advance(Duration::from_secs(15)).await;
        assert!(poll_fn(|cx| Poll::Ready(deadline.poll(cx).is_pending())).await);
        deadline.set(after(20)); // sooner
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(20));
        deadline.set(after(21));
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(21));
    }
}
