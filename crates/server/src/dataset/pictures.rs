//! From the path of an image's row to its bytes, never outside of the configured folders.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use diffusion_engine::images::Limits;

use crate::config::Storage;
use crate::embedded;

/// Where the sample pictures in the binary are, as a path.
pub(super) const SAMPLES: &str = "samples/";

/// The folders in which images are looked for, in this order.
#[derive(Debug, Clone)]
pub(crate) struct Pictures {
    roots: Vec<PathBuf>,
}

/// Where the bytes of an image are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Picture {
    /// A file below one of the folders, without symbolic links in its path.
    File(PathBuf),
    /// In the binary.
    Embedded(&'static [u8]),
}

/// Why there is no image at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is no such file.
    NotThere,
    /// It is a folder, a device, …
    NoFile,
    /// It leads out of the folders of images.
    Outside,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotThere => "there is no such file in the folders of images",
            Self::NoFile => "it is not a regular file",
            Self::Outside => "it leads out of the folders of images",
        })
    }
}

impl Pictures {
    /// The folders of a configuration; the first is that which takes what is uploaded.
    pub(crate) fn new(storage: &Storage) -> Self {
        Self {
            roots: std::iter::once(storage.images())
                .chain(storage.image_roots.iter().cloned())
                .collect(),
        }
    }

    /// The folder that takes what is uploaded.
    pub(crate) fn own(&self) -> &Path {
        &self.roots[0]
    }

    /// Looks for the image: among the samples in the binary, then in each folder.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn find(&self, path: &str) -> Result<Picture, Missing> {
        let sample = path.strip_prefix(SAMPLES);
        let sample = embedded::SAMPLES.iter().find(|(name, _)| Some(*name) == sample);
        if let Some((_, bytes)) = sample {
            return Ok(Picture::Embedded(bytes));
        }
        let path = Path::new(path);
        // What leads upwards is refused as it is written, whatever is there.
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(Missing::Outside);
        }
        let tried = self.roots.iter().filter_map(|root| {
            let canonical = root.canonicalize().ok()?;
            let inside = path.strip_prefix(root).or_else(|_| path.strip_prefix(&canonical));
            match inside {
                Ok(inside) => Some(below(&canonical, inside)),
                // Nothing is told of what lies elsewhere, not even whether it is there.
                Err(_) if path.has_root() || path.is_absolute() => None,
                Err(_) => Some(below(&canonical, path)),
            }
        });
        let elsewhere = path.has_root() || path.is_absolute();
        let mut missing = if elsewhere { Missing::Outside } else { Missing::NotThere };
        for found in tried {
            match found {
                Ok(file) => return Ok(Picture::File(file)),
                // A reason beats the mere absence from another folder.
                Err(Missing::NotThere) if missing != Missing::Outside || elsewhere => {
                    missing = Missing::NotThere;
                }
                Err(why) => missing = why,
            }
        }
        Err(missing)
    }

    /// The path under which a row finds this file; `None` where it lies outside of the folders.
    pub(crate) fn path_of(&self, file: &Path) -> Option<String> {
        let file = file.canonicalize().ok()?;
        let text = file.to_str()?;
        let Ok(found) = self.find(text) else { return None };
        let relative = self.roots.iter().find_map(|root| {
            let inside = file.strip_prefix(root.canonicalize().ok()?).ok()?;
            Some(inside.to_str()?.replace('\\', "/"))
        });
        // Another folder may have a file of the same path.
        let relative = relative.filter(|path| self.find(path).as_ref() == Ok(&found));
        Some(relative.unwrap_or_else(|| text.to_owned()))
    }
}

/// The file at a relative path below a folder that has no symbolic links in its own path.
fn below(root: &Path, path: &Path) -> Result<PathBuf, Missing> {
    let file = root.join(path).canonicalize().map_err(|_| Missing::NotThere)?;
    if !file.starts_with(root) {
        return Err(Missing::Outside);
    }
    if file.is_file() { Ok(file) } else { Err(Missing::NoFile) }
}

impl Picture {
    /// The encoded image.
    ///
    /// # Errors
    /// The file cannot be read, or is larger than any image that is decoded.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Embedded(bytes) => Ok(bytes.to_vec()),
            Self::File(path) => read(path),
        }
    }
}

/// A file, if it is not larger than any image that is decoded.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = Limits::default().max_bytes;
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let message = format!("larger than {} MiB", most >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two folders of images beside a secret.
    fn place() -> (tempfile::TempDir, Pictures) {
        let place = tempfile::tempdir().unwrap();
        for file in ["data/images/a.png", "data/images/both.png", "more/sub/b.png", "more/both.png"]
        {
            let file = place.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, file.to_str().unwrap()).unwrap();
        }
        std::fs::write(place.path().join("secret"), "").unwrap();
        let storage = Storage {
            data: place.path().join("data"),
            image_roots: vec![place.path().join("more"), place.path().join("missing")],
            ..Storage::default()
        };
        (place, Pictures::new(&storage))
    }

    #[test]
    fn files_are_found_below_the_folders() {
        let (place, pictures) = place();
        let found = |path: &str| match pictures.find(path) {
            Ok(Picture::File(file)) => {
                let root = place.path().canonicalize().unwrap();
                file.strip_prefix(root).unwrap().to_str().unwrap().to_owned()
            }
            other => format!("{other:?}"),
        };
        assert_eq!(found("a.png"), "data/images/a.png");
        assert_eq!(found("sub/b.png"), "more/sub/b.png");
        assert_eq!(found("./sub/./b.png"), "more/sub/b.png");
        assert_eq!(found("both.png"), "data/images/both.png");
        assert_eq!(found(place.path().join("more/both.png").to_str().unwrap()), "more/both.png");
        let (name, bytes) = embedded::SAMPLES[0];
        assert_eq!(pictures.find(&format!("samples/{name}")), Ok(Picture::Embedded(bytes)));
    }

    #[test]
    fn nothing_is_found_outside() {
        let (place, pictures) = place();
        let secret = place.path().join("secret");
        let up = place.path().join("more/../secret");
        for path in ["../secret", "sub/../../secret", "sub/../both.png", "/etc/passwd", "/", "/no"]
            .map(str::to_owned)
            .into_iter()
            .chain([secret.display().to_string(), up.display().to_string()])
        {
            assert_eq!(pictures.find(&path), Err(Missing::Outside), "{path}");
        }
        for path in ["c.png", "samples/none", "a.png/b", "\0", "a.png\0"] {
            assert_eq!(pictures.find(path), Err(Missing::NotThere), "{path:?}");
        }
        for path in ["", ".", "sub"] {
            assert_eq!(pictures.find(path), Err(Missing::NoFile), "{path:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_a_folder_are_not_followed() {
        use std::os::unix::fs::symlink;

        let (place, pictures) = place();
        symlink(place.path().join("secret"), place.path().join("more/link")).unwrap();
        symlink(place.path(), place.path().join("more/up")).unwrap();
        symlink("b.png", place.path().join("more/sub/within")).unwrap();
        assert_eq!(pictures.find("link"), Err(Missing::Outside));
        assert_eq!(pictures.find("up/secret"), Err(Missing::Outside));
        let file = place.path().canonicalize().unwrap().join("more/sub/b.png");
        assert_eq!(pictures.find("sub/within"), Ok(Picture::File(file)));
    }

    #[test]
    fn a_file_has_the_path_that_finds_it() {
        let (place, pictures) = place();
        let path_of = |file: &str| pictures.path_of(&place.path().join(file));
        assert_eq!(path_of("data/images/a.png").as_deref(), Some("a.png"));
        assert_eq!(path_of("more/sub/../sub/b.png").as_deref(), Some("sub/b.png"));
        let absolute = path_of("more/both.png").unwrap();
        let Ok(Picture::File(file)) = pictures.find(&absolute) else { panic!("{absolute}") };
        assert!(file.ends_with("more/both.png"), "{file:?}");
        assert_eq!(path_of("secret"), None);
        assert_eq!(path_of("missing"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_found_lies_below_a_folder(
            path in "(/|\\./|\\.\\./|sub|both\\.png|a\\.png|more|secret|data|\u{0}|ü){0,8}",
        ) {
            let (place, pictures) = place();
            if let Ok(Picture::File(file)) = pictures.find(&path) {
                let root = place.path().canonicalize().unwrap();
                prop_assert!(file.starts_with(root.join("data/images")) || file.starts_with(root.join("more")));
            }
        }
    }
}
