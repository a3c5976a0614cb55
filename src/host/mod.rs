//! The machine below us: container engine, network, certificates.
