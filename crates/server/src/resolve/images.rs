//! The images of a job, each with every value decided.

use std::path::PathBuf;

use diffusion_engine::images::fit;
use diffusion_engine::{Plan, PromptSyntax, SchedulerKind, TextOptions, Variation};
use diffusion_jobs::request::{Kind, MOST_IMAGES, MOST_PROMPTS, Syntax};
use diffusion_jobs::{Error, Request};

use super::Result;
use super::models::Found;
use super::pictures::Stored;
use crate::batch::Draws;
use crate::defaults::{GUIDANCE, RANDOM_STEPS, STEPS, STRENGTH};
use crate::plan::masked_start;

/// An image to be.
pub(super) struct Drawn {
    pub(super) model: String,
    pub(super) folder: Option<PathBuf>,
    pub(super) input: Option<String>,
    pub(super) input_path: Option<String>,
    /// Width and height of the picture.
    pub(super) input_size: Option<(u32, u32)>,
    /// What its file name is made of.
    pub(super) name: String,
    pub(super) plan: Plan,
}

/// Each prompt with each model and picture, as often as asked.
pub(super) fn combine(
    request: &Request,
    models: &[Found],
    inputs: &[Stored],
    seed: u64,
) -> Result<Vec<(Found, Drawn)>> {
    let pictures: Vec<Option<&Stored>> =
        if inputs.is_empty() { vec![None] } else { inputs.iter().map(Some).collect() };
    let each = models.len() * request.prompts.len() * pictures.len();
    few(request, each.saturating_mul(request.count as usize))?;
    let mut images = Vec::new();
    for model in models {
        for prompt in &request.prompts {
            for &picture in &pictures {
                for i in 0..request.count {
                    images.push(image(request, model, prompt, picture, seed, u64::from(i))?);
                }
            }
        }
    }
    Ok(images)
}

/// For each picture a model and a prompt, drawn as `diffusion-server run` draws them.
pub(super) fn draw(
    request: &Request,
    models: &[Found],
    inputs: &[Stored],
    seed: u64,
) -> Result<Vec<(Found, Drawn)>> {
    few(request, inputs.len().saturating_mul(request.count as usize))?;
    let mut draws = Draws::new(seed as u32);
    let pictures = (0..request.count).flat_map(|_| inputs);
    pictures
        .zip(0_u64..)
        .map(|(picture, i)| {
            let model = &models[draws.below(models.len())];
            let prompt = &request.prompts[draws.below(request.prompts.len())];
            image(request, model, prompt, Some(picture), seed, i)
        })
        .collect()
}

/// Refuses more images than a job may have, and more text.
pub(super) fn few(request: &Request, images: usize) -> Result<()> {
    if images > MOST_IMAGES {
        let message =
            format!("{images} images are too many for one job: {MOST_IMAGES} at the most");
        return Err(Error::field("count", message));
    }
    let longest = request.prompts.iter().map(String::len).max().unwrap_or_default();
    let texts = images * (longest + request.negative_prompt.len());
    if texts > MOST_PROMPTS {
        let message = format!(
            "{images} images with prompts of this length hold {texts} bytes of text: \
             {MOST_PROMPTS} at the most"
        );
        return Err(Error::field("prompt", message));
    }
    Ok(())
}

/// One image of a job, the `nth` from one seed on.
fn image(
    request: &Request,
    model: &Found,
    prompt: &str,
    picture: Option<&Stored>,
    seed: u64,
    nth: u64,
) -> Result<(Found, Drawn)> {
    // Variations are all of one image: their other noise differs.
    let seed = if request.variation.is_some() { seed } else { seed.wrapping_add(nth) };
    let (height, width) = model.info.native_size();
    let (width, height) = match picture {
        Some(Stored { size: (from_width, from_height), .. }) => {
            let area = u64::from(width) * u64::from(height);
            fit(*from_width, *from_height, area, model.info.multiple())
                .map_err(|error| Error::field("images", error.to_string()))?
        }
        None => (width, height),
    };
    let random = request.kind == Kind::Random;
    let scheduler = match &request.scheduler {
        Some(name) => {
            let kind: std::result::Result<SchedulerKind, _> = name.parse();
            Some(kind.map_err(|error| Error::field("scheduler", error.to_string()))?)
        }
        // As the original's pipeline has it.
        None => random.then_some(SchedulerKind::Euler),
    };
    let own = model.info.generation;
    let steps = request.steps.or(own.steps);
    let steps = steps.unwrap_or(if random { RANDOM_STEPS } else { STEPS });
    let plan = Plan {
        prompt: prompt.to_owned(),
        negative_prompt: request.negative_prompt.clone(),
        width: request.width.unwrap_or(width),
        height: request.height.unwrap_or(height),
        steps: steps as usize,
        guidance: request.guidance.or(own.guidance).unwrap_or(GUIDANCE),
        scheduler,
        seed,
        strength: picture.map(|_| request.strength.unwrap_or(STRENGTH)),
        text: TextOptions {
            syntax: match request.syntax {
                Syntax::Plain => PromptSyntax::Plain,
                Syntax::Long => PromptSyntax::Long,
                Syntax::A1111 => PromptSyntax::A1111,
            },
            clip_skip: request.clip_skip,
        },
        variation: request
            .variation
            .map(|(other, strength)| Variation { seed: other.wrapping_add(nth), strength }),
        inpaint: request.mask.as_ref().map(|mask| masked_start(mask.inpaint.fill)),
    };
    let name = match picture {
        Some(picture) => picture.name.clone(),
        None => format!("{}-{seed}.png", model.name),
    };
    let drawn = Drawn {
        model: model.name.clone(),
        folder: model.folder.clone(),
        input: picture.map(|picture| picture.sha256.clone()),
        input_path: picture.and_then(|picture| picture.path.clone()),
        input_size: picture.map(|picture| picture.size),
        name,
        plan,
    };
    Ok((model.clone(), drawn))
}
