//! Looking at jobs.

use axum::extract::State;
use diffusion_jobs::request::Kind;
use diffusion_jobs::{Filter, Page};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::request::JobKind;
use super::view::{JobState, JobView};
use super::visible;
use crate::http::auth::Read;
use crate::http::extract::{Json, Path, Query};
use crate::http::v1::lists::refuse;
use crate::http::{AppState, Problems, Result};

/// Which jobs to list
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct JobsQuery {
    /// Only jobs in this state
    #[param(example = "succeeded")]
    state: Option<JobState>,
    /// Only jobs of this kind
    #[param(example = "txt2img")]
    kind: Option<JobKind>,
    /// The most jobs to answer with
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next` of the page before
    cursor: Option<Uuid>,
}

/// A page of jobs
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobList {
    /// The newest first
    jobs: Vec<JobView>,
    /// `cursor` of the next page; null on the last one
    next: Option<Uuid>,
}

/// List jobs
///
/// Those of one's own key; an administrator sees all. Of each job the first ten images are shown,
/// and `counts` tells how many there are.
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(JobsQuery),
    responses((status = 200, description = "A page", body = JobList), Problems)
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    Read(identity): Read,
    Query(query): Query<JobsQuery>,
) -> Result<Json<JobList>> {
    let limit = query.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(refuse("limit", format!("{limit} is not between 1 and 100")));
    }
    let filter = Filter {
        state: query.state.map(Into::into),
        kind: query.kind.map(|kind| Kind::from(kind).name().to_owned()),
        owner: identity.owner.filter(|_| !identity.admin),
        before: query.cursor,
        ..Filter::default()
    };
    let Page { items, next } = state.database.jobs(&filter, limit).await?;
    let jobs = JobView::page(&state, items).await?;
    Ok(Json(JobList { jobs, next }))
}

/// Show a job
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    operation_id = "get_job",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90")),
    responses((status = 200, description = "The job as it is now", body = JobView), Problems)
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    Read(identity): Read,
    Path(id): Path<Uuid>,
) -> Result<Json<JobView>> {
    let job = visible(&state, identity, id).await?;
    Ok(Json(JobView::load(&state, job).await?))
}

/// All that decides the bytes of a job's images
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JobPlan {
    /// One for each image
    #[schema(value_type = Vec<Object>, example = json!([{
        "model": "pocket-paper-sd1", "prompt": "cat dancing in rain", "negative_prompt": "",
        "width": 128, "height": 128, "steps": 20, "guidance": 7.5, "seed": 7
    }]))]
    images: Vec<Value>,
}

/// Show the stored plans of a job's images
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/plan",
    operation_id = "get_plan",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90")),
    responses((status = 200, description = "The plans", body = JobPlan), Problems)
)]
pub(in crate::http) async fn plan(
    State(state): State<AppState>,
    Read(identity): Read,
    Path(id): Path<Uuid>,
) -> Result<Json<JobPlan>> {
    let job = visible(&state, identity, id).await?;
    let images = state.database.job_images(job.id).await?;
    Ok(Json(JobPlan { images: images.into_iter().map(|image| image.plan.0).collect() }))
}
