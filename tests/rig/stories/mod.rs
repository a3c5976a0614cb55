//! What goes wrong between hosts, and what users see of it.

mod agents;
mod away;
pub mod install;
mod leader;
mod split;

use anyhow::Result;

use super::{Tally, cluster::Cluster};

type Story = fn(&mut Cluster, &mut Tally) -> Result<()>;

/// By name, in the order they are gone through.
pub const ALL: [(&str, Story); 9] = [
    ("leader-killed", leader::killed),
    ("leader-paused", leader::paused),
    ("leader-stopped", leader::stopped),
    ("minority", split::minority),
    ("one-way", split::one_way),
    ("flapping", split::flapping),
    ("machine-lost", agents::lost),
    ("agent-away", agents::away),
    ("masters-away", away::all),
];
