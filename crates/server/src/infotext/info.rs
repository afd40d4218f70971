//! What can be told of an image, whoever made it.

use std::collections::BTreeMap;

use diffusion_engine::{PromptSyntax, SchedulerKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::record::Record;

/// The program that wrote a file
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// This one
    DiffusionServer,
    /// AUTOMATIC1111's web UI, or a program that writes as it does
    Automatic1111,
    /// ComfyUI
    #[serde(rename = "comfyui")]
    ComfyUi,
    /// InvokeAI
    #[serde(rename = "invokeai")]
    InvokeAi,
}

/// Noise of another seed that was mixed in
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub(crate) struct Variant {
    /// Its seed
    pub(crate) seed: u64,
    /// Its part, from 0 to 1
    pub(crate) strength: f64,
}

/// What a file says of how its image was made; null is what it does not say
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = ImageInfo, example = json!({
    "origin": "automatic1111",
    "prompt": "a lighthouse",
    "negative_prompt": "people",
    "steps": 20,
    "guidance": 7.0,
    "seed": 1,
    "width": 512,
    "height": 512,
    "sampler": "DPM++ 2M",
    "schedule": "Karras",
    "scheduler": "dpmpp-2m-karras",
    "strength": null,
    "model": "v1-5-pruned-emaonly",
    "model_hash": "6ce0161689",
    "clip_skip": null,
    "variation": null,
    "syntax": "a1111",
    "parameters": {"Steps": "20", "Version": "v1.10.1"},
    "record": null,
    "texts": {"parameters": "a lighthouse\nNegative prompt: people\nSteps: 20, …"}
}))]
pub(crate) struct Info {
    /// Null where nothing that is known was found
    pub(crate) origin: Option<Origin>,
    pub(crate) prompt: Option<String>,
    pub(crate) negative_prompt: Option<String>,
    pub(crate) steps: Option<u32>,
    /// Guidance scale
    pub(crate) guidance: Option<f64>,
    pub(crate) seed: Option<u64>,
    /// In pixels
    pub(crate) width: Option<u32>,
    /// In pixels
    pub(crate) height: Option<u32>,
    /// As that program calls it
    pub(crate) sampler: Option<String>,
    /// The schedule of noise levels, as that program calls it
    pub(crate) schedule: Option<String>,
    /// Our scheduler that is the same, if there is one
    #[schema(value_type = Option<String>)]
    pub(crate) scheduler: Option<SchedulerKind>,
    /// How far it went from a picture
    pub(crate) strength: Option<f64>,
    /// As that program calls it
    pub(crate) model: Option<String>,
    /// The first digits of a SHA-256
    pub(crate) model_hash: Option<String>,
    /// Which of the text encoder's layers conditioned, counted from its last, 1
    pub(crate) clip_skip: Option<u32>,
    /// Noise of another seed that was mixed in
    pub(crate) variation: Option<Variant>,
    /// How that program reads prompts: `plain` or `a1111`
    #[schema(value_type = Option<String>)]
    pub(crate) syntax: Option<PromptSyntax>,
    /// All settings of an A1111 text, by its names
    pub(crate) parameters: BTreeMap<String, String>,
    /// Of our own files, all that decides their bytes
    #[schema(value_type = Option<Object>)]
    pub(crate) record: Option<Record>,
    /// The texts themselves, by their keywords
    pub(crate) texts: BTreeMap<String, String>,
}

impl From<Record> for Info {
    fn from(record: Record) -> Self {
        let plan = record.plan.clone();
        let names = plan.scheduler.map(crate::samplers::names);
        Self {
            origin: Some(Origin::DiffusionServer),
            prompt: Some(plan.prompt),
            negative_prompt: Some(plan.negative_prompt),
            steps: u32::try_from(plan.steps).ok(),
            guidance: Some(plan.guidance),
            seed: Some(plan.seed),
            width: Some(plan.width),
            height: Some(plan.height),
            sampler: names.map(|(sampler, _)| sampler.into()),
            schedule: names.and_then(|(_, schedule)| schedule).map(Into::into),
            scheduler: plan.scheduler,
            strength: plan.strength,
            model: Some(record.model.clone()),
            model_hash: record.model_hash.clone(),
            clip_skip: plan.text.clip_skip,
            variation: plan
                .variation
                .map(|other| Variant { seed: other.seed, strength: other.strength }),
            syntax: Some(plan.text.syntax),
            record: Some(record),
            ..Self::default()
        }
    }
}
