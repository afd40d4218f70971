//! `/sdapi/v1/interrupt` and `/sdapi/v1/skip`.

use axum::extract::State;
use diffusion_jobs::State as JobState;
use serde::Serialize;
use utoipa::ToSchema;

use super::current::{Standing, at_hand, elsewhere, has_just_ended, next, running};
use super::refused::{Refusal, Result};
use crate::http::auth::Generate;
use crate::http::extract::Json;
use crate::http::{AppState, Problem, accept};

/// Nothing
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SdNothing)]
pub(super) struct Nothing {}

/// Interrupt one's calls
///
/// Those of the API key that asks and of this dialect that are being worked on; where none is, the
/// one that is next; where there is none either, and none has just ended, the key's newest job of
/// any dialect that is being worked on. They answer with the images that are done.
#[utoipa::path(
    post,
    path = "/sdapi/v1/interrupt",
    operation_id = "sd_interrupt",
    tag = "sdapi",
    responses(
        (status = 200, description = "They are interrupted", body = Nothing),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn interrupt(
    State(state): State<AppState>,
    identity: Result<Generate, Problem>,
) -> Result<Json<Nothing>> {
    let Generate(identity) = identity?;
    let mut found = running(&state, identity.owner).await?;
    if found.is_empty() {
        found.extend(next(&state, identity.owner).await?);
    }
    if found.is_empty() && !has_just_ended(&state, identity.owner).await? {
        // One that waited may have begun meanwhile.
        found = running(&state, identity.owner).await?;
        if found.is_empty() {
            found.extend(elsewhere(&state, identity.owner).await?);
        }
    }
    for job in found {
        accept::cancel(&state, job.id).await?;
    }
    Ok(Json(Nothing {}))
}

/// Skip the image at hand
///
/// Of one's newest call that is being worked on, or where there is none, running or waiting, of one's
/// newest job of any dialect; it goes on with its other images, and answers without this one.
#[utoipa::path(
    post,
    path = "/sdapi/v1/skip",
    operation_id = "sd_skip",
    tag = "sdapi",
    responses(
        (status = 200, description = "It is skipped", body = Nothing),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn skip(
    State(state): State<AppState>,
    identity: Result<Generate, Problem>,
) -> Result<Json<Nothing>> {
    let Generate(identity) = identity?;
    let job = at_hand(&state, identity.owner).await?;
    if let Some(job) = job.filter(|job| job.state == JobState::Running)
        && let Some(index) = Standing::of(&state, &job).await?.current
    {
        accept::cancel_image(&state, job.id, index).await?;
    }
    Ok(Json(Nothing {}))
}
