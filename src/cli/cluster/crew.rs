//! Work on many hosts at a time, and what became of it.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};

use super::{board::Board, host::Open, ssh::Trouble, wanted::Host};

/// The hosts that are open.
pub type Reached<'a> = BTreeMap<Host, Open<'a>>;

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

/// Copies the packed program with this sum to a host, and tells how far it is; how many megabytes it is.
pub async fn copy(
    board: &Board<'_>,
    open: &Open<'_>,
    (packed, sum): (&[u8], &str),
) -> Result<f64, Trouble> {
    let all_mb = packed.len() as f64 / 1e6;
    board.begin(open.host, format!("copying {all_mb:.0} MB"));
    let mut told = |n_bytes: usize| {
        let sent_mb = n_bytes as f64 / 1e6;
        board.now(open.host, format!("copying {sent_mb:.0} of {all_mb:.0} MB"));
    };
    open.copy(packed, sum, &mut told).await?;
    Ok(all_mb)
}

/// Removes our files everywhere.
pub async fn clean(reached: &Reached<'_>, at_once: usize) {
    let hosts: Vec<Host> = reached.keys().copied().collect();
    let clean = async |host: Host| {
        reached[&host].clean().await;
        Ok(())
    };
    each(&hosts, at_once, clean).await;
}
