//! `POST /v1/images/generations`

use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::answer::Images;
use super::error::{Refusals, missing};
use super::fields::Wanted;
use super::job::{Asked, Way, answer};
use super::stream::Forming;
use crate::http::auth::Generate;
use crate::http::extract::Json;
use crate::http::{AppState, Result};

/// Make images from a prompt
///
/// The answer comes when they are made; a client that goes away cancels them, unless it gave an
/// `Idempotency-Key`. With `stream` it is server-sent events.
#[utoipa::path(
    post,
    path = "/v1/images/generations",
    operation_id = "openai_generate",
    tag = "openai",
    params(("Idempotency-Key" = Option<String>, Header, description = "As for a job")),
    request_body = Wanted,
    responses(
        (status = 200, description = "The images; with `stream`, events", content(
            (Images = "application/json"),
            (Forming = "text/event-stream")
        )),
        Refusals
    )
)]
pub(super) async fn generate(
    State(state): State<AppState>,
    Generate(identity): Generate,
    uri: OriginalUri,
    headers: HeaderMap,
    Json(wanted): Json<Wanted>,
) -> Result<Response> {
    if wanted.prompt.is_none() {
        return Err(missing("prompt"));
    }
    let asked = Asked { way: Way::Generation, wanted, pictures: Vec::new(), mask: None };
    answer(state, identity, &headers, &uri, asked).await
}
