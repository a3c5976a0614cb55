//! Masters, and tokens: to join the cluster and to sign in.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::{Watch, duration};

/// For whom an invitation is, and for how long.
#[derive(Debug, Clone, Args)]
pub struct ForWhom {
    /// What the node becomes: agent, public-agent or master; an agent of either kind unless given
    #[arg(long)]
    pub role: Option<String>,
    /// How long it is good
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub ttl: Duration,
}

#[derive(Debug, Subcommand)]
pub enum Master {
    /// All masters, who leads, and who decides with it
    List {
        #[command(flatten)]
        watch: Watch,
    },
    /// Have a master follow only; another that follows decides in its place
    Demote {
        /// Its number, as the list shows it
        master: String,
    },
    /// Have a master decide again that was demoted
    Promote {
        /// Its number, as the list shows it
        master: String,
    },
    /// Most masters are lost for good: have the stopped master of this machine go on alone
    #[command(
        after_help = "The program of this master has to be stopped. What it holds and how old that is \
        comes first: compare it with --look on every other one that is left, and recover the one with the \
        highest entry. The others must never be started again with what they have: delete their data \
        directories and join them anew."
    )]
    Recover {
        /// The master's data directory
        #[arg(long, value_name = "DIR", default_value = "/var/lib/tepui")]
        data_dir: PathBuf,
        /// Only tell what it holds and how old that is
        #[arg(long)]
        look: bool,
        /// Do not ask
        #[arg(long, short, conflicts_with = "look")]
        yes: bool,
    },
    /// Forget a master for good: its certificate is worth nothing any more
    Remove {
        /// Its number, as the list shows it
        master: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token that lets one new node join, as tepui node invite
    Create {
        #[command(flatten)]
        invite: ForWhom,
    },
    /// Tokens that wait for their node
    List,
    /// End every login of a user made so far; your own unless one is named
    Revoke {
        user: Option<String>,
        /// Of everybody
        #[arg(long, conflicts_with = "user")]
        all: bool,
        /// The token of a node that has not joined, as tepui token list shows it
        #[arg(long, value_name = "ID", conflicts_with_all = ["user", "all"])]
        join: Option<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Sign with another secret from now on; every login made so far ends
    Rotate {
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}
