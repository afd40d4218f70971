//! `POST /v1/images/edits`

use axum::extract::{OriginalUri, Request, State};
use axum::response::Response;
use bytes::Bytes;
use diffusion_engine::images::{Cutout, Limits, cutout, encode_png};
use utoipa::ToSchema;

use super::answer::Images;
use super::error::{Refusals, missing, wrong};
use super::fields::Wanted;
use super::form::{Form, read};
use super::job::{Asked, Way, answer};
use super::stream::Forming;
use crate::http::auth::Generate;
use crate::http::{AppState, Problem, Result};

/// Pictures and what becomes of them
#[derive(ToSchema)]
#[schema(as = OpenAiEdit)]
#[allow(dead_code, reason = "read field by field")]
pub(super) struct EditForm {
    /// PNG, JPEG, WebP, GIF, BMP or TIFF; `image` again, or `image[]`, for several, each of which
    /// is edited by itself. The fully transparent part of a single one is what is drawn anew
    #[schema(value_type = Vec<String>, format = Binary)]
    image: Vec<u8>,
    /// A picture of the same size: its fully transparent part is drawn anew, the rest is kept
    #[schema(value_type = Option<String>, format = Binary)]
    mask: Option<Vec<u8>>,
    #[schema(inline)]
    #[serde(flatten)]
    wanted: Wanted,
}

/// Edit pictures
///
/// A picture without a mask is drawn anew after the prompt, as far as `strength` says. With a mask,
/// or where it is transparent itself, only that part is.
#[utoipa::path(
    post,
    path = "/v1/images/edits",
    operation_id = "openai_edit",
    tag = "openai",
    params(("Idempotency-Key" = Option<String>, Header, description = "As for a job")),
    request_body(content = EditForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The images; with `stream`, events", content(
            (Images = "application/json"),
            (Forming = "text/event-stream")
        )),
        Refusals
    )
)]
pub(super) async fn edit(
    State(state): State<AppState>,
    Generate(identity): Generate,
    uri: OriginalUri,
    request: Request,
) -> Result<Response> {
    let headers = request.headers().clone();
    let Form { wanted, pictures, mask } = read(&state, request).await?;
    if pictures.is_empty() {
        return Err(missing("image"));
    }
    if wanted.prompt.is_none() {
        return Err(missing("prompt"));
    }
    let masked = pictures.clone();
    let mask = tokio::task::spawn_blocking(move || drawn_anew(&masked, mask.as_deref())).await;
    let mask = mask.map_err(Problem::internal)??;
    let asked = Asked { way: Way::Edit, wanted, pictures, mask };
    answer(state, identity, &headers, &uri, asked).await
}

/// The part that is drawn anew, white on black, as a PNG: what the mask leaves transparent, or the
/// picture itself; none for all of it.
///
/// # Errors
/// A picture cannot be read, the mask has another size or leaves nothing out, or several pictures
/// come with a mask.
fn drawn_anew(pictures: &[Bytes], mask: Option<&[u8]>) -> Result<Option<Bytes>> {
    let look = |field: &str, bytes: &[u8]| {
        cutout(bytes, &Limits::default()).map_err(|error| wrong(field, error))
    };
    let [picture] = pictures else {
        for bytes in pictures {
            if mask.is_some() || look("image", bytes)?.mask.is_some() {
                let why = "several pictures are edited each by itself, and none of them in a part \
                           alone: send one with a mask or a transparent part by itself";
                return Err(wrong("image", why));
            }
        }
        return Ok(None);
    };
    let Cutout { size, mask: own } = look("image", picture)?;
    let part = match mask {
        None => own,
        Some(mask) => {
            let mask = look("mask", mask)?;
            if mask.size != size {
                let why = format!(
                    "its size is {}x{}, and that of the image {}x{}",
                    mask.size.0, mask.size.1, size.0, size.1
                );
                return Err(wrong("mask", why));
            }
            if mask.mask.is_none() {
                let why = "no part of it is fully transparent, so that nothing would be edited";
                return Err(wrong("mask", why));
            }
            mask.mask
        }
    };
    let png = part.map(|part| encode_png(&part, &[])).transpose().map_err(Problem::internal)?;
    Ok(png.map(Bytes::from))
}
