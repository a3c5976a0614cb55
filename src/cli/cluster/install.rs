//! `tepui cluster install`: from a config.yaml to a running cluster, and from one that stopped half way.
//!
//! All hosts are reached and looked at before anything is changed. Then the program is copied to those that
//! need it; the first master makes the cluster, the others join it one after the other, agents all at once,
//! each with a token of its own that the first master makes. A host that is done already is left alone, and
//! what hosts say of themselves decides, so that the same command adds a node, and goes on after a failure.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    board::Board,
    bundle::Program,
    crew::{self, Done, Reached},
    host::{Open, Terms},
    kept::{Kept, Step},
    ssh::{Ssh, Trouble},
    wanted::{Host, Wanted},
};
use crate::{
    base::units::count,
    cli::{
        args::{Hosts, Install},
        error::{CliError, Outcome},
        io::Io,
        output::Printer,
        text::field,
    },
    node::config::NodeRole,
};

/// How often the whole is looked at while it comes to be.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Of so many masters no more decide (docs/adr/0013-masters-that-join.md).
const DECIDING_MAX: usize = 5;

/// Makes the cluster of a config.yaml, or goes on with it.
pub async fn install(asked: &Install, io: &Io, printer: &mut Printer) -> Outcome {
    let wanted = load(&asked.hosts, io)?;
    let kept = remembered(&asked.hosts, io)?;
    for text in wanted.without.iter().chain(&gone(&wanted, &kept)) {
        printer.note(&format!("note: {text}"))?;
    }
    let terms = Terms { wanted: &wanted, flags: flags(asked), clock: &*io.clock };
    let ssh = connections(&asked.hosts, &wanted, io)?;
    let began = Instant::now();
    let program = match asked.preflight {
        true => None,
        false => {
            Some(Program::read(asked.binary.as_ref().map(|path| io.cwd.join(path)).as_deref())?)
        }
    };
    let made = {
        let board = Board::new(printer, &wanted.hosts);
        let run = Run {
            asked,
            wanted: &wanted,
            board: &board,
            kept: Mutex::new(kept),
            bad: Mutex::default(),
            terms: &terms,
        };
        let made = board.during(run.all(&ssh, program.as_ref())).await;
        (made, run.bad.into_inner())
    };
    let (made, bad) = made;
    match made {
        Ok(made) if bad.is_empty() => tell(made.as_ref(), &wanted, began.elapsed(), printer),
        Ok(_) => Err(failed(&bad, wanted.hosts.len(), "the others are done")),
        Err(Stopped::Hosts(what)) => Err(failed(&bad, wanted.hosts.len(), what)),
        Err(Stopped::Because(error)) => Err(error),
    }
}

/// Reads the file that says what is wanted.
pub fn load(asked: &Hosts, io: &Io) -> Outcome<Wanted> {
    let path = io.cwd.join(&asked.file);
    Wanted::load(&path).map_err(|faults| {
        let what = count(faults.len(), "thing");
        let mut error = CliError::usage(format!("{what} in {} to mend", asked.file.display()));
        error.details = faults;
        error.hint("docs/compat/installer.md says what each key takes")
    })
}

/// What earlier runs have left beside it.
pub fn remembered(asked: &Hosts, io: &Io) -> Outcome<Kept> {
    let beside = Kept::path_for(&asked.file);
    let path = io.cwd.join(asked.state.as_ref().unwrap_or(&beside));
    Kept::load(&path).map_err(|text| {
        CliError::failure(text).hint("remove it: hosts say themselves how far they are")
    })
}

pub fn connections(asked: &Hosts, wanted: &Wanted, io: &Io) -> Outcome<Ssh> {
    let temporary = io.var("TMPDIR").unwrap_or_else(|| "/tmp".to_owned());
    Ok(Ssh::new(wanted.way.clone(), asked.ssh_option.clone(), Path::new(&temporary))?)
}

fn flags(asked: &Install) -> Vec<String> {
    let mut flags = Vec::new();
    for (is_set, flag) in
        [(asked.no_systemd, "--no-systemd"), (asked.install_docker, "--install-docker")]
    {
        flags.extend(is_set.then(|| flag.to_owned()));
    }
    for name in &asked.ignore {
        flags.extend(["--ignore".to_owned(), name.clone()]);
    }
    flags
}

/// Hosts of earlier runs that are not listed any more.
fn gone(wanted: &Wanted, kept: &Kept) -> Vec<String> {
    let is_listed = |address: &Ipv4Addr| wanted.hosts.iter().any(|host| host.address == *address);
    let gone = kept.hosts.iter().filter(|(address, _)| !is_listed(address));
    gone.map(|(address, record)| {
        format!(
            "{address} ({}) is not listed any more and goes on running; tepui node drain, tepui node \
             remove and, there, install.sh uninstall take it away",
            record.role
        )
    })
    .collect()
}

/// Why a run ended before its end.
enum Stopped {
    /// Hosts failed that it cannot do without; what that means for the rest.
    Hosts(&'static str),
    Because(CliError),
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::Because(error.into())
    }
}

/// The cluster that was made.
struct Made {
    url: String,
    password_file: Option<String>,
    lead: Host,
}

struct Run<'a> {
    asked: &'a Install,
    wanted: &'a Wanted,
    board: &'a Board<'a>,
    kept: Mutex<Kept>,
    bad: Mutex<Vec<(Host, Trouble)>>,
    terms: &'a Terms<'a>,
}

impl<'a> Run<'a> {
    /// All steps. Nothing is made where only a look was asked for.
    async fn all(&self, ssh: &'a Ssh, program: Option<&Program>) -> Result<Option<Made>, Stopped> {
        let reached = self.look(ssh, program).await;
        let made = match (self.go_on("nothing was changed"), program) {
            (Err(stopped), _) => Err(stopped),
            (Ok(()), None) => Ok(None),
            (Ok(()), Some(program)) => self.make(&reached, program).await.map(Some),
        };
        crew::clean(&reached, self.asked.hosts.parallel).await;
        made
    }

    /// Reaches every host and looks whether it is fit.
    async fn look(&self, ssh: &'a Ssh, program: Option<&Program>) -> Reached<'a> {
        let hosts = &self.wanted.hosts;
        self.board.step(&format!("looking at {}", count(hosts.len(), "host")));
        let done = crew::each(hosts, self.asked.hosts.parallel, async |host| {
            self.board.begin(host, "connecting");
            let open = Open::reach(ssh, host, self.terms).await?;
            if program.is_some_and(|program| open.is_as_wanted(&program.sum)) {
                self.board.done(host, "runs already");
                return Ok(open);
            }
            self.board.now(host, "preflight");
            let found = async {
                open.preflight().await?;
                match open.facts.runs {
                    true => Ok(()),
                    false => open.run_checks(&self.wanted.checks.prestart).await,
                }
            };
            if let Err(trouble) = found.await {
                open.clean().await;
                return Err(trouble);
            }
            self.board.done(host, "fit");
            Ok(open)
        })
        .await;
        self.settle(done).into_iter().collect()
    }

    /// Takes the failures of a step in; the rest is returned.
    fn settle<T>(&self, done: Done<T>) -> Vec<(Host, T)> {
        for (host, trouble) in done.bad {
            self.board.failed(host, trouble.to_string());
            self.bad.lock().push((host, trouble));
        }
        done.good
    }

    /// Whether the hosts that failed so far can be done without.
    fn go_on(&self, otherwise: &'static str) -> Result<(), Stopped> {
        let bad = self.bad.lock();
        let is_master = |(host, _): &(Host, Trouble)| host.role == NodeRole::Master;
        match bad.iter().any(is_master) || !(bad.is_empty() || self.asked.keep_going) {
            true => Err(Stopped::Hosts(otherwise)),
            false => Ok(()),
        }
    }

    async fn make(&self, reached: &Reached<'a>, program: &Program) -> Result<Made, Stopped> {
        let needs = |host: &Host| !reached[host].is_as_wanted(&program.sum);
        let new: Vec<Host> = reached.keys().copied().filter(needs).collect();
        let lead = self.lead(reached)?;
        self.copy(reached, &new, program).await?;
        self.go_on("no node was installed")?;
        let new: Vec<Host> = new.into_iter().filter(|host| !self.has_failed(host)).collect();
        let (masters, agents): (Vec<Host>, Vec<Host>) =
            new.into_iter().partition(|host| host.role == NodeRole::Master);
        self.install_masters(reached, lead, &masters, &program.sum).await?;
        self.install_agents(reached, lead, &agents, &program.sum).await;
        self.go_on("the others are installed")?;
        let lead = &reached[&lead];
        self.wait_whole(lead, reached).await?;
        self.check_after(lead, reached).await;
        let front = lead.front_door().await;
        let (url, password_file) = front.map_err(|trouble| on(lead.host, &trouble))?;
        Ok(Made { url, password_file, lead: lead.host })
    }

    fn has_failed(&self, host: &Host) -> bool {
        self.bad.lock().iter().any(|(bad, _)| bad == host)
    }

    /// The master that makes the cluster, or one that is in it already.
    fn lead(&self, reached: &Reached<'_>) -> Result<Host, Stopped> {
        let masters: Vec<&Open<'_>> =
            self.wanted.masters().filter_map(|host| reached.get(&host)).collect();
        let joined = |open: &&&Open<'_>| open.facts.joined;
        let is_up = |open: &&&Open<'_>| open.facts.joined && open.facts.runs;
        if let Some(open) = masters.iter().find(is_up).or_else(|| masters.iter().find(joined)) {
            return Ok(open.host);
        }
        // Agents of a cluster that none of these masters is in would be lost to it.
        if let Some(open) = reached.values().find(|open| open.facts.joined) {
            let text = format!(
                "{} belongs to a cluster already, and none of the masters that are listed does",
                open.host
            );
            let error = CliError::failure(text);
            let hint =
                "list a master of its cluster, or take it away: install.sh uninstall --purge";
            return Err(Stopped::Because(error.hint(hint)));
        }
        let first = self.wanted.masters().next();
        first.ok_or_else(|| Stopped::Because(CliError::usage("no master is listed")))
    }

    async fn copy(
        &self,
        reached: &Reached<'_>,
        hosts: &[Host],
        program: &Program,
    ) -> Result<(), Stopped> {
        if hosts.is_empty() {
            return Ok(());
        }
        self.board.step(&format!("copying the program to {}", count(hosts.len(), "host")));
        let packed = tokio::task::block_in_place(|| program.packed())?;
        let done = crew::each(hosts, self.asked.hosts.parallel, async |host| {
            let copied = crew::copy(self.board, &reached[&host], (&packed, &program.sum));
            let all_mb = copied.await?;
            self.reached(host, Step::Copied, &program.sum)?;
            self.board.done(host, format!("copied {all_mb:.0} MB"));
            Ok(())
        })
        .await;
        self.settle(done);
        Ok(())
    }

    fn reached(&self, host: Host, step: Step, program: &str) -> Result<(), Trouble> {
        let at = self.terms.clock.now().to_string();
        let kept = self.kept.lock().reached(host, step, program, at);
        kept.map_err(|error| {
            Trouble::Failed(vec![format!("the state beside config.yaml cannot be kept: {error}")])
        })
    }

    /// The lead first, the others one after the other: each has to have followed before the next one comes.
    async fn install_masters(
        &self,
        reached: &Reached<'_>,
        lead: Host,
        masters: &[Host],
        sum: &str,
    ) -> Result<(), Stopped> {
        let mut masters = masters.to_vec();
        masters.sort_by_key(|host| (*host != lead, place(self.wanted, host)));
        if !masters.is_empty() {
            self.board.step("installing masters");
        }
        for master in masters {
            let joins = (master != lead).then_some(lead);
            let one = async |host| self.one(reached, host, joins, sum).await;
            self.settle(crew::each(&[master], 1, one).await);
            self.go_on("masters before it are installed; the agents are not")?;
        }
        Ok(())
    }

    async fn install_agents(&self, reached: &Reached<'_>, lead: Host, agents: &[Host], sum: &str) {
        if agents.is_empty() {
            return;
        }
        self.board.step(&format!("installing {}", count(agents.len(), "agent")));
        let done = crew::each(agents, self.asked.hosts.parallel, async |host| {
            self.one(reached, host, Some(lead), sum).await
        });
        self.settle(done.await);
    }

    /// Installs one node, which joins at the lead's cluster unless it is in it already.
    async fn one(
        &self,
        reached: &Reached<'_>,
        host: Host,
        lead: Option<Host>,
        sum: &str,
    ) -> Result<(), Trouble> {
        let open = &reached[&host];
        self.board.begin(host, "installing");
        match lead.filter(|_| !open.facts.joined) {
            Some(lead) => {
                let token = reached[&lead].invite(host.role).await?;
                // Masters that are listed behind it are not there yet; the lead tells of them.
                let known = |master: &Host| host.role != NodeRole::Master || *master == lead;
                let masters: Vec<String> =
                    self.wanted.masters().filter(known).map(|m| self.wanted.peer(m)).collect();
                open.install(Some((&masters, &token))).await?;
            }
            None => open.install(None).await?,
        }
        self.reached(host, Step::Installed, sum)?;
        self.board.done(host, "ready");
        Ok(())
    }

    /// Waits until every master decides and every agent takes work.
    async fn wait_whole(&self, lead: &Open<'_>, reached: &Reached<'_>) -> Result<(), Stopped> {
        self.board.step("waiting until all work together");
        self.board.begin(lead.host, "asking for the whole");
        let began = Instant::now();
        loop {
            let lacking = match whole(lead, reached, &|host| self.has_failed(host)).await {
                Ok(None) => break,
                Ok(Some(lacking)) => lacking,
                Err(trouble) => trouble.to_string(),
            };
            if began.elapsed() > self.wanted.deadline {
                let error = CliError::failure(format!("all are installed, but {lacking}"));
                let hint = format!("look there: tepui status on {}", lead.host.address);
                return Err(Stopped::Because(error.hint(hint)));
            }
            sleep(LOOK_EVERY).await;
        }
        self.board.done(lead.host, "all work together");
        Ok(())
    }

    /// The operator's own checks of what runs now.
    async fn check_after(&self, lead: &Open<'_>, reached: &Reached<'_>) {
        let checks = &self.wanted.checks;
        if checks.poststart.is_empty() && checks.cluster.is_empty() {
            return;
        }
        self.board.step("custom checks");
        let hosts: Vec<Host> =
            reached.keys().copied().filter(|host| !self.has_failed(host)).collect();
        let done = crew::each(&hosts, self.asked.hosts.parallel, async |host| {
            self.board.begin(host, "checks");
            reached[&host].run_checks(&checks.poststart).await?;
            if host == lead.host {
                reached[&host].run_checks(&checks.cluster).await?;
            }
            self.board.done(host, "checks are good");
            Ok(())
        });
        self.settle(done.await);
    }
}

/// What the cluster still lacks, as its lead tells; `None` when it is whole.
async fn whole(
    lead: &Open<'_>,
    reached: &Reached<'_>,
    has_failed: &dyn Fn(&Host) -> bool,
) -> Result<Option<String>, Trouble> {
    let (masters, nodes) = (lead.ask("master list").await?, lead.ask("node list").await?);
    let wanted = |is_master: bool| {
        let hosts = reached.keys().filter(|host| !has_failed(host));
        hosts.filter(|host| (host.role == NodeRole::Master) == is_master).count()
    };
    let rows = |told: &Value| told.as_array().cloned().unwrap_or_default();
    let decides = |row: &Value| ["leads", "decides"].contains(&field(row, "part"));
    // A second master waits for the third before it decides.
    let n_wanted = match wanted(true) {
        2 => 1,
        n => n.min(DECIDING_MAX),
    };
    let n_deciding = rows(&masters).iter().filter(|row| decides(row)).count();
    if n_deciding < n_wanted {
        return Ok(Some(format!("{n_deciding} of {n_wanted} masters decide")));
    }
    let n_active = rows(&nodes).iter().filter(|row| row["condition"] == "active").count();
    Ok((n_active < wanted(false))
        .then(|| format!("{n_active} of {} agents are active", wanted(false))))
}

fn place(wanted: &Wanted, host: &Host) -> usize {
    wanted.hosts.iter().position(|other| other == host).unwrap_or(usize::MAX)
}

fn on(host: Host, trouble: &Trouble) -> Stopped {
    Stopped::Because(CliError::failure(format!("{host}: {trouble}")))
}

/// What went wrong, host by host.
pub fn failed(bad: &[(Host, Trouble)], n_all: usize, rest: &str) -> CliError {
    let text = format!("{} of {} failed; {rest}", bad.len(), count(n_all, "host"));
    let mut error = CliError::failure(text);
    for (host, trouble) in bad {
        let lines: Vec<String> = trouble.to_string().lines().map(str::to_owned).collect();
        // The last ones say it.
        let from = lines.len().saturating_sub(LINES_TOLD_MAX);
        let shown = lines.iter().skip(from).map(|line| format!("{host}: {line}"));
        error.details.extend(shown);
    }
    error.hint("mend it and repeat the command: it goes on where it stopped")
}

/// Lines of one host in an error; all of them are in its log (log_directory).
const LINES_TOLD_MAX: usize = 12;

fn tell(made: Option<&Made>, wanted: &Wanted, took: Duration, printer: &mut Printer) -> Outcome {
    let hosts = wanted.hosts.iter();
    let hosts = hosts.map(|h| json!({"address": h.address, "role": h.role.as_str()}));
    let Some(Made { url, password_file, lead }) = made else {
        if printer.json {
            return Ok(printer.value(&json!({"good": true, "hosts": hosts.collect::<Vec<_>>()}))?);
        }
        let text = format!("nothing stands in the way on {}", count(wanted.hosts.len(), "host"));
        return Ok(printer.line(&text)?);
    };
    if printer.json {
        let told = json!({
            "url": url, "password_file": password_file, "lead": lead.address,
            "took_s": took.as_secs_f64(), "hosts": hosts.collect::<Vec<_>>(),
        });
        return Ok(printer.value(&told)?);
    }
    let text = format!(
        "the cluster works on {}, after {:.0} s",
        count(wanted.hosts.len(), "host"),
        took.as_secs_f64()
    );
    printer.line(&text)?;
    printer.line(&format!("  page         {url}"))?;
    if let Some(file) = password_file {
        printer.line(&format!("  first login  admin, password in {file} on {}", lead.address))?;
    }
    printer.note("  more nodes   list them in the same file and repeat the command")?;
    Ok(())
}
