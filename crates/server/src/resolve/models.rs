//! The models that a request names, and what their files say.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use diffusion_engine::{ModelInfo, Source};
use diffusion_jobs::request::Kind;
use diffusion_jobs::{Error, Request};

use super::words::{Tokenizers, Words};
use super::{Resolver, Result, aside};
use crate::catalogue::Known;
use crate::dataset::{self, Shelf, usable};

/// A model that was found, with what its configuration says.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) name: String,
    /// Where it lies, unless it is in the binary.
    pub(super) folder: Option<PathBuf>,
    pub(super) info: Arc<ModelInfo>,
    pub(super) words: Arc<Words>,
}

/// What the files of models say, read again only when they have changed.
#[derive(Debug, Default)]
pub(super) struct Infos {
    read: Mutex<HashMap<Place, Said>>,
    tokenizers: Arc<Tokenizers>,
}

/// What a model's files said when they were as the stamp has them.
#[derive(Debug, Clone)]
struct Said {
    stamp: Stamp,
    info: Arc<ModelInfo>,
    words: Arc<Words>,
}

/// A model's name, and where it lies.
type Place = (String, String);

/// The files of a model's folder: sizes and times.
type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// The folders of a model that are read, beside its own.
const PARTS: [&str; 6] = ["", "scheduler", "text_encoder", "tokenizer", "unet", "vae"];

impl Infos {
    /// A model, if it can be used. Looks at files.
    ///
    /// # Errors
    /// As [`usable`].
    fn found(&self, known: Known) -> diffusion_engine::Result<Found> {
        let folder = match &known.source {
            Source::Folder(folder) => {
                Some(folder.canonicalize().unwrap_or_else(|_| folder.clone()))
            }
            Source::Embedded { .. } => None,
        };
        let now = folder.as_deref().map(stamp).unwrap_or_default();
        let key = (known.name.clone(), known.location());
        let cached = {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.get(&key).filter(|said| said.stamp == now).cloned()
        };
        let Said { info, words, .. } = match cached {
            Some(said) => said,
            None => {
                let info = Arc::new(usable(&known)?);
                let words = Arc::new(Words::new(known.source, self.tokenizers.clone()));
                let said = Said { stamp: now, info, words };
                let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
                read.insert(key, said.clone());
                said
            }
        };
        Ok(Found { name: known.name, folder, info, words })
    }
}

/// What there is in a model's folder now.
fn stamp(folder: &Path) -> Stamp {
    let entries = PARTS.iter().filter_map(|part| std::fs::read_dir(folder.join(part)).ok());
    let files = entries.flatten().flatten().filter_map(|entry| {
        // Of what a link leads to, as in the cache of Hugging Face.
        let metadata = std::fs::metadata(entry.path()).ok().filter(|found| found.is_file())?;
        Some((entry.path(), metadata.len(), metadata.modified().ok()))
    });
    let mut files: Stamp = files.collect();
    files.sort();
    files
}

impl Resolver {
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
    pub(super) async fn models(&self, request: &Request) -> Result<Vec<Found>> {
        let root = self.models_dir.clone();
        let shelf = aside(move || Shelf::discover(root.as_deref())).await?;
        let shelf = Arc::new(shelf.map_err(|error| Error::Invalid(format!("{error:#}")))?);
        if request.models.is_empty() {
            let rows = self.database.models().all().await?;
            let (infos, random) = (self.infos.clone(), request.kind == Kind::Random);
            let found: Vec<Found> = aside(move || {
                let known = dataset::models_at_hand(&rows, &shelf).into_iter();
                known
                    .filter_map(|known| infos.found(known).ok())
                    .take(if random { usize::MAX } else { 1 })
                    .collect()
            })
            .await?;
            if found.is_empty() {
                let message = "no model is available: see /api/v1/models, and add one";
                return Err(Error::field("models", message));
            }
            return Ok(found);
        }
        let mut found = Vec::new();
        for (i, name) in request.models.iter().enumerate() {
            let field = format!("models[{i}]");
            let row = match self.database.models().find_one(name).await {
                Ok(row) => Some(row),
                Err(Error::NotFound { .. }) => None,
                Err(Error::Conflict(why)) => return Err(Error::field(field, why)),
                Err(error) => return Err(error),
            };
            let (infos, shelf, called) = (self.infos.clone(), shelf.clone(), name.clone());
            let usable = aside(move || {
                let known = match row {
                    Some(row) => {
                        shelf.known(&row).map_err(|why| format!("is not available: {why}"))
                    }
                    None => shelf
                        .named(&called)
                        .cloned()
                        .ok_or_else(|| "is not known here; see /api/v1/models".into()),
                };
                infos.found(known?).map_err(|error| format!("cannot be used: {error}"))
            });
            let usable = usable.await?;
            found.push(usable.map_err(|why| Error::field(field, format!("{name:?} {why}")))?);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Origin;

    #[test]
    fn a_changed_folder_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens/tiny-sd1");
        for part in PARTS {
            std::fs::create_dir_all(folder.path().join(part)).unwrap();
            for entry in std::fs::read_dir(from.join(part)).unwrap().map(Result::unwrap) {
                if entry.path().is_file() {
                    let to = folder.path().join(part).join(entry.file_name());
                    std::fs::copy(entry.path(), to).unwrap();
                }
            }
        }
        let source = Source::Folder(folder.path().to_owned());
        let known = Known { name: "m".into(), origin: Origin::ModelsDir, source };
        let infos = Infos::default();
        let first = infos.found(known.clone()).unwrap().info;
        let again = infos.found(known.clone()).unwrap().info;
        assert!(Arc::ptr_eq(&first, &again), "read once while nothing changes");
        let file = folder.path().join("scheduler/scheduler_config.json");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text + "\n").unwrap();
        let changed = infos.found(known.clone()).unwrap().info;
        assert!(!Arc::ptr_eq(&first, &changed), "a file has changed");
        std::fs::remove_file(folder.path().join("unet/config.json")).unwrap();
        assert!(infos.found(known).is_err(), "a file is missing");
    }
}
