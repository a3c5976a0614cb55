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
    /// Bring another build of the program to all nodes, one after the other, without stopping a task
    #[command(after_help = UPGRADE_HELP)]
    Upgrade(Upgrade),
    /// Take the nodes of a config.yaml away again, over ssh
    Uninstall(Uninstall),
    /// Write the archive that install.sh works from on a machine without a network
    Archive(Archive),
}

/// Shown below the help of an upgrade.
pub const UPGRADE_HELP: &str = "Examples:\n  tepui upgrade -f config.yaml --binary tepui-0.2.0 --dry-run   who would be next\n  tepui upgrade -f config.yaml --binary tepui-0.2.0             again after a failure: goes on where it stopped\n\nMasters that follow come first, then the leading one, agents, public agents. A node that does not come up\ngoes back to the program it ran, and the roll-out stops: docs/upgrade.md";

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
pub struct Upgrade {
    #[command(flatten)]
    pub hosts: Hosts,
    /// The program the nodes get; this one unless given
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Only look, and say in which order it would go; changes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Agents at a time; masters are always started one by one
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub batch: usize,
    /// Public key (age1…) for the backup that is made first, which then goes beside the file; may be repeated
    #[arg(long, value_name = "KEY")]
    pub backup_for: Vec<String>,
    /// Make no backup first
    #[arg(long, conflicts_with = "backup_for")]
    pub no_backup: bool,
    /// Raise the cluster's level in the end: older builds are let in no more
    #[arg(long)]
    pub raise_level: bool,
    /// Go on though a check of this name is bad; may be repeated
    #[arg(long, value_name = "NAME")]
    pub ignore: Vec<String>,
    /// The hosts have no systemd
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
