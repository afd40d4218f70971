//! `diffusion-server run`: a new image for each picture of a folder.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use diffusion_engine::SchedulerKind;

use super::{MachineArgs, ModelArgs, Size};
use crate::batch::{self, Fitting, Settings};
use crate::defaults::STRENGTH;
use crate::encode::Format;
use crate::interrupt;

/// Give back a new image for each picture of a folder, with a random prompt and a random model
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  diffusion-server run
  diffusion-server run --images ~/Pictures/holiday --prompt 'in watercolour' --prompt 'at night' --seed 7
  diffusion-server run --images a.jpg --images b.png --model ~/models/stable-diffusion-v1-5 --strength 0.6

Writes to the output folder: NAME-diffusion.png (or .jpg, .webp) for each picture, summary.json, and index.html,
which shows all pictures beside their new images. A picture that cannot be read costs only itself;
the exit status is then 1.")]
pub(super) struct Run {
    /// Pictures, or folders of pictures (repeatable) [default: 17 sample pictures]
    #[arg(long, value_name = "PATH")]
    images: Vec<PathBuf>,

    /// Prompt to draw from (repeatable) [default: four prompts]
    #[arg(long, short, allow_hyphen_values = true)]
    prompt: Vec<String>,

    /// What the images should not show
    #[arg(long, short, default_value = "", allow_hyphen_values = true)]
    negative: String,

    /// Model to draw from, by name or folder (repeatable) [default: the models in the binary and in --models-dir]
    #[arg(long, value_name = "NAME|DIR")]
    model: Vec<String>,

    /// How far to go from each picture: above 0, to 1
    #[arg(long, default_value_t = STRENGTH)]
    strength: f64,

    /// Denoising steps; STRENGTH of them run [default: what the model names, else 50]
    #[arg(long)]
    steps: Option<usize>,

    /// How closely to follow the prompt; 1 or less turns guidance off [default: what the model names,
    /// else 7.5]
    #[arg(long)]
    guidance: Option<f64>,

    /// Scheduler: euler, euler-karras, euler-a, ddim, dpmpp-2m, dpmpp-2m-karras,
    /// dpmpp-2m-exponential, dpmpp-2m-sde, dpmpp-2m-sde-karras, dpmpp-2m-sde-exponential, pndm,
    /// lms, lms-karras, heun, heun-karras, unipc, lcm
    #[arg(long, default_value_t = SchedulerKind::Euler)]
    scheduler: SchedulerKind,

    /// Seed of all draws and of the noise [default: a random one, told in summary.json]
    #[arg(long)]
    seed: Option<u32>,

    /// Size of the images, as WIDTHxHEIGHT [default: the model's own]
    #[arg(long)]
    size: Option<Size>,

    /// How a picture comes to that size [default: fit, or crop where --size is given]
    #[arg(long)]
    resize: Option<ResizeMode>,

    /// Format of the images: png, jpg or webp
    #[arg(long, default_value = "png", value_parser = format)]
    format: Format,

    /// Folder for the results
    #[arg(long, short, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    #[command(flatten)]
    models: ModelArgs,

    #[command(flatten)]
    machine: MachineArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ResizeMode {
    /// Keep the picture's shape; only the area is that of the size
    Fit,
    /// Exactly the size: cut off what stands out
    Crop,
    /// Exactly the size: stretch
    Squash,
}

impl Run {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        interrupt::listen()?;
        let catalogue = self.models.catalogue()?;
        let models: Vec<_> = if self.model.is_empty() {
            catalogue.at_hand().collect()
        } else {
            self.model.iter().map(|name| catalogue.find(name)).collect::<anyhow::Result<_>>()?
        };
        if models.is_empty() {
            bail!("there is no model at hand: name one with --model");
        }
        let fitting = match (self.resize, self.size) {
            (Some(ResizeMode::Fit), _) | (None, None) => Fitting::Fit,
            (Some(ResizeMode::Crop), _) | (None, Some(_)) => Fitting::Crop,
            (Some(ResizeMode::Squash), _) => Fitting::Squash,
        };
        let settings = Settings {
            prompts: if self.prompt.is_empty() { batch::default_prompts() } else { self.prompt },
            negative_prompt: self.negative,
            strength: self.strength,
            steps: self.steps,
            guidance: self.guidance,
            scheduler: self.scheduler,
            seed: self.seed.unwrap_or_else(batch::random_seed),
            size: self.size.map(|size| (size.width, size.height)),
            fitting,
            format: self.format,
        };
        let inputs = if self.images.is_empty() {
            batch::shipped_inputs()
        } else {
            batch::find_inputs(&self.images)?
        };
        batch::run(&self.machine.runtime()?, &inputs, &models, &settings, &self.out)
    }
}

fn format(name: &str) -> Result<Format, String> {
    Format::named(name).ok_or_else(|| "choose png, jpg or webp".into())
}
