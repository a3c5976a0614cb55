//! `tepui task …`.

use std::path::PathBuf;

use clap::Subcommand;

use super::watch::Watch;

#[derive(Debug, Subcommand)]
pub enum Task {
    /// Running instances
    List {
        /// Only of this app
        #[arg(long, short)]
        app: Option<String>,
        /// Only on this node
        #[arg(long, short)]
        node: Option<String>,
        /// Also those that ended
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        watch: Watch,
    },
    /// One task
    Show { task: String },
    /// End tasks; they are started again unless --scale
    Kill {
        #[arg(required = true)]
        tasks: Vec<String>,
        /// Lower the number of instances too
        #[arg(long)]
        scale: bool,
        /// Give up reserved volumes too
        #[arg(long)]
        wipe: bool,
    },
    /// Files in a task's sandbox
    Ls {
        task: String,
        #[arg(default_value = "")]
        path: String,
        /// Mode, owner, size and time too
        #[arg(long, short)]
        long: bool,
    },
    /// Lines of a file of a task's sandbox that match, with their numbers
    Grep {
        task: String,
        /// A regular expression
        pattern: String,
        #[arg(default_value = "stdout")]
        path: String,
        /// Small and capital letters are the same
        #[arg(long, short)]
        ignore_case: bool,
        /// How many lines at most
        #[arg(long, short = 'n', default_value_t = 1_000)]
        limit: usize,
    },
    /// Print or save a file of a task's sandbox
    Download {
        task: String,
        path: String,
        /// Save here instead of printing
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
}
