//! `tepui cluster uninstall`: agents first, then masters.

use super::{
    board::Board,
    crew,
    host::{Open, Terms},
    install::{connections, failed, load, remembered},
    ssh::Trouble,
    wanted::Host,
};
use crate::{
    base::units::count,
    cli::{
        args::Uninstall,
        error::{CliError, Outcome},
        io::Io,
        output::Printer,
    },
    node::config::NodeRole,
};

/// Takes the nodes of a config.yaml away.
pub async fn uninstall(asked: &Uninstall, io: &Io, printer: &mut Printer) -> Outcome {
    let wanted = load(&asked.hosts, io)?;
    let mut kept = remembered(&asked.hosts, io)?;
    if !asked.yes {
        let what = match asked.purge {
            true => "with all data and containers",
            false => "data and containers stay",
        };
        let text = format!("This takes {} away, {what}.", count(wanted.hosts.len(), "node"));
        return Err(CliError::usage(text).hint("repeat with --yes"));
    }
    let terms = Terms { wanted: &wanted, flags: Vec::new(), clock: &*io.clock };
    let ssh = connections(&asked.hosts, &wanted, io)?;
    let (agents, masters): (Vec<Host>, Vec<Host>) =
        wanted.hosts.iter().partition(|host| host.role != NodeRole::Master);
    let mut bad: Vec<(Host, Trouble)> = Vec::new();
    let mut gone = Vec::new();
    {
        let board = Board::new(printer, &wanted.hosts);
        let one = async |host: Host| {
            board.begin(host, "connecting");
            let open = Open::reach(&ssh, host, &terms).await?;
            board.now(host, "uninstalling");
            let outcome = open.uninstall(asked.purge).await;
            open.clean().await;
            outcome?;
            board.done(host, "gone");
            Ok(())
        };
        for (hosts, what) in [(&agents, "agents"), (&masters, "masters")] {
            // Masters of agents that are still there stay.
            if hosts.is_empty() || !bad.is_empty() {
                continue;
            }
            board.step(&format!("taking {what} away"));
            let done = board.during(crew::each(hosts, asked.hosts.parallel, &one)).await;
            for (host, trouble) in &done.bad {
                board.failed(*host, trouble.to_string());
            }
            gone.extend(done.good.into_iter().map(|(host, ())| host));
            bad.extend(done.bad);
        }
    }
    for host in &gone {
        kept.forget(host.address)?;
    }
    if bad.is_empty() {
        return Ok(printer.line(&format!("gone: {}", count(gone.len(), "node")))?);
    }
    Err(failed(&bad, wanted.hosts.len(), "the others before it are gone"))
}
