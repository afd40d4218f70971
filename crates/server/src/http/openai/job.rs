//! From what is asked to a job of our own, and back to what became of it.

use axum::extract::OriginalUri;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::Utc;
use diffusion_jobs::artifacts::sha256;
use diffusion_jobs::request::{Dialect, Fill, Inpaint, Input, Kind, Mask, Resize, Syntax};
use diffusion_jobs::{Error, Request, State};
use serde::Serialize;
use uuid::Uuid;

use super::answer::Images;
use super::error::{NOT_MADE, wrong};
use super::fields::{Fidelity, Wanted};
use super::{files, model, size, stream};
use crate::http::accept::{accept, idempotency, remembered, wait};
use crate::http::auth::Identity;
use crate::http::extract::Json;
use crate::http::{AppState, Problem, Result};
use crate::inpaint::BLUR;
use crate::plan::ImagePlan;

/// How far an edit goes from the pictures that it is to keep much of.
const FAITHFUL: f64 = 0.5;
/// How far a variation goes from its picture.
const VARIED: f64 = 0.6;

/// Which route was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Way {
    Generation,
    Edit,
    Variation,
}

/// What is asked, whatever the route.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) way: Way,
    pub(super) wanted: Wanted,
    /// Those to start from.
    pub(super) pictures: Vec<Bytes>,
    /// A PNG: white is drawn anew.
    pub(super) mask: Option<Bytes>,
}

/// An image that was made.
#[derive(Debug)]
pub(super) struct Made {
    /// Its place in the job.
    pub(super) index: i32,
    pub(super) sha256: String,
    /// Width and height in pixels.
    pub(super) size: (u32, u32),
    pub(super) seed: u64,
    pub(super) model: String,
}

/// What became of a job: at least one image.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) job: Uuid,
    pub(super) made: Vec<Made>,
    /// Why others were not made.
    pub(super) failures: Vec<String>,
    /// When it ended, in seconds since 1970.
    pub(super) ended: i64,
}

/// Makes the images, and answers with them or with their stream.
///
/// # Errors
/// What is asked cannot be done, or could not be.
pub(super) async fn answer(
    state: AppState,
    identity: Identity,
    headers: &HeaderMap,
    uri: &OriginalUri,
    asked: Asked,
) -> Result<Response> {
    asked.wanted.check()?;
    let pictures: Vec<String> = asked.pictures.iter().map(|bytes| sha256(bytes)).collect();
    let same = (&asked.wanted, pictures, asked.mask.as_ref().map(|bytes| sha256(bytes)));
    let route = format!("/v1/images {:?}", asked.way);
    let key = idempotency(headers, &route, &same)?;
    let id = match remembered(&state, identity.owner, key.as_ref()).await? {
        Some(id) => id,
        None => {
            let request = asked.request(&state).await?;
            let job = state.resolver.resolve(&request, identity.owner).await;
            accept(&state, &job.map_err(rename)?, key.as_ref()).await?
        }
    };
    let ends_with_client = key.is_none();
    if asked.wanted.stream == Some(true) {
        return stream::respond(state, id, ends_with_client, asked).await;
    }
    let end = wait(&state, id, ends_with_client).await?;
    let outcome = outcome(&state, id, end).await?;
    let images = Images::new(&state, &asked, outcome, &files::origin(uri, headers)).await?;
    Ok(Json(images).into_response())
}

impl Asked {
    /// The request to our own queue.
    async fn request(&self, state: &AppState) -> Result<Request> {
        let wanted = &self.wanted;
        let chosen = model::choose(state, wanted.model.as_deref()).await?;
        let size = match size::parse(wanted.size.as_deref())? {
            Some(size) => Some(size::drawn(size, &chosen.info)?),
            None => None,
        };
        // A model that names its steps was made for those.
        let steps = wanted.quality.unwrap_or_default().steps();
        let steps = steps.filter(|_| chosen.info.generation.steps.is_none());
        let kind = match self.way {
            Way::Generation => Kind::TextToImage,
            Way::Edit | Way::Variation => Kind::ImageToImage,
        };
        let prompt = wanted.prompt.clone().unwrap_or_default();
        // Without a prompt, guidance would compare the same with the same, at twice the cost.
        let unguided = (prompt.is_empty() && self.way == Way::Variation).then_some(1.0);
        Ok(Request {
            negative_prompt: wanted.negative_prompt.clone().unwrap_or_default(),
            models: chosen.name.into_iter().collect(),
            inputs: self.pictures.iter().cloned().map(Input::Data).collect(),
            strength: self.strength(),
            steps: wanted.num_inference_steps.or(steps),
            guidance: wanted.guidance_scale.or(unguided),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            seed: wanted.seed.and_then(|seed| seed.try_into().ok()),
            count: wanted.n.unwrap_or(1),
            mask: self.mask.clone().map(|mask| Mask {
                picture: Input::Data(mask),
                inpaint: Inpaint { blur: BLUR, fill: Fill::Surround, ..Inpaint::default() },
            }),
            resize: if self.pictures.is_empty() { Resize::default() } else { Resize::Crop },
            // Its clients write whole paragraphs.
            syntax: Syntax::Long,
            dialect: Dialect::OpenAi,
            label: wanted.label(),
            ..Request::new(kind, vec![prompt])
        })
    }

    /// How far to go from the pictures; none where there are none, or as any job of ours does.
    fn strength(&self) -> Option<f64> {
        let given = self.wanted.strength;
        match self.way {
            Way::Generation => None,
            Way::Variation => given.or(Some(VARIED)),
            // What the mask leaves is to be drawn anew, not to be kept.
            Way::Edit if self.mask.is_some() => given.or(Some(1.0)),
            Way::Edit => match self.wanted.input_fidelity {
                Some(Fidelity::High) => given.or(Some(FAITHFUL)),
                _ => given,
            },
        }
    }
}

/// What is wrong, by the names that this API has for it.
fn rename(error: Error) -> Problem {
    let Error::Field { field, message } = error else { return error.into() };
    let name = match &*field {
        "steps" => "num_inference_steps",
        "guidance" => "guidance_scale",
        "width" | "height" => "size",
        "count" => "n",
        "label" => "user",
        "models" | "models[0]" => return wrong("model", model::listed_here(&message)),
        "init_image" => "image",
        field if field.starts_with("images") => "image",
        field => field,
    };
    wrong(name, message)
}

/// What became of a job that has ended.
///
/// # Errors
/// 409 where it was cancelled, 500 where none of its images could be made; the database.
pub(super) async fn outcome(state: &AppState, job: Uuid, end: State) -> Result<Outcome> {
    let images = state.database.job_images(job).await?;
    let mut outcome =
        Outcome { job, made: Vec::new(), failures: Vec::new(), ended: Utc::now().timestamp() };
    for image in images {
        let Some(sha256) = image.sha256 else {
            let why = image.error.unwrap_or_else(|| image.state.to_string());
            outcome.failures.push(format!("image {}: {why}", image.idx));
            continue;
        };
        let plan: ImagePlan = serde_json::from_value(image.plan.0).map_err(Problem::internal)?;
        outcome.made.push(Made {
            index: image.idx,
            sha256,
            size: (plan.plan.width, plan.plan.height),
            seed: plan.plan.seed,
            model: plan.model,
        });
        if let Some(finished) = image.finished_at {
            outcome.ended = finished.timestamp();
        }
    }
    if !outcome.made.is_empty() {
        return Ok(outcome);
    }
    if end == State::Cancelled {
        let text = format!("job {job} was cancelled");
        return Err(Problem::new(StatusCode::CONFLICT, "cancelled", text));
    }
    let why = format!("no image could be made (job {job}): {}", outcome.failures.join("; "));
    Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, NOT_MADE, why))
}
