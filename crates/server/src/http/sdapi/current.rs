//! The jobs of this dialect that run or wait, and how far they are.

use std::sync::Arc;

use diffusion_jobs::request::Dialect;
use diffusion_jobs::{Error, Filter, Job, JobImage, State};
use uuid::Uuid;

use super::refused::Result;
use crate::http::AppState;
use crate::live::{Progress, View};

/// Jobs that are read at once.
const PAGE: u32 = 100;

/// The jobs of an owner that came through this dialect, in this state if one is given. Where no
/// keys are demanded, all have the same owner.
fn filter(owner: Option<Uuid>, state: Option<State>) -> Filter {
    let dialect = Some(Dialect::A1111.name().to_owned());
    Filter { state, owner, dialect, ..Filter::default() }
}

/// All of an owner's jobs of this dialect in a state in which no job stays, the newest first.
///
/// # Errors
/// The database.
pub(super) async fn jobs(state: &AppState, owner: Option<Uuid>, only: State) -> Result<Vec<Job>> {
    let (mut filter, mut jobs) = (filter(owner, Some(only)), Vec::new());
    loop {
        let page = state.database.jobs(&filter, PAGE).await?;
        jobs.extend(page.items);
        filter.before = page.next;
        if filter.before.is_none() {
            return Ok(jobs);
        }
    }
}

/// The newest that runs.
///
/// # Errors
/// The database.
pub(super) async fn running(state: &AppState, owner: Option<Uuid>) -> Result<Option<Job>> {
    let running = state.database.jobs(&filter(owner, Some(State::Running)), 1).await?;
    Ok(running.items.into_iter().next())
}

/// The newest that runs, or else the next that waits.
///
/// # Errors
/// The database.
pub(super) async fn newest(state: &AppState, owner: Option<Uuid>) -> Result<Option<Job>> {
    match running(state, owner).await? {
        Some(job) => Ok(Some(job)),
        None => Ok(state.database.oldest_job(&filter(owner, Some(State::Queued))).await?),
    }
}

/// The newest that a client calls so, or else the one of this id.
///
/// # Errors
/// The database.
pub(super) async fn called(
    state: &AppState,
    owner: Option<Uuid>,
    name: &str,
) -> Result<Option<Job>> {
    let labelled = Filter { label: Some(name.to_owned()), ..filter(owner, None) };
    let found = state.database.jobs(&labelled, 1).await?.items.into_iter().next();
    let (None, Ok(id)) = (&found, name.parse::<Uuid>()) else { return Ok(found) };
    let job = match state.database.job(id).await {
        Ok(job) => job,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let is_ours = job.request.get("dialect").is_some_and(|name| name == Dialect::A1111.name());
    Ok(Some(job).filter(|job| is_ours && (owner.is_none() || job.owner == owner)))
}

/// The place of a job that waits among the owner's that do, from 1, and how many they are.
///
/// # Errors
/// The database.
pub(super) async fn place(state: &AppState, owner: Option<Uuid>, job: &Job) -> Result<(i64, i64)> {
    let waiting = filter(owner, Some(State::Queued));
    let all = state.database.count_jobs(&waiting).await?;
    let before = Filter { before: Some(job.id), ..waiting };
    Ok((state.database.count_jobs(&before).await? + 1, all))
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
