//! Which images may have killed a worker: those that its device was working on, and those that were
//! being prepared for it or encoded after it.
//!
//! Before each action their names are written over the worker's own small file, without a sync: the file outlives the process, which is all that it is for. The next worker reads the
//! files that are left.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::runtime::TaskId;

/// The file of one worker.
#[derive(Debug)]
pub(super) struct Blame {
    path: PathBuf,
    names: Mutex<Names>,
}

/// What the file says.
#[derive(Debug)]
struct Names {
    file: File,
    /// What the device works on.
    device: Vec<TaskId>,
    /// What is worked on beside it.
    beside: Vec<TaskId>,
}

/// An image is worked on outside the device until this is dropped.
#[derive(Debug)]
pub(super) struct Beside<'a> {
    blame: &'a Blame,
    id: TaskId,
}

/// Bytes of one name: a job and a place in it.
const NAME: usize = 20;

impl Blame {
    /// Begins a worker's file.
    pub(super) fn new(folder: &Path, lease: Uuid) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(lease.to_string());
        let file = File::create(&path)?;
        let names = Mutex::new(Names { file, device: Vec::new(), beside: Vec::new() });
        Ok(Self { path, names })
    }

    /// The device is about to work on these, and on no others.
    pub(super) fn on(&self, ids: &[TaskId]) {
        let mut names = self.names();
        names.device = ids.to_vec();
        names.write();
    }

    /// An image is about to be worked on outside the device.
    pub(super) fn beside(&self, id: TaskId) -> Beside<'_> {
        let mut names = self.names();
        names.beside.push(id);
        names.write();
        Beside { blame: self, id }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker ends in order.
    pub(super) fn end(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        let mut names = self.blame.names();
        if let Some(at) = names.beside.iter().position(|id| *id == self.id) {
            names.beside.swap_remove(at);
        }
        names.write();
    }
}

impl Names {
    fn write(&self) {
        let count = self.device.len() + self.beside.len();
        let mut bytes = Vec::with_capacity(4 + NAME * count);
        bytes.extend((count as u32).to_le_bytes());
        for id in self.device.iter().chain(&self.beside) {
            bytes.extend(id.job.as_bytes());
            bytes.extend(id.index.to_le_bytes());
        }
        // Without it, what kills a worker is tried once more.
        let _ = write_at_start(&self.file, &bytes);
    }
}

#[cfg(unix)]
fn write_at_start(file: &File, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, 0)
}

#[cfg(not(unix))]
fn write_at_start(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    use std::io::{Seek, Write};
    file.rewind()?;
    file.write_all(bytes)
}

/// What the workers were working on whose files are left, and the files, to be removed when that is
/// recorded.
pub(super) fn left(folder: &Path) -> (Vec<(Uuid, i32)>, Vec<PathBuf>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    let names = files.iter().filter_map(|path| fs::read(path).ok()).flat_map(|bytes| names(&bytes));
    (names.collect(), files)
}

/// The names in a file; none of one that is cut off or foreign.
fn names(bytes: &[u8]) -> Vec<(Uuid, i32)> {
    let Some((count, names)) = bytes.split_first_chunk::<4>() else { return Vec::new() };
    let count = u32::from_le_bytes(*count) as usize;
    let name = |name: &[u8]| {
        let (job, index) = name.split_first_chunk::<16>()?;
        let index = u32::from_le_bytes(index.try_into().ok()?);
        Some((Uuid::from_bytes(*job), i32::try_from(index).ok()?))
    };
    names.chunks_exact(NAME).take(count).filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(index: u32) -> TaskId {
        TaskId { job: Uuid::from_u128(7), index }
    }

    #[test]
    fn what_was_worked_on_last_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        assert_eq!(left(&folder).0, []);
        let blame = Blame::new(&folder, Uuid::from_u128(1)).unwrap();
        assert_eq!(left(&folder).0, []);
        blame.on(&[id(1), id(2), id(3)]);
        blame.on(&[id(4)]);
        assert_eq!(left(&folder).0, [(Uuid::from_u128(7), 4)]);
        let beside = blame.beside(id(5));
        blame.on(&[]);
        assert_eq!(left(&folder).0, [(Uuid::from_u128(7), 5)]);
        drop(beside);
        assert_eq!(left(&folder).0, []);
        blame.end();
        assert!(left(&folder).1.is_empty(), "it ended in order");
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>) {
            prop_assert!(names(&bytes).len() <= bytes.len() / NAME);
        }
    }
}
