//! From a request to the plans of its images: every default, the seeds, the models, the pictures.
//! What cannot run is refused here, before anything is stored.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use diffusion_engine::images::{Limits, decode, fit};
use diffusion_engine::{
    ModelInfo, Options, Plan, PromptSyntax, Runtime, SchedulerKind, Source, TextOptions, Variation,
};
use diffusion_jobs::artifacts::Kind as FileKind;
use diffusion_jobs::request::{Input, Kind, MOST_IMAGES, Mask, Syntax};
use diffusion_jobs::{Artifacts, Database, Error, NewImage, NewJob, Request};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use uuid::Uuid;

use crate::batch::{Draws, output_names, random_seed};
use crate::catalogue::Known;
use crate::config::Config;
use crate::dataset::{self, Picture, Pictures, Shelf, usable};
use crate::inpaint::repaints;
use crate::plan::{ImagePlan, StoredMask, masked_start};

/// Steps where none are asked for.
const STEPS: u32 = 30;
/// Steps of the original's pipeline, for its random draws.
const RANDOM_STEPS: u32 = 50;
/// Guidance where none is asked for.
const GUIDANCE: f64 = 7.5;
/// Strength where none is asked for.
const STRENGTH: f64 = 0.8;

/// Pictures of the data set that are read at once.
const AT_ONCE: usize = 4;

/// What resolving looks up.
#[derive(Debug)]
pub(crate) struct Resolver {
    database: Database,
    artifacts: Artifacts,
    pictures: Pictures,
    models_dir: Option<PathBuf>,
    /// For plans of memory; nothing is computed on it.
    engine: Runtime,
    infos: Mutex<HashMap<(String, String), Arc<ModelInfo>>>,
}

/// A model that was found, with what its configuration says.
#[derive(Debug, Clone)]
struct Found {
    name: String,
    /// Where it lies, unless it is in the binary.
    folder: Option<PathBuf>,
    info: Arc<ModelInfo>,
}

/// A picture to start from, stored.
#[derive(Debug, Clone)]
struct Stored {
    /// Its path in the data set, or what the request calls it.
    path: Option<String>,
    /// The file name of what is made of it is made of this.
    name: String,
    sha256: String,
    size: (u32, u32),
}

/// A refusal, or a failure to look something up.
type Result<T, E = Error> = std::result::Result<T, E>;

impl Resolver {
    /// # Errors
    /// The operating system gives no threads.
    pub(crate) fn new(
        config: &Config,
        database: &Database,
        artifacts: &Artifacts,
    ) -> anyhow::Result<Self> {
        let engine = Runtime::new(Options {
            threads: config.engine.threads,
            memory_limit: config.engine.memory.map(|size| size.0),
            precision: config.engine.precision,
            ..Options::default()
        })?;
        Ok(Self {
            database: database.clone(),
            artifacts: artifacts.clone(),
            pictures: Pictures::new(&config.storage),
            models_dir: config.storage.models.clone(),
            engine,
            infos: Mutex::default(),
        })
    }

    /// The job that a request asks for. Its pictures are stored.
    ///
    /// # Errors
    /// [`Error::Field`]: what is asked cannot be done, and why; those of database and storage.
    pub(crate) async fn resolve(&self, request: &Request, owner: Option<Uuid>) -> Result<NewJob> {
        request.check()?;
        let models = self.models(request).await?;
        let inputs = self.inputs(request).await?;
        let mask = match &request.mask {
            Some(mask) => Some(self.mask(mask).await?),
            None => None,
        };
        let seed = request.seed.unwrap_or_else(|| u64::from(random_seed()));
        let images = match request.kind {
            Kind::Random => draw(request, &models, &inputs, seed)?,
            _ => combine(request, &models, &inputs, seed)?,
        };
        for (model, image) in &images {
            self.check(model, &image.plan)?;
        }
        let names = output_names(images.iter().map(|(_, image)| image.name.as_str()));
        let stored = images.into_iter().zip(names).map(|((_, image), output_name)| {
            let plan = ImagePlan {
                model: image.model,
                folder: image.folder,
                input: image.input,
                resize: request.resize,
                mask: mask.clone(),
                plan: image.plan,
            };
            let plan = serde_json::to_value(plan);
            Ok(NewImage {
                plan: plan.map_err(|error| Error::Invalid(error.to_string()))?,
                input_path: image.input_path,
                output_name,
            })
        });
        Ok(NewJob {
            kind: request.kind.name().into(),
            request: record(request, &inputs, mask.as_ref(), seed),
            owner,
            priority: request.priority,
            images: stored.collect::<Result<_>>()?,
        })
    }

    /// The model of this name, or the one that is taken where none is named: what it is called, and
    /// what its configuration says.
    ///
    /// # Errors
    /// [`Error::Field`]: there is no such model, or it cannot be used; the database.
    pub(crate) async fn model(&self, name: Option<&str>) -> Result<(String, Arc<ModelInfo>)> {
        let models = name.map(str::to_owned).into_iter().collect();
        let request = Request { models, ..Request::new(Kind::TextToImage, Vec::new()) };
        let found = self.models(&request).await?.pop();
        let found = found.ok_or_else(|| Error::field("models", "no model is available"))?;
        Ok((found.name, found.info))
    }

    /// The models that are named, or those that are drawn from.
    async fn models(&self, request: &Request) -> Result<Vec<Found>> {
        let shelf = Shelf::discover(self.models_dir.as_deref())
            .map_err(|error| Error::Invalid(format!("{error:#}")))?;
        if request.models.is_empty() {
            let known = dataset::models_at_hand(&self.database, &shelf).await?;
            let mut found: Vec<Found> =
                known.into_iter().filter_map(|known| self.found(known).ok()).collect();
            if request.kind != Kind::Random {
                found.truncate(1);
            }
            if found.is_empty() {
                let message = "no model is available: see /api/v1/models, and add one";
                return Err(Error::field("models", message));
            }
            return Ok(found);
        }
        let mut found = Vec::new();
        for (i, name) in request.models.iter().enumerate() {
            let field = format!("models[{i}]");
            let refuse = |why: String| Error::field(field.clone(), format!("{name:?} {why}"));
            let known = match self.database.models().find_one(name).await {
                Ok(row) => {
                    shelf.known(&row).map_err(|why| refuse(format!("is not available: {why}")))?
                }
                Err(Error::NotFound { .. }) => shelf
                    .named(name)
                    .cloned()
                    .ok_or_else(|| refuse("is not known here; see /api/v1/models".into()))?,
                Err(Error::Conflict(why)) => return Err(Error::field(field, why)),
                Err(error) => return Err(error),
            };
            let usable = self.found(known);
            found.push(usable.map_err(|error| refuse(format!("cannot be used: {error}")))?);
        }
        Ok(found)
    }

    /// What a model's configuration says; looked at once for each model.
    fn found(&self, known: Known) -> diffusion_engine::Result<Found> {
        let key = (known.name.clone(), known.location());
        let cached = {
            let infos = self.infos.lock().unwrap_or_else(PoisonError::into_inner);
            infos.get(&key).cloned()
        };
        let info = match cached {
            Some(info) => info,
            None => {
                let info = Arc::new(usable(&known)?);
                let mut infos = self.infos.lock().unwrap_or_else(PoisonError::into_inner);
                infos.entry(key).or_insert(info).clone()
            }
        };
        let folder = match known.source {
            Source::Folder(folder) => Some(folder.canonicalize().unwrap_or(folder)),
            Source::Embedded { .. } => None,
        };
        Ok(Found { name: known.name, folder, info })
    }

    /// The pictures that are named or sent, or the whole data set; each stored.
    async fn inputs(&self, request: &Request) -> Result<Vec<Stored>> {
        if request.inputs.is_empty() {
            if request.kind != Kind::Random {
                return Ok(Vec::new());
            }
            let rows = dataset::images_at_hand(&self.database, &self.pictures).await?;
            few(rows.len().saturating_mul(request.count as usize))?;
            let stored = rows.into_iter().map(async |(row, picture)| {
                let stored = self.read(picture, &row.path, &row.name).await;
                // One that cannot be read costs only itself: it is no longer available.
                match stored {
                    Err(error @ (Error::Invalid(_) | Error::Io { .. })) => {
                        tracing::warn!(image = row.path, %error, "left out of the draw");
                        Ok(None)
                    }
                    stored => stored.map(Some),
                }
            });
            let stored: Vec<_> = stream::iter(stored).buffered(AT_ONCE).try_collect().await?;
            let inputs: Vec<Stored> = stored.into_iter().flatten().collect();
            if inputs.is_empty() {
                return Err(Error::field("images", "no image of the data set is available"));
            }
            return Ok(inputs);
        }
        let mut inputs = Vec::new();
        for (i, input) in request.inputs.iter().enumerate() {
            inputs.push(self.one(input, &format!("images[{i}]")).await?);
        }
        Ok(inputs)
    }

    /// A picture that is named or sent, stored; what is wrong with it is said of `field`.
    async fn one(&self, input: &Input, field: &str) -> Result<Stored> {
        let of_field = |message: String| Error::field(field, message);
        let stored = match input {
            Input::Data(bytes) => self.store(bytes.clone(), None, "image").await,
            Input::Named(name) => {
                let row = match self.database.images().find_one(name).await {
                    Ok(row) => row,
                    Err(Error::NotFound { .. }) => {
                        let why = format!("the data set has no image {name:?}; see /api/v1/images");
                        return Err(of_field(why));
                    }
                    Err(Error::Conflict(why)) => return Err(of_field(why)),
                    Err(error) => return Err(error),
                };
                let picture = self
                    .pictures
                    .find(&row.path)
                    .map_err(|why| of_field(format!("{name:?} is not available: {why}")))?;
                self.read(picture, &row.path, &row.name).await
            }
        };
        stored.map_err(|error| match error {
            error @ (Error::Invalid(_) | Error::Io { .. }) => of_field(error.to_string()),
            error => error,
        })
    }

    /// The part that is repainted, its picture stored.
    async fn mask(&self, mask: &Mask) -> Result<StoredMask> {
        let stored = self.one(&mask.picture, "mask").await?;
        let picture = self.artifacts.get(FileKind::Input, &stored.sha256).await?;
        let invert = mask.inpaint.invert;
        let seen = tokio::task::spawn_blocking(move || {
            decode(&picture, &Limits::default()).is_ok_and(|mask| repaints(&mask, invert))
        });
        if !seen.await.unwrap_or(false) {
            let (kept, repainted) = if invert { ("white", "black") } else { ("black", "white") };
            let message = format!(
                "there is nothing to repaint: it is all {kept}, and {repainted} is repainted"
            );
            return Err(Error::field("mask", message));
        }
        Ok(StoredMask { picture: stored.sha256, inpaint: mask.inpaint })
    }

    /// Reads a picture of the data set, and stores it.
    async fn read(&self, picture: Picture, path: &str, name: &str) -> Result<Stored> {
        let bytes = tokio::task::spawn_blocking(move || picture.read()).await;
        let bytes = bytes.map_err(std::io::Error::other).flatten();
        let bytes = bytes.map_err(|error| Error::io(path, error))?;
        self.store(bytes.into(), Some(path.to_owned()), name).await
    }

    /// Decodes a picture once, and stores it as it came.
    async fn store(&self, bytes: Bytes, path: Option<String>, name: &str) -> Result<Stored> {
        let encoded = bytes.clone();
        let decoded = tokio::task::spawn_blocking(move || {
            decode(&encoded, &Limits::default()).map(|picture| picture.dimensions())
        });
        let size = match decoded.await {
            Ok(Ok(size)) => size,
            Ok(Err(error)) => return Err(Error::Invalid(error.to_string())),
            Err(_) => return Err(Error::Invalid("the image cannot be decoded".into())),
        };
        let sha256 = self.artifacts.put(FileKind::Input, bytes).await?;
        Ok(Stored { path, name: name.to_owned(), sha256, size })
    }

    /// Refuses what the model cannot do, and what does not fit into memory.
    fn check(&self, model: &Found, plan: &Plan) -> Result<()> {
        let refused = |error: diffusion_engine::Error| match error {
            diffusion_engine::Error::Plan { field, message } => Error::field(field, message),
            error => Error::Invalid(error.to_string()),
        };
        model.info.check(plan).map_err(refused)?;
        if let Some(limit) = self.engine.options().memory_limit {
            let planned = model.info.memory(&self.engine, plan, 1).map_err(refused)?;
            let needed = planned.total();
            if needed > limit {
                return Err(refused(diffusion_engine::Error::Memory { needed, limit }));
            }
        }
        Ok(())
    }
}

/// An image to be.
struct Drawn {
    model: String,
    folder: Option<PathBuf>,
    input: Option<String>,
    input_path: Option<String>,
    /// What its file name is made of.
    name: String,
    plan: Plan,
}

/// Each prompt with each model and picture, as often as asked.
fn combine(
    request: &Request,
    models: &[Found],
    inputs: &[Stored],
    seed: u64,
) -> Result<Vec<(Found, Drawn)>> {
    let pictures: Vec<Option<&Stored>> =
        if inputs.is_empty() { vec![None] } else { inputs.iter().map(Some).collect() };
    let each = models.len() * request.prompts.len() * pictures.len();
    few(each.saturating_mul(request.count as usize))?;
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
fn draw(
    request: &Request,
    models: &[Found],
    inputs: &[Stored],
    seed: u64,
) -> Result<Vec<(Found, Drawn)>> {
    few(inputs.len().saturating_mul(request.count as usize))?;
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

fn few(images: usize) -> Result<()> {
    if images > MOST_IMAGES {
        let message =
            format!("{images} images are too many for one job: {MOST_IMAGES} at the most");
        return Err(Error::field("count", message));
    }
    Ok(())
}

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
    let steps = request.steps.unwrap_or(if random { RANDOM_STEPS } else { STEPS });
    let plan = Plan {
        prompt: prompt.to_owned(),
        negative_prompt: request.negative_prompt.clone(),
        width: request.width.unwrap_or(width),
        height: request.height.unwrap_or(height),
        steps: steps as usize,
        guidance: request.guidance.unwrap_or(GUIDANCE),
        scheduler,
        seed,
        strength: picture.map(|_| request.strength.unwrap_or(STRENGTH)),
        text: TextOptions {
            syntax: match request.syntax {
                Syntax::Plain => PromptSyntax::Plain,
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
        name,
        plan,
    };
    Ok((model.clone(), drawn))
}

/// The request as it is kept: with its seed, and pictures by their hashes.
fn record(
    request: &Request,
    inputs: &[Stored],
    mask: Option<&StoredMask>,
    seed: u64,
) -> serde_json::Value {
    let images: Vec<_> =
        inputs.iter().map(|input| json!({ "path": input.path, "sha256": input.sha256 })).collect();
    json!({
        "kind": request.kind.name(),
        "prompts": request.prompts,
        "negative_prompt": request.negative_prompt,
        "models": request.models,
        "images": images,
        "strength": request.strength,
        "steps": request.steps,
        "guidance": request.guidance,
        "scheduler": request.scheduler,
        "width": request.width,
        "height": request.height,
        "seed": seed,
        "count": request.count,
        "priority": request.priority,
        "mask": mask,
        "resize": request.resize,
        "syntax": match request.syntax {
            Syntax::Plain => "plain",
            Syntax::A1111 => "a1111",
        },
        "clip_skip": request.clip_skip,
        "variation": request.variation.map(|(seed, strength)| Variation { seed, strength }),
        "dialect": request.dialect.name(),
        "label": request.label,
    })
}
