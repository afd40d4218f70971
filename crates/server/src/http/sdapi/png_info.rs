//! `/sdapi/v1/png-info`: what an image says of how it was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Body, object, picture, read};
use super::refused::{Refusal, Refused, Result};
use crate::http::Problem;
use crate::http::auth::Read;
use crate::http::extract::Json;
use crate::infotext::{self, Info, PARAMETERS};

/// An image to look into
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = SdPngInfoRequest, example = json!({"image": "data:image/png;base64,iVBORw0KGgo…"}))]
pub(super) struct Asked {
    /// A PNG, JPEG or WebP file in base64, or as a data URL
    image: String,
}

/// What an image says of how it was made
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = SdPngInfo, example = json!({
    "info": "a cat\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 7, Size: 512x512",
    "items": {},
    "parameters": {
        "Prompt": "a cat", "Negative prompt": "", "Steps": "20", "Sampler": "Euler",
        "CFG scale": "7", "Seed": "7", "Size-1": "512", "Size-2": "512"
    }
}))]
pub(super) struct Told {
    /// The text of AUTOMATIC1111's web UI; empty where there is none
    info: String,
    /// The image's other texts
    items: BTreeMap<String, String>,
    /// What was read of it, whichever program wrote it, by that web UI's names
    parameters: BTreeMap<String, String>,
}

impl From<Info> for Told {
    fn from(mut info: Info) -> Self {
        let text = info.texts.remove(PARAMETERS).unwrap_or_default();
        let mut parameters = BTreeMap::new();
        let text_of = |number: Option<f64>| number.map(|number| number.to_string());
        let variation = info.variation;
        let told = [
            ("Prompt", info.prompt),
            ("Negative prompt", info.negative_prompt),
            ("Steps", info.steps.map(|steps| steps.to_string())),
            ("Sampler", info.sampler),
            ("Schedule type", info.schedule),
            ("CFG scale", text_of(info.guidance)),
            ("Seed", info.seed.map(|seed| seed.to_string())),
            ("Size-1", info.width.map(|pixels| pixels.to_string())),
            ("Size-2", info.height.map(|pixels| pixels.to_string())),
            ("Denoising strength", text_of(info.strength)),
            ("Model", info.model),
            ("Model hash", info.model_hash),
            ("Clip skip", info.clip_skip.map(|layer| layer.to_string())),
            ("Variation seed", variation.map(|other| other.seed.to_string())),
            ("Variation seed strength", text_of(variation.map(|other| other.strength))),
        ];
        for (name, value) in told {
            if let Some(value) = value {
                parameters.insert(name.to_owned(), value);
            }
        }
        // As they stand in the text they count more.
        parameters.extend(info.parameters);
        parameters.remove("Size");
        Self { info: text, items: info.texts, parameters }
    }
}

/// Read how an image was made
///
/// Of images of this server, AUTOMATIC1111's web UI, ComfyUI and InvokeAI. The pixels are not looked
/// at, and nothing is kept.
#[utoipa::path(
    post,
    path = "/sdapi/v1/png-info",
    operation_id = "sd_png_info",
    tag = "sdapi",
    request_body = Asked,
    responses(
        (status = 200, description = "What it says", body = Told),
        (status = 422, description = "It is no image", body = Refusal),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn png_info(
    identity: Result<Read, Problem>,
    body: Body,
) -> Result<Json<Told>> {
    identity?;
    let asked: Asked = read(object(body)?)?;
    let bytes = picture(&asked.image).map_err(|why| Refused::field("image", why))?;
    let info = tokio::task::spawn_blocking(move || infotext::read(&bytes)).await;
    let info = info.map_err(Problem::internal)?;
    let info = info.map_err(|error| Refused::field("image", format!("{error:#}")))?;
    Ok(Json(info.into()))
}
