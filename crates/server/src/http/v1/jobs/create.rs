//! Asking for a job.

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use diffusion_jobs::Request;
use uuid::Uuid;

use super::request::{NewJob, Singular};
use super::view::JobView;
use crate::http::accept::{accept, idempotency, prefers_async, remembered, wait};
use crate::http::auth::Generate;
use crate::http::extract::Json;
use crate::http::{AppState, Problems, Result};

/// Make images
///
/// Answers when the job has ended, with its images or its errors. `Prefer: respond-async` answers
/// at once instead; then follow its events, or ask again. A client that goes away cancels a job
/// that it waited for, unless it gave an `Idempotency-Key`.
#[utoipa::path(
    post,
    path = "/api/v1/jobs",
    operation_id = "create_job",
    tag = "jobs",
    params(
        ("Prefer" = Option<String>, Header, description = "`respond-async` answers at once",
            example = "respond-async"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Any text of at most 255 characters. The same request under the same \
                key is carried out once; keys are kept for 48 hours")
    ),
    request_body = NewJob,
    responses(
        (status = 201, description = "The job has ended", body = JobView,
            headers(("Location" = String, description = "The job"))),
        (status = 202, description = "The job is stored and will be carried out", body = JobView,
            headers(("Location" = String, description = "The job"))),
        (status = 409, description = "The `Idempotency-Key` was used for another request",
            body = crate::http::error::Details, content_type = "application/problem+json"),
        Problems
    )
)]
pub(in crate::http) async fn create(
    State(state): State<AppState>,
    Generate(identity): Generate,
    headers: HeaderMap,
    Json(new): Json<NewJob>,
) -> Result<Response> {
    let key = idempotency(&headers, "/api/v1/jobs", &new)?;
    let id = match remembered(&state, identity.owner, key.as_ref()).await? {
        Some(id) => id,
        None => {
            let singular = Singular::from(&new);
            let request: Request = new.try_into()?;
            let job = state.resolver.resolve(&request, identity.owner).await;
            let job = job.map_err(|error| singular.rename(error))?;
            accept(&state, &job, key.as_ref()).await?
        }
    };
    answer_when_due(&state, id, &headers, key.is_none()).await
}

/// The job at once, where the client prefers that, else when it has ended.
pub(super) async fn answer_when_due(
    state: &AppState,
    id: Uuid,
    headers: &HeaderMap,
    ends_with_client: bool,
) -> Result<Response> {
    if prefers_async(headers) {
        return answer(state, id, StatusCode::ACCEPTED).await;
    }
    wait(state, id, ends_with_client).await?;
    answer(state, id, StatusCode::CREATED).await
}

/// The job as it is now, and where it is.
pub(in crate::http) async fn answer(
    state: &AppState,
    id: Uuid,
    status: StatusCode,
) -> Result<Response> {
    let job = state.database.job(id).await?;
    let view = JobView::load(state, job).await?;
    let mut response = (status, Json(view)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/jobs/{id}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}
