//! The commands that are the system itself: `tepui dev`, `tepui node`, `tepui config`.
//!
//! Help tells the defaults from the same values the program starts with.
//! They gather settings from their sources, check them, set up logging and run the node. A node
//! that fails says why in one line and exits with 1; a wrong setting exits with 2.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::error::{CliError, Exit};
use crate::node::{
    config::{self, Config, NodeRole},
    detect,
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
    /// Port of the admin router; 0 takes any free one
    #[arg(long, value_name = "PORT")]
    router_port: Option<u16>,
    /// Port of the DNS server; 0 takes any free one
    #[arg(long, value_name = "PORT")]
    dns_port: Option<u16>,
    /// Serve the original's direct ports (5050 and 8080) too
    #[arg(long, value_name = "on|off", value_parser = switch)]
    compat_ports: Option<bool>,
    /// Remove the containers when stopping
    #[arg(long)]
    destroy_on_exit: bool,
    /// Docker's socket
    #[arg(long, value_name = "PATH")]
    docker: Option<PathBuf>,
    /// Least severe log line: error, warn, info, debug, or a filter by module
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

fn switch(text: &str) -> Result<bool, String> {
    settings::parse_switch(text).ok_or_else(|| "write on or off".to_owned())
}

/// The commands of the tree that take settings, each with its own defaults in the help.
pub fn with_defaults(tree: clap::Command) -> clap::Command {
    let node = config::node_defaults();
    tree.mut_subcommand("dev", |c| tell_defaults(c, &config::dev_defaults()))
        .mut_subcommand("node", |c| tell_defaults(c, &node))
        .mut_subcommand("config", |c| {
            c.mut_subcommand("show", |c| tell_defaults(c, &node))
                .mut_subcommand("check", |c| tell_defaults(c, &node))
        })
}

fn tell_defaults(command: clap::Command, defaults: &Raw) -> clap::Command {
    let Ok(serde_yaml::Value::Mapping(values)) = serde_yaml::to_value(defaults) else {
        return command;
    };
    command.mut_args(|arg| {
        let value = match values.get(arg.get_id().as_str()) {
            Some(serde_yaml::Value::Bool(on)) => if *on { "on" } else { "off" }.to_owned(),
            Some(serde_yaml::Value::String(text)) => text.clone(),
            Some(serde_yaml::Value::Number(number)) => number.to_string(),
            _ => return arg,
        };
        if !arg.get_action().takes_values() {
            return arg;
        }
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        arg.help(format!("{help} [default: {value}]"))
    })
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
pub fn config(command: &ConfigCommand, json: bool) -> u8 {
    let (ConfigCommand::Show(args) | ConfigCommand::Check(args)) = command;
    let mut layers = match node_layers(args) {
        Ok(layers) => layers,
        Err(error) => return fail_lines(&format!("{error:#}"), json),
    };
    let checked = detect::run(&mut layers).and_then(|()| Config::check(&layers));
    let errors: Vec<String> = match &checked {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    };
    match command {
        ConfigCommand::Show(_) => {
            if json {
                out(&format!("{:#}\n", show_json(&layers)));
            } else {
                show(&layers);
            }
            tell(&errors, &[], json);
            if errors.is_empty() { 0 } else { EXIT_CONFIG }
        }
        ConfigCommand::Check(_) => {
            let errors: Vec<String> =
                errors.into_iter().chain(layers.strangers().iter().cloned()).collect();
            let warnings = checked.map(|config| machine_warnings(&config)).unwrap_or_default();
            let good = errors.is_empty();
            if json {
                let told = serde_json::json!({
                    "good": good, "errors": errors, "warnings": warnings,
                });
                out(&format!("{told:#}\n"));
            } else {
                tell(&errors, &warnings, false);
                if good {
                    out("the settings are good\n");
                }
            }
            if good { 0 } else { EXIT_CONFIG }
        }
    }
}

fn show(layers: &Layers) {
    for (key, value, source) in layers.list() {
        let text = serde_yaml::to_string(value).unwrap_or_default();
        let text = if is_shown(key, value) { text.trim_end() } else { "\"(hidden)\"" };
        let joint = if text.contains('\n') || text.starts_with('-') { "\n" } else { " " };
        out(&format!("{key}:{joint}{text}  # {source}\n"));
    }
}

fn show_json(layers: &Layers) -> serde_json::Value {
    let rows = layers.list().map(|(key, value, source)| {
        let value = if is_shown(key, value) {
            serde_json::to_value(value).unwrap_or_default()
        } else {
            "(hidden)".into()
        };
        (key.to_owned(), serde_json::json!({"value": value, "source": source.to_string()}))
    });
    rows.collect::<serde_json::Map<_, _>>().into()
}

fn is_shown(key: &str, value: &serde_yaml::Value) -> bool {
    !settings::SECRETS.contains(&key) || value.is_null()
}

/// What is not wrong with the settings but will stop this machine from following them.
fn machine_warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let has_agent = config.has(NodeRole::Agent) || config.has(NodeRole::PublicAgent);
    if has_agent && !config.docker.exists() {
        let socket = config.docker.display();
        warnings.push(format!(
            "docker: there is no socket {socket}; no task can start before Docker does"
        ));
    }
    warnings
}

fn tell(errors: &[String], warnings: &[String], json: bool) {
    let mut stderr = std::io::stderr();
    for error in errors {
        let _ = match json {
            true => writeln!(stderr, "{}", CliError::new(Exit::Usage, error.as_str()).json()),
            false => writeln!(stderr, "error: {error}"),
        };
    }
    for warning in warnings {
        let _ = writeln!(stderr, "warning: {warning}");
    }
}

/// Settings that cannot be read at all, a line for each thing wrong.
fn fail_lines(text: &str, json: bool) -> u8 {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    tell(&lines, &[], json);
    EXIT_CONFIG
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
        compat_ports: flags.compat_ports,
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
    let mut layers = match layers {
        Ok(layers) => layers,
        Err(error) => return fail_lines(&format!("{error:#}"), false),
    };
    if let Err(errors) = detect::run(&mut layers) {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        tell(&errors, &[], false);
        // A machine that boots may have no network yet: it is tried again.
        return Exit::Failure as u8;
    }
    let config = match Config::check(&layers) {
        Ok(config) => config,
        Err(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            tell(&errors, &[], false);
            return EXIT_CONFIG;
        }
    };
    tell(&[], layers.strangers(), false);
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
    // The consensus library tells each message that fails, several a second while a master is away; ours
    // is the line per transition. What it fails of is told by whoever then looks at its state.
    const CONSENSUS: &str =
        "openraft=error,openraft::replication=off,openraft::core::raft_core=off";
    let filter = EnvFilter::try_new(format!("{CONSENSUS},{}", config.log_level));
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
    match &ready.master {
        Some(at) => {
            out(&format!("tepui is ready  {}{login}  dns {}\n", at.url, at.dns));
            if let Some((file, fingerprint)) = &at.ca {
                out(&format!(
                    "  the cluster's own authority vouches for it, sha256 {fingerprint}\n"
                ));
                out(&format!("  curl --cacert {} {}\n", file.display(), at.url));
            }
        }
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
    let _ = writeln!(std::io::stderr(), "error: {}", crate::base::error::plain(text));
    code
}
