//! The tasks, each as a function that can be run again and again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use candle_core::{DType, Device, Module, Tensor};
use candle_transformers::models::stable_diffusion::clip::{self, ClipTextTransformer};
use candle_transformers::models::stable_diffusion::unet_2d::UNet2DConditionModel;
use candle_transformers::models::stable_diffusion::vae::AutoEncoderKL;
use candle_transformers::models::stable_diffusion::{
    StableDiffusionConfig, build_clip_transformer, ddim::DDIMSchedulerConfig,
    schedulers::SchedulerConfig,
};
use serde_json::Value;

/// A task; its result, where there is one to compare.
pub(crate) type Work = Box<dyn FnMut() -> anyhow::Result<Option<Tensor>>>;

/// The folder of inputs.
pub(crate) struct Inputs {
    folder: PathBuf,
    plan: Value,
}

const CPU: Device = Device::Cpu;
const VAE_SCALE: f64 = 0.18215;

/// Loads what the task needs.
pub(crate) fn prepare(task: &str, model: &Path, inputs: Inputs) -> anyhow::Result<Work> {
    Ok(match task {
        "unet" => {
            let unet = unet(model)?;
            let (latents, text) = (inputs.latents("latents", 2)?, inputs.text()?);
            let timestep = inputs.number("timestep")?;
            Box::new(move || Ok(Some(unet.forward(&latents, timestep, &text)?)))
        }
        "decode" => {
            let (vae, latent) = (vae(model)?, inputs.latents("noise", 1)?);
            Box::new(move || Ok(Some(vae.decode(&latent)?)))
        }
        "encode" => {
            let (vae, picture) = (vae(model)?, inputs.floats("picture", &[1, 3, 512, 512])?);
            // The mean that others give cannot be had: only a random draw from the distribution.
            Box::new(move || vae.encode(&picture).map(|_| None).map_err(Into::into))
        }
        "text" => {
            let (text, tokens) = (text(model)?, inputs.tokens("prompt_tokens")?);
            Box::new(move || Ok(Some(text.forward(&tokens)?)))
        }
        "image" => image(model, &inputs)?,
        other => bail!("there is no task {other}"),
    })
}

fn image(model: &Path, inputs: &Inputs) -> anyhow::Result<Work> {
    let (text, unet, vae) = (text(model)?, unet(model)?, vae(model)?);
    let tokens = [inputs.tokens("negative_tokens")?, inputs.tokens("prompt_tokens")?];
    let noise = inputs.latents("noise", 1)?;
    let (steps, guidance) = (inputs.number("steps")? as usize, inputs.number("guidance")?);
    Ok(Box::new(move || {
        let mut scheduler = DDIMSchedulerConfig::default().build(steps)?;
        let prompts = Tensor::cat(&[text.forward(&tokens[0])?, text.forward(&tokens[1])?], 0)?;
        let mut latent = noise.clone();
        for timestep in scheduler.timesteps().to_vec() {
            let both = Tensor::cat(&[&latent, &latent], 0)?;
            let predictions = unet.forward(&both, timestep as f64, &prompts)?.chunk(2, 0)?;
            let (without, guided) = (&predictions[0], &predictions[1]);
            let prediction = (without + ((guided - without)? * guidance)?)?;
            latent = scheduler.step(&prediction, timestep, &latent)?;
        }
        let pixels = vae.decode(&(latent / VAE_SCALE)?)?;
        let levels = ((pixels / 2.0)? + 0.5)?.clamp(0.0, 1.0)?.affine(255.0, 0.0)?.round()?;
        Ok(Some(levels.permute((0, 2, 3, 1))?.contiguous()?))
    }))
}

fn config() -> StableDiffusionConfig {
    StableDiffusionConfig::v1_5(None, Some(512), Some(512))
}

fn unet(model: &Path) -> anyhow::Result<UNet2DConditionModel> {
    Ok(config().build_unet(weights(model, "unet"), &CPU, 4, false, DType::F32)?)
}

fn vae(model: &Path) -> anyhow::Result<AutoEncoderKL> {
    Ok(config().build_vae(weights(model, "vae"), &CPU, DType::F32)?)
}

fn text(model: &Path) -> anyhow::Result<ClipTextTransformer> {
    let weights = model.join("text_encoder/model.safetensors");
    Ok(build_clip_transformer(&clip::Config::v1_5(), weights, &CPU, DType::F32)?)
}

fn weights(model: &Path, component: &str) -> PathBuf {
    model.join(component).join("diffusion_pytorch_model.safetensors")
}

impl Inputs {
    pub(crate) fn open(folder: PathBuf) -> anyhow::Result<Self> {
        let plan = serde_json::from_slice(&fs::read(folder.join("plan.json"))?)?;
        Ok(Self { folder, plan })
    }

    fn number(&self, name: &str) -> anyhow::Result<f64> {
        self.plan[name].as_f64().with_context(|| format!("{name} is missing in plan.json"))
    }

    fn tokens(&self, name: &str) -> anyhow::Result<Tensor> {
        let tokens: Vec<u32> = serde_json::from_value(self.plan[name].clone())?;
        Ok(Tensor::new(tokens, &CPU)?.unsqueeze(0)?)
    }

    fn latents(&self, name: &str, batch: usize) -> anyhow::Result<Tensor> {
        self.floats(name, &[batch, 4, 64, 64])
    }

    fn text(&self) -> anyhow::Result<Tensor> {
        self.floats("text", &[2, 77, 768])
    }

    fn floats(&self, name: &str, shape: &[usize]) -> anyhow::Result<Tensor> {
        let bytes = fs::read(self.folder.join(format!("{name}.f32")))?;
        let values: Vec<f32> =
            bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Ok(Tensor::from_vec(values, shape, &CPU)?)
    }
}
