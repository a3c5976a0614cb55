//! `tepui history`.

use clap::Args;

/// What of the past.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  tepui history                            the last hundred records\n  tepui history /shop --since 24h          a service, or a group with all below it\n  tepui history --who ann --kind change    what somebody changed\n  tepui history --grep FATAL -o jsonl      a JSON object a line"
)]
pub struct History {
    /// A service, a group, a node, an instance, a deployment, a user
    #[arg(value_name = "ID")]
    pub of: Option<String>,
    /// From then on: a time, or how long ago (90s, 15m, 24h, 7d)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to then
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// On whose word
    #[arg(long, value_name = "UID")]
    pub who: Option<String>,
    /// change, deployment, attempt, kill, health, node, access, cluster; may be repeated
    #[arg(long)]
    pub kind: Vec<String>,
    /// Text that stands somewhere in it, in any letter case
    #[arg(long, value_name = "TEXT")]
    pub grep: Option<String>,
    /// How many of the newest
    #[arg(long, short = 'n', default_value_t = 100)]
    pub lines: usize,
    /// Go on as more happens
    #[arg(long, short)]
    pub follow: bool,
    /// text, json (one answer) or jsonl (an object a line)
    #[arg(long, short, value_enum)]
    pub output: Option<Format>,
}

/// How records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
    Jsonl,
}
