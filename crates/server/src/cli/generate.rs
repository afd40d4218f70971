//! `diffusion-server generate`: single images.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use diffusion_engine::images::{Limits, RgbImage, decode_file, fit, resize};
use diffusion_engine::{
    Model, Plan, PromptSyntax, SchedulerKind, TextOptions, Variation, generate,
};
use indicatif::{ProgressBar, ProgressStyle};

use super::{MachineArgs, ModelArgs};
use crate::{interrupt, output, whole};

/// Make images from a prompt, or from a prompt and a picture
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  diffusion-server generate --prompt 'cat dancing in rain'
  diffusion-server generate --model ~/models/stable-diffusion-v1-5 --prompt 'a lighthouse' \\
      --negative 'people' --scheduler dpmpp-2m-karras --steps 25 --seed 7 --count 4 -o lighthouse.png
  diffusion-server generate --prompt 'a lighthouse' --precision int8
  diffusion-server generate --syntax a1111 --prompt 'a (lighthouse:1.3) by [day:night:0.5]' --clip-skip 2
  diffusion-server generate --prompt 'a lighthouse' --seed 7 --variation-seed 1 --variation-strength 0.1
  diffusion-server generate --init-image photo.jpg --strength 0.6 --prompt 'in watercolour' -o out.png

With --count N the images have the seeds SEED, SEED+1, …, and each is as if made alone.")]
pub(super) struct Generate {
    /// A model's name (see `diffusion-server models`), or a diffusers folder [default: the first model]
    #[arg(long, value_name = "NAME|DIR")]
    model: Option<String>,

    /// What the image shows
    #[arg(long, short)]
    prompt: String,

    /// What the image should not show
    #[arg(long, short, default_value = "")]
    negative: String,

    /// Start from this picture (png, jpeg, webp, gif, bmp, tiff)
    #[arg(long, value_name = "FILE")]
    init_image: Option<PathBuf>,

    /// How far to go from the picture: above 0, to 1 [default: 0.8]
    #[arg(long, requires = "init_image")]
    strength: Option<f64>,

    /// Width in pixels [default: the model's own, or the picture's shape at the model's own area]
    #[arg(long)]
    width: Option<u32>,

    /// Height in pixels, likewise
    #[arg(long)]
    height: Option<u32>,

    /// Denoising steps
    #[arg(long, default_value_t = 30)]
    steps: usize,

    /// How closely to follow the prompt; 1 or less turns guidance off
    #[arg(long, default_value_t = 7.5)]
    guidance: f64,

    /// Scheduler: euler, euler-a, ddim, dpmpp-2m, dpmpp-2m-karras, dpmpp-2m-sde, pndm, lms, heun, unipc, lcm
    /// [default: the model's own]
    #[arg(long)]
    scheduler: Option<SchedulerKind>,

    /// Seed of the noise [default: a random one]
    #[arg(long)]
    seed: Option<u64>,

    /// How prompts are read: plain (as they stand, about 75 tokens), or a1111, as AUTOMATIC1111's web
    /// UI reads them: (more), [less], (weight:1.3), [from:to:when], [this|that], BREAK, any length
    #[arg(long, default_value_t, value_name = "plain|a1111")]
    syntax: PromptSyntax,

    /// The text encoder's layer to use, counted from the last, 1 [default: the model's own]
    #[arg(long, value_name = "N")]
    clip_skip: Option<u32>,

    /// Seed of other noise to mix into the initial noise; with --count, one higher for each image
    #[arg(long, value_name = "SEED", requires = "variation_strength")]
    variation_seed: Option<u64>,

    /// How much of the other noise to mix in: 0 to 1
    #[arg(long, value_name = "PART", requires = "variation_seed")]
    variation_strength: Option<f64>,

    /// Images to make
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,

    /// File to write; with --count, the seed is added to its name [default: MODEL-SEED.png]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    models: ModelArgs,

    #[command(flatten)]
    machine: MachineArgs,
}

impl Generate {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        interrupt::listen()?;
        let catalogue = self.models.catalogue()?;
        let known = match &self.model {
            Some(name) => catalogue.find(name)?,
            None => catalogue.at_hand().next().context("there is no model at hand")?,
        };
        let model = Model::open(&self.machine.runtime()?, &known.source)?;
        let picture = self
            .init_image
            .as_ref()
            .map(|path| {
                decode_file(path, &Limits::default()).with_context(|| path.display().to_string())
            })
            .transpose()?;
        let (width, height) = self.size(&model, picture.as_ref())?;
        let first = Plan {
            prompt: self.prompt.clone(),
            negative_prompt: self.negative.clone(),
            width,
            height,
            steps: self.steps,
            guidance: self.guidance,
            scheduler: self.scheduler,
            seed: self.seed.unwrap_or_else(|| u64::from(crate::batch::random_seed())),
            strength: picture.as_ref().map(|_| self.strength.unwrap_or(0.8)),
            text: TextOptions { syntax: self.syntax, clip_skip: self.clip_skip },
            variation: self
                .variation_seed
                .zip(self.variation_strength)
                .map(|(seed, strength)| Variation { seed, strength }),
            inpaint: None,
        };
        model.check(&first)?;
        let initial = picture.map(|picture| resize(&picture, width, height)).transpose()?;
        for i in 0..u64::from(self.count) {
            let mut plan = Plan { seed: first.seed.wrapping_add(i), ..first.clone() };
            if let Some(variation) = &mut plan.variation {
                variation.seed = variation.seed.wrapping_add(i);
            }
            let path = self.path(&known.name, plan.seed);
            let image = self.draw(&model, &plan, initial.as_ref(), i == 0)?;
            let precision = model.runtime().options().precision;
            whole::write(&path, &output::png(&image, &known.name, precision, &plan)?)?;
            println!("{}", path.display());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The size asked for; a side that is not is taken from the model or the picture.
    fn size(&self, model: &Model, picture: Option<&RgbImage>) -> anyhow::Result<(u32, u32)> {
        let (native_height, native_width) = model.info().native_size();
        let (width, height) = match picture {
            Some(picture) => {
                let area = u64::from(native_height) * u64::from(native_width);
                fit(picture.width(), picture.height(), area, model.info().multiple())?
            }
            None => (native_width, native_height),
        };
        Ok((self.width.unwrap_or(width), self.height.unwrap_or(height)))
    }

    fn draw(
        &self,
        model: &Model,
        plan: &Plan,
        initial: Option<&RgbImage>,
        warn: bool,
    ) -> anyhow::Result<RgbImage> {
        let style = ProgressStyle::with_template("seed {msg} {wide_bar} {pos}/{len} steps {eta}")?;
        let bar = ProgressBar::new(0).with_style(style).with_message(plan.seed.to_string());
        let image = generate(model, plan, initial, |sample| {
            let (done, total) = sample.progress();
            if done == 0 && warn {
                sample
                    .warnings()
                    .iter()
                    .for_each(|w| bar.suspend(|| eprintln!("warning: {}", output::one_line(w))));
            }
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            interrupt::check()
        })?;
        bar.finish_and_clear();
        Ok(image)
    }

    /// Where the image of this seed goes.
    fn path(&self, model: &str, seed: u64) -> PathBuf {
        let name = format!("{}-{seed}.png", model.replace(['/', '\\'], "-"));
        match &self.output {
            None => name.into(),
            Some(path) if path.is_dir() => path.join(name),
            Some(path) if self.count == 1 => path.clone(),
            Some(path) => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                path.with_file_name(format!("{stem}-{seed}.png"))
            }
        }
    }
}
