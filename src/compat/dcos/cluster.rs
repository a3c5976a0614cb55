//! What this dialect needs of the running system. Implemented where the parts are wired together,
//! and by hand in tests.

use std::{net::IpAddr, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{
    control::cluster::ProposeError,
    core::{Accepted, Command, State},
    http::auth::{Account, Accounts, Rights},
};

/// The replicated state and the masters that keep it.
pub trait Cluster: Send + Sync + 'static {
    /// The newest state.
    fn latest(&self) -> Arc<State>;

    /// Brings a command through the log.
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Accepted, ProposeError>>;

    /// All masters, this one included, in a stable order.
    fn masters(&self) -> Vec<Master>;
}

/// Who there is, by the newest state.
pub struct Known(pub Arc<dyn Cluster>);

impl Accounts for Known {
    fn secret(&self) -> Option<[u8; 32]> {
        self.0.latest().cluster.as_ref().map(|cluster| cluster.secret)
    }

    fn account(&self, uid: &str) -> Option<Account> {
        let state = self.0.latest();
        let user = state.users.get(uid)?;
        Some(Account { generation: user.generation, rights: Rights::of_user(user.superuser) })
    }

    fn password_hash(&self, uid: &str) -> Option<String> {
        self.0.latest().users.get(uid)?.password_hash.clone()
    }
}

/// One master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    pub address: IpAddr,
    pub is_leader: bool,
    /// Heard of lately.
    pub is_serving: bool,
}

/// What does not change while the process runs.
#[derive(Debug, Clone)]
pub struct Facts {
    /// tepui's version.
    pub version: String,
    /// Where people outside reach this master; `None` where nobody knows.
    pub public_address: Option<IpAddr>,
    /// Where other nodes reach this master.
    pub address: IpAddr,
    pub hostname: String,
    /// Certificate of the authority behind the front door's own, in PEM.
    pub ca: Option<String>,
}
