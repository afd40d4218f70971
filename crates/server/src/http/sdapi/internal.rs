//! `/internal/…`: calls by the names that clients gave them.

use axum::extract::State;
use diffusion_jobs::State as JobState;
use diffusion_jobs::artifacts::sha256;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Body, object, read, truth, whole};
use super::current::{Standing, called, place, task, waiting};
use super::refused::{Refusal, Result};
use crate::http::auth::Read;
use crate::http::extract::Json;
use crate::http::{AppState, Problem};

/// Which call is meant
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = SdTask, example = json!({"id_task": "task(cat-1)"}))]
pub(super) struct Wanted {
    /// Its `force_task_id`, or the id of its job, whichever dialect that came through
    id_task: String,
    /// The preview that the client has already
    #[serde(deserialize_with = "whole")]
    id_live_preview: i64,
    /// Whether a preview is wanted
    #[serde(deserialize_with = "truth")]
    live_preview: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { id_task: String::new(), id_live_preview: -1, live_preview: true }
    }
}

/// How far a call is
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SdTaskProgress, example = json!({
    "active": true, "queued": false, "completed": false, "progress": 0.55, "eta": 3.2,
    "live_preview": null, "id_live_preview": -1, "textinfo": null
}))]
pub(super) struct TaskProgress {
    /// It is being worked on
    active: bool,
    /// It waits
    queued: bool,
    /// It has ended
    completed: bool,
    /// From 0 to 1
    progress: Option<f64>,
    /// Seconds until its end
    eta: Option<f64>,
    /// The image as it forms: a data URL; null where the client has this one
    live_preview: Option<String>,
    /// What to send along the next time
    id_live_preview: i64,
    textinfo: Option<String>,
}

/// How far one call is
///
/// Of the calls of the API key that asks, the newest of this name; or else its job of this id.
#[utoipa::path(
    post,
    path = "/internal/progress",
    operation_id = "sd_task_progress",
    tag = "sdapi",
    request_body = Wanted,
    responses(
        (status = 200, description = "How far it is", body = TaskProgress),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn progress(
    State(state): State<AppState>,
    identity: Result<Read, Problem>,
    body: Body,
) -> Result<Json<TaskProgress>> {
    let Read(identity) = identity?;
    let wanted: Wanted = read(object(body)?)?;
    let Some(job) = called(&state, identity.owner, &wanted.id_task).await? else {
        return Ok(Json(TaskProgress::still(None, "Waiting...".into())));
    };
    if job.state == JobState::Queued {
        let (place, all) = place(&state, identity.owner, &job).await?;
        let text = format!("In queue: {place}/{all}");
        return Ok(Json(TaskProgress::still(Some(job.state), text)));
    }
    if job.state.is_final() {
        return Ok(Json(TaskProgress::still(Some(job.state), "Finished".into())));
    }
    let standing = Standing::of(&state, &job).await?;
    let known = standing.preview.as_deref().map(number);
    let new = known.filter(|id| wanted.live_preview && *id != wanted.id_live_preview);
    let preview = new.and(standing.preview.as_deref());
    Ok(Json(TaskProgress {
        active: true,
        queued: false,
        completed: false,
        progress: Some(standing.progress),
        eta: Some(standing.eta),
        live_preview: preview.map(|png| format!("data:image/png;base64,{png}")),
        id_live_preview: new.unwrap_or(wanted.id_live_preview),
        textinfo: None,
    }))
}

impl TaskProgress {
    /// Of a call that is not being worked on.
    fn still(state: Option<JobState>, text: String) -> Self {
        Self {
            active: false,
            queued: state == Some(JobState::Queued),
            completed: state.is_some_and(JobState::is_final),
            progress: None,
            eta: None,
            live_preview: None,
            id_live_preview: -1,
            textinfo: Some(text),
        }
    }
}

/// A number that stands for a preview: the first digits of its hash.
fn number(png: &str) -> i64 {
    let hash = sha256(png.as_bytes());
    hash.get(..8).and_then(|digits| i64::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

/// The calls that wait
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SdPending, example = json!({"size": 1, "tasks": ["task(cat-1)"]}))]
pub(super) struct Pending {
    /// How many there are
    size: usize,
    /// Their names, the first to come first
    tasks: Vec<String>,
}

/// List the calls that wait
///
/// All jobs of the API key that asks, by their `force_task_id`, another label or their id.
#[utoipa::path(
    get,
    path = "/internal/pending-tasks",
    operation_id = "sd_pending_tasks",
    tag = "sdapi",
    responses(
        (status = 200, description = "The calls that wait", body = Pending),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn pending(
    State(state): State<AppState>,
    identity: Result<Read, Problem>,
) -> Result<Json<Pending>> {
    let Read(identity) = identity?;
    let waiting = waiting(&state, identity.owner).await?;
    let tasks: Vec<String> = waiting.iter().rev().map(task).collect();
    Ok(Json(Pending { size: tasks.len(), tasks }))
}
