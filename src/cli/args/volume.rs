//! `tepui volume …`.

use clap::Subcommand;

use super::watch::Watch;

#[derive(Debug, Clone, Subcommand)]
pub enum Volume {
    /// What instances keep outside their containers: where it is, how full, and for whom
    List {
        /// Only of this app
        app: Option<String>,
        #[command(flatten)]
        watch: Watch,
    },
    /// One persistent volume
    Show {
        /// Its id, or the beginning of one
        volume: String,
    },
    /// Remove what a stopped instance keeps, for good
    Remove {
        /// Its id, or the beginning of one
        volume: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}
