//! From the rows of models to weights.

use std::path::{Component, Path, PathBuf};

use diffusion_engine::weights::Weights;
use diffusion_engine::{ModelInfo, Source};
use diffusion_jobs::models::Model;

use crate::catalogue::{Catalogue, Known, Origin};

/// The member of a row's `meta` that names its folder, relative to the folder of models.
const FOLDER: &str = "folder";

/// What hosts a model whose row names its folder.
const LOCAL: &str = "LOCAL";

/// All models that could be drawn with, with and without rows.
#[derive(Debug)]
pub(crate) struct Shelf {
    catalogue: Catalogue,
    root: Option<PathBuf>,
}

impl Shelf {
    /// Looks around, as [`Catalogue::discover`] does.
    ///
    /// # Errors
    /// The folder of models is given and cannot be read.
    pub(crate) fn discover(root: Option<&Path>) -> anyhow::Result<Self> {
        let catalogue = Catalogue::discover(root)?;
        Ok(Self { catalogue, root: root.map(Path::to_owned) })
    }

    /// What a row stands for: the folder that it names, else what is known as `OWNER/NAME`, else
    /// what is known as its name.
    ///
    /// # Errors
    /// Why there is nothing.
    pub(crate) fn known(&self, row: &Model) -> Result<Known, String> {
        if let Some(folder) = row.meta.get(FOLDER) {
            let folder = folder.as_str().ok_or_else(|| format!("meta.{FOLDER} is no path"))?;
            let source = Source::Folder(self.folder(folder)?);
            return Ok(Known { name: row.name.clone(), origin: Origin::ModelsDir, source });
        }
        let names = [format!("{}/{}", row.owner, row.name), row.name.clone()];
        let mut known = names.iter().filter_map(|name| self.named(name));
        known.next().cloned().ok_or_else(|| {
            "its weights are neither in the folder of models nor in the cache of Hugging Face"
                .to_owned()
        })
    }

    /// The model of this name that was found, whether it has a row or not.
    pub(crate) fn named(&self, name: &str) -> Option<&Known> {
        self.catalogue.all().iter().find(|known| known.name == name)
    }

    /// The models that were found and that no row stands for.
    pub(crate) fn without_row(&self, rows: &[Model]) -> Vec<Known> {
        let taken: Vec<Known> = rows.iter().filter_map(|row| self.known(row).ok()).collect();
        let free = |known: &&Known| !taken.iter().any(|taken| same(&taken.source, &known.source));
        self.catalogue.all().iter().filter(free).cloned().collect()
    }

    /// A folder that a row may name: below the folder of models, and a model.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn folder(&self, path: &str) -> Result<PathBuf, String> {
        let Some(root) = &self.root else {
            return Err("no folder of models is configured (--models-dir)".into());
        };
        let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
        let outside = || format!("{path:?} leads out of the folder of models");
        let path = Path::new(path);
        let inside = path.strip_prefix(&root).unwrap_or(path);
        if !inside.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(outside());
        }
        let missing = || format!("there is no model in {:?} of the folder of models", inside);
        let folder = root.join(inside).canonicalize().map_err(|_| missing())?;
        if !folder.starts_with(&root) {
            return Err(outside());
        }
        if folder.join("model_index.json").is_file() { Ok(folder) } else { Err(missing()) }
    }

    /// A new row for a folder that [`Shelf::folder`] found, if its model can be used.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) fn describe(
        &self,
        folder: &Path,
        name: Option<String>,
        owner: &str,
    ) -> Result<Model, String> {
        let last = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut row = Model::new(name.unwrap_or(last), owner, LOCAL);
        let root = self.root.as_ref().and_then(|root| root.canonicalize().ok()).unwrap_or_default();
        let relative = folder.strip_prefix(root).unwrap_or(folder).to_str();
        let relative = relative.ok_or("its path is not Unicode")?.replace('\\', "/");
        row.meta.insert(FOLDER.into(), relative.into());
        usable(&self.known(&row)?).map_err(|error| error.to_string())?;
        Ok(row)
    }
}

/// Whether both are the same files.
fn same(a: &Source, b: &Source) -> bool {
    match (a, b) {
        (Source::Folder(a), Source::Folder(b)) => {
            a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
        }
        (Source::Embedded { name: a, .. }, Source::Embedded { name: b, .. }) => a == b,
        _ => false,
    }
}

/// What can be told of a model whose weights are all there.
///
/// # Errors
/// A file is missing or broken, or asks for what the engine does not do.
pub(crate) fn usable(known: &Known) -> diffusion_engine::Result<ModelInfo> {
    let info = known.info()?;
    for component in ["text_encoder", "unet", "vae"] {
        Weights::open(&known.source, component)?;
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::embedded;

    fn goldens() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens")
    }

    fn shelf() -> Shelf {
        Shelf::discover(Some(&goldens())).unwrap()
    }

    fn with_folder(folder: &str) -> Model {
        let mut row = Model::new("mine", "me", "LOCAL");
        row.meta.insert(FOLDER.into(), json!(folder));
        row
    }

    #[test]
    fn rows_are_found_by_their_names() {
        let shelf = shelf();
        let (demo, _) = embedded::MODELS[0];
        for (owner, name, expected) in
            [("diffusion-server", demo, demo), ("someone", "tiny-sd1", "tiny-sd1")]
        {
            let known = shelf.known(&Model::new(name, owner, "X")).unwrap();
            assert_eq!(known.name, expected);
            usable(&known).unwrap();
        }
        let missing = Model::new("stable-diffusion-x", "nobody", "HUGGING_FACE");
        assert!(shelf.known(&missing).unwrap_err().contains("folder of models"));
    }

    #[test]
    fn rows_are_found_by_their_folder_and_never_outside() {
        let shelf = shelf();
        let known = shelf.known(&with_folder("tiny-sd2")).unwrap();
        assert_eq!(known.name, "mine");
        usable(&known).unwrap();
        for folder in ["../goldens/tiny-sd1", "/", "/etc", "..", "tiny-sd1/.."] {
            let error = shelf.known(&with_folder(folder)).unwrap_err();
            assert!(error.contains("leads out"), "{folder}: {error}");
        }
        for folder in ["", ".", "none", "tiny-sd1/unet", "\0"] {
            let error = shelf.known(&with_folder(folder)).unwrap_err();
            assert!(error.contains("there is no model"), "{folder:?}: {error}");
        }
        let nowhere = Shelf::discover(None).unwrap();
        assert!(nowhere.known(&with_folder("tiny-sd1")).unwrap_err().contains("--models-dir"));
    }

    #[test]
    fn a_model_without_weights_is_not_usable() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("half");
        for component in ["scheduler", "text_encoder", "unet", "vae", "tokenizer"] {
            std::fs::create_dir_all(copy.join(component)).unwrap();
        }
        let from = goldens().join("tiny-sd1");
        for file in [
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "unet/config.json",
            "vae/config.json",
        ] {
            std::fs::copy(from.join(file), copy.join(file)).unwrap();
        }
        let shelf = Shelf::discover(Some(folder.path())).unwrap();
        let known = shelf.named("half").unwrap();
        known.info().unwrap();
        assert!(usable(known).unwrap_err().to_string().contains("no safetensors"));
    }

    #[test]
    fn models_without_a_row_are_told() {
        let shelf = shelf();
        let names = |rows: &[Model]| {
            let free = shelf.without_row(rows).into_iter().map(|known| known.name);
            free.filter(|name| name.starts_with("tiny-sd")).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["tiny-sd1", "tiny-sd2"]);
        assert_eq!(names(&[Model::new("tiny-sd1", "me", "X")]), ["tiny-sd2"]);
        assert_eq!(names(&[with_folder("tiny-sd2")]), ["tiny-sd1"]);
    }
}
