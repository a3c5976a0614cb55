//! The machine below us: container engine, network, certificates.

pub mod bridge;
pub mod docker;
pub mod pki;
