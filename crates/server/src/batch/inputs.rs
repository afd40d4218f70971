//! The pictures of a run.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::embedded;
use crate::encode::Format;

/// One picture.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// Its path, for the summary.
    pub(super) path: String,
    /// Its file name.
    pub(super) name: String,
    pub(super) content: Content,
}

/// Where a picture's bytes are.
#[derive(Debug, Clone)]
pub(super) enum Content {
    File(PathBuf),
    Embedded(&'static [u8]),
}

/// Endings of the files that a folder is searched for.
const ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff"];

/// The sample pictures in the binary.
pub(crate) fn shipped_inputs() -> Vec<Input> {
    embedded::SAMPLES
        .iter()
        .map(|&(name, bytes)| Input {
            path: format!("samples/{name}"),
            name: name.to_owned(),
            content: Content::Embedded(bytes),
        })
        .collect()
}

/// The pictures at these paths: files as they are, folders searched (not their sub-folders). What
/// is named like a picture and is none is found as well, so that it is told of. Left out are hidden
/// files, and what an earlier run made of a picture in the same folder.
///
/// # Errors
/// A path does not exist, or there is no picture at all.
pub(crate) fn find_inputs(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for path in paths {
        let context = || path.display().to_string();
        if !std::fs::metadata(path).with_context(context)?.is_dir() {
            inputs.push(Input::file(path.clone()));
            continue;
        }
        let mut files: Vec<PathBuf> = std::fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .with_context(context)?;
        files.retain(|file| is_picture(file) && !file.is_dir());
        files.sort();
        let made: HashSet<String> =
            output_names(files.iter().map(|file| name_of(file)).collect::<Vec<_>>().iter())
                .into_iter()
                .collect();
        let is_made = |file: &Path| {
            let ending = file.extension().unwrap_or_default().to_string_lossy();
            Format::named(&ending).is_some() && made.contains(&name_of(&file.with_extension("png")))
        };
        files.retain(|file| !is_made(file));
        inputs.extend(files.into_iter().map(Input::file));
    }
    if inputs.is_empty() {
        bail!(
            "no pictures ({}) in {}",
            ENDINGS.join(", "),
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        );
    }
    Ok(inputs)
}

impl Input {
    fn file(path: PathBuf) -> Self {
        Self {
            path: path.display().to_string(),
            name: name_of(&path),
            content: Content::File(path),
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_picture(path: &Path) -> bool {
    if name_of(path).starts_with('.') {
        return false;
    }
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    ENDINGS.contains(&&*ending)
}

/// `<stem>-diffusion.png` for each file name; where stems repeat, the later ones carry a number.
pub(crate) fn output_names(inputs: impl Iterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut taken = HashSet::new();
    inputs
        .map(|name| {
            let stem = Path::new(name.as_ref()).file_stem().unwrap_or_default().to_string_lossy();
            // Names of models may hold slashes.
            let stem = stem.replace(['/', '\\'], "-");
            (1..)
                .map(|i| match i {
                    1 => format!("{stem}-diffusion.png"),
                    _ => format!("{stem}-{i}-diffusion.png"),
                })
                // Some file systems do not tell upper case from lower.
                .find(|name| taken.insert(name.to_lowercase()))
                .unwrap_or_default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_never_share_a_name() {
        let names = ["a.jpg", "a.png", "A.png", "a-2.png", "b.jpg"];
        assert_eq!(
            output_names(names.into_iter()),
            [
                "a-diffusion.png",
                "a-2-diffusion.png",
                "A-3-diffusion.png",
                "a-2-2-diffusion.png",
                "b-diffusion.png",
            ]
        );
    }

    #[test]
    fn a_folder_is_searched_for_pictures_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.PNG", "a.jpeg", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let inputs = find_inputs(&[folder.path().to_owned()]).unwrap();
        let names: Vec<_> = inputs.iter().map(|input| &*input.name).collect();
        assert_eq!(names, ["a.jpeg", "b.PNG"]);
        assert!(find_inputs(&[folder.path().join("missing")]).is_err());
        for name in ["a-diffusion.png", ".b.png", "c-diffusion.png"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("d.png")).unwrap();
        let inputs = find_inputs(&[folder.path().to_owned()]).unwrap();
        let names: Vec<_> = inputs.iter().map(|input| &*input.name).collect();
        assert_eq!(names, ["a.jpeg", "b.PNG", "c-diffusion.png"], "what was made of a.jpeg is not");
        for name in ["a-diffusion.png", "c-diffusion.png"] {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
        std::fs::remove_file(folder.path().join("b.PNG")).unwrap();
        std::fs::remove_file(folder.path().join("a.jpeg")).unwrap();
        assert!(find_inputs(&[folder.path().to_owned()]).is_err());
    }
}
