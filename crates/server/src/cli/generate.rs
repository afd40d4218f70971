//! `diffusion-server generate`: single images.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use diffusion_engine::images::{Limits, RgbImage, decode, decode_mask, fit, read_file};
use diffusion_engine::{
    Initial, Model, Plan, PromptSyntax, SchedulerKind, TextOptions, Variation, generate,
};
use diffusion_jobs::artifacts::sha256;
use diffusion_jobs::request::{Fill, Inpaint, MOST_BLUR, Resize};
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::{DeserializeOwned, IntoDeserializer, value};

use super::again::{Again, Here};
use super::{MachineArgs, ModelArgs};
use crate::encode::{self, Format, encode};
use crate::infotext::Record;
use crate::inpaint::Canvas;
use crate::output::say;
use crate::plan::{ImagePlan, StoredMask, masked_start};
use crate::{batch, fingerprint, interrupt, output, whole};

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
  diffusion-server generate --init-image photo.jpg --mask mask.png --prompt 'a red door' -o out.png

  diffusion-server generate --from lighthouse.png --seed 8 -o another.webp

With --from FILE what is not given is as that file says (see `diffusion-server info`). From a file of
this program come the same pixels again, if model, build and processor are the same.

With --count N the images have the seeds SEED, SEED+1, …, and each is as if made alone.")]
pub(super) struct Generate {
    /// A model's name (see `diffusion-server models`), or a diffusers folder [default: the first model]
    #[arg(long, value_name = "NAME|DIR")]
    model: Option<String>,

    /// What the image shows
    #[arg(long, short, required_unless_present = "from", allow_hyphen_values = true)]
    prompt: Option<String>,

    /// What the image should not show
    #[arg(long, short, allow_hyphen_values = true)]
    negative: Option<String>,

    /// Make it as this image was made (png, jpeg, webp), but for what is given
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// Start from this picture (png, jpeg, webp, gif, bmp, tiff)
    #[arg(long, value_name = "FILE")]
    init_image: Option<PathBuf>,

    /// How far to go from the picture: above 0, to 1 [default: 0.8]
    #[arg(long, requires = "init_image")]
    strength: Option<f64>,

    /// How the picture comes to the image's size: stretch, crop (its middle), or pad (whole, with its
    /// edges drawn out) [default: stretch]
    #[arg(long, value_name = "HOW", value_parser = by_name::<Resize>, requires = "init_image")]
    resize: Option<Resize>,

    /// Width in pixels [default: the model's own, or the picture's shape at the model's own area]
    #[arg(long)]
    width: Option<u32>,

    /// Height in pixels, likewise
    #[arg(long)]
    height: Option<u32>,

    /// Denoising steps [default: what the model names, else 30]
    #[arg(long)]
    steps: Option<usize>,

    /// How closely to follow the prompt; 1 or less turns guidance off [default: what the model names,
    /// else 7.5]
    #[arg(long)]
    guidance: Option<f64>,

    /// Scheduler: euler, euler-karras, euler-a, ddim, dpmpp-2m, dpmpp-2m-karras,
    /// dpmpp-2m-exponential, dpmpp-2m-sde, dpmpp-2m-sde-karras, dpmpp-2m-sde-exponential, pndm,
    /// lms, lms-karras, heun, heun-karras, unipc, lcm
    /// [default: the model's own]
    #[arg(long)]
    scheduler: Option<SchedulerKind>,

    /// Seed of the noise [default: a random one]
    #[arg(long)]
    seed: Option<u64>,

    /// How prompts are read: plain (as they stand, cut off after about 75 tokens), long (as they stand,
    /// to 32 times as much), or a1111, as AUTOMATIC1111's web UI reads them: `(more)`, `[less]`, `(weight:1.3)`,
    /// `[from:to:when]`, `[this|that]`, BREAK, as long [default: plain]
    #[arg(long, value_name = "plain|long|a1111")]
    syntax: Option<PromptSyntax>,

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

    /// File to write, by its ending as png, jpg or webp; with --count, the seed is added to its name
    /// [default: MODEL-SEED.png]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    repaint: MaskArgs,

    #[command(flatten)]
    models: ModelArgs,

    #[command(flatten)]
    machine: MachineArgs,
}

/// The part of the picture that is repainted.
#[derive(Debug, Args)]
struct MaskArgs {
    /// Repaint only what is white in this picture, or what is opaque in one that has transparent
    /// parts; what is black, or transparent, stays as it is. It is brought to the size of
    /// --init-image
    #[arg(long, value_name = "FILE", requires = "init_image")]
    mask: Option<PathBuf>,

    /// Soften the edge of the mask by so many pixels of the picture: the deviation of a Gaussian
    /// blur, 0 to 256 [default: 4]
    #[arg(long, value_name = "PIXELS", value_parser = blur, requires = "mask")]
    mask_blur: Option<f64>,

    /// Repaint what is black in the mask, and leave what is white
    #[arg(long, requires = "mask")]
    mask_invert: bool,

    /// Draw only the masked part, with so many pixels around it, at the image's full size, and
    /// paste it into the picture; the result has the picture's own size
    #[arg(long, value_name = "PIXELS", requires = "mask")]
    mask_padding: Option<u32>,

    /// What the repainted part begins with: original (what is there), surround (the blurred colours
    /// around it), latent-noise or latent-nothing [default: original]
    #[arg(long, value_name = "WHAT", value_parser = by_name::<Fill>, requires = "mask")]
    mask_fill: Option<Fill>,
}

fn blur(text: &str) -> Result<f64, String> {
    let pixels = text.parse().ok().filter(|pixels| (0.0..=MOST_BLUR).contains(pixels));
    pixels.ok_or_else(|| format!("0 to {MOST_BLUR} pixels are possible"))
}

/// One of the names that a choice has in stored plans.
fn by_name<T: DeserializeOwned>(text: &str) -> Result<T, value::Error> {
    T::deserialize(text.into_deserializer())
}

impl MaskArgs {
    /// The mask, and how it is used: as in `base`, but for what is given.
    fn read(&self, base: Inpaint) -> anyhow::Result<Option<(RgbImage, StoredMask)>> {
        let Some(path) = &self.mask else { return Ok(None) };
        let inpaint = Inpaint {
            invert: self.mask_invert || base.invert,
            blur: self.mask_blur.unwrap_or(base.blur),
            fill: self.mask_fill.unwrap_or(base.fill),
            only_masked: self.mask_padding.or(base.only_masked),
        };
        let (mask, picture) = read(path, decode_mask)?;
        Ok(Some((mask, StoredMask { picture, inpaint })))
    }
}

/// A picture, and the SHA-256 of its file.
fn read(
    path: &Path,
    decode: fn(&[u8], &Limits) -> diffusion_engine::Result<RgbImage>,
) -> anyhow::Result<(RgbImage, String)> {
    let bytes = read_file(path, &Limits::default())?;
    let picture = decode(&bytes, &Limits::default());
    Ok((picture.with_context(|| path.display().to_string())?, sha256(&bytes)))
}

impl Generate {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        interrupt::listen()?;
        let format = self.format()?;
        let again = self.from.as_deref().map(Again::read).transpose()?.unwrap_or_default();
        let catalogue = self.models.catalogue()?;
        let named = self.model.as_deref().map(|name| catalogue.find(name)).transpose()?;
        let known = match named.or_else(|| again.model(&catalogue)) {
            Some(known) => known,
            None => catalogue.at_hand().next().context("there is no model at hand")?,
        };
        let runtime = self.machine.runtime_in(again.precision())?;
        let model = Model::open(&runtime, &known.source)?;
        let (picture, input) =
            self.init_image.as_deref().map(|path| read(path, decode)).transpose()?.unzip();
        let base =
            again.base(model.info().generation, picture.is_some(), self.repaint.mask.is_some())?;
        let resize = self.resize.unwrap_or(base.resize);
        let mask = self.repaint.read(base.inpaint)?;

        let (width, height) = self.size(&model, picture.as_ref(), base.size)?;
        let first = Plan {
            prompt: self.prompt.clone().unwrap_or(base.prompt),
            negative_prompt: self.negative.clone().unwrap_or(base.negative_prompt),
            width,
            height,
            steps: self.steps.unwrap_or(base.steps),
            guidance: self.guidance.unwrap_or(base.guidance),
            scheduler: self.scheduler.or(base.scheduler),
            seed: self.seed.or(base.seed).unwrap_or_else(|| batch::random_seed().into()),
            strength: picture.as_ref().map(|_| self.strength.unwrap_or(base.strength)),
            text: TextOptions {
                syntax: self.syntax.unwrap_or(base.text.syntax),
                clip_skip: self.clip_skip.or(base.text.clip_skip),
            },
            variation: self
                .variation_seed
                .zip(self.variation_strength)
                .map(|(seed, strength)| Variation { seed, strength })
                .or(base.variation),
            inpaint: mask.as_ref().map(|(_, stored)| masked_start(stored.inpaint.fill)),
        };
        model.check(&first)?;
        let hash = fingerprint::of(&known.source)?;
        let precision = runtime.options().precision;
        let here = Here {
            model: &known.name,
            hash: &hash,
            precision,
            input: input.as_deref(),
            mask: mask.as_ref().map(|(_, stored)| &*stored.picture),
        };
        for warning in again.warnings(&here) {
            eprintln!("warning: {}", output::one_line(&warning));
        }

        let canvas = picture.map(|picture| {
            let mask = mask.as_ref().map(|(mask, stored)| (mask, stored.inpaint));
            Canvas::new(picture, mask, resize, (width, height))
        });
        let canvas = canvas.transpose()?;
        let initial = canvas.as_ref().map(Canvas::initial).transpose()?;
        for i in 0..u64::from(self.count) {
            let mut plan = Plan { seed: first.seed.wrapping_add(i), ..first.clone() };
            if let Some(variation) = &mut plan.variation {
                variation.seed = variation.seed.wrapping_add(i);
            }
            let path = self.path(&known.name, plan.seed);
            let drawn = self.draw(&model, &plan, initial.as_ref(), i == 0)?;
            let image = match &canvas {
                Some(canvas) => canvas.finish(drawn)?,
                None => drawn,
            };
            let made = ImagePlan {
                model: known.name.clone(),
                folder: None,
                input: input.clone(),
                resize,
                mask: mask.as_ref().map(|(_, stored)| stored.clone()),
                plan,
            };
            let own = model.info().scheduler.own();
            let texts = Record::new(made, Some(hash.clone()), precision).texts(own)?;
            let texts = texts.each_ref().map(|(keyword, text)| (*keyword, &**text));
            whole::write(&path, &encode(&image, format, encode::QUALITY, &texts)?)?;
            say!("{}", path.display())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The size asked for; a side that is not is taken from the file to follow, the picture or the
    /// model.
    fn size(
        &self,
        model: &Model,
        picture: Option<&RgbImage>,
        base: Option<(u32, u32)>,
    ) -> anyhow::Result<(u32, u32)> {
        let (native_height, native_width) = model.info().native_size();
        let (width, height) = match (base, picture) {
            (Some(size), _) => size,
            (None, Some(picture)) => {
                let area = u64::from(native_height) * u64::from(native_width);
                fit(picture.width(), picture.height(), area, model.info().multiple())?
            }
            (None, None) => (native_width, native_height),
        };
        Ok((self.width.unwrap_or(width), self.height.unwrap_or(height)))
    }

    /// The format that the ending of the file to write stands for.
    fn format(&self) -> anyhow::Result<Format> {
        let path = self.output.as_deref().filter(|path| !path.is_dir());
        let Some(ending) = path.and_then(Path::extension) else { return Ok(Format::Png) };
        Format::named(&ending.to_string_lossy())
            .with_context(|| format!("--output: .{} is none of png, jpg, webp", ending.display()))
    }

    fn draw(
        &self,
        model: &Model,
        plan: &Plan,
        initial: Option<&Initial>,
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
                let ending = path.extension().unwrap_or("png".as_ref()).to_string_lossy();
                path.with_file_name(format!("{stem}-{seed}.{ending}"))
            }
        }
    }
}
