//! `POST /v1/images/variations`

use axum::extract::{OriginalUri, Request, State};
use axum::response::Response;
use utoipa::ToSchema;

use super::answer::Images;
use super::error::{Refusals, missing, wrong};
use super::fields::ResponseFormat;
use super::form::{Form, read};
use super::job::{Asked, Way, answer};
use crate::http::auth::Generate;
use crate::http::{AppState, Result};

/// A picture and how many of its like
#[derive(ToSchema)]
#[schema(as = OpenAiVariation)]
#[allow(dead_code, reason = "read field by field")]
pub(super) struct VariationForm {
    /// PNG, JPEG, WebP, GIF, BMP or TIFF
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// As in generations
    model: Option<String>,
    /// Images, 1 if none
    #[schema(minimum = 1, maximum = 10)]
    n: Option<u32>,
    /// As in generations
    #[schema(example = "512x512")]
    size: Option<String>,
    /// As in generations
    response_format: Option<ResponseFormat>,
    /// The job's label
    user: Option<String>,
}

/// Vary a picture
///
/// Like an edit without a prompt that keeps much of the picture; the fields that generations have
/// beside these are accepted.
#[utoipa::path(
    post,
    path = "/v1/images/variations",
    operation_id = "openai_vary",
    tag = "openai",
    params(("Idempotency-Key" = Option<String>, Header, description = "As for a job")),
    request_body(content = VariationForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "The images", body = Images), Refusals)
)]
pub(super) async fn vary(
    State(state): State<AppState>,
    Generate(identity): Generate,
    uri: OriginalUri,
    request: Request,
) -> Result<Response> {
    let headers = request.headers().clone();
    let form = read(&state, request).await?;
    if form.mask.is_some() {
        return Err(wrong("mask", "a whole picture is varied; a part is edited"));
    }
    let Form { mut wanted, pictures, .. } = form;
    match pictures.len() {
        0 => return Err(missing("image")),
        1 => {}
        _ => return Err(wrong("image", "one picture is varied at a time")),
    }
    // This route knows no streams.
    wanted.stream = None;
    let asked = Asked { way: Way::Variation, wanted, pictures, mask: None };
    answer(state, identity, &headers, &uri, asked).await
}
