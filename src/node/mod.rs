//! A node's life: configuration, which parts its roles start in which order, how it stops.

pub mod config;
pub mod settings;
pub mod bootstrap;
