//! The files of a job's images.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use diffusion_jobs::artifacts::Kind;
use diffusion_jobs::{Job, JobImage};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::visible;
use crate::encode::{Format, QUALITY};
use crate::http::auth::Read;
use crate::http::convert::convert;
use crate::http::extract::{Path, Query};
use crate::http::v1::lists::refuse;
use crate::http::{AppState, Problem, Problems, Result};

/// The format of a file
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct FileQuery {
    /// `png`, `jpeg` or `webp`
    #[param(default = "png", example = "webp")]
    format: Option<String>,
    /// Of JPEG and WebP
    #[param(default = 90, minimum = 0, maximum = 100)]
    quality: Option<u8>,
}

impl FileQuery {
    fn check(&self) -> Result<(Format, u8)> {
        let name = self.format.as_deref().unwrap_or("png");
        let format = Format::named(name)
            .ok_or_else(|| refuse("format", format!("{name:?} is none of png, jpeg and webp")))?;
        match self.quality {
            Some(quality @ 101..) => {
                Err(refuse("quality", format!("{quality} is not between 0 and 100")))
            }
            quality => Ok((format, quality.unwrap_or(QUALITY))),
        }
    }
}

/// An image of a job
///
/// In other formats than PNG it says as much of how it was made.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/images/{index}",
    operation_id = "get_job_image",
    tag = "jobs",
    params(
        ("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90"),
        ("index" = i32, Path, description = "The image's place in the job, from 0",
            example = 0),
        FileQuery
    ),
    responses(
        (status = 200, description = "The image", content(
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"),
        )),
        (status = 304, description = "The image that the client has is this one"),
        Problems
    )
)]
pub(in crate::http) async fn image(
    State(state): State<AppState>,
    Read(identity): Read,
    Path((id, index)): Path<(Uuid, i32)>,
    Query(query): Query<FileQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let (format, quality) = query.check()?;
    let job = visible(&state, identity, id).await?;
    let image = state.database.job_image(job.id, index).await?;
    send(&state, &image, (format, quality), &headers).await
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
    send(&state, &image, (Format::Png, QUALITY), &headers).await
}

async fn send(
    state: &AppState,
    image: &JobImage,
    (format, quality): (Format, u8),
    headers: &HeaderMap,
) -> Result<Response> {
    let Some(hash) = &image.sha256 else {
        let text = format!(
            "image {} of job {} is not there: it is {}",
            image.idx, image.job_id, image.state
        );
        return Err(Problem::not_found(text));
    };
    let tag = match format {
        Format::Png => format!("\"{hash}\""),
        _ => format!("\"{hash}-{}-{quality}\"", format.ending()),
    };
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known.is_some_and(|known| known == "*" || known.contains(&tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let png = state.artifacts.get(Kind::Image, hash).await?;
        convert(png, format, quality).await?.into_response()
    };
    // Names come from users; what a header cannot hold is left out.
    let stem = image.output_name.strip_suffix(".png").unwrap_or(&image.output_name);
    let name: String = format!("{stem}.{}", format.ending())
        .chars()
        .filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'))
        .collect();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
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
