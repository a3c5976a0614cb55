//! Instances with volumes: each has one node that it can go to. What it needs there is kept for it while it
//! waits, so that nothing else takes its place between two launches.

use std::collections::BTreeMap;

use super::{
    constraint::Rules,
    explain::{self, Explainer},
    fit::Needs,
    ledger::NodeIx,
    plan::{Round, backoff},
    report::{Hold, Report},
};
use crate::{
    core::State,
    model::{instance::Instance, path::AppId, workload::WorkloadSpec},
};

/// The definition that a waiting instance would run.
fn spec_of<'a>(state: &'a State, instance: &Instance) -> Option<&'a WorkloadSpec> {
    state.spec(instance.app()?)?;
    state.spec_of(instance).map(|spec| &**spec)
}

impl Needs {
    /// Without what an instance holds already.
    fn beside_volumes(mut self, state: &State, instance: &Instance) -> Self {
        let held = state.volumes_of(&instance.id).map(|volume| volume.held.scalars().disk).sum();
        self.scalars.disk = (self.scalars.disk - held).max(Default::default());
        self
    }
}

impl Round<'_, '_> {
    /// Launches what waits with volumes where its node has room, keeps room for the rest, and tells of
    /// each workload why one of it waits.
    pub(super) fn place_bound(&mut self) -> BTreeMap<AppId, Report> {
        let mut reports: BTreeMap<AppId, Report> = BTreeMap::new();
        let state = self.state;
        for id in &state.index.bound {
            let Some(instance) = state.instances.get(id) else { continue };
            let Some(spec) = spec_of(state, instance) else { continue };
            let node = state.bound_to(id).and_then(|node| self.base.ledger.find(node));
            let Some(ix) = node else { continue };
            let needs = Needs::of(spec, &self.base.ledger, self.limits.gpus_are_scarce);
            let needs = needs.beside_volumes(state, instance);
            let hold = self.place_one(spec, instance, ix, &needs);
            let n_placed = u32::from(hold.is_ok());
            let Some(wanted) = state.spec(&spec.id) else { continue };
            let blank = || explain::blank(wanted, instance.since, self.now, 0, 0);
            let report = reports.entry(spec.id.clone()).or_insert_with(blank);
            report.n_placed += n_placed;
            report.since = report.since.min(instance.since);
            let Err(hold) = hold else { continue };
            if report.n_waiting == 0 {
                report.hold = hold;
                if report.hold.is_none() {
                    self.explain_bound(spec, ix, &needs, report);
                }
            }
            report.n_waiting += 1;
        }
        reports
    }

    /// Launches one instance; what holds it back otherwise, if it is not its node.
    fn place_one(
        &mut self,
        spec: &WorkloadSpec,
        instance: &Instance,
        ix: NodeIx,
        needs: &Needs,
    ) -> Result<(), Option<Hold>> {
        let ledger = &self.base.ledger;
        let fits = needs.launch(ledger, ix, &instance.id, instance.incarnation);
        let Some(launch) = fits else { return Err(None) };
        if !ledger.is_usable(ix) {
            return Err(None); // and nothing else goes there
        }
        self.base.ledger.take(ix, &launch.allocation);
        self.base.touched.insert(ix);
        if let Some(hold) = backoff(self.state, spec, self.now) {
            return Err(Some(hold));
        }
        if self.launches.len() >= self.limits.launches_max {
            return Err(Some(Hold::NextRound));
        }
        self.shares.take(&spec.run.role, &launch.allocation);
        self.launches.push(launch);
        Ok(())
    }

    fn explain_bound(&mut self, spec: &WorkloadSpec, ix: NodeIx, needs: &Needs, to: &mut Report) {
        // It was put there by the rules of its time, and can be nowhere else now.
        let rules = Rules(Vec::new());
        let (limits, ledger) = (self.limits, &mut self.base.ledger);
        let mut explainer = Explainer { ledger, limits, local: None, bound: Some(ix) };
        explainer.explain(spec, needs, &rules, to);
    }
}
