//! Asking again and again.

use clap::Args;

#[derive(Debug, Clone, Copy, Args)]
pub struct Watch {
    /// Repeat every two seconds until interrupted
    #[arg(long, short)]
    pub watch: bool,
}
