//! The commands that are the system itself: `tepui dev`, `tepui node`, `tepui config`.
//!
//! They gather settings from their sources, check them, set up logging and run the node. A node
//! that fails says why in one line and exits with 1; a wrong setting exits with 2.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};

use crate::node::{
    config::{self, Config},
    roles::{self, Login, Ready},
    settings::{self, Layers, Raw, Source},
};

/// Exit code of settings that cannot be used.
const EXIT_CONFIG: u8 = 2;

/// The whole system in one process on loopback.
#[derive(Args, Debug)]
pub struct DevArgs {
    /// Directory of everything that must outlive the process
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Port of the admin router; 0 takes any free one [default: 8000]
    #[arg(long, value_name = "PORT")]
    router_port: Option<u16>,
    /// Port of the DNS server; 0 takes any free one [default: 5300]
    #[arg(long, value_name = "PORT")]
    dns_port: Option<u16>,
    /// Serve the original's direct ports (5050 and 8080) too [default: off]
    #[arg(long, value_name = "on|off")]
    compat_ports: Option<Switch>,
    /// Remove the containers when stopping
    #[arg(long)]
    destroy_on_exit: bool,
    /// Docker's socket
    #[arg(long, value_name = "PATH")]
    docker: Option<PathBuf>,
    /// Least severe log line: error, warn, info, debug, or a filter by module [default: warn]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// One node of a cluster.
#[derive(Args, Debug)]
pub struct NodeArgs {
    /// What this node does; repeat it for several: master, agent, public-agent
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Settings file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    common: DevArgs,
}

/// Looks at the settings of a node without starting it.
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Print what is in force and where each value came from
    Show(NodeArgs),
    /// Tell what is wrong with the settings; exits with 2 if anything is
    Check(NodeArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Runs `tepui dev` until it is told to stop.
pub fn dev(args: &DevArgs) -> u8 {
    let layers = layers(config::dev_defaults(), None, &[], args);
    run(layers, true)
}

/// Runs `tepui node` until it is told to stop.
pub fn node(args: &NodeArgs) -> u8 {
    let layers = node_layers(args);
    run(layers, false)
}

/// `tepui config show|check`.
pub fn config(command: &ConfigCommand) -> u8 {
    let (ConfigCommand::Show(args) | ConfigCommand::Check(args)) = command;
    let layers = match node_layers(args) {
        Ok(layers) => layers,
        Err(error) => return fail(&format!("{error:#}"), EXIT_CONFIG),
    };
    if let ConfigCommand::Show(_) = command {
        for (key, value, source) in layers.list() {
            let text = serde_yaml::to_string(value).unwrap_or_default();
            let is_shown = !settings::SECRETS.contains(&key) || value.is_null();
            let text = if is_shown { text.trim_end() } else { "\"(hidden)\"" };
            let joint = if text.contains('\n') || text.starts_with('-') { "\n" } else { " " };
            out(&format!("{key}:{joint}{text}  # {source}\n"));
        }
    }
    match Config::check(&layers) {
        Ok(_) => {
            if let ConfigCommand::Check(_) = command {
                out("the settings are good\n");
            }
            0
        }
        Err(errors) => {
            for error in errors {
                let _ = writeln!(std::io::stderr(), "error: {error}");
            }
            EXIT_CONFIG
        }
    }
}

fn node_layers(args: &NodeArgs) -> anyhow::Result<Layers> {
    layers(config::node_defaults(), args.config.as_ref(), &args.roles, &args.common)
}

/// Built-in values, then the file, the environment, the flags.
fn layers(
    built_in: Raw,
    file: Option<&PathBuf>,
    roles: &[String],
    flags: &DevArgs,
) -> anyhow::Result<Layers> {
    let mut layers = Layers::default();
    layers.over(&built_in, |_| Source::BuiltIn);
    if let Some(path) = file {
        layers.over_file(path)?;
    }
    #[allow(clippy::disallowed_methods)] // the edge of the program
    layers.over_environment(std::env::vars())?;
    let raw = Raw {
        roles: (!roles.is_empty()).then(|| roles.to_vec()),
        data_dir: flags.data_dir.clone(),
        router_port: flags.router_port,
        dns_port: flags.dns_port,
        compat_ports: flags.compat_ports.map(|s| s == Switch::On),
        destroy_on_exit: flags.destroy_on_exit.then_some(true),
        docker: flags.docker.clone(),
        log_level: flags.log_level.clone(),
        ..Raw::default()
    };
    layers.over(&raw, |key| {
        Source::Flag(if key == "roles" { "role".to_owned() } else { key.replace('_', "-") })
    });
    Ok(layers)
}

fn run(layers: anyhow::Result<Layers>, dev: bool) -> u8 {
    let layers = match layers {
        Ok(layers) => layers,
        Err(error) => return fail(&format!("{error:#}"), EXIT_CONFIG),
    };
    let config = match Config::check(&layers) {
        Ok(config) => config,
        Err(errors) => {
            for error in errors {
                let _ = writeln!(std::io::stderr(), "error: {error}");
            }
            return EXIT_CONFIG;
        }
    };
    log_to_stderr(&config);
    let data_dir = config.data_dir.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tepui")
        .build()
        .context("starting threads");
    let outcome = runtime.and_then(|runtime| {
        let outcome = runtime.block_on(roles::run(config, |ready| greet(ready, dev, &data_dir)));
        // What still blocks a thread (a database flush, a file) must not hold the process.
        runtime.shutdown_timeout(std::time::Duration::from_millis(500));
        outcome
    });
    match outcome {
        Ok(()) => 0,
        Err(error) => fail(&format!("{error:#}"), 1),
    }
}

fn log_to_stderr(config: &Config) {
    use tracing_subscriber::EnvFilter;
    // The consensus library tells its life at `info`; ours is the line per transition there.
    let filter = EnvFilter::try_new(format!("openraft=warn,{}", config.log_level));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let ansi = std::io::stderr().is_terminal();
    // A second subscriber in one process (tests) is no harm.
    let _ = if config.log_json {
        builder.json().try_init()
    } else {
        builder.with_ansi(ansi).try_init()
    };
}

/// The one line that says the node is up; scripts wait for its first words.
fn greet(ready: &Ready, dev: bool, data_dir: &std::path::Path) {
    for warning in &ready.warnings {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let login = match &ready.login {
        Some(Login::First(uid, password)) => format!("  login {uid} / {password}"),
        Some(Login::InFile(file)) => format!("  first password in {}", file.display()),
        None => String::new(),
    };
    match ready.master {
        Some(at) => out(&format!("tepui is ready  http://{}{login}  dns {}\n", at.router, at.dns)),
        None => out("tepui is ready  (agent)\n"),
    }
    if dev && std::io::stdout().is_terminal() {
        out(&format!(
            "  variables for scripts: {}/client.env   stop with Ctrl-C\n",
            data_dir.display()
        ));
    }
}

fn out(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

fn fail(text: &str, code: u8) -> u8 {
    let _ = writeln!(std::io::stderr(), "error: {text}");
    code
}
