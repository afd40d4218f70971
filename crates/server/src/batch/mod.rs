//! The flow of `run`: for every picture a random prompt and a random model, image to image.

mod draw;
mod inputs;
mod memory;
mod sheet;
mod summary;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use diffusion_engine::config::GenerationConfig;
use diffusion_engine::images::{Limits, RgbImage, decode, encode_png, fit, read_file, resize};
use diffusion_engine::{Error, Model, Plan, Runtime, SchedulerKind, TextOptions, generate};
use diffusion_jobs::artifacts::sha256;
use diffusion_jobs::request::Resize;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

pub(crate) use self::draw::{Draws, random_seed};
use self::inputs::Content;
pub(crate) use self::inputs::{Input, find_inputs, output_names, shipped_inputs};
use self::summary::{Entry, Outcome, Summary};
use crate::catalogue::Known;
use crate::defaults::{GUIDANCE, RANDOM_STEPS};
use crate::encode::{Format, QUALITY, encode};
use crate::infotext::Record;
use crate::inpaint::Placement;
use crate::output::say;
use crate::plan::ImagePlan;
use crate::{fingerprint, interrupt, output, whole};

/// What holds for all images of a run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) prompts: Vec<String>,
    pub(crate) negative_prompt: String,
    pub(crate) strength: f64,
    /// As the model wants them where they are `None`.
    pub(crate) steps: Option<usize>,
    pub(crate) guidance: Option<f64>,
    pub(crate) scheduler: SchedulerKind,
    pub(crate) seed: u32,
    /// Width and height; the model's own where it is `None`.
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) fitting: Fitting,
    /// Of the images.
    pub(crate) format: Format,
}

/// How a picture comes to the size of its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fitting {
    /// The picture's shape at the size's area.
    Fit,
    /// The size, with what stands out cut off.
    Crop,
    /// The size, stretched.
    Squash,
}

/// The prompts that are drawn from when the user gives none.
pub(crate) fn default_prompts() -> Vec<String> {
    [
        "generate image of cyberpunk battleship",
        "cat dancing in rain",
        "dogs sitting on sofa",
        "beautiful landscape with sea and mountains",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// What was drawn for one picture.
struct Task<'a> {
    input: &'a Input,
    output: String,
    model: &'a Known,
    prompt: &'a str,
    seed: u32,
}

/// Makes an image for every input and writes images, summary and contact sheet to `out`.
///
/// # Errors
/// A setting is out of range, a model cannot be loaded, or results cannot be written. An input
/// that cannot be used is no error: it stands in the summary, and the exit status is 1.
pub(crate) fn run(
    runtime: &Runtime,
    inputs: &[Input],
    models: &[Known],
    settings: &Settings,
    out: &Path,
) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let tasks = draw_tasks(inputs, models, settings);
    let loaded = load(runtime, &tasks, settings)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;

    let progress = Progress::new(tasks.len() as u64)?;
    let mut entries = Vec::new();
    for task in &tasks {
        if interrupt::requested() {
            break;
        }
        progress.begin(task);
        let begun = Instant::now();
        let outcome = match make(&loaded[&key(task.model)], task, settings, out, &progress) {
            Ok(plan) => Outcome::Done {
                output: out.join(&task.output).display().to_string(),
                file: task.output.clone(),
                size: (plan.width, plan.height),
                steps: plan.steps,
                guidance: plan.guidance,
            },
            Err(_) if interrupt::requested() => break,
            Err(error) => Outcome::Failed { error: format!("{error:#}") },
        };
        let entry = Entry {
            input: task.input.path.clone(),
            model: task.model.name.clone(),
            prompt: task.prompt.to_owned(),
            seed: task.seed,
            seconds: begun.elapsed().as_secs_f64(),
            outcome,
        };
        progress.end(&entry);
        entries.push(entry);
    }
    progress.finish();

    let summary = Summary::new(entries, inputs.len(), started.elapsed(), settings);
    whole::write(&out.join("summary.json"), summary.json()?.as_bytes())?;
    whole::write(&out.join("index.html"), sheet::html(&summary).as_bytes())?;
    say!("{}", summary.line(out))?;
    if interrupt::requested() {
        anyhow::bail!("{} of {} images were made", summary.succeeded(), inputs.len());
    }
    Ok(if summary.succeeded() == inputs.len() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Draws prompt and model for each input.
fn draw_tasks<'a>(
    inputs: &'a [Input],
    models: &'a [Known],
    settings: &'a Settings,
) -> Vec<Task<'a>> {
    let mut draws = Draws::new(settings.seed);
    let names = output_names(inputs.iter().map(|input| &*input.name));
    inputs
        .iter()
        .zip(names)
        .enumerate()
        .map(|(i, (input, output))| Task {
            input,
            output: in_format(&output, settings.format),
            model: &models[draws.below(models.len())],
            prompt: &settings.prompts[draws.below(settings.prompts.len())],
            seed: settings.seed.wrapping_add(i as u32),
        })
        .collect()
}

/// The name of a PNG with the ending of a format.
fn in_format(name: &str, format: Format) -> String {
    format!("{}.{}", name.strip_suffix(".png").unwrap_or(name), format.ending())
}

/// Loads every model that was drawn, and checks the settings against it: what is wrong for all
/// images is told before the first.
fn load(
    runtime: &Runtime,
    tasks: &[Task<'_>],
    settings: &Settings,
) -> anyhow::Result<HashMap<ModelKey, Model>> {
    let mut loaded = HashMap::new();
    for task in tasks {
        if loaded.contains_key(&key(task.model)) {
            continue;
        }
        let model = Model::open(runtime, &task.model.source)
            .with_context(|| format!("model {}", task.model.name))?;
        let (height, width) = model.info().native_size();
        let (width, height) = settings.size.unwrap_or((width, height));
        let size = match settings.fitting {
            Fitting::Fit => {
                let area = u64::from(width) * u64::from(height);
                fit(width, height, area, model.info().multiple())?
            }
            Fitting::Crop | Fitting::Squash => (width, height),
        };
        model.check(&plan(task, settings, model.info().generation, size))?;
        loaded.insert(key(task.model), model);
    }
    Ok(loaded)
}

/// Name and place of a model: folders named on the command line can share a name.
type ModelKey = (String, String);

fn key(model: &Known) -> ModelKey {
    (model.name.clone(), model.location())
}

fn plan(
    task: &Task<'_>,
    settings: &Settings,
    own: GenerationConfig,
    (width, height): (u32, u32),
) -> Plan {
    Plan {
        prompt: task.prompt.to_owned(),
        negative_prompt: settings.negative_prompt.clone(),
        width,
        height,
        steps: settings.steps.unwrap_or(own.steps.unwrap_or(RANDOM_STEPS) as usize),
        guidance: settings.guidance.or(own.guidance).unwrap_or(GUIDANCE),
        scheduler: Some(settings.scheduler),
        seed: u64::from(task.seed),
        strength: Some(settings.strength),
        text: TextOptions::default(),
        variation: None,
        inpaint: None,
    }
}

/// Makes and writes one image, and gives its plan. The picture as the model saw it is written beside
/// the results, for the contact sheet.
fn make(
    model: &Model,
    task: &Task<'_>,
    settings: &Settings,
    out: &Path,
    progress: &Progress,
) -> anyhow::Result<Plan> {
    let limits = Limits::default();
    let bytes: Cow<'_, [u8]> = match &task.input.content {
        Content::File(path) => read_file(path, &limits)?.into(),
        Content::Embedded(bytes) => (*bytes).into(),
    };
    let picture = decode(&bytes, &limits).with_context(|| task.input.path.clone())?;
    let picture = prepare(&picture, model, settings)?;
    let shown = encode_png(&picture, &[])?;
    whole::write(&out.join(sheet::input_name(&task.output)), &shown)?;
    let plan = plan(task, settings, model.info().generation, picture.dimensions());
    let image = generate(model, &plan, Some(&picture.into()), |sample| {
        if sample.progress().0 == 0 {
            sample.warnings().iter().for_each(|warning| progress.warn(warning));
        }
        progress.step(sample.progress());
        interrupt::check()
    })?;
    let made = ImagePlan {
        model: task.model.name.clone(),
        folder: None,
        input: Some(sha256(&bytes)),
        resize: match settings.fitting {
            Fitting::Crop => Resize::Crop,
            Fitting::Fit | Fitting::Squash => Resize::Stretch,
        },
        mask: None,
        plan: plan.clone(),
    };
    let precision = model.runtime().options().precision;
    let hash = fingerprint::of(&task.model.source).ok();
    let texts = Record::new(made, hash, precision).texts(model.info().scheduler.own())?;
    let texts = texts.each_ref().map(|(keyword, text)| (*keyword, &**text));
    let file = encode(&image, settings.format, QUALITY, &texts)?;
    whole::write(&out.join(&task.output), &file)?;
    Ok(plan)
}

/// Brings a picture to the size of its image.
fn prepare(picture: &RgbImage, model: &Model, settings: &Settings) -> Result<RgbImage, Error> {
    let (native_height, native_width) = model.info().native_size();
    let (width, height) = settings.size.unwrap_or((native_width, native_height));
    let (from_width, from_height) = picture.dimensions();
    match settings.fitting {
        Fitting::Squash => resize(picture, width, height),
        Fitting::Fit => {
            let area = u64::from(width) * u64::from(height);
            let (width, height) = fit(from_width, from_height, area, model.info().multiple())?;
            resize(picture, width, height)
        }
        Fitting::Crop => {
            Placement::new(Resize::Crop, picture.dimensions(), (width, height)).apply(picture)
        }
    }
}

/// Bars on a terminal, a line for each image elsewhere.
struct Progress {
    bars: MultiProgress,
    overall: ProgressBar,
    image: ProgressBar,
}

impl Progress {
    fn new(images: u64) -> anyhow::Result<Self> {
        let bars = MultiProgress::new();
        let overall = ProgressStyle::with_template("{wide_bar} {pos}/{len} images {eta}")?;
        let image = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} steps")?;
        let overall = bars.add(ProgressBar::new(images).with_style(overall));
        let image = bars.add(ProgressBar::new(0).with_style(image));
        overall.tick();
        Ok(Self { bars, overall, image })
    }

    fn begin(&self, task: &Task<'_>) {
        self.image.reset();
        self.image.set_message(output::one_line(&task.input.name));
    }

    fn step(&self, (done, total): (usize, usize)) {
        self.image.set_length(total as u64);
        self.image.set_position(done as u64);
    }

    fn warn(&self, warning: &str) {
        self.bars.suspend(|| eprintln!("warning: {}", output::one_line(warning)));
    }

    fn end(&self, entry: &Entry) {
        self.overall.inc(1);
        let (done, all) = (self.overall.position(), self.overall.length().unwrap_or(0));
        let one_line = output::one_line;
        self.bars.suspend(|| match &entry.outcome {
            Outcome::Done { file, .. } => {
                let line = format!("{file}  {:.1} s  {}", entry.seconds, entry.model);
                // The images are what counts, and summary.json says it all again.
                let _ = say!("[{done}/{all}] {}  \"{}\"", one_line(&line), one_line(&entry.prompt));
            }
            Outcome::Failed { error } => {
                eprintln!("[{done}/{all}] {}", one_line(&format!("{}: {error}", entry.input)));
            }
        });
    }

    fn finish(&self) {
        self.image.finish_and_clear();
        self.overall.finish_and_clear();
    }
}
