//! The jobs that run or wait, and how far they are.
//!
//! What a client means that names none are the calls of this dialect. Where there is none, it is
//! whatever else its key is having made.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use diffusion_jobs::request::Dialect;
use diffusion_jobs::{Error, Filter, Job, JobImage, State};
use uuid::Uuid;

use super::refused::Result;
use crate::http::AppState;
use crate::live::{Progress, View};

/// Jobs that are read at once.
const PAGE: u32 = 100;

/// For how long after a call an interruption is still taken for that call's.
const LATE: TimeDelta = TimeDelta::seconds(5);

/// The jobs of an owner that came through this dialect, in this state if one is given. Where no
/// keys are demanded, all have the same owner.
fn calls(owner: Option<Uuid>, state: Option<State>) -> Filter {
    let dialect = Some(Dialect::A1111.name().to_owned());
    Filter { dialect, ..all(owner, state) }
}

/// The jobs of an owner, whatever they came through.
fn all(owner: Option<Uuid>, state: Option<State>) -> Filter {
    Filter { state, owner, ..Filter::default() }
}

/// The newest of these jobs.
async fn newest(state: &AppState, filter: &Filter) -> Result<Option<Job>> {
    Ok(state.database.jobs(filter, 1).await?.items.into_iter().next())
}

/// All of an owner's calls that run.
///
/// # Errors
/// The database.
pub(super) async fn running(state: &AppState, owner: Option<Uuid>) -> Result<Vec<Job>> {
    every(state, calls(owner, Some(State::Running))).await
}

/// All of an owner's jobs that wait, the newest first.
///
/// # Errors
/// The database.
pub(super) async fn waiting(state: &AppState, owner: Option<Uuid>) -> Result<Vec<Job>> {
    every(state, all(owner, Some(State::Queued))).await
}

/// All of these jobs, which are in a state in which no job stays, the newest first.
async fn every(state: &AppState, mut filter: Filter) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    loop {
        let page = state.database.jobs(&filter, PAGE).await?;
        jobs.extend(page.items);
        filter.before = page.next;
        if filter.before.is_none() {
            return Ok(jobs);
        }
    }
}

/// What a client means that names nothing: its newest call that runs, or else its next that waits,
/// or else the newest job of its key that runs.
///
/// # Errors
/// The database.
pub(super) async fn at_hand(state: &AppState, owner: Option<Uuid>) -> Result<Option<Job>> {
    if let Some(call) = newest(state, &calls(owner, Some(State::Running))).await? {
        return Ok(Some(call));
    }
    match next(state, owner).await? {
        Some(call) => Ok(Some(call)),
        None => elsewhere(state, owner).await,
    }
}

/// An owner's call that waits and is next.
///
/// # Errors
/// The database.
pub(super) async fn next(state: &AppState, owner: Option<Uuid>) -> Result<Option<Job>> {
    Ok(state.database.oldest_job(&calls(owner, Some(State::Queued))).await?)
}

/// An owner's newest job that runs, whatever it came through.
///
/// # Errors
/// The database.
pub(super) async fn elsewhere(state: &AppState, owner: Option<Uuid>) -> Result<Option<Job>> {
    newest(state, &all(owner, Some(State::Running))).await
}

/// Whether one of an owner's last calls ended just now. A client that goes away and interrupts what
/// it asked for does both at once: whichever comes first, nothing else is meant.
///
/// # Errors
/// The database.
pub(super) async fn has_just_ended(state: &AppState, owner: Option<Uuid>) -> Result<bool> {
    let last = state.database.jobs(&calls(owner, None), PAGE).await?.items;
    let mut ends = last.into_iter().filter_map(|job| job.finished_at);
    Ok(ends.any(|ended| Utc::now() - ended < LATE))
}

/// The newest that a client calls so, of its calls before its other jobs; or else the one of this
/// id.
///
/// # Errors
/// The database.
pub(super) async fn called(
    state: &AppState,
    owner: Option<Uuid>,
    name: &str,
) -> Result<Option<Job>> {
    for jobs in [calls(owner, None), all(owner, None)] {
        let labelled = Filter { label: Some(name.to_owned()), ..jobs };
        if let Some(found) = newest(state, &labelled).await? {
            return Ok(Some(found));
        }
    }
    let Ok(id) = name.parse::<Uuid>() else { return Ok(None) };
    let job = match state.database.job(id).await {
        Ok(job) => job,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(job).filter(|job| owner.is_none() || job.owner == owner))
}

/// The place of a job that waits among the owner's that do, from 1, and how many they are.
///
/// # Errors
/// The database.
pub(super) async fn place(state: &AppState, owner: Option<Uuid>, job: &Job) -> Result<(i64, i64)> {
    let waiting = all(owner, Some(State::Queued));
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
