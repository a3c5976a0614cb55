//! Simulation: a whole cluster in one thread, from a seed.
//!
//! The real state machine, reconcilers, placement and agent decisions run on a clock that only the
//! simulation moves; what is made up is the network, the containers and the misfortune. The same
//! seed gives the same run, to the byte. An oracle remembers what clients were promised and
//! objects at the first broken promise; at the end all faults stop and the cluster must settle.
//!
//! | file | owns |
//! |---|---|
//! | `build` | node and workload definitions in a few words; the world of the placement bench |
//! | `node` | a virtual node: the agent's own decisions over made-up containers |
//! | `world` | clock, queue of events, network, leader, the other masters |
//! | `client` | a random client |
//! | `chaos` | a random client and random faults in a world |
//! | `cast` | clients, reconcilers, nodes and operators over a state that others keep |
//! | `oracle` | what must hold, and what was promised |
//! | `witness` | what really became of nodes, against what the leader makes of it |
//! | `trial` | one misfortune in a calm cluster |
//! | `script` | the same world by text commands, for stories with a golden transcript |

pub mod build;
mod cast;
mod chaos;
mod client;
mod node;
mod oracle;
mod run;
pub mod script;
pub mod trial;
mod witness;
mod world;

pub use build::{BenchWorld, bench_world};
pub use cast::Cast;
pub use run::{Args, Progress, Summary, run, run_told};
pub use world::World;
