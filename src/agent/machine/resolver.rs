//! The name server that a task's containers are given.
//!
//! Whether there is one is found out while the agent runs, and may change: the container engine may
//! come later than we do, and port 53 of its bridge may be taken. A container keeps for its whole
//! life what it was created with, so a launch waits a moment for the answer.

use std::{net::IpAddr, time::Duration};

use tokio::sync::watch;

/// How long a launch waits while it is still being found out.
const WAIT: Duration = Duration::from_secs(5);

/// What is known of the node's resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody knows yet.
    Looking,
    /// Containers reach it here, on port 53.
    At(IpAddr),
    /// There is none, for this reason; containers get the engine's own resolvers.
    Missing(String),
}

/// A view of the present standing. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Resolver(watch::Receiver<Standing>);

impl Resolver {
    /// A view, and the end that says what is the case.
    pub fn new() -> (watch::Sender<Standing>, Self) {
        let (sender, receiver) = watch::channel(Standing::Looking);
        (sender, Self(receiver))
    }

    /// No resolver, for good.
    pub fn none() -> Self {
        Self(watch::channel(Standing::Missing("none is wanted".into())).1)
    }

    /// Waits until it is known, but not for ever, and returns the address.
    pub async fn settled(&self) -> Option<IpAddr> {
        let mut standing = self.0.clone();
        let known = standing.wait_for(|s| *s != Standing::Looking);
        // A view outlives the end that tells: then the last word stays.
        let _in_time = tokio::time::timeout(WAIT, known).await;
        match &*self.0.borrow() {
            Standing::At(address) => Some(*address),
            Standing::Looking | Standing::Missing(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_launch_waits_for_the_answer_but_not_for_ever() {
        let (tell, resolver) = Resolver::new();
        assert_eq!(resolver.settled().await, None, "nobody knew in time");
        let waiting = resolver.clone();
        let (address, ()) = tokio::join!(waiting.settled(), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            tell.send_replace(Standing::At([172, 17, 0, 1].into()));
        });
        assert_eq!(address, Some([172, 17, 0, 1].into()));
        tell.send_replace(Standing::Missing("port 53 is taken".into()));
        assert_eq!(resolver.settled().await, None);
        drop(tell);
        assert_eq!(resolver.settled().await, None);
        assert_eq!(Resolver::none().settled().await, None);
    }
}
