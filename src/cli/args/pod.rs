//! `tepui pod …`.

use clap::Subcommand;

use super::{Change, watch::Watch};

#[derive(Debug, Subcommand)]
pub enum Pod {
    /// All pods
    List {
        #[command(flatten)]
        watch: Watch,
    },
    /// One pod with its instances and their containers
    Show {
        pod: String,
        /// Print the definition only, ready for `tepui pod deploy`
        #[arg(long)]
        definition: bool,
        #[command(flatten)]
        watch: Watch,
    },
    /// Create or update pods from a file of Marathon JSON or YAML
    #[command(
        after_help = "Examples:\n  tepui pod deploy web.yaml\n  cat web.json | tepui pod deploy - --no-wait"
    )]
    Deploy {
        /// JSON or YAML, one or several pods; - reads standard input
        file: String,
        /// Send keys too that mean nothing to the server
        #[arg(long)]
        allow_unknown: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Set the number of instances
    Scale {
        pod: String,
        instances: u32,
        #[command(flatten)]
        change: Change,
    },
    /// Replace all instances, a few at a time
    Restart {
        pod: String,
        #[command(flatten)]
        change: Change,
    },
    /// Stop a pod and forget it
    Remove {
        pod: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        change: Change,
    },
}
