//! `/sdapi/v1/progress`.

use axum::extract::State;
use diffusion_jobs::{Job, State as JobState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::timestamp;
use super::current::{Standing, at_hand};
use super::refused::{Refusal, Result};
use crate::http::auth::Read;
use crate::http::extract::{Json, Query};
use crate::http::{AppState, Problem};

/// What to leave out
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct What {
    /// `true` leaves out `current_image`
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    skip_current_image: String,
}

/// How far the newest call is that is being worked on
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SdProgress, example = json!({
    "progress": 0.55,
    "eta_relative": 3.2,
    "state": {
        "skipped": false, "interrupted": false, "stopping_generation": false,
        "job": "scripts_txt2img", "job_count": 1, "job_timestamp": "20260105093000",
        "job_no": 0, "sampling_step": 11, "sampling_steps": 20
    },
    "current_image": null,
    "textinfo": null
}))]
pub(super) struct Progress {
    /// From 0 to 1; 0 where nothing is being made
    progress: f64,
    /// Seconds until its end
    eta_relative: f64,
    state: Stage,
    /// The image as it forms: a small PNG in base64
    current_image: Option<String>,
    textinfo: Option<&'static str>,
}

/// Where a call stands
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = SdState)]
struct Stage {
    skipped: bool,
    interrupted: bool,
    stopping_generation: bool,
    /// What kind of call it is
    job: String,
    /// Images in all; 0 where nothing is being made
    job_count: usize,
    /// When it was asked for
    job_timestamp: String,
    /// Images that have ended
    job_no: usize,
    /// Evaluations done of the image at hand
    sampling_step: usize,
    sampling_steps: usize,
}

/// The least that is told of a call that runs: 0 is for nothing to do.
const BEGUN: f64 = 0.01;

impl Progress {
    fn new(job: &Job, standing: Standing, with_image: bool) -> Self {
        let is_running = job.state == JobState::Running;
        Self {
            progress: if is_running { standing.progress.max(BEGUN) } else { 0.0 },
            eta_relative: standing.eta,
            state: Stage {
                job: format!("scripts_{}", job.kind),
                job_count: standing.images,
                job_timestamp: timestamp(job),
                job_no: standing.ended,
                sampling_step: standing.done,
                sampling_steps: standing.total,
                ..Stage::default()
            },
            current_image: standing.preview.filter(|_| with_image).map(|png| png.to_string()),
            textinfo: (!is_running).then_some("Waiting..."),
        }
    }

    /// There is nothing to do.
    fn idle() -> Self {
        Self {
            progress: 0.0,
            eta_relative: 0.0,
            state: Stage { job_timestamp: "0".into(), ..Stage::default() },
            current_image: None,
            textinfo: None,
        }
    }
}

/// How far one's newest call is
///
/// Of the API key that asks, and of this dialect; where none of it runs or waits, the key's newest
/// job of any dialect that is being worked on. `progress` and `job_count` are 0 where there is none.
#[utoipa::path(
    get,
    path = "/sdapi/v1/progress",
    operation_id = "sd_progress",
    tag = "sdapi",
    params(What),
    responses(
        (status = 200, description = "How far it is", body = Progress),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn progress(
    State(state): State<AppState>,
    identity: Result<Read, Problem>,
    query: Result<Query<What>, Problem>,
) -> Result<Json<Progress>> {
    let (Read(identity), Query(query)) = (identity?, query?);
    let Some(job) = at_hand(&state, identity.owner).await? else {
        return Ok(Json(Progress::idle()));
    };
    let standing = Standing::of(&state, &job).await?;
    // As clients of several languages write it.
    let skip = matches!(&*query.skip_current_image.to_lowercase(), "true" | "1" | "yes" | "on");
    Ok(Json(Progress::new(&job, standing, !skip)))
}
