//! Placements per second on 10,000 simulated nodes, one processor: the planner of the product over
//! a made-up state, and `apply` of what it planned.

use std::time::Duration;

use tepui::{
    core::{
        Command, Stamped, State, TaskCommand, apply,
        place::{Limits, Planner},
    },
    model::workload::{Operator, WorkloadSpec},
};

use crate::{
    Plan, child,
    report::Section,
    world::{self, NOW},
};

const N_NODES: u32 = 10_000;
const N_APPS: u64 = 100;
/// Instances of each app.
const N_EACH: u32 = 400;

pub fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut section = Section::new(
        "Placement on 10,000 simulated nodes, one processor",
        &["workload", "placed", "of", "planner/s", "plan and apply/s", "first plan"],
    );
    let n_apps = plan.load(N_APPS);
    // The first use of code and memory belongs to no workload.
    let mut unseen = Section::new("", &[]);
    measure("", (0..5).map(|i| world::spec(&format!("/app-{i}"), N_EACH, &[])), &mut unseen)?;
    for (label, constraints) in [
        ("no constraints", &[][..]),
        ("GROUP_BY rack", &[("rack", Operator::GroupBy, None)]),
        (
            "GROUP_BY rack, LIKE disk, MAX_PER host",
            &[
                ("rack", Operator::GroupBy, None),
                ("disk", Operator::Like, Some("ssd|nvme")),
                ("hostname", Operator::MaxPer, Some("2")),
            ],
        ),
        ("UNIQUE host", &[("hostname", Operator::Unique, None)]),
    ] {
        let specs = (0..n_apps).map(|i| world::spec(&format!("/app-{i}"), N_EACH, constraints));
        measure(label, specs, &mut section)?;
    }
    section.note(format!(
        "{n_apps} apps of {N_EACH} instances wait; nodes stand in 40 racks, half with solid-state \
         disks. Plans of at most {} launches are made and applied until nothing waits; processor \
         time of the one thread. Published figures of others, on their machines: Kubernetes 680–1,100 \
         pods/s, Nomad 3,750/s, Hydra about 40,000/s.",
        Limits::default().launches_max
    ));
    Ok(section)
}

#[allow(clippy::cast_precision_loss)] // numbers for people
fn measure(
    label: &str,
    specs: impl Iterator<Item = WorkloadSpec>,
    section: &mut Section,
) -> anyhow::Result<()> {
    let mut state = world::state(N_NODES, specs);
    let n_waiting = state.instances.len();
    let (mut planner, limits) = (Planner::default(), Limits::default());
    let (mut planning, mut applying, mut n_placed) = (Duration::ZERO, Duration::ZERO, 0);
    let mut first = None;
    loop {
        let began = child::thread_cpu();
        let planned = planner.plan(&state, &[], NOW, &limits);
        let took = child::thread_cpu() - began;
        planning += took;
        first.get_or_insert(took);
        if planned.launches.is_empty() {
            break;
        }
        n_placed += planned.launches.len();
        let began = child::thread_cpu();
        launch(&mut state, TaskCommand::Launch(planned.launches).into())?;
        applying += child::thread_cpu() - began;
    }
    let per_second = |time: Duration| format!("{:.0}", n_placed as f64 / time.as_secs_f64());
    section.row([
        label.to_owned(),
        n_placed.to_string(),
        n_waiting.to_string(),
        per_second(planning),
        per_second(planning + applying),
        format!("{:.1} ms", first.unwrap_or_default().as_secs_f64() * 1e3),
    ]);
    Ok(())
}

fn launch(state: &mut State, command: Command) -> anyhow::Result<()> {
    let entry = Stamped { at: NOW, request: None, by: None, command };
    let (outcome, _) = apply(state, &entry);
    outcome?;
    Ok(())
}
