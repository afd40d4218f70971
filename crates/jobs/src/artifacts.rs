//! Files by their content: results, the pictures they were drawn from, sample states in flight.
//!
//! `images/HASH.png`, `inputs/HASH`, `states/JOB-INDEX`. A file is written and synced before any
//! row speaks of it; files of which no row speaks are swept.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{Error, Result};

/// Files younger than this are not swept: their rows may be about to be written.
pub(crate) const FRESH: TimeDelta = TimeDelta::hours(1);

/// Where files are kept.
#[derive(Debug, Clone)]
pub struct Artifacts {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Where files lie that are being written, if that is a folder.
    folder: Option<PathBuf>,
}

/// What a stored file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A result.
    Image,
    /// A picture that a job is drawn from.
    Input,
}

impl Kind {
    fn path(self, sha256: &str) -> Path {
        match self {
            Self::Image => Path::from(format!("images/{sha256}.png")),
            Self::Input => Path::from(format!("inputs/{sha256}")),
        }
    }
}

impl Artifacts {
    /// Files below a folder, which is made where there is none. Each is synced to the disk before
    /// it counts as written.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn local(folder: &FilePath) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), folder: Some(folder.to_owned()) })
    }

    /// Stores a file and returns its hash. The same file may be stored again.
    ///
    /// # Errors
    /// The storage is full or cannot be reached.
    pub async fn put(&self, kind: Kind, bytes: Bytes) -> Result<String> {
        let sha256 = sha256(&bytes);
        if self.new_size(kind, &sha256).await? != Some(bytes.len() as u64) {
            self.store.put(&kind.path(&sha256), PutPayload::from_bytes(bytes)).await?;
        }
        Ok(sha256)
    }

    /// The size of a file that is there and new: a sweep leaves alone what is new, and nothing
    /// else.
    async fn new_size(&self, kind: Kind, hash: &str) -> Result<Option<u64>> {
        match self.store.head(&kind.path(hash)).await {
            Ok(found) => Ok((found.last_modified > Utc::now() - FRESH / 2).then_some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a file is there, and so new that no sweep takes it before its row is written.
    ///
    /// # Errors
    /// The storage cannot be reached.
    pub async fn has_new(&self, kind: Kind, hash: &str) -> Result<bool> {
        Ok(self.new_size(kind, hash).await?.is_some())
    }

    /// Reads a file. What is read is what was stored: the hash is compared.
    ///
    /// # Errors
    /// There is no such file, it is damaged, or the storage cannot be reached.
    pub async fn get(&self, kind: Kind, hash: &str) -> Result<Bytes> {
        let what = match kind {
            Kind::Image => "image file",
            Kind::Input => "input file",
        };
        let bytes = match self.store.get(&kind.path(hash)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Err(Error::not_found(what, hash)),
            Err(error) => return Err(error.into()),
        };
        if sha256(&bytes) != hash {
            return Err(Error::Damaged { what, hash: hash.to_owned() });
        }
        Ok(bytes)
    }

    /// Whether a file is there.
    ///
    /// # Errors
    /// The storage cannot be reached.
    pub async fn has(&self, kind: Kind, hash: &str) -> Result<bool> {
        match self.store.head(&kind.path(hash)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores the state of a sample in flight, in place of an earlier one.
    ///
    /// # Errors
    /// The storage is full or cannot be reached.
    pub async fn put_state(&self, job: Uuid, index: i32, bytes: Bytes) -> Result<()> {
        self.store.put(&state(job, index), PutPayload::from_bytes(bytes)).await?;
        Ok(())
    }

    /// The state of a sample in flight, where there is one.
    ///
    /// # Errors
    /// The storage cannot be reached.
    pub async fn get_state(&self, job: Uuid, index: i32) -> Result<Option<Bytes>> {
        match self.store.get(&state(job, index)).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a sample's state, if there is one.
    ///
    /// # Errors
    /// The storage cannot be reached.
    pub async fn remove_state(&self, job: Uuid, index: i32) -> Result<()> {
        match self.store.delete(&state(job, index)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what was being written when a process died, before `end`. (The store writes `NAME#N`
    /// beside the file, and does not list it.)
    pub(crate) async fn sweep_unfinished(&self, end: DateTime<Utc>) -> Result<u64> {
        let Some(folder) = self.folder.clone() else { return Ok(0) };
        let sweep = move || {
            let mut swept = 0;
            for kind in ["images", "inputs", "states", "probes"] {
                let entries = std::fs::read_dir(folder.join(kind)).into_iter().flatten();
                for path in entries.flatten().map(|entry| entry.path()) {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    let modified = path.metadata().and_then(|metadata| metadata.modified());
                    let is_old = modified.is_ok_and(|time| DateTime::<Utc>::from(time) < end);
                    if name.contains('#') && is_old && std::fs::remove_file(&path).is_ok() {
                        swept += 1;
                    }
                }
            }
            swept
        };
        Ok(tokio::task::spawn_blocking(sweep).await.unwrap_or(0))
    }

    /// Writes a small file and removes it: whether the storage takes files. A folder that is gone,
    /// as that of a disk that is no longer mounted, is not made anew.
    ///
    /// # Errors
    /// It does not.
    pub async fn check(&self) -> Result<()> {
        if let Some(folder) = &self.folder {
            let found = tokio::fs::metadata(folder).await;
            found.map_err(|error| Error::io(folder, error))?;
        }
        let path = Path::from(format!("probes/{}", Uuid::new_v4()));
        self.store.put(&path, PutPayload::from_static(b"probe")).await?;
        self.store.delete(&path).await?;
        Ok(())
    }
}

fn state(job: Uuid, index: i32) -> Path {
    Path::from(format!("states/{job}-{index}"))
}

/// The SHA-256 of bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_found_by_their_content_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::local(&folder.path().join("new")).unwrap();
        let hash = artifacts.put(Kind::Image, Bytes::from_static(b"picture")).await.unwrap();
        assert_eq!(hash, sha256(b"picture"));
        assert_eq!(artifacts.get(Kind::Image, &hash).await.unwrap(), "picture");
        assert!(artifacts.has(Kind::Image, &hash).await.unwrap());
        assert!(!artifacts.has(Kind::Input, &hash).await.unwrap());
        let file = folder.path().join(format!("new/images/{hash}.png"));
        std::fs::write(&file, "pictura").unwrap();
        assert!(matches!(artifacts.get(Kind::Image, &hash).await, Err(Error::Damaged { .. })));
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(artifacts.get(Kind::Image, &hash).await, Err(Error::NotFound { .. })));
        artifacts.check().await.unwrap();
        std::fs::remove_dir_all(folder.path().join("new")).unwrap();
        artifacts.check().await.unwrap_err();
        assert!(!folder.path().join("new").exists());
    }

    #[tokio::test]
    async fn a_hash_from_outside_is_no_way_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        let artifacts = Artifacts::local(&folder.path().join("new")).unwrap();
        for hash in ["../../secret", "..%2f..%2fsecret", "/secret", ""] {
            assert!(artifacts.get(Kind::Input, hash).await.is_err(), "{hash:?}");
        }
    }

    #[tokio::test]
    async fn states_replace_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::local(folder.path()).unwrap();
        let job = Uuid::now_v7();
        assert_eq!(artifacts.get_state(job, 0).await.unwrap(), None);
        artifacts.put_state(job, 0, Bytes::from_static(b"1")).await.unwrap();
        artifacts.put_state(job, 0, Bytes::from_static(b"2")).await.unwrap();
        assert_eq!(artifacts.get_state(job, 0).await.unwrap().unwrap(), "2");
        artifacts.remove_state(job, 0).await.unwrap();
        artifacts.remove_state(job, 0).await.unwrap();
        assert_eq!(artifacts.get_state(job, 0).await.unwrap(), None);
    }
}
