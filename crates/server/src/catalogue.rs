//! The models at hand: those in the binary, in a folder of the user's, in the Hugging Face cache.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use diffusion_engine::{ModelInfo, Source};
use serde::Serialize;

use crate::embedded;
use crate::output::one_line;

/// A model that can be asked for by name.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) source: Source,
}

/// Where a model was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// In the binary.
    Embedded,
    /// Below the folder of models.
    ModelsDir,
    /// In the cache that Hugging Face's tools fill.
    HuggingFaceCache,
    /// A folder named on the command line.
    Folder,
}

/// The models at hand.
#[derive(Debug)]
pub(crate) struct Catalogue {
    known: Vec<Known>,
}

impl Catalogue {
    /// Looks around. `models_dir` is a folder whose sub-folders are models.
    ///
    /// # Errors
    /// `models_dir` is given and cannot be read.
    pub(crate) fn discover(models_dir: Option<&Path>) -> anyhow::Result<Self> {
        let mut known: Vec<Known> = embedded::MODELS
            .iter()
            .map(|&(name, files)| Known {
                name: name.to_owned(),
                origin: Origin::Embedded,
                source: Source::Embedded { name, files },
            })
            .collect();
        if let Some(folder) = models_dir {
            for path in sub_folders(folder).with_context(|| folder.display().to_string())? {
                push(&mut known, file_name(&path), Origin::ModelsDir, path);
            }
        }
        for (name, path) in hugging_face_cache() {
            push(&mut known, name, Origin::HuggingFaceCache, path);
        }
        Ok(Self { known })
    }

    /// All models.
    pub(crate) fn all(&self) -> &[Known] {
        &self.known
    }

    /// The models that a random draw chooses from when none is named: the embedded ones and those
    /// in the user's folder. What happens to lie in a cache was not put there for us. One that
    /// cannot be used is left out with a warning.
    pub(crate) fn at_hand(&self) -> impl Iterator<Item = Known> {
        let candidates = self.known.iter().filter(|m| m.origin != Origin::HuggingFaceCache);
        candidates.filter(|model| is_usable(model)).cloned()
    }

    /// The model of this name, or in this folder.
    ///
    /// # Errors
    /// There is no such name and no such folder.
    pub(crate) fn find(&self, name: &str) -> anyhow::Result<Known> {
        if let Some(model) = self.known.iter().find(|model| model.name == name) {
            return Ok(model.clone());
        }
        let path = PathBuf::from(name);
        if path.is_dir() {
            if !path.join("model_index.json").exists() {
                bail!(
                    "{} has no model_index.json: a model is a folder as diffusers saves it, with \
                     that file and unet, vae, text_encoder, tokenizer and scheduler beside it",
                    path.display()
                );
            }
            return Ok(Known {
                name: path.canonicalize().map_or_else(|_| name.to_owned(), |p| file_name(&p)),
                origin: Origin::Folder,
                source: Source::Folder(path),
            });
        }
        let names: Vec<&str> = self.known.iter().map(|model| model.name.as_str()).collect();
        bail!(
            "no model or folder is called {name:?}; known models: {}",
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        )
    }
}

impl Known {
    /// What the model's configuration says.
    pub(crate) fn info(&self) -> diffusion_engine::Result<ModelInfo> {
        ModelInfo::read(&self.source)
    }

    /// Whether it is the one that is taken where none is named, as long as it is at hand.
    pub(crate) fn is_default(&self) -> bool {
        let first = embedded::MODELS.first();
        self.origin == Origin::Embedded && first.is_some_and(|(name, _)| *name == self.name)
    }

    /// Where the model lies, for people.
    pub(crate) fn location(&self) -> String {
        match &self.source {
            Source::Folder(path) => path.display().to_string(),
            Source::Embedded { .. } => "embedded".to_owned(),
        }
    }
}

fn is_usable(model: &Known) -> bool {
    let info = model.info();
    if let Err(error) = &info {
        let warning = format!("model {} is left out: {error}", model.name);
        eprintln!("warning: {}", one_line(&warning));
    }
    info.is_ok()
}

fn push(known: &mut Vec<Known>, name: String, origin: Origin, path: PathBuf) {
    let is_new = known.iter().all(|model| model.name != name);
    if is_new && path.join("model_index.json").is_file() {
        known.push(Known { name, origin, source: Source::Folder(path) });
    }
}

/// Models in Hugging Face's cache: `models--OWNER--NAME/snapshots/REVISION`.
fn hugging_face_cache() -> Vec<(String, PathBuf)> {
    let hub = std::env::var_os("HF_HUB_CACHE").map(PathBuf::from).or_else(|| {
        std::env::var_os("HF_HOME")
            .map(|home| PathBuf::from(home).join("hub"))
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache/huggingface/hub")))
    });
    let Some(Ok(repositories)) = hub.map(|hub| sub_folders(&hub)) else { return Vec::new() };
    repositories
        .into_iter()
        .filter_map(|repository| {
            let name = file_name(&repository).strip_prefix("models--")?.replace("--", "/");
            let revision = std::fs::read_to_string(repository.join("refs/main")).ok()?;
            Some((name, repository.join("snapshots").join(revision.trim())))
        })
        .collect()
}

fn sub_folders(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.is_dir());
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
