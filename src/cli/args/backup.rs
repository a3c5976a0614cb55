//! `tepui backup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Backup {
    /// Make one, encrypted for a passphrase or for public keys
    #[command(
        after_help = "Examples:\n  tepui backup create --for age1…        into a file of this directory\n  tepui backup create -o /mnt/b.backup    asks for a passphrase\n  tepui backup create --keep              where backups are kept, for the keys that are set"
    )]
    Create {
        /// The file; one named after the cluster and the time unless given; - is standard output
        #[arg(long, short, value_name = "FILE", conflicts_with = "keep")]
        output: Option<PathBuf>,
        /// Leave it where the masters keep backups
        #[arg(long)]
        keep: bool,
        #[command(flatten)]
        lock: Lock,
    },
    /// What is kept, and what is made by itself
    List,
    /// Open one and check all of it; nothing is restored, no cluster is needed
    Verify {
        file: PathBuf,
        #[command(flatten)]
        open: Open,
    },
    /// Make a data directory of one, from which a single master starts
    #[command(
        after_help = "Example:\n  tepui backup restore b.backup --key backup.key --data-dir /var/lib/tepui\n\nThe new master takes the place of the one that made the backup, on whatever machine. All other\nmasters of the cluster are removed: none of them may be started again."
    )]
    Restore {
        file: PathBuf,
        /// Where to; it has to be empty
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// The master whose place the new one takes; the one that made the backup unless given
        #[arg(long, value_name = "NUMBER")]
        in_place_of: Option<u64>,
        #[command(flatten)]
        open: Open,
    },
    /// Make a pair of keys: the secret one into a file, the public one is printed
    Key {
        /// The file; it must not be there yet
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
}

/// Who can open it.
#[derive(Debug, Clone, Args)]
pub struct Lock {
    /// Public key (age1…) that it is encrypted for; may be repeated
    #[arg(long = "for", value_name = "KEY")]
    pub keys: Vec<String>,
    /// File with the passphrase; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "keys")]
    pub passphrase_file: Option<PathBuf>,
}

/// What opens it.
#[derive(Debug, Clone, Args)]
pub struct Open {
    /// File with the secret key
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// File with the passphrase; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub passphrase_file: Option<PathBuf>,
}
