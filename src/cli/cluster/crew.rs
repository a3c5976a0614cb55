//! Work on many hosts at a time, and what became of it.

use futures_util::stream::{self, StreamExt as _};

use super::{ssh::Trouble, wanted::Host};

/// How it went on all of them, in the order of the hosts.
pub struct Done<T> {
    pub good: Vec<(Host, T)>,
    pub bad: Vec<(Host, Trouble)>,
}

/// Does `work` on every host, on so many at a time. One that fails holds up no other.
pub async fn each<T>(
    hosts: &[Host],
    at_once: usize,
    work: impl AsyncFn(Host) -> Result<T, Trouble>,
) -> Done<T> {
    let work = &work;
    let one = |host: Host| async move { (host, work(host).await) };
    let all = stream::iter(hosts.iter().copied().map(one)).buffer_unordered(at_once.max(1));
    let mut all: Vec<_> = all.collect().await;
    let place = |host: &Host| hosts.iter().position(|other| other == host);
    all.sort_by_key(|(host, _)| place(host));
    let mut done = Done { good: Vec::new(), bad: Vec::new() };
    for (host, outcome) in all {
        match outcome {
            Ok(made) => done.good.push((host, made)),
            Err(trouble) => done.bad.push((host, trouble)),
        }
    }
    done
}
