//! A node's life: configuration, which parts its roles start in which order, how it stops.

pub mod settings;
pub mod config;
pub mod hold;
pub mod detect;
pub mod bootstrap;
pub mod handles;
pub mod transport;
pub mod peers;
pub mod names;
pub mod kept_names;
pub mod local;
pub mod door;
pub mod recover;
pub mod seat;
pub mod seats;
pub mod backup;
pub mod realm;
pub mod ways;
pub mod member;
pub mod direct;
pub mod freshness;
pub mod front;
pub mod master;
pub mod agent;
pub mod health;
pub mod roles;
