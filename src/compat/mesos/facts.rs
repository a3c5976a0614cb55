//! What does not change while the process runs.

use std::net::{IpAddr, SocketAddr};

use crate::base::clock::Timestamp;

/// Where this master is and since when.
#[derive(Debug, Clone)]
pub struct Facts {
    pub address: IpAddr,
    pub hostname: String,
    /// Port this dialect is reached at (5050 in an installed cluster).
    pub port: u16,
    /// Port the scheduler of apps is reached at.
    pub marathon_port: u16,
    pub started_at: Timestamp,
}

impl Facts {
    /// `master@10.0.0.1:5050`.
    pub fn pid(&self) -> String {
        format!("master@{}", SocketAddr::new(self.address, self.port))
    }
}
