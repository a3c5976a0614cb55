//! Networks of the engine that containers ask for by name: made once, removed when nobody uses them.
//!
//! An engine before version 25 lets two networks have one name, and from then on starts no container
//! on it: it looks for the name again at every start, also where the container was created with an
//! id. So a network is looked for and made under a lock per name, and where there are several all
//! the same (another agent of this engine was as fast) those of ours that nobody uses go.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use bollard::{
    models::{Network, NetworkCreateRequest},
    query_parameters::{ListContainersOptions, ListNetworksOptions},
};
use parking_lot::Mutex;
use tokio::{sync::OwnedMutexGuard, time::Instant};

use super::engine::{Engine, EngineError};
use crate::base::clock::Timestamp;

/// Networks the engine has from the beginning, under every name it takes for them.
const BUILT_IN: [&str; 4] = ["bridge", "default", "host", "none"];
/// Shorter texts are names, not the beginnings of ids.
const ID_CHARS_MIN: usize = 12;
/// Looks at the networks of a name until there is one: another agent of this engine may make one at the same time.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// What an engine's client remembers of networks.
#[derive(Debug, Default)]
pub(super) struct Networks {
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// When a network was last asked for, by id: a container that is about to use it is not there
    /// yet.
    asked: Mutex<HashMap<String, Instant>>,
}

/// A network as far as we look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Net {
    id: String,
    name: String,
    created: Timestamp,
    labels: HashMap<String, String>,
}

impl Net {
    fn is_ours(&self, labels: &BTreeMap<String, String>) -> bool {
        !labels.is_empty()
            && labels.iter().all(|(name, value)| self.labels.get(name) == Some(value))
    }

    fn short_id(&self) -> &str {
        self.id.get(..ID_CHARS_MIN).unwrap_or(&self.id)
    }
}

impl Engine {
    /// Sees to it that a container can be started on the network `name`: there is exactly one. A
    /// bridge network with `labels` is made when there is none.
    ///
    /// # Errors
    /// Also when there are several and those with our labels are in use, or too few to be the cause.
    pub(super) async fn ensure_network(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        if BUILT_IN.contains(&name) {
            return Ok(());
        }
        let _alone = self.networks.alone(name).await;
        let mut found = self.networks_named(name).await?;
        for left in (0..TRIES).rev() {
            let may_change = match &found[..] {
                [_] => break,
                [] => {
                    self.make_network(name, labels).await?;
                    true
                }
                several => self.remove_doubles(several, labels, left == 0).await?,
            };
            found = self.networks_named(name).await?;
            if !may_change {
                break;
            }
            if found.len() != 1 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        match &found[..] {
            [one] => {
                self.networks.asked.lock().insert(one.id.clone(), Instant::now());
                Ok(())
            }
            [] => Err(refused(404, format!("network {name} is gone as soon as it is made"))),
            several => Err(refused(409, several_text(name, several))),
        }
    }

    async fn make_network(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        let client = self.client().await?;
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            attachable: Some(true),
            labels: Some(labels.clone().into_iter().collect()),
            ..NetworkCreateRequest::default()
        };
        match client.create_network(request).await.map_err(|e| self.error(&e)) {
            Ok(_) => Ok(()),
            Err(error) if error.is_away() => Err(error),
            // Made by somebody else meanwhile? Engines word that differently.
            Err(_) if !self.networks_named(name).await?.is_empty() => Ok(()),
            // A missing network must not pass for a missing image.
            Err(EngineError::NoSuch(text)) => Err(refused(404, text)),
            Err(error) => Err(error),
        }
    }

    /// Of networks of one name removes ours, the youngest first, until one is left. The engine
    /// refuses that where a running container has it. Where other agents made one as well, the oldest of all
    /// these stays, unless it is the `last` try: each removes its own, and so they do not remove all.
    /// Tells whether there may be fewer now, or soon.
    async fn remove_doubles(
        &self,
        found: &[Net],
        labels: &BTreeMap<String, String>,
        last: bool,
    ) -> Result<bool, EngineError> {
        let client = self.client().await?;
        let is_anothers = |net: &Net| {
            !net.is_ours(labels) && labels.keys().all(|name| net.labels.contains_key(name))
        };
        let waits = !labels.is_empty() && !last && found.iter().any(is_anothers);
        let eldest = found.iter().find(|net| net.is_ours(labels) || is_anothers(net));
        let stays = eldest.filter(|_| waits).map(|net| net.id.clone());
        let mut n_left = found.len();
        for net in found.iter().rev().filter(|net| net.is_ours(labels)) {
            if n_left == 1 {
                break;
            }
            if stays.as_ref() == Some(&net.id) {
                continue;
            }
            match client.remove_network(&net.id).await.map_err(|e| self.error(&e)) {
                Ok(()) | Err(EngineError::NoSuch(_)) => {
                    tracing::info!(network = net.name, id = net.id, "double network removed");
                    n_left -= 1;
                }
                Err(error) if error.is_away() => return Err(error),
                Err(error) => tracing::debug!(network = net.name, id = net.id, %error, "in use"),
            }
        }
        Ok(waits || n_left < found.len())
    }

    /// The networks of a name, the oldest first; else the one whose id begins so.
    async fn networks_named(&self, name: &str) -> Result<Vec<Net>, EngineError> {
        // The engine's own filter looks for parts of names.
        let client = self.client().await?;
        let all = client.list_networks(None::<ListNetworksOptions>).await;
        Ok(of_name(all.map_err(|e| self.error(&e))?.into_iter().filter_map(net).collect(), name))
    }

    /// Removes networks whose label `name` is `value`, that no container has, dead ones included,
    /// and that were neither made nor asked for within `idle`. Returns their names.
    pub async fn remove_unused_networks(
        &self,
        name: &str,
        value: &str,
        idle: Duration,
        now: Timestamp,
    ) -> Result<Vec<String>, EngineError> {
        let client = self.client().await?;
        let filters = HashMap::from([("label".to_owned(), vec![format!("{name}={value}")])]);
        let options = ListNetworksOptions { filters: Some(filters) };
        let ours = client.list_networks(Some(options)).await.map_err(|e| self.error(&e))?;
        let mut removed = Vec::new();
        for net in ours.into_iter().filter_map(net) {
            let _alone = self.networks.alone(&net.name).await;
            let asked = self.networks.asked.lock().get(&net.id).copied();
            if asked.is_some_and(|at| at.elapsed() < idle) || now.since(net.created) < idle {
                continue;
            }
            let filters = HashMap::from([("network".to_owned(), vec![net.id.clone()])]);
            let options =
                ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
            let users = client.list_containers(Some(options)).await.map_err(|e| self.error(&e))?;
            if !users.is_empty() {
                continue;
            }
            match client.remove_network(&net.id).await.map_err(|e| self.error(&e)) {
                Ok(()) => removed.push(net.name),
                Err(error) if error.is_away() => return Err(error),
                Err(error) => tracing::debug!(network = net.name, %error, "network not removed"),
            }
        }
        self.networks.forget(idle);
        Ok(removed)
    }
}

impl Networks {
    /// Waits until nobody else makes or removes networks of this name.
    async fn alone(&self, name: &str) -> OwnedMutexGuard<()> {
        let lock = self.locks.lock().entry(name.to_owned()).or_default().clone();
        lock.lock_owned().await
    }

    /// Drops what matters to nobody any more.
    fn forget(&self, idle: Duration) {
        self.asked.lock().retain(|_, at| at.elapsed() < idle);
        // Whoever uses a lock, or waits for it, has one beside ours.
        self.locks.lock().retain(|_, lock| Arc::strong_count(lock) > 1);
    }
}

fn refused(status: u16, message: String) -> EngineError {
    EngineError::Refused { status, message }
}

/// For people: the engine's own words are that the name is ambiguous.
fn several_text(name: &str, several: &[Net]) -> String {
    let ids: Vec<&str> = several.iter().map(Net::short_id).collect();
    format!(
        "{} networks of this node's container engine are called '{name}' ({}), so it starts no \
         container on any of them: remove all but one with `docker network rm <id>`",
        several.len(),
        ids.join(", ")
    )
}

fn net(network: Network) -> Option<Net> {
    let created = network.created.as_deref().and_then(Timestamp::parse).unwrap_or_default();
    let labels = network.labels.unwrap_or_default();
    Some(Net { id: network.id?, name: network.name?, created, labels })
}

fn of_name(all: Vec<Net>, name: &str) -> Vec<Net> {
    let mut found: Vec<Net> = all.iter().filter(|net| net.name == name).cloned().collect();
    if found.is_empty() && name.len() >= ID_CHARS_MIN {
        found = all.into_iter().filter(|net| net.id.starts_with(name)).collect();
    }
    found.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    found
}

/// Ids of the networks of a name.
#[cfg(test)]
pub(super) fn named(all: Vec<Network>, name: &str) -> Vec<String> {
    of_name(all.into_iter().filter_map(net).collect(), name).into_iter().map(|n| n.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_whole_name_or_the_beginning_of_an_id() {
        let net = |id: &str, name: &str, ms| Net {
            id: id.into(),
            name: name.into(),
            created: Timestamp::from_ms(ms),
            ..Net::default()
        };
        let all = || {
            vec![
                net("aaaaaaaaaaaaaaaa", "web", 9),
                net("bbbbbbbbbbbbbbbb", "web", 5),
                net("cccccccccccccccc", "web-2", 1),
            ]
        };
        let ids =
            |name| -> Vec<String> { of_name(all(), name).into_iter().map(|n| n.id).collect() };
        assert_eq!(ids("web"), ["bbbbbbbbbbbbbbbb", "aaaaaaaaaaaaaaaa"]);
        assert_eq!(ids("cccccccccccc"), ["cccccccccccccccc"]);
        assert!(ids("we").is_empty());
        let text = several_text("web", &of_name(all(), "web"));
        assert!(text.contains("'web' (bbbbbbbbbbbb, aaaaaaaaaaaa)"), "{text}");
    }

    #[test]
    fn only_a_network_with_all_our_labels_is_ours() {
        fn labels<C: FromIterator<(String, String)>>(pairs: &[(&str, &str)]) -> C {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        }
        let ours = labels(&[("agent", "S0"), ("cluster", "c")]);
        let net = |pairs| Net { labels: labels(pairs), ..Net::default() };
        assert!(net(&[("agent", "S0"), ("cluster", "c"), ("more", "x")]).is_ours(&ours));
        assert!(!net(&[("agent", "S1"), ("cluster", "c")]).is_ours(&ours));
        assert!(!net(&[]).is_ours(&ours) && !net(&[]).is_ours(&BTreeMap::new()));
    }
}
