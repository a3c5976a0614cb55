//! `tepui cluster …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Cluster {
    /// The masters, the level, and who holds it back
    Show,
    /// Let in what only this release and later ones can do, for good
    Raise {
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Make a cluster of the hosts of a config.yaml, over ssh; or add what is new in it
    #[command(
        after_help = "Examples:\n  tepui cluster install -f config.yaml --preflight   only look whether the hosts are fit\n  tepui cluster install -f config.yaml               again after a failure: goes on where it stopped\n\nWhat each key of the file does: docs/compat/installer.md"
    )]
    Install(Install),
    /// Take the nodes of a config.yaml away again, over ssh
    Uninstall(Uninstall),
    /// Write the archive that install.sh works from on a machine without a network
    Archive(Archive),
}

/// Which hosts, and how they are reached.
#[derive(Debug, Clone, Args)]
pub struct Hosts {
    /// The hosts and what they become
    #[arg(long, short, value_name = "CONFIG.YAML")]
    pub file: PathBuf,
    /// What is remembered between runs; beside the file unless given
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Hosts that are worked on at a time
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub parallel: usize,
    /// A further option of ssh, as UserKnownHostsFile=FILE; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub ssh_option: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub struct Install {
    #[command(flatten)]
    pub hosts: Hosts,
    /// Only look whether the hosts are fit; changes nothing
    #[arg(long)]
    pub preflight: bool,
    /// The program the hosts get; this one unless given
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Go on without agents that fail; the next run tries them again
    #[arg(long)]
    pub keep_going: bool,
    /// Install Docker on agents that have none
    #[arg(long)]
    pub install_docker: bool,
    /// Go on though a check of this name is bad; may be repeated
    #[arg(long, value_name = "NAME")]
    pub ignore: Vec<String>,
    /// The hosts have no systemd: start nodes in the background
    #[arg(long)]
    pub no_systemd: bool,
}

#[derive(Debug, Clone, Args)]
pub struct Uninstall {
    #[command(flatten)]
    pub hosts: Hosts,
    /// Their data and containers too
    #[arg(long)]
    pub purge: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Clone, Args)]
pub struct Archive {
    /// Where to write it: a file, or a directory for one with its usual name
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The program in it; this one unless given
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// A folder of Docker's packages (*.deb), for --install-docker
    #[arg(long, value_name = "DIR")]
    pub docker: Option<PathBuf>,
    /// A folder of images (docker save), loaded on agents
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
}
