//! `/sdapi/v1/txt2img` and `/sdapi/v1/img2img`.

use axum::extract::State;
use axum::http::HeaderMap;
use diffusion_jobs::request::Kind;

use super::answer::{self, Generated};
use super::body::Body;
use super::options;
use super::refused::{Refusal, Refused, Result};
use super::request::Asked;
use super::translate::request;
use crate::http::accept::{accept, idempotency, remembered, wait};
use crate::http::auth::Generate;
use crate::http::extract::Json;
use crate::http::{AppState, Problem};

/// Make images from a prompt
///
/// Answers when they are done. A client that goes away cancels them, unless it gave an
/// `Idempotency-Key`.
#[utoipa::path(
    post,
    path = "/sdapi/v1/txt2img",
    operation_id = "sd_txt2img",
    tag = "sdapi",
    params(("Idempotency-Key" = Option<String>, Header, description = "As for a job")),
    request_body = Asked,
    responses(
        (status = 200, description = "The images", body = Generated),
        (status = 400, description = "The sampler is not known, or the body is not JSON",
            body = Refusal),
        (status = 404, description = "The model is not known", body = Refusal),
        (status = 422, description = "A field asks for what cannot be done", body = Refusal),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn txt2img(
    State(state): State<AppState>,
    identity: Result<Generate, Problem>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Generated>> {
    generate(&state, identity?, &headers, body, Kind::TextToImage).await
}

/// Make images from a picture and a prompt
///
/// With a mask, its white part alone is repainted. Answers as `txt2img` does.
#[utoipa::path(
    post,
    path = "/sdapi/v1/img2img",
    operation_id = "sd_img2img",
    tag = "sdapi",
    params(("Idempotency-Key" = Option<String>, Header, description = "As for a job")),
    request_body = Asked,
    responses(
        (status = 200, description = "The images", body = Generated),
        (status = 400, description = "The sampler is not known, or the body is not JSON",
            body = Refusal),
        (status = 404, description = "There is no picture to start from, or no such model",
            body = Refusal),
        (status = 422, description = "A field asks for what cannot be done", body = Refusal),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn img2img(
    State(state): State<AppState>,
    identity: Result<Generate, Problem>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Generated>> {
    generate(&state, identity?, &headers, body, Kind::ImageToImage).await
}

async fn generate(
    state: &AppState,
    Generate(identity): Generate,
    headers: &HeaderMap,
    body: Body,
    kind: Kind,
) -> Result<Json<Generated>> {
    let owner = identity.owner;
    let asked = Asked::read(body, kind)?;
    let key = idempotency(headers, kind.name(), &asked)?;
    let files = options::files(state, owner, &asked).await?;
    let (id, call) = match remembered(state, owner, key.as_ref()).await? {
        Some(id) => (id, None),
        None => {
            let call = options::of_call(state, owner, &asked).await?;
            let request = request(&asked, kind, &call.in_force)?;
            let job = state.resolver.resolve(&request, owner).await.map_err(Refused::of_job)?;
            (accept(state, &job, key.as_ref()).await?, Some(call))
        }
    };
    // Once it is accepted, and while it is watched: whatever fails now ends it.
    let stay = async {
        match call {
            Some(call) => options::stay(state, owner, call).await,
            None => Ok(()),
        }
    };
    let end = async { wait(state, id, key.is_none()).await.map_err(Refused::from) };
    tokio::try_join!(biased; end, stay)?;
    let job = state.database.job(id).await?;
    Ok(Json(answer::of(state, job, kind, asked, files).await?))
}
