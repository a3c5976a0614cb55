//! Who there is and what this process is, as this dialect's parts need it.

use std::{net::IpAddr, sync::Arc};

use crate::{
    control::cluster::Cluster,
    core::State,
    http::auth::{Account, Accounts, Rights},
};

/// Who there is, by the newest state.
pub struct Known(pub Arc<dyn Cluster>);

impl Accounts for Known {
    fn secret(&self) -> Option<[u8; 32]> {
        self.0.state().cluster.as_ref().map(|cluster| cluster.secret)
    }

    fn account(&self, uid: &str) -> Option<Account> {
        account(&self.0.state(), uid)
    }

    fn account_under(&self, secret: &[u8; 32], uid: &str) -> Option<Account> {
        let state = self.0.state();
        let is_signed = state.cluster.as_ref().is_some_and(|cluster| cluster.secret == *secret);
        account(&state, uid).filter(|_| is_signed)
    }

    fn password_hash(&self, uid: &str) -> Option<String> {
        self.0.state().users.get(uid)?.password_hash.clone()
    }
}

fn account(state: &State, uid: &str) -> Option<Account> {
    let user = state.users.get(uid)?;
    Some(Account { generation: user.generation, rights: Rights::of_user(user.superuser) })
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
