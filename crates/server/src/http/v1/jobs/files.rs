//! The files of a job's images.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use diffusion_jobs::artifacts::Kind;
use diffusion_jobs::{Job, JobImage};
use uuid::Uuid;

use super::visible;
use crate::http::auth::Read;
use crate::http::extract::Path;
use crate::http::{AppState, Problem, Problems, Result};

/// An image of a job, as a PNG
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/images/{index}",
    operation_id = "get_job_image",
    tag = "jobs",
    params(
        ("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90"),
        ("index" = i32, Path, description = "The image's place in the job, from 0",
            example = 0)
    ),
    responses(
        (status = 200, description = "The image", content_type = "image/png"),
        (status = 304, description = "The image that the client has is this one"),
        Problems
    )
)]
pub(in crate::http) async fn image(
    State(state): State<AppState>,
    Read(identity): Read,
    Path((id, index)): Path<(Uuid, i32)>,
    headers: HeaderMap,
) -> Result<Response> {
    let job = visible(&state, identity, id).await?;
    let image = state.database.job_image(job.id, index).await?;
    send(&state, &image, &headers).await
}

/// An image of a job by its file name, where the original's answer points to
#[utoipa::path(
    get,
    path = "/outputs/{id}/{name}",
    operation_id = "get_output",
    tag = "original",
    params(
        ("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90"),
        ("name" = String, Path, description = "The file's name",
            example = "cat-diffusion.png")
    ),
    responses(
        (status = 200, description = "The image", content_type = "image/png"),
        (status = 304, description = "The image that the client has is this one"),
        Problems
    )
)]
pub(in crate::http) async fn output(
    State(state): State<AppState>,
    Read(identity): Read,
    Path((id, name)): Path<(Uuid, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let Job { id, .. } = visible(&state, identity, id).await?;
    let image = state.database.job_image_named(id, &name).await?;
    send(&state, &image, &headers).await
}

async fn send(state: &AppState, image: &JobImage, headers: &HeaderMap) -> Result<Response> {
    let Some(hash) = &image.sha256 else {
        let text = format!(
            "image {} of job {} is not there: it is {}",
            image.idx, image.job_id, image.state
        );
        return Err(Problem::not_found(text));
    };
    let tag = format!("\"{hash}\"");
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known.is_some_and(|known| known == "*" || known.contains(&tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        state.artifacts.get(Kind::Image, hash).await?.into_response()
    };
    // Names come from users; what a header cannot hold is left out.
    let name: String = image
        .output_name
        .chars()
        .filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'))
        .collect();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/png"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    for (header, value) in
        [(ETAG, tag), (CONTENT_DISPOSITION, format!("inline; filename=\"{name}\""))]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(header, value);
        }
    }
    Ok(response)
}
