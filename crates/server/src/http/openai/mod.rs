//! OpenAI's Images API, `/v1`: generations, edits, variations, models.
//!
//! What becomes of each field that its clients send:
//!
//! | field | here |
//! |---|---|
//! | `prompt` | as it stands, 32 000 characters and 32 chunks of 75 tokens at the most; never rewritten, so no `revised_prompt` |
//! | `model` | a model of `/v1/models`; OpenAI's own names stand for the first model at hand, where no model is called so; the answer's `model` says which it was ([`model`]) |
//! | `n` | 1 to 10 |
//! | `size` | as asked where it is near what the model was trained for, else the same shape at the model's own area; the answer's `size` says which ([`size`]) |
//! | `response_format` | as asked; where it is not, base64 for OpenAI's `gpt-image` and `chatgpt-image` names and URLs for all others, which is what the API documents and its clients expect |
//! | `output_format` | png, jpeg or webp; gif and svg are refused |
//! | `output_compression` | the quality of jpeg and webp, 100 if none; png loses nothing |
//! | `quality` | the number of steps, of a model that names none itself: low 15, medium, standard and auto 30, high and hd 50, xhigh 75, max 100 |
//! | `background` | opaque and auto; `transparent` is refused |
//! | `input_fidelity` | how much of the picture is kept in an edit without a mask: low, strength 0.8; high, 0.5 |
//! | `stream`, `partial_images` | server-sent events, always in base64 ([`stream`]) |
//! | `user`, `safety_identifier` | the job's label |
//! | `style`, `moderation` | ignored: one steers the rewriting of prompts, the other a filter, and here is neither |
//! | `markup` | refused |
//! | `image`, `mask` in a body of JSON | refused: forms bring pictures, to `edits` |
//! | `seed`, `negative_prompt`, `num_inference_steps`, `strength` | extensions; as in a job of our own |
//! | `guidance_scale` | extension; 1 is no guidance, and less is refused |
//! | others | ignored |
//!
//! An edit of several pictures edits each of them by itself, `n` times: no model here composes
//! pictures, and so nothing that was sent is left out. A mask goes with one picture.

mod answer;
mod edits;
mod error;
mod fields;
mod files;
mod form;
mod generations;
mod job;
mod model;
mod size;
mod stream;
mod variations;

pub(super) use error::{Refusal, shape};
pub(crate) use files::Links;

use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;

/// The dialect's part of the URL map.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(generations::generate))
        .routes(routes!(edits::edit))
        .routes(routes!(variations::vary))
        .routes(routes!(files::file))
        .routes(routes!(model::list))
        .routes(routes!(model::get))
        // Names may have a slash, which not every client encodes.
        .route("/v1/models/{model}/{name}", get(model::get_owned))
}
