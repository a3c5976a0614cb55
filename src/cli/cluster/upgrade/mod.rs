//! `tepui cluster upgrade`: another build of the program on every node of a cluster, one after the other, while
//! everything goes on.
//!
//! All hosts and the cluster are looked at before anything is changed; the program goes to all of them and is
//! run there once, for its version; a backup is made. Then `plan` says who is next. What happens on a host is
//! `installer/install.sh`: the program goes beside the one that runs, a link is moved, the node is started, and
//! goes back by itself when it does not come up. Here the cluster is asked whether it has the node again, with
//! all it ran. Where it has not, the node is taken back and the roll-out ends; the same command goes on.

mod look;
mod plan;
mod roll;
mod seen;

use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    board::Board,
    bundle::Program,
    crew::{self, Reached},
    host::{Open, Terms},
    install::{connections, failed, load, remembered},
    kept::{Kept, Step},
    level,
    ssh::{Ssh, Trouble},
    wanted::{Host, Wanted},
};
use crate::{
    base::units::count,
    cli::{
        args::Upgrade,
        error::{CliError, Outcome},
        io::Io,
        output::Printer,
    },
    node::bootstrap::write_private,
};
use plan::{Build, Known, Version, Wave};
use seen::Seen;

/// Where a backup goes that hosts make for us.
const BACKUP: &str = "before-upgrade.backup";

/// Brings a program to all nodes of a config.yaml.
pub async fn upgrade(asked: &Upgrade, io: &Io, printer: &mut Printer) -> Outcome {
    let wanted = load(&asked.hosts, io)?;
    let kept = remembered(&asked.hosts, io)?;
    let program = Program::read(asked.binary.as_ref().map(|path| io.cwd.join(path)).as_deref())?;
    let mut flags = Vec::new();
    if asked.no_systemd {
        flags.push("--no-systemd".to_owned());
    }
    for name in &asked.ignore {
        flags.extend(["--ignore".to_owned(), name.clone()]);
    }
    let terms = Terms { wanted: &wanted, flags, clock: &*io.clock };
    let ssh = connections(&asked.hosts, &wanted, io)?;
    let began = Instant::now();
    let made = {
        let board = Board::new(printer, &wanted.hosts);
        let beside = io.cwd.join(&asked.hosts.file);
        let run = Run {
            asked,
            wanted: &wanted,
            board: &board,
            terms: &terms,
            program: &program,
            backup: beside.with_file_name(BACKUP),
            kept: Mutex::new(kept),
        };
        board.during(run.all(&ssh)).await
    };
    tell(&made?, &wanted, began.elapsed(), printer)
}

/// What came of it.
struct Made {
    notes: Vec<String>,
    /// What is left to do, or was to be done.
    waves: Vec<Wave>,
    /// What became of it; nothing where it was only looked at.
    done: Option<End>,
}

struct End {
    version: Version,
    n_upgraded: usize,
    backup: String,
    /// The answer of the cluster.
    level: Value,
}

struct Run<'a> {
    asked: &'a Upgrade,
    wanted: &'a Wanted,
    board: &'a Board<'a>,
    terms: &'a Terms<'a>,
    program: &'a Program,
    /// Where the backup goes that is made first.
    backup: std::path::PathBuf,
    kept: Mutex<Kept>,
}

impl<'a> Run<'a> {
    async fn all(&self, ssh: &'a Ssh) -> Outcome<Made> {
        let reached = self.reach(ssh).await?;
        let made = self.on(&reached).await;
        crew::clean(&reached, self.asked.hosts.parallel).await;
        made
    }

    /// Does `work` on many hosts at a time; one that fails ends it.
    async fn each<T>(
        &self,
        hosts: &[Host],
        rest: &str,
        work: impl AsyncFn(Host) -> Result<T, Trouble>,
    ) -> Outcome<Vec<(Host, T)>> {
        let done = crew::each(hosts, self.asked.hosts.parallel, work).await;
        for (host, trouble) in &done.bad {
            self.board.failed(*host, trouble.to_string());
        }
        match done.bad.is_empty() {
            true => Ok(done.good),
            false => Err(failed(&done.bad, hosts.len(), rest)),
        }
    }

    async fn reach(&self, ssh: &'a Ssh) -> Outcome<Reached<'a>> {
        let hosts = &self.wanted.hosts;
        self.board.step(&format!("looking at {}", count(hosts.len(), "host")));
        let look = async |host: Host| {
            self.board.begin(host, "connecting");
            let open = Open::reach(ssh, host, self.terms).await?;
            self.board.now(host, "preflight");
            if let Err(trouble) = open.preflight_of_a_node().await {
                open.clean().await;
                return Err(trouble);
            }
            self.board.done(host, "fit");
            Ok(open)
        };
        Ok(self.each(hosts, "nothing was changed", look).await?.into_iter().collect())
    }

    /// All of it, on hosts that are fit.
    async fn on(&self, reached: &Reached<'a>) -> Outcome<Made> {
        let build = Build { sum: self.program.sum.clone(), n_bytes: self.program.n_bytes() };
        let mut looking = look::Looking::new(reached, self.wanted);
        let (seen, leader) = looking.whole(None).await.map_err(|text| {
            CliError::failure(format!("{text}; nothing was changed"))
                .hint("tepui master list on a master says who is there")
        })?;
        let known: Vec<Known> = reached.values().map(look::known).collect();
        let found = plan::preflight(&seen, &known, &build);
        if !found.bad.is_empty() {
            let n = count(found.bad.len(), "thing");
            let mut error = CliError::failure(format!("{n} to mend first; nothing was changed"));
            error.details = found.bad;
            return Err(error.hint("an upgrade begins when all that is there is well"));
        }
        let is_left = |known: &&Known| !known.is_done(&build);
        let mut left: Vec<Host> = known.iter().filter(is_left).map(|known| known.host).collect();
        left.sort_by_key(|host| self.wanted.hosts.iter().position(|other| other == host));
        let waves = plan::waves(&left, Some(leader), self.asked.batch);
        let mut made = Made { notes: found.notes, waves, done: None };
        if self.asked.dry_run {
            return Ok(made);
        }
        let version = self.bring(reached, &left, &seen).await?;
        let backup = match left.is_empty() {
            true => "none: nothing was left to do".to_owned(),
            false => self.back_up(&reached[&leader]).await?,
        };
        let n_upgraded = left.len();
        roll::out(self, reached, &mut looking, left, &version).await?;
        let (_, leader) = looking.whole(None).await.map_err(CliError::failure)?;
        let level = self.level(&reached[&leader]).await?;
        made.waves.clear();
        made.done = Some(End { version, n_upgraded, backup, level });
        Ok(made)
    }

    /// Copies the program to where it is not yet, and has it say what it is.
    async fn bring(&self, reached: &Reached<'a>, left: &[Host], seen: &Seen) -> Outcome<Version> {
        const REST: &str = "no node was touched";
        if !left.is_empty() {
            let hosts = count(left.len(), "host");
            self.board.step(&format!("copying the program to {hosts}"));
        }
        let packed = tokio::task::block_in_place(|| self.program.packed())?;
        let copy = async |host: Host| {
            let open = &reached[&host];
            crew::copy(self.board, open, (&packed, &self.program.sum)).await?;
            let said = open.version_of_copy().await?;
            let Some(version) = Version::read(&said) else {
                return Err(Trouble::Failed(vec![format!("that is no tepui: {}", said.trim())]));
            };
            plan::check_version(&version, seen.level).map_err(|why| Trouble::Failed(vec![why]))?;
            self.board.done(host, format!("copied, {}", version.words()));
            Ok(version)
        };
        let copied = self.each(left, REST, copy).await?;
        match copied.into_iter().next() {
            Some((_, version)) => Ok(version),
            // All are done; any of them says what that is.
            None => {
                let open = reached.values().next();
                let open = open.ok_or_else(|| CliError::usage("no host is listed"))?;
                let said = open.version_of_program().await.map_err(|t| on(open.host, &t))?;
                Version::read(&said).ok_or_else(|| CliError::failure(said))
            }
        }
    }

    /// Makes a backup before anything is touched, where somebody can open it.
    async fn back_up(&self, leader: &Open<'_>) -> Outcome<String> {
        if self.asked.no_backup {
            return Ok("none, as was asked for".to_owned());
        }
        self.board.step("making a backup");
        self.board.begin(leader.host, "making a backup");
        let made = match self.asked.backup_for.is_empty() {
            false => {
                let bytes = leader.backup(&self.asked.backup_for).await;
                let bytes = bytes.map_err(|trouble| on(leader.host, &trouble))?;
                write_private(&self.backup, &bytes)
                    .map_err(|error| CliError::failure(format!("{error:#}")))?;
                self.backup.display().to_string()
            }
            true => {
                let kept = leader.ask("backup create --keep").await.map_err(|trouble| {
                    let text = format!("no backup was made, and no node was touched: {trouble}");
                    CliError::failure(text).hint(
                        "set backup_to and backup_keys on the masters (docs/backup.md), or: \
                         --backup-for age1… or --no-backup",
                    )
                })?;
                kept["name"].as_str().unwrap_or("kept").to_owned()
            }
        };
        self.board.done(leader.host, format!("backup made: {made}"));
        Ok(made)
    }

    /// The level at the end, raised where that was asked for.
    async fn level(&self, leader: &Open<'_>) -> Outcome<Value> {
        let told = leader.ask("cluster show").await.map_err(|trouble| on(leader.host, &trouble))?;
        let is_held = !level::Told::read(&told).held_back_by.is_empty();
        if !self.asked.raise_level || is_held {
            return Ok(told);
        }
        leader.ask("cluster raise --yes").await.map_err(|trouble| on(leader.host, &trouble))
    }

    fn done(&self, host: Host) -> Result<(), Trouble> {
        let at = self.terms.clock.now().to_string();
        let kept = self.kept.lock().reached(host, Step::Installed, &self.program.sum, at);
        kept.map_err(|error| {
            Trouble::Failed(vec![format!("the state beside config.yaml cannot be kept: {error}")])
        })
    }
}

fn on(host: Host, trouble: &Trouble) -> CliError {
    CliError::failure(format!("{host}: {trouble}"))
}

fn tell(made: &Made, wanted: &Wanted, took: Duration, printer: &mut Printer) -> Outcome {
    if printer.json {
        let wave = |wave: &Wave| {
            let hosts: Vec<String> = wave.hosts.iter().map(|h| h.address.to_string()).collect();
            json!({"what": wave.what.words(), "hosts": hosts})
        };
        let mut told = json!({
            "notes": made.notes, "left": made.waves.iter().map(wave).collect::<Vec<_>>(),
        });
        if let Some(end) = &made.done {
            told["release"] = end.version.release.clone().into();
            told["level"] = end.level.clone();
            told["backup"] = end.backup.clone().into();
            told["upgraded"] = end.n_upgraded.into();
            told["took_s"] = took.as_secs_f64().into();
        }
        return Ok(printer.value(&told)?);
    }
    for note in &made.notes {
        printer.note(&format!("note: {note}"))?;
    }
    let Some(end) = &made.done else {
        if made.waves.is_empty() {
            return Ok(printer.line("nothing is left to do: every node runs this program")?);
        }
        for (n, wave) in (1..).zip(&made.waves) {
            let hosts: Vec<String> = wave.hosts.iter().map(|h| h.address.to_string()).collect();
            printer.line(&format!("{n:>3}  {:<38} {}", wave.what.words(), hosts.join(", ")))?;
        }
        return Ok(printer.note("nothing was changed; without --dry-run it is done")?);
    };
    let (all, version) = (count(wanted.hosts.len(), "node"), end.version.words());
    let took_s = took.as_secs_f64();
    printer.line(&format!("{all} run {version}; {} upgraded in {took_s:.0} s", end.n_upgraded))?;
    printer.line(&format!("  backup  {}", end.backup))?;
    Ok(printer.line(&format!("  level   {}", level::at_the_end(&end.level)))?)
}
