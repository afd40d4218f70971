//! Files that are whole or not there.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;

/// The files that are being written. A file is made, and gets its name, only under this lock.
static PARTIAL: Partial = Partial(Mutex::new(BTreeSet::new()));

/// Writes a file under a temporary name beside it, then renames it. What a link leads to is
/// written, and the link stays; a device or a pipe is written to as it is.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = match std::fs::metadata(path) {
        Ok(there) if there.is_file() => {
            path.canonicalize().and_then(|path| PARTIAL.write(&path, |file| file.write_all(bytes)))
        }
        Ok(there) if !there.is_dir() => {
            File::options().write(true).open(path).and_then(|mut file| file.write_all(bytes))
        }
        _ => PARTIAL.write(path, |file| file.write_all(bytes)),
    };
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Removes what is being written. No file is begun or gets its name until the result is dropped:
/// with it in hand, the process can end at any point of a write.
#[must_use]
pub(crate) fn discard() -> impl Drop {
    PARTIAL.discard()
}

struct Partial(Mutex<BTreeSet<PathBuf>>);

impl Partial {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        // Each change of the set is one call, so it is right even where a thread panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        // Temporary files are private to the user; results are as any file that the user writes.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut partial = self.lock();
        let mut file = builder.prefix(".partial-").tempfile_in(folder)?;
        let name = file.path().to_owned();
        partial.insert(name.clone());
        drop(partial);

        let filled = fill(file.as_file_mut());
        let mut partial = self.lock();
        // A file that gets no name is removed here.
        let named = filled.and_then(|()| file.persist(path).map(drop).map_err(Into::into));
        partial.remove(&name);
        named
    }

    fn discard(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        let partial = self.lock();
        for file in partial.iter() {
            // Nothing more can be done about one that stays.
            let _ = std::fs::remove_file(file);
        }
        partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("taken");
        std::fs::create_dir(&target).unwrap();
        assert!(write(&target, b"image").is_err());
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::fs::write(&target, b"old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        // A device that is somebody's link, so that nothing can be lost if this fails.
        let null = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        write(&null, b"gone").unwrap();
        assert!(null.is_symlink() && std::fs::read(&null).unwrap().is_empty());
    }

    #[test]
    fn what_is_discarded_while_it_is_written_is_gone() {
        let partial = Partial(Mutex::default());
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("new/image.png");
        let written = partial.write(&target, |file| {
            file.write_all(b"half")?;
            let [name] = &names(&folder.path().join("new"))[..] else { panic!("one file") };
            assert!(name.starts_with(".partial-"), "{name}");
            drop(partial.discard());
            assert!(names(&folder.path().join("new")).is_empty());
            file.write_all(b" and half")
        });
        assert!(written.is_err(), "what was discarded gets no name");
        assert!(names(&folder.path().join("new")).is_empty());
        assert!(partial.lock().is_empty());
    }

    #[test]
    fn nothing_is_begun_or_named_while_a_discard_is_held() {
        let partial = Partial(Mutex::default());
        let discarded = partial.discard();
        assert!(partial.0.try_lock().is_err());
        drop(discarded);
        let folder = tempfile::tempdir().unwrap();
        partial.write(&folder.path().join("a"), |file| file.write_all(b"a")).unwrap();
        assert_eq!(names(folder.path()), ["a"]);
    }
}
