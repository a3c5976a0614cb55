//! `tepui volume …`.

use clap::Subcommand;

use super::watch::Watch;

#[derive(Debug, Clone, Subcommand)]
pub enum Volume {
    /// What instances keep outside their containers, where it is, and what becomes of it
    List {
        /// Only of this app
        app: Option<String>,
        #[command(flatten)]
        watch: Watch,
    },
}
