//! Changing jobs.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use diffusion_jobs::NewImage;
use diffusion_jobs::idempotency::Once;
use uuid::Uuid;

use super::create::{answer, answer_when_due};
use super::view::JobView;
use super::visible;
use crate::http::accept::{accept, idempotency, remembered};
use crate::http::auth::Generate;
use crate::http::extract::{Json, Path};
use crate::http::{AppState, Problems, Result, accept};

/// Cancel a job
///
/// What waits of it is not made, what is being made ends with the step at hand; images that are
/// there stay. A job that has ended is left as it is.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/cancel",
    operation_id = "cancel_job",
    tag = "jobs",
    params(
        ("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90"),
        ("Idempotency-Key" = Option<String>, Header, description = "Cancels once: a job that was \
            tried again since is not cancelled by the same request", example = "d9e1")
    ),
    responses((status = 200, description = "The job as it is now", body = JobView), Problems)
)]
pub(in crate::http) async fn cancel(
    State(state): State<AppState>,
    Generate(identity): Generate,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Json<JobView>> {
    visible(&state, identity, id).await?;
    let key = idempotency(&headers, "/api/v1/jobs/{id}/cancel", &id)?;
    let once = key.as_ref().map(|key| Once { owner: identity.owner, key, answer: None });
    accept::cancel_once(&state, id, once).await?;
    let job = state.database.job(id).await?;
    Ok(Json(JobView::load(&state, job).await?))
}

/// Try again what failed or was cancelled of a job
///
/// With the same plans; images that are there stay. As much is taken in as of a new job.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/retry",
    operation_id = "retry_job",
    tag = "jobs",
    params(
        ("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90"),
        ("Idempotency-Key" = Option<String>, Header, description = "As for a new job",
            example = "d9e1")
    ),
    responses(
        (status = 202, description = "The job waits again", body = JobView),
        (status = 409, description = "The job has not ended, or has succeeded",
            body = crate::http::error::Details, content_type = "application/problem+json"),
        Problems
    )
)]
pub(in crate::http) async fn retry(
    State(state): State<AppState>,
    Generate(identity): Generate,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response> {
    let job = visible(&state, identity, id).await?;
    let key = idempotency(&headers, "/api/v1/jobs/{id}/retry", &id)?;
    accept::retry(&state, &job, identity.owner, key.as_ref()).await?;
    answer(&state, id, StatusCode::ACCEPTED).await
}

/// Make a job's images once more
///
/// A new job with the same plans, and so with the same bytes. Answers as a new job does.
#[utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/replay",
    operation_id = "replay_job",
    tag = "jobs",
    params(
        ("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90"),
        ("Prefer" = Option<String>, Header, description = "`respond-async` answers at once",
            example = "respond-async"),
        ("Idempotency-Key" = Option<String>, Header, description = "As for a new job",
            example = "d9e1")
    ),
    responses(
        (status = 201, description = "The new job has ended", body = JobView),
        (status = 202, description = "The new job is stored", body = JobView),
        (status = 409, description = "The `Idempotency-Key` was used for another request",
            body = crate::http::error::Details, content_type = "application/problem+json"),
        Problems
    )
)]
pub(in crate::http) async fn replay(
    State(state): State<AppState>,
    Generate(identity): Generate,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response> {
    let key = idempotency(&headers, "/api/v1/jobs/{id}/replay", &id)?;
    if let Some(id) = remembered(&state, identity.owner, key.as_ref()).await? {
        return answer_when_due(&state, id, &headers, false).await;
    }
    let job = visible(&state, identity, id).await?;
    let images = state.database.job_images(id).await?;
    let again = diffusion_jobs::NewJob {
        kind: job.kind,
        request: job.request.0,
        owner: identity.owner,
        priority: job.priority,
        images: images
            .into_iter()
            .map(|image| NewImage {
                plan: image.plan.0,
                input_path: image.input_path,
                output_name: image.output_name,
            })
            .collect(),
    };
    let id = accept(&state, &again, key.as_ref()).await?;
    answer_when_due(&state, id, &headers, key.is_none()).await
}

/// Delete a job that has ended, with its images
#[utoipa::path(
    delete,
    path = "/api/v1/jobs/{id}",
    operation_id = "delete_job",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 409, description = "The job has not ended: cancel it first",
            body = crate::http::error::Details, content_type = "application/problem+json"),
        Problems
    )
)]
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    Generate(identity): Generate,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    visible(&state, identity, id).await?;
    state.database.delete_job(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
