//! The jobs of this dialect that run or wait, and how far they are.

use std::sync::Arc;

use diffusion_jobs::request::Dialect;
use diffusion_jobs::{Filter, Job, JobImage, State};
use uuid::Uuid;

use super::refused::Result;
use crate::http::AppState;
use crate::live::{Progress, View};

/// Jobs that are looked through, the newest first.
const LOOKED_AT: u32 = 100;

/// The newest jobs of an owner that came through this dialect, in this state if one is given. Where
/// no keys are demanded, all have the same owner.
///
/// # Errors
/// The database.
pub(super) async fn jobs(
    state: &AppState,
    owner: Option<Uuid>,
    only: Option<State>,
) -> Result<Vec<Job>> {
    let filter = Filter { state: only, owner, ..Filter::default() };
    let mut jobs = state.database.jobs(&filter, LOOKED_AT).await?.items;
    jobs.retain(|job| job.request.get("dialect").is_some_and(|name| name == Dialect::A1111.name()));
    Ok(jobs)
}

/// The newest that runs, or else the next that waits.
///
/// # Errors
/// The database.
pub(super) async fn newest(state: &AppState, owner: Option<Uuid>) -> Result<Option<Job>> {
    let running = jobs(state, owner, Some(State::Running)).await?.into_iter().next();
    match running {
        Some(job) => Ok(Some(job)),
        None => Ok(jobs(state, owner, Some(State::Queued)).await?.pop()),
    }
}

/// What a client calls a job.
pub(super) fn task(job: &Job) -> String {
    let label = job.request.get("label").and_then(|label| label.as_str());
    label.map_or_else(|| job.id.to_string(), ToOwned::to_owned)
}

/// How far a job is.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// From 0 to 1, over all images.
    pub(super) progress: f64,
    /// Seconds until its end, as far as the device's time for it tells.
    pub(super) eta: f64,
    /// Images that have ended.
    pub(super) ended: usize,
    /// Images in all.
    pub(super) images: usize,
    /// Evaluations done of the image at hand.
    pub(super) done: usize,
    /// Those that there are.
    pub(super) total: usize,
    /// What can be seen of the image at hand: a PNG in base64.
    pub(super) preview: Option<Arc<str>>,
    /// Its place in the job.
    pub(super) current: Option<i32>,
}

impl Standing {
    /// # Errors
    /// The database.
    pub(super) async fn of(state: &AppState, job: &Job) -> Result<Self> {
        let images = state.database.job_images(job.id).await?;
        Ok(Self::new(&images, &state.live.view(job.id)))
    }

    fn new(images: &[JobImage], live: &View) -> Self {
        let known = |image: &JobImage| {
            (image.state == State::Running).then(|| live.images.get(&image.idx)).flatten()
        };
        let part = |image: &JobImage| match known(image) {
            _ if image.state.is_final() => 1.0,
            // Decoding comes after the last evaluation.
            Some(progress) => progress.done as f64 / (progress.total + 1) as f64,
            None => 0.0,
        };
        let progress = images.iter().map(part).sum::<f64>() / images.len().max(1) as f64;
        let spent = |image: &JobImage| image.seconds.or(known(image).map(|known| known.seconds));
        let spent: f64 = images.iter().filter_map(spent).sum();
        let running = images.iter().filter(|image| image.state == State::Running);
        // The one that is shown is the first of those that are made together.
        let current = running.clone().find(|image| known(image).is_some());
        let current = current.or_else(|| images.iter().find(|image| image.state == State::Running));
        let Progress { done, total, preview, .. } =
            current.and_then(known).cloned().unwrap_or_default();
        Self {
            progress,
            eta: if progress > 0.0 { spent / progress - spent } else { 0.0 },
            ended: images.iter().filter(|image| image.state.is_final()).count(),
            images: images.len(),
            done,
            total,
            preview,
            current: current.map(|image| image.idx),
        }
    }
}
