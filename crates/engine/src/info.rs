//! What can be told of a model from its JSON files alone.

use std::fmt;

use serde_json::Value;

use crate::config::{ClipTextConfig, GenerationConfig, Reader, UNetConfig, VaeConfig};
use crate::plan::Plan;
use crate::schedulers::{self, SchedulerConfig, begin_index};
use crate::source::Source;
use crate::{Error, Result};

/// The configuration of every component of a diffusers folder.
#[derive(Debug, Clone)]
pub struct ModelInfo {
    /// The text encoder.
    pub text: ClipTextConfig,
    /// The UNet.
    pub unet: UNetConfig,
    /// The VAE.
    pub vae: VaeConfig,
    /// The model's own scheduler.
    pub scheduler: SchedulerConfig,
    /// What is asked of it where nobody says otherwise.
    pub generation: GenerationConfig,
}

/// The generation of Stable Diffusion that a model is built as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 1.x: transformers with convolutional projections.
    Sd1,
    /// 2.x: transformers with linear projections.
    Sd2,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sd1 => "sd1",
            Self::Sd2 => "sd2",
        })
    }
}

/// The class that each component must have been saved from.
const CLASSES: [(&str, &str); 4] = [
    ("text_encoder", "CLIPTextModel"),
    ("tokenizer", "CLIPTokenizer"),
    ("unet", "UNet2DConditionModel"),
    ("vae", "AutoencoderKL"),
];

impl ModelInfo {
    /// Reads `model_index.json`, the configuration of each component, and its defaults.
    ///
    /// # Errors
    /// A file is missing or broken, or holds a value that is not supported.
    pub fn read(source: &Source) -> Result<Self> {
        check_index(&Reader::open(source, "model_index.json")?)?;
        let unet = UNetConfig::read(&Reader::open(source, "unet/config.json")?)?;
        let vae = VaeConfig::read(&Reader::open(source, "vae/config.json")?)?;
        let encoder = ClipTextConfig::read(&Reader::open(source, "text_encoder/config.json")?)?;
        let place = source.path("unet/config.json");
        if unet.in_channels != vae.latent_channels || unet.out_channels != vae.latent_channels {
            return Err(Error::malformed(
                place,
                format!(
                    "{} channels in and {} out for latents of {}: inpainting and other special UNets are not supported",
                    unet.in_channels, unet.out_channels, vae.latent_channels
                ),
            ));
        }
        let attention = unet.down.iter().chain(&unet.up).filter_map(|block| block.attention);
        for block in attention.chain([unet.middle]) {
            if block.conditioning != encoder.hidden_size {
                return Err(Error::malformed(
                    place,
                    format!(
                        "cross_attention_dim {} does not fit the text encoder's hidden_size {}",
                        block.conditioning, encoder.hidden_size
                    ),
                ));
            }
        }
        let scheduler = Reader::open(source, "scheduler/scheduler_config.json")?;
        let scheduler = SchedulerConfig::new(scheduler);
        let generation = GenerationConfig::read(source)?;
        Ok(Self { text: encoder, unet, vae, scheduler, generation })
    }

    /// The generation of Stable Diffusion.
    pub fn family(&self) -> Family {
        if self.unet.linear_projection { Family::Sd2 } else { Family::Sd1 }
    }

    /// Height and width in pixels that the model was trained for.
    pub fn native_size(&self) -> (u32, u32) {
        let (height, width) = self.unet.sample_size.unwrap_or((64, 64));
        let scale = self.vae.scale();
        ((height * scale) as u32, (width * scale) as u32)
    }

    /// Height and width of the latent of an image.
    pub(crate) fn latent_size(&self, width: u32, height: u32) -> (usize, usize) {
        let scale = self.vae.scale();
        (height as usize / scale, width as usize / scale)
    }

    /// Rows that an image of this plan takes in a batch of the UNet: two with guidance, but for a
    /// model distilled with its guidance, which takes the scale as an input instead.
    pub fn rows(&self, plan: &Plan) -> usize {
        if plan.is_guided() && self.unet.guidance_channels.is_none() { 2 } else { 1 }
    }

    /// Sides of images are multiples of this: the VAE's scale, and 8 as diffusers asks.
    pub fn multiple(&self) -> u32 {
        (self.vae.scale() as u32).max(8)
    }

    /// The shortest side of an image that the UNet can halve as often as it does.
    pub fn least_side(&self) -> u32 {
        // With padding on both sides, a side of 1 stays 1.
        let halvings = if self.unet.downsample_padding == 0 { self.unet.down.len() - 1 } else { 0 };
        (self.vae.scale() << halvings) as u32
    }
}

impl ModelInfo {
    /// Checks a plan against what the model is, with no weights read.
    ///
    /// # Errors
    /// The plan is out of range, its scheduler cannot be built, or a prompt asks for what cannot be
    /// done. How long prompts are is not known without the tokenizer.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        self.check_numbers(plan)?;
        self.check_prompts(plan)
    }

    /// As [`ModelInfo::check`], but for what the prompts say.
    pub(crate) fn check_numbers(&self, plan: &Plan) -> Result<()> {
        plan.check(self.multiple())?;
        let least = self.least_side();
        for (name, side) in [("width", plan.width), ("height", plan.height)] {
            if side < least {
                let message = format!("{side}: sides of this model are {least} at least");
                return Err(Error::plan(name, message));
            }
        }
        let scheduler = schedulers::build(&self.scheduler, plan.scheduler, plan.steps)?;
        if let Some(strength) = plan.strength {
            begin_index(plan.steps, strength, scheduler.order())?;
        }
        self.check_clip_skip(plan)
    }
}

/// Checks the pipeline's and the components' classes.
fn check_index(index: &Reader) -> Result<()> {
    let class = index.value("_class_name").and_then(Value::as_str).unwrap_or_default();
    if !matches!(class, "StableDiffusionPipeline" | "StableDiffusionImg2ImgPipeline") {
        return Err(index.unsupported(
            "_class_name",
            "StableDiffusionPipeline and StableDiffusionImg2ImgPipeline are",
        ));
    }
    for (component, class) in CLASSES {
        let found = index.value(component).and_then(|pair| pair.get(1)).and_then(Value::as_str);
        // The fast tokenizer reads the same files to the same tokens.
        if found.map(|found| found.trim_end_matches("Fast")) != Some(class) {
            return Err(index.unsupported(component, &format!("only {class} is")));
        }
    }
    Ok(())
}
