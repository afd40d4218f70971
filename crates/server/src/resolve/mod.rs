//! From a request to the plans of its images: every default, the seeds, the models, the pictures.
//! What cannot run is refused here, before anything is stored.

mod check;
mod images;
mod models;
mod pictures;
mod words;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use diffusion_engine::{Runtime, Variation};
use diffusion_jobs::request::{Kind, Mask, Syntax};
use diffusion_jobs::{Artifacts, Database, Error, NewImage, NewJob, Request};
use serde_json::json;
use uuid::Uuid;

use self::check::Checks;
use self::images::{combine, draw};
use self::models::Infos;
use self::pictures::{Seen, Stored};
use crate::batch::{output_names, random_seed};
use crate::config::Config;
use crate::dataset::Pictures;
use crate::inpaint::check_mask;
use crate::plan::{ImagePlan, StoredMask};

/// Where the record of a request has what is not quite as it was asked for.
pub(crate) const WARNINGS: &str = "warnings";

/// What resolving looks up.
#[derive(Debug)]
pub(crate) struct Resolver {
    database: Database,
    artifacts: Artifacts,
    pictures: Pictures,
    models_dir: Option<PathBuf>,
    /// For plans of memory; nothing is computed on it.
    engine: Runtime,
    infos: Arc<Infos>,
    seen: Seen,
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
        let engine = Runtime::new(config.engine.options())?;
        Ok(Self {
            database: database.clone(),
            artifacts: artifacts.clone(),
            pictures: Pictures::new(&config.storage),
            models_dir: config.storage.models.clone(),
            engine,
            infos: Arc::default(),
            seen: Seen::default(),
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
        let (mask, masking) = match &request.mask {
            Some(mask) => Some(self.mask(mask).await?),
            None => None,
        }
        .unzip();
        let seed = request.seed.unwrap_or_else(|| u64::from(random_seed()));
        let (asked, pictures, engine) = (request.clone(), inputs.clone(), self.engine.clone());
        let images = aside(move || {
            let images = match asked.kind {
                Kind::Random => draw(&asked, &models, &pictures, seed)?,
                _ => combine(&asked, &models, &pictures, seed)?,
            };
            let mut checks = Checks::new(&engine);
            let (mut warnings, mut read) = (Vec::new(), HashSet::new());
            for (model, image) in &images {
                checks.check(model, &image.plan)?;
                if read.insert((&model.name, &model.folder, &image.plan.prompt)) {
                    for warning in model.words.read(&model.info, &image.plan).map_err(refused)? {
                        if !warnings.contains(&warning) {
                            warnings.push(warning);
                        }
                    }
                }
            }
            if let (Some(Mask { inpaint, .. }), Some(mask)) = (&asked.mask, &masking) {
                let sizes = images.iter().filter_map(|(_, image)| {
                    Some((image.input_size?, (image.plan.width, image.plan.height)))
                });
                // Images of one size have the same left of the mask.
                for (picture, size) in sizes.collect::<HashSet<_>>() {
                    check_mask(mask, *inpaint, asked.resize, picture, size)
                        .map_err(|why| Error::field("mask", why))?;
                }
            }
            Ok::<_, Error>((images, warnings))
        });
        let (images, warnings) = images.await??;
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
            request: record(request, &inputs, mask.as_ref(), seed, warnings),
            owner,
            priority: request.priority,
            images: stored.collect::<Result<_>>()?,
        })
    }
}

fn refused(error: diffusion_engine::Error) -> Error {
    match error {
        diffusion_engine::Error::Plan { field, message } => Error::field(field, message),
        error => Error::Invalid(error.to_string()),
    }
}

/// Does what waits for files or computes for long beside the runtime's threads.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::io("a thread of the server", std::io::Error::other(error)))
}

/// The request as it is kept: with its seed, pictures by their hashes, and warnings.
fn record(
    request: &Request,
    inputs: &[Stored],
    mask: Option<&StoredMask>,
    seed: u64,
    warnings: Vec<String>,
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
            Syntax::Long => "long",
            Syntax::A1111 => "a1111",
        },
        "clip_skip": request.clip_skip,
        "variation": request.variation.map(|(seed, strength)| Variation { seed, strength }),
        "dialect": request.dialect.name(),
        "label": request.label,
        WARNINGS: warnings,
    })
}
