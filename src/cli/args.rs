//! The command tree.

use std::{ffi::OsString, path::PathBuf, sync::LazyLock, time::Duration};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

mod backup;
mod cluster;
mod history;
mod master;
mod pod;
mod task;
mod volume;
mod watch;

pub use backup::{Backup, Lock, Open};
pub use cluster::{Archive, Cluster, Hosts, Install, Uninstall, Upgrade};
pub use history::{Format, History};
pub use master::{ForWhom, Master, Token};
pub use pod::Pod;
pub use task::Task;
pub use volume::Volume;
pub use watch::Watch;

use super::daemon::{ConfigCommand, DevArgs, NodeArgs};
use crate::base::level;

/// tepui: a datacenter operating system in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "tepui",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  tepui app deploy web.yaml   create or update apps, and wait until they run\n  tepui app list              what runs\n  tepui why /web              why it does not\n  tepui log /web --follow     what it prints\n\nExit codes: 0 done, 1 failed, 2 usage or refused definition, 3 not found, 4 login, 5 conflict,\n6 timed out, 7 unreachable, 8 deployment did not reach its goal."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Parses a command line, the program's name first.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut tree = tree();
    let matches = tree.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut tree))
}

/// The command tree as people see it: options of every command in the first help only.
pub fn tree() -> clap::Command {
    let tree = super::daemon::with_defaults(Cli::command()).version(version());
    let global: Vec<clap::Arg> =
        tree.get_arguments().filter(|a| a.is_global_set()).cloned().collect();
    hide(tree, &global)
}

/// The release, and what it can do: whoever brings a program to a cluster asks it for both.
fn version() -> &'static str {
    static VERSION: LazyLock<String> =
        LazyLock::new(|| format!("{} (level {})", env!("CARGO_PKG_VERSION"), level::LEVEL));
    &VERSION
}

fn hide(command: clap::Command, global: &[clap::Arg]) -> clap::Command {
    const ELSEWHERE: &str = "Options of every command (--url, --json, --quiet …): tepui --help";
    command.mut_subcommands(|sub| {
        let examples = sub.get_after_help().map(ToString::to_string);
        let after = examples.map_or(ELSEWHERE.to_owned(), |text| format!("{text}\n\n{ELSEWHERE}"));
        let sub = global.iter().fold(sub, |sub, arg| sub.arg(arg.clone().hide(true)));
        hide(sub.after_help(after), global)
    })
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Address of the cluster, as http://host:8000 [env: TEPUI_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Login token [env: TEPUI_TOKEN]
    #[arg(long, global = true, value_name = "TOKEN", hide = true)]
    pub token: Option<String>,
    /// Trust the certificates in this PEM file [env: TEPUI_CA]
    #[arg(long, alias = "cacert", global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Do not check the server's certificate
    #[arg(long, global = true)]
    pub insecure: bool,
    /// Print answers as JSON, with the names of the API
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but data and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Apps: what is wanted and what runs
    #[command(subcommand)]
    App(App),
    /// Pods: several containers that live together
    #[command(subcommand)]
    Pod(Pod),
    /// Tasks: single instances of apps
    #[command(subcommand)]
    Task(Task),
    /// Run the whole system in this process, on loopback
    Dev(DevArgs),
    /// Run one node of a cluster (--role), or look at and drain nodes (list, show, drain, undrain)
    Node(NodeCommand),
    /// A cluster as a whole: over ssh (install, upgrade, uninstall, archive), its level (show, raise)
    #[command(subcommand)]
    Cluster(Cluster),
    /// Bring another build of the program to all nodes of a cluster (as cluster upgrade)
    #[command(after_help = cluster::UPGRADE_HELP)]
    Upgrade(Upgrade),
    /// Masters: who they are, removing one (list, remove)
    #[command(subcommand)]
    Master(Master),
    /// Volumes of all apps: where each is, how full, and removing one (list, show, remove)
    #[command(subcommand)]
    Volume(Volume),
    /// Backups of the whole cluster: make, look at and restore them
    #[command(subcommand)]
    Backup(Backup),
    /// Settings of a node: show them, check them
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Simulate a cluster with faults from a seed, and judge it
    Sim(crate::sim::Args),
    /// Deployments: changes under way
    #[command(subcommand)]
    Deployment(Deployment),
    /// What was done, by whom, and what became of it
    History(History),
    /// Print what tasks write
    Log(Log),
    /// Run a command inside a task
    Exec(Exec),
    /// Say why an app does not run as wanted
    Why {
        /// App id, as /web
        app: String,
        /// List every node with what stands in the way there
        #[arg(long)]
        nodes: bool,
    },
    /// The cluster at a glance
    Status {
        #[command(flatten)]
        watch: Watch,
    },
    /// What uses the processors and the memory now
    Top(Top),
    /// Sign in and remember it
    Login(Login),
    /// Forget the login
    Logout,
    /// Tokens: of logins (revoke, rotate), and of nodes that are to join (create, list, revoke --join)
    #[command(subcommand)]
    Token(Token),
    /// Look for what is wrong: on this machine, on the way to the cluster, in the cluster, in a store
    Doctor {
        /// Look at the data directory of a node that does not run instead; nothing of it is changed
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Print the completion script of a shell
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the version of this program and of the cluster
    Version,
}

/// What a list begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum By {
    #[default]
    Cpu,
    Mem,
}

#[derive(Debug, Args)]
pub struct Top {
    /// Show single tasks instead of apps
    #[arg(long, short)]
    pub tasks: bool,
    /// What comes first
    #[arg(long, value_enum, default_value_t)]
    pub by: By,
    /// Rows that are shown at most
    #[arg(long, short = 'n', default_value_t = 20)]
    pub rows: usize,
    #[command(flatten)]
    pub watch: Watch,
}

#[derive(Debug, Subcommand)]
pub enum App {
    /// All apps
    List {
        /// Only apps whose id, image or command holds this text
        filter: Option<String>,
        /// Only apps with this label: KEY or KEY=VALUE
        #[arg(long, short)]
        label: Vec<String>,
        #[command(flatten)]
        watch: Watch,
    },
    /// One app with its instances
    Show {
        app: String,
        /// Print the definition only, ready for `tepui app deploy`
        #[arg(long)]
        definition: bool,
    },
    /// Create or update apps from a file of Marathon JSON or YAML
    #[command(
        after_help = "Examples:\n  tepui app deploy web.yaml\n  cat web.json | tepui app deploy - --no-wait"
    )]
    Deploy {
        /// JSON or YAML, one or several apps or groups; - reads standard input
        file: String,
        /// Send keys too that mean nothing to the server
        #[arg(long)]
        allow_unknown: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Set the number of instances
    Scale {
        app: String,
        instances: u32,
        #[command(flatten)]
        change: Change,
    },
    /// Replace all instances, a few at a time
    Restart {
        app: String,
        #[command(flatten)]
        change: Change,
    },
    /// Stop an app and forget it
    Remove {
        app: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Definitions an app has had: who made them, what differs, what came of it
    Versions {
        app: String,
        #[command(flatten)]
        watch: Watch,
    },
    /// What differs between two definitions, field by field
    Diff {
        app: String,
        /// The older one; the one before the present one unless given
        from: Option<String>,
        /// The newer one; the present one unless given
        to: Option<String>,
    },
    /// Go back to an earlier definition
    #[command(
        after_help = "Examples:\n  tepui app rollback /web --dry-run\n  tepui app rollback /web --to 2026-11-22T13:14:11.042Z --keep-instances"
    )]
    Rollback {
        app: String,
        /// Which one; the one before the present one unless given
        #[arg(long)]
        to: Option<String>,
        /// As many instances as now, not as many as then
        #[arg(long)]
        keep_instances: bool,
        /// Only say what would happen
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        change: Change,
    },
}

/// How a change is made and waited for.
#[derive(Debug, Clone, Args)]
pub struct Change {
    /// Put a deployment aside that holds the app
    #[arg(long)]
    pub force: bool,
    /// Return as soon as the change is accepted
    #[arg(long)]
    pub no_wait: bool,
    /// Longest time to wait
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
    pub timeout: Duration,
}

/// `tepui node --role …` is a node; `tepui node list` asks about them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct NodeCommand {
    #[command(flatten)]
    pub daemon: NodeArgs,
    #[command(subcommand)]
    pub verb: Option<Node>,
}

#[derive(Debug, Subcommand)]
pub enum Node {
    /// All nodes
    List {
        #[command(flatten)]
        watch: Watch,
    },
    /// One node with what runs on it
    Show { node: String },
    /// Move all work off a node
    Drain {
        node: String,
        /// Only say where each task would go
        #[arg(long)]
        dry_run: bool,
        /// Return at once instead of waiting until nothing runs there
        #[arg(long)]
        no_wait: bool,
        /// Longest time to wait
        #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
        timeout: Duration,
        /// When the drain ends, done or not: what has no place elsewhere stays, the node takes no
        /// new work
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
        deadline: Duration,
    },
    /// Let a node take work again
    Undrain { node: String },
    /// Make a token that lets one new node join
    #[command(
        after_help = "Examples:\n  tepui node invite                  an agent of either kind, within the hour\n  tepui node invite --role master    another master"
    )]
    Invite {
        #[command(flatten)]
        invite: ForWhom,
    },
    /// Forget a node for good: its certificate is worth nothing any more
    Remove {
        node: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Deployment {
    /// Changes under way
    List {
        #[command(flatten)]
        watch: Watch,
    },
    /// One change and how far it is
    Show { deployment: String },
    /// Take a change back
    Cancel {
        deployment: String,
        /// Stop where it stands instead
        #[arg(long)]
        keep: bool,
    },
    /// Follow a change to its end
    Watch {
        deployment: String,
        /// Longest time to wait
        #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration)]
        timeout: Duration,
    },
}

/// Which stream of a task.
#[derive(Debug, Clone, Args)]
pub struct Log {
    /// Task, instance or app; of an app all running instances
    pub target: String,
    /// File of the sandbox
    #[arg(long, short = 'F', default_value = "stdout")]
    pub file: String,
    /// How many of the last lines; 100, or all since a time
    #[arg(long, short = 'n')]
    pub lines: Option<usize>,
    /// Go on as they write
    #[arg(long, short)]
    pub follow: bool,
    /// Only lines of the last 90s, 15m or 2h, of all instances in order
    #[arg(long, short, value_name = "TIME", value_parser = duration)]
    pub since: Option<Duration>,
    /// Only lines that match a regular expression; (?i) before it ignores case
    #[arg(long, short, value_name = "REGEX")]
    pub grep: Option<String>,
    /// Also what earlier attempts wrote, as far as it is kept
    #[arg(long, short)]
    pub previous: bool,
    /// Put the time before each line
    #[arg(long, short = 'T')]
    pub times: bool,
}

impl Log {
    /// Whether the cluster is to search and order the lines.
    pub fn searches(&self) -> bool {
        self.since.is_some() || self.grep.is_some() || self.previous || self.times
    }
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  tepui exec /web -- ls -l\n  tepui exec -it web.instance-1234._app.1 -- sh"
)]
pub struct Exec {
    /// Task, instance or app; of an app its newest running instance
    pub target: String,
    /// Pass standard input on
    #[arg(long, short)]
    pub interactive: bool,
    /// Give the command a terminal
    #[arg(long, short)]
    pub tty: bool,
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub struct Login {
    /// Address of the cluster, as https://host
    pub address: Option<String>,
    /// User name
    #[arg(long, short, default_value = "admin")]
    pub user: String,
    /// Trust the cluster's own authority by its SHA-256, as a node prints it when it starts
    #[arg(long, value_name = "HEX")]
    pub ca_fingerprint: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub password_stdin: bool,
}

/// `90`, `90s`, `15m`, `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let n: u64 = digits.parse().map_err(|_| format!("{text:?} is no time, as 90s, 15m or 2h"))?;
    let unit_s = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        unit => return Err(format!("{unit:?} is no unit: use s, m or h")),
    };
    Ok(Duration::from_secs(n.saturating_mul(unit_s)))
}
