//! How a job is shown.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diffusion_jobs::{Counts, Job, JobImage, Priority, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::request::JobPriority;
use crate::http::{AppState, Problem, Result};
use crate::live::View;
use crate::plan::ImagePlan;
use crate::resolve::WARNINGS;

/// How many images of a job a list shows.
const LISTED: i32 = 10;

/// Where a job or an image stands
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum JobState {
    /// Waits for its turn
    Queued,
    /// Is being made
    Running,
    /// Is there
    Succeeded,
    /// Could not be made; of a job, at least one image
    Failed,
    /// Was cancelled
    Cancelled,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Running => Self::Running,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}

impl From<JobState> for State {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Succeeded => Self::Succeeded,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
        }
    }
}

/// A job
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job, example = json!({
    "id": "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90",
    "kind": "txt2img",
    "state": "succeeded",
    "priority": "normal",
    "progress": 1.0,
    "created_at": "2026-01-05T09:30:00.000Z",
    "started_at": "2026-01-05T09:30:00.012Z",
    "finished_at": "2026-01-05T09:30:01.750Z",
    "request": {"kind": "txt2img", "prompts": ["cat dancing in rain"], "steps": 20, "seed": 7},
    "warnings": [],
    "counts": {"queued": 0, "running": 0, "succeeded": 1, "failed": 0, "cancelled": 0},
    "images": [{
        "index": 0,
        "state": "succeeded",
        "url": "/api/v1/jobs/0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90/images/0",
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "bytes": 40213,
        "width": 128,
        "height": 128,
        "model": "pocket-paper-sd1",
        "prompt": "cat dancing in rain",
        "seed": 7,
        "input": null,
        "name": "pocket-paper-sd1-7-diffusion.png",
        "done": null,
        "total": null,
        "seconds": 1.7,
        "error": null
    }],
    "events_url": "/api/v1/jobs/0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90/events"
}))]
pub(in crate::http) struct JobView {
    pub(in crate::http) id: Uuid,
    /// `txt2img`, `img2img` or `random`
    #[schema(example = "txt2img")]
    kind: String,
    pub(in crate::http) state: JobState,
    priority: JobPriority,
    /// From 0 to 1, over all images
    progress: f64,
    created_at: DateTime<Utc>,
    /// When its first image was begun
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    /// What was asked, with its seed and the hashes of its pictures
    #[schema(value_type = Object)]
    request: Value,
    /// What is not quite as it was asked for, such as a prompt that is cut off
    warnings: Vec<String>,
    /// Its images by their states
    counts: ImageCounts,
    /// In order, in a list of jobs the first ten; a failed job may have images that succeeded
    pub(in crate::http) images: Vec<ImageView>,
    /// Where its events are
    events_url: String,
}

/// How many images of a job are in which state
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::http) struct ImageCounts {
    queued: i64,
    running: i64,
    succeeded: i64,
    failed: i64,
    cancelled: i64,
}

impl From<Counts> for ImageCounts {
    fn from(counts: Counts) -> Self {
        Self {
            queued: counts.of(State::Queued),
            running: counts.of(State::Running),
            succeeded: counts.of(State::Succeeded),
            failed: counts.of(State::Failed),
            cancelled: counts.of(State::Cancelled),
        }
    }
}

impl ImageCounts {
    /// From 0 to 1, over all images, with those in flight as far as they are. Decoding comes after
    /// the last evaluation.
    fn progress(self, live: &View) -> f64 {
        let ended = (self.succeeded + self.failed + self.cancelled) as f64;
        let open = (self.queued + self.running) as f64;
        let shares = live.images.values().map(|image| image.done as f64 / (image.total + 1) as f64);
        (ended + shares.sum::<f64>().min(open)) / (ended + open).max(1.0)
    }
}

/// An image of a job
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobImage)]
pub(in crate::http) struct ImageView {
    /// Its place in the job, from 0
    index: i32,
    pub(in crate::http) state: JobState,
    /// Where the PNG is, once it is there
    pub(in crate::http) url: Option<String>,
    /// Of the PNG
    sha256: Option<String>,
    /// Size of the PNG
    bytes: Option<i64>,
    /// In pixels
    width: u32,
    /// In pixels
    height: u32,
    pub(in crate::http) model: String,
    pub(in crate::http) prompt: String,
    pub(in crate::http) seed: u64,
    /// The image of the data set that it is drawn from
    pub(in crate::http) input: Option<String>,
    /// The file name of the PNG
    pub(in crate::http) name: String,
    /// UNet evaluations done; null where none is known of
    done: Option<usize>,
    /// UNet evaluations in all
    total: Option<usize>,
    /// Time that the device spent on it
    pub(in crate::http) seconds: Option<f64>,
    /// Why it failed
    pub(in crate::http) error: Option<String>,
}

impl JobView {
    /// A job with its images, as it is now.
    ///
    /// # Errors
    /// The database; a stored plan that cannot be read.
    pub(in crate::http) async fn load(state: &AppState, job: Job) -> Result<Self> {
        let images = state.database.job_images(job.id).await?;
        let mut counts = Counts::default();
        images.iter().for_each(|image| counts.add(image.state, 1));
        Self::new(state, job, images, counts)
    }

    /// A job as it is now, of its images those alone that stand elsewhere than was `told`, which is
    /// brought up to date.
    ///
    /// # Errors
    /// The database; a stored plan that cannot be read.
    pub(super) async fn load_changes(
        state: &AppState,
        job: Job,
        told: &mut HashMap<i32, State>,
    ) -> Result<Self> {
        let states = state.database.image_states(job.id).await?;
        let changed = states.iter().filter(|(index, state)| told.get(index) != Some(state));
        let changed: Vec<i32> = changed.map(|(index, _)| *index).collect();
        let images = state.database.some_images(job.id, &changed).await?;
        told.extend(states);
        // One may have gone on since.
        told.extend(images.iter().map(|image| (image.idx, image.state)));
        let mut counts = Counts::default();
        told.values().for_each(|state| counts.add(*state, 1));
        Self::new(state, job, images, counts)
    }

    /// Jobs with their first images, as they are now.
    ///
    /// # Errors
    /// The database; a stored plan that cannot be read.
    pub(super) async fn page(state: &AppState, jobs: Vec<Job>) -> Result<Vec<Self>> {
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
        let counts = state.database.image_counts(&ids).await?;
        let mut images: HashMap<Uuid, Vec<JobImage>> = HashMap::new();
        for image in state.database.first_images(&ids, LISTED).await? {
            images.entry(image.job_id).or_default().push(image);
        }
        let view = |job: Job| {
            let images = images.remove(&job.id).unwrap_or_default();
            let counts = counts.get(&job.id).copied().unwrap_or_default();
            Self::new(state, job, images, counts)
        };
        jobs.into_iter().map(view).collect()
    }

    fn new(state: &AppState, job: Job, images: Vec<JobImage>, counts: Counts) -> Result<Self> {
        let live = state.live.view(job.id);
        let counts = ImageCounts::from(counts);
        let images: Vec<ImageView> = images
            .into_iter()
            .map(|image| ImageView::new(image, &live))
            .collect::<Result<_, _>>()
            .map_err(Problem::internal)?;
        let mut request = job.request.0;
        Ok(Self {
            id: job.id,
            kind: job.kind,
            state: job.state.into(),
            priority: match job.priority {
                Priority::High => JobPriority::High,
                Priority::Normal => JobPriority::Normal,
                Priority::Low => JobPriority::Low,
            },
            progress: counts.progress(&live),
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            warnings: warnings(&mut request),
            request,
            counts,
            images,
            events_url: format!("/api/v1/jobs/{}/events", job.id),
        })
    }
}

/// Takes the warnings out of the record of a request; older records have none.
fn warnings(request: &mut Value) -> Vec<String> {
    let taken = request.as_object_mut().and_then(|request| request.remove(WARNINGS));
    taken.and_then(|all| serde_json::from_value(all).ok()).unwrap_or_default()
}

impl ImageView {
    fn new(image: JobImage, live: &View) -> serde_json::Result<Self> {
        let ImagePlan { model, plan, .. } = serde_json::from_value(image.plan.0)?;
        let known = (image.state == State::Running).then(|| live.images.get(&image.idx)).flatten();
        let url = image
            .sha256
            .as_ref()
            .map(|_| format!("/api/v1/jobs/{}/images/{}", image.job_id, image.idx));
        Ok(Self {
            index: image.idx,
            state: image.state.into(),
            url,
            sha256: image.sha256,
            bytes: image.bytes,
            width: image.width.map_or(plan.width, i32::unsigned_abs),
            height: image.height.map_or(plan.height, i32::unsigned_abs),
            model,
            prompt: plan.prompt,
            seed: plan.seed,
            input: image.input_path,
            name: image.output_name,
            done: known.map(|known| known.done),
            total: known.map(|known| known.total),
            seconds: image.seconds.or_else(|| known.map(|known| known.seconds)),
            error: image.error,
        })
    }
}
