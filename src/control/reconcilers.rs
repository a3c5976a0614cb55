//! The leader's reconcilers as one list, which the driver of a real leader and the simulated one both
//! run.

use std::time::Duration;

use super::{
    deploy, liveness, place,
    reconciler::{Ground, Reconciler},
};
use crate::base::metrics::Label;

/// When a reconciler looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wake {
    /// After any change of the state, and again after each look that led to commands.
    pub by_changes: bool,
    /// So long after its latest look at the latest.
    pub after: Duration,
}

impl Wake {
    const fn by_changes_or(after_ms: u64) -> Self {
        Self { by_changes: true, after: Duration::from_millis(after_ms) }
    }

    const fn each(after_ms: u64) -> Self {
        Self { by_changes: false, after: Duration::from_millis(after_ms) }
    }
}

/// Lists the reconcilers: for each its name to operators, what it is, and when it looks.
macro_rules! reconcilers {
    ($($(#[$doc:meta])* $kind:ident = $name:literal: $reconciler:ty, $wake:expr;)+) => {
        crate::base::metrics::label! {
            /// The reconcilers.
            pub enum Kind("reconciler") {
                $($(#[$doc])* $kind = $name,)+
            }
        }

        impl Kind {
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// When it looks.
            pub const fn wake(self) -> Wake {
                match self {
                    $(Self::$kind => $wake,)+
                }
            }

            /// One whose term begins.
            pub fn begin(self, ground: &Ground) -> Box<dyn Reconciler> {
                match self {
                    $(Self::$kind => Box::new(<$reconciler>::begin(ground)),)+
                }
            }
        }
    };
}

reconcilers! {
    /// Deployments advance; workloads outside them keep their number.
    Deploy = "deploy": deploy::Deployments, Wake::by_changes_or(5_000);
    /// Waiting instances get a node.
    Place = "place": place::Placement, Wake::by_changes_or(500);
    /// Lost nodes are noticed, draining ones empty, stuck tasks end. It looks through all nodes and
    /// whatever is not running yet: time makes things due here, and so often is soon enough for it.
    Liveness = "liveness": liveness::Liveness, Wake::each(200);
}

impl Kind {
    /// As operators see it.
    pub fn name(self) -> &'static str {
        Self::VALUES[self.index()]
    }
}
