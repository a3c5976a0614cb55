//! Masters: what each can do and where its doors are.

/// A master as the cluster knows it. It says so itself when it starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Master {
    /// Its number among the masters.
    pub id: u64,
    /// tepui's version there.
    pub release: String,
    /// The highest level of the cluster it can do (`base::level`).
    pub level: u32,
    pub addresses: Addresses,
}

/// Where a master is reached, each `host:port`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    /// Its peer port: agents and other masters.
    pub peers: String,
    /// The front door.
    pub router: String,
    /// Where clients look for Marathon's own API.
    pub marathon: String,
    /// Where clients look for Mesos' own API.
    pub mesos: String,
}
