//! The inputs that every program is given, so that results can be compared.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use diffusion_engine::noise::Generator;
use diffusion_engine::tokenizer::Tokenizer;
use diffusion_engine::{Plan, SchedulerKind, Source, TextOptions};
use serde::{Deserialize, Serialize};

/// Steps of the whole image.
pub(super) const STEPS: usize = 2;
/// Side and channels of a latent.
pub(super) const SIDE: usize = 64;
pub(super) const CHANNELS: usize = 4;
/// Side of a picture.
pub(super) const PIXELS: usize = 512;
/// Tokens of a prompt, and channels of each.
pub(super) const TOKENS: usize = 77;
pub(super) const WIDTH: usize = 768;

const SEED: u64 = 7;

/// `plan.json`: what is no array.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Inputs {
    pub(super) timestep: f32,
    pub(super) steps: usize,
    pub(super) guidance: f64,
    pub(super) prompt: String,
    pub(super) negative_prompt: String,
    pub(super) prompt_tokens: Vec<u32>,
    pub(super) negative_tokens: Vec<u32>,
}

impl Inputs {
    /// Writes `plan.json` and the arrays; the same in every run.
    pub(super) fn write(model: &Path, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let tokenizer = Tokenizer::open(&Source::Folder(model.to_owned()), "tokenizer")?;
        let (prompt, negative_prompt) = ("a lighthouse at dawn", "people");
        let inputs = Self {
            timestep: 500.0,
            steps: STEPS,
            guidance: 7.5,
            prompt_tokens: tokenizer.encode(prompt)?.ids,
            negative_tokens: tokenizer.encode(negative_prompt)?.ids,
            prompt: prompt.to_owned(),
            negative_prompt: negative_prompt.to_owned(),
        };
        fs::write(folder.join("plan.json"), serde_json::to_vec_pretty(&inputs)?)?;

        // The noise that the engine draws for the image, so that the others start from it too.
        let latent = CHANNELS * SIDE * SIDE;
        write(folder, "noise", &Generator::new(SEED).randn(latent))?;
        let mut other = Generator::new(SEED + 1);
        // Under guidance both rows begin with the same latent.
        write(folder, "latents", &other.randn(latent).repeat(2))?;
        write(folder, "text", &other.randn(2 * TOKENS * WIDTH))?;
        let picture = other.randn(3 * PIXELS * PIXELS);
        write(folder, "picture", &picture.iter().map(|v| v.clamp(-1.0, 1.0)).collect::<Vec<_>>())
    }

    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("plan.json");
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
    }

    /// The whole image.
    pub(super) fn plan(self) -> Plan {
        Plan {
            prompt: self.prompt,
            negative_prompt: self.negative_prompt,
            width: PIXELS as u32,
            height: PIXELS as u32,
            steps: self.steps,
            guidance: self.guidance,
            scheduler: Some(SchedulerKind::Ddim),
            seed: SEED,
            strength: None,
            text: TextOptions::default(),
            variation: None,
            inpaint: None,
        }
    }
}

fn write(folder: &Path, name: &str, values: &[f32]) -> anyhow::Result<()> {
    write_array(&folder.join(format!("{name}.f32")), values)
}

/// Writes little-endian `f32` values and nothing else.
pub(super) fn write_array(path: &Path, values: &[f32]) -> anyhow::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(path, bytes).with_context(|| path.display().to_string())
}

/// Reads what [`write_array`] wrote.
pub(super) fn read_array(path: &Path) -> anyhow::Result<Vec<f32>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let (values, rest) = bytes.as_chunks();
    ensure!(rest.is_empty(), "{}: not a whole number of f32 values", path.display());
    Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
