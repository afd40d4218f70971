//! What a model is known by in the files of its images, wherever its folder lies and whatever it is
//! called.
//!
//! The field takes the first ten digits of the SHA-256 of a checkpoint's one file. Ours are folders
//! of gigabytes: the SHA-256 is taken over the name, shape and first values of every tensor, and
//! the configuration of each part. It is the same on every machine and takes milliseconds; two
//! models that training or merging set apart differ in it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use diffusion_engine::weights::Weights;
use diffusion_engine::{Result, Source};
use diffusion_jobs::artifacts::sha256;

/// The parts whose weights count.
const PARTS: [&str; 3] = ["text_encoder", "unet", "vae"];
/// The files that count whole.
const FILES: [&str; 4] = [
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "unet/config.json",
    "vae/config.json",
];

/// The SHA-256 that stands for a model, in hexadecimal digits.
///
/// # Errors
/// A file is missing or broken.
pub(crate) fn of(source: &Source) -> Result<String> {
    let mut all = Vec::new();
    let mut add = |bytes: &[u8]| {
        all.extend((bytes.len() as u64).to_le_bytes());
        all.extend(bytes);
    };
    for file in FILES {
        add(file.as_bytes());
        add(&source.read(file)?.unwrap_or_default());
    }
    for part in PARTS {
        add(part.as_bytes());
        for (name, shape, head) in Weights::open(source, part)?.heads() {
            add(name.as_bytes());
            let sides: Vec<u8> =
                shape.iter().flat_map(|&side| (side as u64).to_le_bytes()).collect();
            add(&sides);
            add(head);
        }
    }
    Ok(sha256(&all))
}

/// The digits that tools of the field show.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..10).unwrap_or(hash)
}

/// The names, sizes and times of change of the files that count; empty for a model in the binary.
type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

fn stamp(source: &Source) -> Stamp {
    let Source::Folder(folder) = source else { return Stamp::new() };
    let mut all = Stamp::new();
    for part in PARTS.into_iter().chain(["scheduler"]) {
        // What cannot be looked at is said when it is read.
        for entry in std::fs::read_dir(folder.join(part)).into_iter().flatten().flatten() {
            // A cache has links to its files.
            let Ok(file) = std::fs::metadata(entry.path()) else { continue };
            all.push((entry.path(), file.len(), file.modified().ok()));
        }
    }
    all.sort();
    all
}

/// Fingerprints that were taken already, by the places of their models.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints(Mutex<HashMap<PathBuf, (Stamp, String)>>);

impl Fingerprints {
    /// As [`of`], taken anew only where a file has changed.
    ///
    /// # Errors
    /// Those of [`of`].
    pub(crate) fn of(&self, source: &Source) -> Result<String> {
        let (place, stamp) = (source.path(""), stamp(source));
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, hash)) = lock().get(&place)
            && *known == stamp
        {
            return Ok(hash.clone());
        }
        let hash = of(source)?;
        lock().insert(place, (stamp, hash.clone()));
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn models_are_told_apart_and_known_again() {
        let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens");
        let tiny = |name: &str| Source::Folder(goldens.join(name));
        let known = Fingerprints::default();
        let one = known.of(&tiny("tiny-sd1")).unwrap();
        assert_eq!(one.len(), 64);
        assert_eq!(short(&one).len(), 10);
        assert_eq!(known.of(&tiny("tiny-sd1")).unwrap(), one);
        assert_eq!(of(&tiny("tiny-sd1")).unwrap(), one);
        assert_ne!(of(&tiny("tiny-sd2")).unwrap(), one);
        assert!(of(&tiny("none")).is_err());
    }

    #[test]
    fn changed_files_are_noticed() {
        let goldens =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens/tiny-sd1");
        let folder = tempfile::TempDir::new().unwrap();
        for part in PARTS.into_iter().chain(["scheduler"]) {
            std::fs::create_dir(folder.path().join(part)).unwrap();
            for entry in std::fs::read_dir(goldens.join(part)).unwrap() {
                let name = entry.unwrap().file_name();
                let to = folder.path().join(part).join(&name);
                std::fs::copy(goldens.join(part).join(name), to).unwrap();
            }
        }
        let source = Source::Folder(folder.path().to_owned());
        let known = Fingerprints::default();
        let one = known.of(&source).unwrap();
        let file = folder.path().join(FILES[0]);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text} ")).unwrap();
        let other = known.of(&source).unwrap();
        assert_ne!(other, one);
        // Of the same length, at another time.
        std::fs::write(&file, format!("{text}\n")).unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
        assert_eq!(known.of(&source).unwrap(), of(&source).unwrap());
        assert_ne!(known.of(&source).unwrap(), other);
    }
}
