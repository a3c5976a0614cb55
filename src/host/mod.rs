//! The machine below us: container engine, network, certificates.

pub mod docker;
pub mod pki;
