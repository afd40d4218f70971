//! `POST /api/v1/png-info`: what an image says of how it was made.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;

use super::lists::aside;
use crate::explain::explain;
use crate::http::auth::Read;
use crate::http::extract::Json;
use crate::http::{AppState, Problem, Problems, Result, body};
use crate::infotext::{self, Info};

/// Read how an image was made
///
/// The body is the image itself: a PNG, JPEG or WebP file of this server, AUTOMATIC1111's web UI,
/// ComfyUI or InvokeAI. The pixels are not looked at, and nothing is kept.
#[utoipa::path(
    post,
    path = "/api/v1/png-info",
    operation_id = "read_image_info",
    tag = "images",
    request_body(content((Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"),
        (Vec<u8> = "image/webp"), (Vec<u8> = "application/octet-stream"))),
    responses(
        (status = 200, description = "What it says; `origin` is null where that is nothing known",
            body = Info),
        Problems
    )
)]
pub(in crate::http) async fn png_info(
    State(state): State<AppState>,
    _: Read,
    request: Request,
) -> Result<Json<Info>> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    if !kind.starts_with("image/") && !kind.starts_with("application/octet-stream") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "send the image itself as the body, with the header Content-Type: image/png",
        ));
    }
    let bytes = Bytes::from_request(request, &state).await;
    let bytes = bytes.map_err(|error| body::problem(&error, error.status()))?;
    let read = aside(move || infotext::read(&bytes)).await?;
    read.map(Json).map_err(|error| Problem::invalid(explain(&error)))
}
