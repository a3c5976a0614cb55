//! The benchmarks: each subject beside the programs it is measured against, in one run on one
//! machine, with the machine's facts on top. `make bench` runs it; docs/benchmarks.md keeps the
//! last results and says how each number is made.
//!
//! Arguments: names of subjects (default all), `--quick` makes every load a tenth, `--old PATH` names an
//! older build whose page is measured beside ours, `--write FILE` puts the results into that document. A whole run writes docs/benchmarks.md unless `--dry`. A
//! subject whose peer cannot be had says why and goes on without it. Servers under test are this
//! program again under `--role`, or the real binary, so that their processor time can be read apart
//! from the load's.

#![allow(clippy::print_stdout, clippy::disallowed_methods)] // a program of its own that prints

mod agents;
mod child;
mod commits;
mod dns;
mod engine;
mod footprint;
mod history;
mod launch;
mod page;
mod place;
mod proxy;
mod reads;
mod report;
mod series;
mod system;
mod world;

use std::{process::ExitCode, time::Instant};

use report::{Machine, Section};

/// The product's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a run was asked to be.
pub struct Plan {
    subjects: Vec<String>,
    write: Option<String>,
    /// An older build of the product.
    pub old: Option<String>,
    /// Share of the full load, in parts of ten.
    tenths: u64,
}

impl Plan {
    fn from_args() -> anyhow::Result<Self> {
        let mut plan = Self { subjects: Vec::new(), write: None, old: None, tenths: 10 };
        let mut args = std::env::args().skip(1);
        let mut is_dry = false;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                // Cargo's own word for "measure".
                "--bench" => {}
                "--quick" => plan.tenths = 1,
                "--dry" => is_dry = true,
                "--write" => plan.write = args.next(),
                "--old" => plan.old = args.next(),
                subject if SUBJECTS.iter().any(|(name, _)| *name == subject) => {
                    plan.subjects.push(arg);
                }
                other => anyhow::bail!(
                    "no subject {other:?}; there are {}",
                    SUBJECTS.map(|(name, _)| name).join(", ")
                ),
            }
        }
        // Only a whole run at full load may replace the last one's results by itself.
        if plan.write.is_none() && plan.subjects.is_empty() && plan.tenths == 10 && !is_dry {
            plan.write =
                Some(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/benchmarks.md").to_owned());
        }
        Ok(plan)
    }

    /// `n` scaled to the load asked for.
    pub fn load(&self, n: u64) -> u64 {
        (n * self.tenths / 10).max(1)
    }

    fn wants(&self, subject: &str) -> bool {
        self.subjects.is_empty() || self.subjects.iter().any(|s| s == subject)
    }
}

type Subject = fn(&Plan) -> anyhow::Result<Section>;

/// In the order they run: short ones first.
const SUBJECTS: [(&str, Subject); 11] = [
    ("place", place::run),
    ("series", series::run),
    ("reads", reads::run),
    ("history", history::run),
    ("dns", dns::run),
    ("proxy", proxy::run),
    ("log", commits::run),
    ("launch", launch::run),
    ("footprint", footprint::run),
    ("agents", agents::run),
    ("page", page::run),
];

fn main() -> ExitCode {
    let _ = nix::sys::prctl::set_thp_disable(true); // as the product
    let role: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match role.first().map(String::as_str) {
        Some("--role") => serve(&role[1..]),
        // `cargo test --all-targets` runs benchmarks without `--bench`: that only checks they start.
        None => {
            println!("benchmarks run by `make bench`");
            Ok(())
        }
        Some(_) => measure(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One of the servers under test.
fn serve(role: &[String]) -> anyhow::Result<()> {
    match role.first().map(String::as_str) {
        Some("dns") => dns::serve(&role[1..]),
        Some("log") => commits::serve(&role[1..]),
        Some("proxy") => proxy::serve_bare(&role[1..]),
        Some("door") => proxy::serve_door(&role[1..]),
        other => anyhow::bail!("no role {other:?}"),
    }
}

fn measure() -> anyhow::Result<()> {
    let plan = Plan::from_args()?;
    let machine = Machine::read();
    println!("{machine}\n");
    let began = Instant::now();
    let mut sections = Vec::new();
    for (name, run) in SUBJECTS {
        if !plan.wants(name) {
            continue;
        }
        let section = run(&plan).unwrap_or_else(|error| Section::failed(name, &error));
        println!("{section}");
        sections.push(section);
    }
    println!("took {:.0} s", began.elapsed().as_secs_f64());
    if let Some(path) = &plan.write {
        report::write(path, &machine, &sections)?;
        println!("written to {path}");
    }
    Ok(())
}
