//! What `txt2img` and `img2img` answer.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use diffusion_jobs::artifacts::Kind as FileKind;
use diffusion_jobs::request::Kind;
use diffusion_jobs::{Job, JobImage, State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::options::Files;
use super::refused::{Refused, Result};
use super::request::Asked;
use crate::fingerprint::short;
use crate::http::convert::{convert, convert_bare};
use crate::http::{AppState, Problem};
use crate::infotext::{self, PARAMETERS, Record};
use crate::plan::ImagePlan;
use crate::samplers;

/// The images that were made
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SdGenerated, example = json!({
    "images": ["iVBORw0KGgo…"],
    "parameters": {"prompt": "cat dancing in rain", "seed": 7, "steps": 20},
    "info": "{\"prompt\": \"cat dancing in rain\", \"seed\": 7, \"all_seeds\": [7], …}"
}))]
pub(super) struct Generated {
    /// Files in base64, as `samples_format` says; after an interruption, those that were done
    images: Vec<String>,
    /// The request with its defaults, without pictures
    #[schema(value_type = Object)]
    parameters: Value,
    /// A JSON text: how they were made
    info: String,
}

/// What `info` holds, as JSON.
#[derive(Debug, Serialize)]
struct Info {
    prompt: String,
    all_prompts: Vec<String>,
    negative_prompt: String,
    all_negative_prompts: Vec<String>,
    seed: u64,
    all_seeds: Vec<u64>,
    subseed: u64,
    all_subseeds: Vec<u64>,
    subseed_strength: f64,
    width: u32,
    height: u32,
    sampler_name: &'static str,
    cfg_scale: f64,
    steps: usize,
    batch_size: i64,
    restore_faces: bool,
    face_restoration_model: Option<String>,
    sd_model_name: String,
    sd_model_hash: Option<String>,
    sd_vae_name: Option<String>,
    sd_vae_hash: Option<String>,
    seed_resize_from_w: i64,
    seed_resize_from_h: i64,
    denoising_strength: Option<f64>,
    extra_generation_params: Map<String, Value>,
    index_of_first_image: usize,
    /// Of each image, the text that its file has too; where none was made, that of the first.
    infotexts: Vec<String>,
    styles: Vec<String>,
    job_timestamp: String,
    clip_skip: u32,
    is_using_inpainting_conditioning: bool,
    version: &'static str,
    /// Whether images are missing, since the job was interrupted or images were skipped.
    interrupted: bool,
    /// Why images could not be made that are missing.
    failures: Vec<String>,
}

/// When a job was asked for, as that tool writes it.
pub(super) fn timestamp(job: &Job) -> String {
    job.created_at.format("%Y%m%d%H%M%S").to_string()
}

/// The answer of a job that has ended.
///
/// # Errors
/// 500 where no image could be made, and why; the database and storage.
pub(super) async fn of(
    state: &AppState,
    job: Job,
    kind: Kind,
    mut asked: Asked,
    how: Files,
) -> Result<Generated> {
    let images = state.database.job_images(job.id).await?;
    let failures = failures(&images);
    if !failures.is_empty() && images.iter().all(|image| image.sha256.is_none()) {
        return Err(Refused::failed(format!("job {} failed: {}", job.id, failures.join("; "))));
    }
    let (mut plans, mut first) = (Vec::new(), None);
    let (mut files, mut infotexts) = (Vec::new(), Vec::new());
    let mut model_hash = None;
    for image in images {
        let plan: ImagePlan = serde_json::from_value(image.plan.0).map_err(Problem::internal)?;
        let plan = (image.idx.unsigned_abs(), plan);
        first.get_or_insert_with(|| plan.clone());
        let Some(hash) = image.sha256 else { continue };
        let png = state.artifacts.get(FileKind::Image, &hash).await?;
        let mut told =
            infotext::read(&png).map_err(|error| Problem::internal(format!("{error:#}")))?;
        infotexts.push(told.texts.remove(PARAMETERS).unwrap_or_default());
        model_hash = told.model_hash;
        if asked.send_images {
            let file = match how.texts {
                true => convert(png, how.format, how.quality).await?,
                false => convert_bare(png, how.format, how.quality).await?,
            };
            files.push(BASE64_STANDARD.encode(&file));
        }
        plans.push(plan);
    }
    let first = first.ok_or_else(|| Problem::internal("a job without images"))?;
    let first = plans.first().cloned().unwrap_or(first);
    if infotexts.is_empty() {
        let (text, hash) = unmade(state, first.1.clone()).await?;
        infotexts.push(text);
        model_hash = hash;
    }
    if let Some(strength) = first.1.plan.strength {
        // As it was run.
        asked.denoising_strength = strength;
    }
    let mut info = info(&job, &asked, first, &plans, infotexts);
    info.failures = failures;
    info.sd_model_hash = model_hash.as_deref().map(|hash| short(hash).to_owned());
    Ok(Generated {
        images: files,
        parameters: asked.repeated(kind),
        info: serde_json::to_string(&info).map_err(Problem::internal)?,
    })
}

/// The text that the file of an image would have, and the hash of its model.
async fn unmade(state: &AppState, plan: ImagePlan) -> Result<(String, Option<String>)> {
    let state = state.clone();
    let told = tokio::task::spawn_blocking(move || {
        let source = plan.source(state.config.storage.models.as_deref());
        let hash = source.ok().and_then(|source| state.fingerprints.of(&source).ok());
        let [(_, text), _] =
            Record::new(plan, hash.clone(), state.config.engine.precision).texts(None)?;
        serde_json::Result::Ok((text, hash))
    });
    Ok(told.await.map_err(Problem::internal)?.map_err(Problem::internal)?)
}

/// Why images could not be made.
fn failures(images: &[JobImage]) -> Vec<String> {
    let failed = images.iter().filter(|image| image.state == State::Failed);
    let why = |image: &JobImage| image.error.clone().unwrap_or_else(|| "failed".into());
    failed.map(|image| format!("image {}: {}", image.idx, why(image))).collect()
}

/// Without its part, the other noise has no seed but that which was asked for, or one that is drawn
/// with the job: the same each time that it is told.
fn idle_subseed(job: &Job, asked: &Asked) -> u64 {
    u64::try_from(asked.subseed).unwrap_or_else(|_| u64::from(job.id.as_u128() as u32))
}

/// How the images were made that are there, each with its place in the job. `first` is the first of
/// them; where there is none, the one that would have been.
fn info(
    job: &Job,
    asked: &Asked,
    first: (u32, ImagePlan),
    made: &[(u32, ImagePlan)],
    infotexts: Vec<String>,
) -> Info {
    let of_all = |value: fn(&ImagePlan) -> String| {
        made.iter().map(|(_, image)| value(image)).collect::<Vec<_>>()
    };
    let idle = idle_subseed(job, asked);
    let subseed = |(index, image): &(u32, ImagePlan)| match image.plan.variation {
        Some(other) => other.seed,
        None => idle.saturating_add(u64::from(*index)),
    };
    let first_subseed = subseed(&first);
    let (_, first) = first;
    let (sampler, schedule) = first.plan.scheduler.map_or(("", None), samplers::names);
    let schedule = schedule.map(|label| ("Schedule type".to_owned(), label.into()));
    Info {
        prompt: first.plan.prompt.clone(),
        all_prompts: of_all(|image| image.plan.prompt.clone()),
        negative_prompt: first.plan.negative_prompt.clone(),
        all_negative_prompts: of_all(|image| image.plan.negative_prompt.clone()),
        seed: first.plan.seed,
        all_seeds: made.iter().map(|(_, image)| image.plan.seed).collect(),
        subseed: first_subseed,
        all_subseeds: made.iter().map(subseed).collect(),
        subseed_strength: first.plan.variation.map_or(0.0, |other| other.strength),
        width: first.plan.width,
        height: first.plan.height,
        sampler_name: sampler,
        cfg_scale: first.plan.guidance,
        steps: first.plan.steps,
        batch_size: asked.batch_size,
        restore_faces: false,
        face_restoration_model: None,
        sd_model_name: first.model,
        sd_model_hash: None,
        sd_vae_name: None,
        sd_vae_hash: None,
        seed_resize_from_w: asked.seed_resize_from_w,
        seed_resize_from_h: asked.seed_resize_from_h,
        denoising_strength: first.plan.strength,
        extra_generation_params: schedule.into_iter().collect(),
        index_of_first_image: 0,
        infotexts,
        styles: asked.styles.clone(),
        job_timestamp: timestamp(job),
        clip_skip: first.plan.text.clip_skip.unwrap_or(1),
        is_using_inpainting_conditioning: false,
        version: concat!("diffusion-server ", env!("CARGO_PKG_VERSION")),
        interrupted: job.state == State::Cancelled,
        failures: Vec::new(),
    }
}
