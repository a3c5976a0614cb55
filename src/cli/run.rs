//! From arguments to exit code.

use std::{ffi::OsString, io::Write};

use super::{
    args::{Cli, Cluster, Command, NodeCommand},
    client::Client,
    error::{CliError, Exit, Outcome},
    io::Io,
    output::Printer,
    session::Session,
    *,
};
use crate::base::task::Tasks;

/// What a command works with.
pub struct Context {
    pub printer: Printer,
    pub client: Client,
    pub io: Io,
}

/// Runs one command line of the program itself, with threads of its own.
pub fn main(args: impl IntoIterator<Item = OsString>, mut io: Io) -> u8 {
    let mut printer = printer(&mut io);
    let cli = match args::parse(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &mut printer),
    };
    // What is the system itself makes its own threads.
    match &cli.command {
        Command::Dev(args) => return daemon::dev(args),
        Command::Node(NodeCommand { verb: None, daemon }) => return super::daemon::node(daemon),
        Command::Config(command) => return daemon::config(command, cli.global.json),
        _ => {}
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = CliError::failure(format!("the program cannot start threads: {error}"));
            printer.error(&error).ok();
            return error.exit as u8;
        }
    };
    let code = runtime.block_on(run_parsed(cli, io, printer));
    // A read of standard input may still be waiting on a thread; nobody needs it any more.
    runtime.shutdown_background();
    code
}

/// Runs one command line on the caller's runtime and tells the exit code.
pub async fn run(args: impl IntoIterator<Item = OsString>, mut io: Io) -> u8 {
    let mut printer = printer(&mut io);
    match args::parse(args) {
        Ok(cli) => run_parsed(cli, io, printer).await,
        Err(error) => usage(&error, &mut printer),
    }
}

async fn run_parsed(cli: Cli, io: Io, mut printer: Printer) -> u8 {
    printer.json = cli.global.json;
    printer.quiet = cli.global.quiet;
    let tasks = Tasks::new("cli");
    let outcome = command(cli, io, &mut printer, &tasks).await;
    tasks.stop(std::time::Duration::from_millis(200)).await;
    let outcome = outcome.and_then(|code| {
        printer.flush()?;
        Ok(code)
    });
    match outcome {
        Ok(code) => code,
        Err(error) if error.broken_pipe => 0,
        Err(error) => {
            // With standard error gone too there is nobody left to tell.
            printer.error(&error).ok();
            printer.flush().ok();
            error.exit as u8
        }
    }
}

/// Colour only on terminals, never against NO_COLOR, always with CLICOLOR_FORCE.
fn printer(io: &mut Io) -> Printer {
    let out = std::mem::replace(&mut io.stdout, Box::new(std::io::sink()));
    let err = std::mem::replace(&mut io.stderr, Box::new(std::io::sink()));
    let mut printer = Printer::new(out, err);
    let forced = io.var("CLICOLOR_FORCE").is_some_and(|v| v != "0");
    let dumb = io.var("TERM").is_some_and(|t| t == "dumb");
    let allowed = io.var("NO_COLOR").is_none() && !dumb;
    let colour = |terminal: bool| forced || (terminal && allowed);
    printer.colour = (colour(io.terminal[1]), colour(io.terminal[2]));
    printer.live = io.terminal[2] && !dumb;
    printer
}

/// Help goes to standard output and is no failure; the rest is a usage error.
fn usage(error: &clap::Error, printer: &mut Printer) -> u8 {
    let text = if printer.colour.0 {
        error.render().ansi().to_string()
    } else {
        error.render().to_string()
    };
    if error.use_stderr() {
        printer.raw_err(text.as_bytes()).ok();
        return Exit::Usage as u8;
    }
    printer.raw(text.as_bytes()).ok();
    0
}

async fn command(cli: Cli, io: Io, printer: &mut Printer, tasks: &Tasks) -> Outcome<u8> {
    let Cli { global, command } = cli;
    // What needs no cluster.
    match &command {
        Command::Sim(args) => return simulate(args, printer),
        Command::Completions { shell } => return complete::script(*shell, printer).map(|()| 0),
        Command::Login(args) => return login::login(args, &global, io, printer, tasks).await,
        Command::Logout => return login::logout(&io, printer).map(|()| 0),
        Command::Master(args::Master::Recover { data_dir, look, yes }) => {
            let data_dir = io.cwd.join(data_dir);
            return recover::run(&data_dir, *look, *yes, io, printer).await.map(|()| 0);
        }
        Command::Doctor { data_dir: Some(dir) } => {
            return doctor::look_at_store(&io.cwd.join(dir), &io, printer).await;
        }
        Command::Doctor { data_dir: None } => {
            return doctor::doctor(&global, &io, printer, tasks).await;
        }
        Command::Backup(backup) if backup::is_local(backup) => {
            return backup::run_local(backup, io, printer).await.map(|()| 0);
        }
        Command::Cluster(Cluster::Install(asked)) => {
            return cluster::install(asked, &io, printer).await.map(|()| 0);
        }
        Command::Upgrade(asked) | Command::Cluster(Cluster::Upgrade(asked)) => {
            return cluster::upgrade(asked, &io, printer).await.map(|()| 0);
        }
        Command::Cluster(Cluster::Uninstall(asked)) => {
            return cluster::uninstall(asked, &io, printer).await.map(|()| 0);
        }
        Command::Cluster(Cluster::Archive(asked)) => {
            return cluster::archive(asked, printer).map(|()| 0);
        }
        _ => {}
    }
    let session = match Session::find(&global, &io) {
        Ok(session) => session,
        Err(_) if matches!(command, Command::Version) => {
            return status::own_version(printer).map(|()| 0);
        }
        Err(error) => return Err(error),
    };
    let client = Client::new(session, global.ca.as_deref(), global.insecure, tasks)?;
    let quiet = std::mem::replace(printer, Printer::new(sink(), sink()));
    let mut context = Context { printer: quiet, client, io };
    let outcome = dispatch(&mut context, command).await;
    *printer = context.printer;
    outcome
}

/// One thread, no cluster: a broken promise is a failure.
fn simulate(args: &crate::sim::Args, printer: &mut Printer) -> Outcome<u8> {
    let mut told = Ok(());
    let summary = crate::sim::run_told(args, &mut |progress| {
        let shown = printer.progress(&[progress.to_string()]);
        told = std::mem::replace(&mut told, Ok(())).and(shown);
    });
    told?;
    printer.clear()?;
    match printer.json {
        true => printer.value(&summary.json())?,
        false => printer.line(&summary.to_string())?,
    }
    Ok(if summary.is_good() { 0 } else { Exit::Failure as u8 })
}

fn sink() -> Box<dyn Write + Send> {
    Box::new(std::io::sink())
}

async fn dispatch(cx: &mut Context, command: Command) -> Outcome<u8> {
    match command {
        Command::App(app) => apps::run(cx, app).await?,
        Command::Pod(pod) => pods::run(cx, pod).await?,
        Command::Task(task) => tasks::run(cx, task).await?,
        Command::Node(NodeCommand { verb: Some(verb), .. }) => nodes::run(cx, verb).await?,
        Command::Cluster(Cluster::Show) => cluster::level::show(cx).await?,
        Command::Cluster(Cluster::Raise { yes }) => cluster::level::raise(cx, yes).await?,
        Command::Master(master) => masters::run(cx, master).await?,
        Command::Backup(backup) => backup::run(cx, backup).await?,
        Command::Volume(volume) => volumes::run(cx, volume).await?,
        Command::Token(token) => tokens::run(cx, token).await?,
        Command::Deployment(deployment) => deployments::run(cx, deployment).await?,
        Command::History(asked) => history::run(cx, asked).await?,
        Command::Log(log) => logs::run(cx, log).await?,
        Command::Exec(exec) => return exec::run(cx, exec).await,
        Command::Why { app, nodes } => why::run(cx, &app, nodes).await?,
        Command::Status { watch } => status::run(cx, watch).await?,
        Command::Top(top) => top::run(cx, top).await?,
        Command::Version => status::version(cx).await?,
        Command::Dev(_)
        | Command::Node(NodeCommand { verb: None, .. })
        | Command::Upgrade(_)
        | Command::Cluster(
            Cluster::Install(_) | Cluster::Upgrade(_) | Cluster::Uninstall(_) | Cluster::Archive(_),
        )
        | Command::Config(_)
        | Command::Sim(_)
        | Command::Completions { .. }
        | Command::Login(_)
        | Command::Logout
        | Command::Doctor { .. } => {
            return Err(CliError::failure("this command has no cluster to ask"));
        }
    }
    Ok(0)
}

/// Asks for a yes. Without a terminal there is nobody to ask, and `--yes` is wanted.
pub fn confirm(cx: &mut Context, question: &str) -> Outcome {
    agree(&mut cx.io, &mut cx.printer, question)
}

/// As `confirm`, of a command that asks no cluster.
pub fn agree(io: &mut Io, printer: &mut Printer, question: &str) -> Outcome {
    if !(io.terminal[0] && io.terminal[2]) || io.var("TEPUI_NO_INPUT").is_some() {
        return Err(
            CliError::usage(format!("{question} Not without a yes.")).hint("repeat with --yes")
        );
    }
    printer.raw_err(format!("{question} [y/N] ").as_bytes())?;
    let mut answer = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(&mut io.stdin), &mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::failure("nothing was changed")),
    }
}

/// Shows something once, or again and again every two seconds with `--watch`.
pub async fn repeat<F>(cx: &mut Context, watch: args::Watch, mut show: F) -> Outcome
where
    F: AsyncFnMut(&mut Context) -> Outcome,
{
    loop {
        if watch.watch {
            cx.printer.fresh_screen()?;
        }
        show(cx).await?;
        if !watch.watch {
            return Ok(());
        }
        cx.printer.flush()?;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
}
