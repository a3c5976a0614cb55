//! Measures while this master leads, and keeps what was measured in a file.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    file,
    sample::{Sampler, Seen},
    store::Recorded,
};
use crate::{
    base::clock::Clock, control::links::Links, control::metrics, core::State, http::meter::Meters,
    log::Log,
};

/// How often agents measure; of two samples in a step the mean is kept.
const EVERY: Duration = Duration::from_secs(5);
/// How often all is written: what a killed master loses at most. 40 MB of a full store each time.
const SAVE_EVERY: Duration = Duration::from_secs(300);
/// Samples taken in without a pause: readers wait no longer.
const AT_ONCE: usize = 500;

/// What measuring needs.
pub struct Recorder {
    pub log: Log<State>,
    pub links: Links,
    pub clock: Arc<dyn Clock>,
    pub meters: Arc<Meters>,
    pub recorded: Arc<Recorded>,
    /// Where it is kept.
    pub file: PathBuf,
}

impl Recorder {
    /// Measures until `cancelled`, and then keeps what there is.
    ///
    /// # Errors
    /// When a round panics.
    pub async fn run(self, cancelled: CancellationToken) -> anyhow::Result<()> {
        let this = Arc::new(self);
        let loading = this.clone();
        tokio::task::spawn_blocking(move || loading.load()).await?;
        let (mut memory, mut is_changed, mut saved_at) = (None, false, Instant::now());
        while cancelled.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            match this.log.leads_in() {
                Some(term) => {
                    // Of an earlier term another master may know more.
                    let (_, mut sampler) = memory
                        .take()
                        .filter(|(of, _)| *of == term)
                        .unwrap_or_else(|| (term, Sampler::default()));
                    let measuring = this.clone();
                    let round = move || {
                        measuring.round(&mut sampler);
                        sampler
                    };
                    memory = Some((term, tokio::task::spawn_blocking(round).await?));
                    is_changed = true;
                }
                None => memory = None,
            }
            if is_changed && saved_at.elapsed() >= SAVE_EVERY {
                (is_changed, saved_at) = (false, Instant::now());
                this.clone().save().await?;
            }
        }
        if is_changed {
            this.save().await?;
        }
        Ok(())
    }

    fn load(&self) {
        let (n_rows, problem) = file::load(&self.file, &self.recorded);
        if let Some(error) = problem {
            let file = self.file.display();
            tracing::warn!(%file, error, n_rows, "not all series of last time are read");
        }
    }

    /// Keeps all in the file. A full disk is no reason to stop measuring.
    async fn save(self: Arc<Self>) -> anyhow::Result<()> {
        let write = move || (file::save(&self.file, &self.recorded), self);
        let (saved, this) = tokio::task::spawn_blocking(write).await?;
        if let Err(error) = saved {
            tracing::warn!(file = %this.file.display(), %error, "the series are not kept");
        }
        Ok(())
    }

    fn round(&self, sampler: &mut Sampler) {
        let began = Instant::now();
        let now = self.clock.now();
        let state = self.log.state();
        let samples = sampler.round(&Seen {
            state: &state,
            usage: &|node| self.links.usage(node),
            meters: &self.meters,
            moment: self.clock.moment(),
        });
        self.recorded.begin(now);
        for some in samples.chunks(AT_ONCE) {
            self.recorded.add(now, some);
        }
        let size = self.recorded.size();
        metrics::measured(began.elapsed(), size.series, size.refused);
    }
}
