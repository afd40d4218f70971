//! candle's Stable Diffusion 1.5 networks on one machine: the time of one guided UNet evaluation
//! and of one VAE decoding, in `f32` on the CPU.
//!
//! `candle-peer DIR` reads the diffusers folder `DIR` and prints one line of JSON, as
//! `bench/peers/README.md` asks.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use candle_core::{DType, Device, Tensor};
use candle_transformers::models::stable_diffusion::StableDiffusionConfig;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("usage: candle-peer DIR")?;
    let config = StableDiffusionConfig::v1_5(None, Some(512), Some(512));
    let unet = time_unet(&config, &folder)?;
    let vae = time_vae(&config, &folder)?;
    println!("{}", serde_json::json!({ "unet": unet, "vae": vae }));
    Ok(())
}

/// Seconds of a forward pass for a batch of two latents of 64×64 and 77 tokens of text.
fn time_unet(config: &StableDiffusionConfig, folder: &Path) -> anyhow::Result<f64> {
    let device = Device::Cpu;
    let unet = config.build_unet(weights(folder, "unet"), &device, 4, false, DType::F32)?;
    let latents = Tensor::randn(0f32, 1.0, (2, 4, 64, 64), &device)?;
    let text = Tensor::randn(0f32, 1.0, (2, 77, 768), &device)?;
    seconds(|| unet.forward(&latents, 500.0, &text))
}

/// Seconds of decoding one latent to 512×512 pixels.
fn time_vae(config: &StableDiffusionConfig, folder: &Path) -> anyhow::Result<f64> {
    let device = Device::Cpu;
    let vae = config.build_vae(weights(folder, "vae"), &device, DType::F32)?;
    let latents = Tensor::randn(0f32, 1.0, (1, 4, 64, 64), &device)?;
    seconds(|| vae.decode(&latents))
}

fn weights(folder: &Path, component: &str) -> PathBuf {
    folder.join(component).join("diffusion_pytorch_model.safetensors")
}

fn seconds(work: impl FnOnce() -> candle_core::Result<Tensor>) -> anyhow::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}
