//! What goes wrong between hosts, and what users see of it.

mod agents;
mod away;
mod drain;
pub mod install;
mod leader;
mod linear;
mod split;
mod swarm;
pub mod upgrade;

use anyhow::Result;

use super::{Tally, cluster::Cluster};

type Story = fn(&mut Cluster, &mut Tally) -> Result<()>;

/// By name, in the order they are gone through.
pub const ALL: [(&str, Story); 12] = [
    ("leader-killed", leader::killed),
    ("leader-paused", leader::paused),
    ("leader-stopped", leader::stopped),
    ("minority", split::minority),
    ("one-way", split::one_way),
    ("flapping", split::flapping),
    ("machine-lost", agents::lost),
    ("agent-away", agents::away),
    ("masters-away", away::all),
    ("drain-load", drain::with_load),
    ("linearizable", linear::histories),
    ("swarm", swarm::beside),
];
