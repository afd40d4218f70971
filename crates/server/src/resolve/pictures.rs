//! The pictures that a request names or brings: found, checked, stored under their hashes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use diffusion_engine::images::{Limits, RgbImage, decode, decode_mask};
use diffusion_jobs::artifacts::Kind as FileKind;
use diffusion_jobs::request::{Input, Kind, Mask};
use diffusion_jobs::{Error, Request};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::images::few;
use super::{Resolver, Result, aside};
use crate::dataset::{self, Picture};
use crate::places::place;
use crate::plan::StoredMask;

/// A picture to start from, stored.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// Its path in the data set, or what the request calls it.
    pub(super) path: Option<String>,
    /// The file name of what is made of it is made of this.
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) size: (u32, u32),
}

/// Pictures of the data set that are read at once.
const AT_ONCE: usize = 4;

/// Pictures whose hashes are known, at the most.
const MOST_SEEN: usize = 20_000;

/// A file that changed later than this before it was read may change once more within the same
/// tick of its file system's clock.
const SETTLED: Duration = Duration::from_secs(2);

/// The pictures of the data set that were read and decoded already.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<PathBuf, (Stamp, Content)>>);

/// Size and time of a file.
type Stamp = (u64, SystemTime);

/// What was found in a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    sha256: String,
    size: (u32, u32),
}

impl Seen {
    fn look(&self, file: &PathBuf, stamp: Stamp) -> Option<Content> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(file).filter(|(before, _)| *before == stamp).map(|(_, content)| content.clone())
    }

    fn keep(&self, file: PathBuf, stamp: Stamp, content: Content) {
        let is_settled = SystemTime::now().duration_since(stamp.1).is_ok_and(|age| age > SETTLED);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST_SEEN {
            seen.clear();
        }
        if is_settled {
            seen.insert(file, (stamp, content));
        } else {
            seen.remove(&file);
        }
    }
}

/// The file of a picture, and how it is now; `None` for one in the binary.
fn stamp(picture: &Picture) -> Option<(PathBuf, Stamp)> {
    let Picture::File(file) = picture else { return None };
    let metadata = std::fs::metadata(file).ok()?;
    Some((file.clone(), (metadata.len(), metadata.modified().ok()?)))
}

impl Resolver {
    /// The pictures that are named or sent, or the whole data set; each stored.
    pub(super) async fn inputs(&self, request: &Request) -> Result<Vec<Stored>> {
        if request.inputs.is_empty() {
            if request.kind != Kind::Random {
                return Ok(Vec::new());
            }
            let (rows, pictures) = (self.database.images().all().await?, self.pictures.clone());
            let rows = aside(move || dataset::images_at_hand(rows, &pictures)).await?;
            few(request, rows.len().saturating_mul(request.count as usize))?;
            let stored = rows.into_iter().map(async |(row, picture)| {
                let stored = self.read(picture, &row.path, &row.name).await;
                // One that cannot be read costs only itself: it is no longer available.
                match stored {
                    Err(error @ (Error::Invalid(_) | Error::Io { .. })) => {
                        tracing::warn!(image = row.path, %error, "left out of the draw");
                        Ok(None)
                    }
                    stored => stored.map(Some),
                }
            });
            let stored: Vec<_> = stream::iter(stored).buffered(AT_ONCE).try_collect().await?;
            let inputs: Vec<Stored> = stored.into_iter().flatten().collect();
            if inputs.is_empty() {
                return Err(Error::field("images", "no image of the data set is available"));
            }
            return Ok(inputs);
        }
        // Before they are looked for.
        let mut images = request.inputs.len().saturating_mul(request.count as usize);
        if request.kind != Kind::Random {
            images = images.saturating_mul(request.models.len().max(1) * request.prompts.len());
        }
        few(request, images)?;
        let mut inputs = Vec::new();
        for (i, input) in request.inputs.iter().enumerate() {
            inputs.push(self.one(input, &format!("images[{i}]")).await?);
        }
        Ok(inputs)
    }

    /// A picture that is named or sent, stored; what is wrong with it is said of `field`.
    async fn one(&self, input: &Input, field: &str) -> Result<Stored> {
        let of_field = |message: String| Error::field(field, message);
        let stored = match input {
            Input::Data(bytes) => self.store(bytes.clone(), None, "image").await,
            Input::Named(name) => {
                let row = match self.database.images().find_one(name).await {
                    Ok(row) => row,
                    Err(Error::NotFound { .. }) => {
                        let why = format!("the data set has no image {name:?}; see /api/v1/images");
                        return Err(of_field(why));
                    }
                    Err(Error::Conflict(why)) => return Err(of_field(why)),
                    Err(error) => return Err(error),
                };
                let (pictures, path) = (self.pictures.clone(), row.path.clone());
                let picture = aside(move || pictures.find(&path)).await?;
                let picture =
                    picture.map_err(|why| of_field(format!("{name:?} is not available: {why}")))?;
                self.read(picture, &row.path, &row.name).await
            }
        };
        stored.map_err(|error| match error {
            error @ (Error::Invalid(_) | Error::Io { .. }) => of_field(error.to_string()),
            error => error,
        })
    }

    /// The part that is repainted: its picture stored, and decoded.
    pub(super) async fn mask(&self, mask: &Mask) -> Result<(StoredMask, RgbImage)> {
        let stored = self.one(&mask.picture, "mask").await?;
        let encoded = self.artifacts.get(FileKind::Input, &stored.sha256).await?;
        let place = place().await;
        let decoded = aside(move || {
            let _place = place;
            decode_mask(&encoded, &Limits::default())
        });
        let decoded = decoded.await?;
        let decoded = decoded.map_err(|error| Error::field("mask", error.to_string()))?;
        Ok((StoredMask { picture: stored.sha256, inpaint: mask.inpaint }, decoded))
    }

    /// Reads a picture of the data set, and stores it; unless that was done, and the file is as it
    /// was.
    async fn read(&self, picture: Picture, path: &str, name: &str) -> Result<Stored> {
        let (stamp, picture) = aside(move || (stamp(&picture), picture)).await?;
        if let Some((file, stamp)) = &stamp
            && let Some(Content { sha256, size }) = self.seen.look(file, *stamp)
            // What is about to be swept is stored again.
            && self.artifacts.has_new(FileKind::Input, &sha256).await?
        {
            return Ok(Stored { path: Some(path.to_owned()), name: name.to_owned(), sha256, size });
        }
        let bytes = aside(move || picture.read()).await?;
        let bytes = bytes.map_err(|error| Error::io(path, error))?;
        let stored = self.store(bytes.into(), Some(path.to_owned()), name).await?;
        if let Some((file, stamp)) = stamp {
            let Stored { sha256, size, .. } = stored.clone();
            self.seen.keep(file, stamp, Content { sha256, size });
        }
        Ok(stored)
    }

    /// Decodes a picture once, and stores it as it came.
    async fn store(&self, bytes: Bytes, path: Option<String>, name: &str) -> Result<Stored> {
        let encoded = bytes.clone();
        let place = place().await;
        let decoded = aside(move || {
            let _place = place;
            decode(&encoded, &Limits::default()).map(|picture| picture.dimensions())
        });
        let size = match decoded.await {
            Ok(Ok(size)) => size,
            Ok(Err(error)) => return Err(Error::Invalid(error.to_string())),
            Err(_) => return Err(Error::Invalid("the image cannot be decoded".into())),
        };
        let sha256 = self.artifacts.put(FileKind::Input, bytes).await?;
        Ok(Stored { path, name: name.to_owned(), sha256, size })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use diffusion_jobs::database::Location;
    use diffusion_jobs::{Artifacts, Database};

    use super::*;
    use crate::config::Config;
    use crate::embedded;

    #[tokio::test]
    async fn a_picture_is_read_once_while_it_stays_as_it_is_and_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.storage.data = folder.path().to_owned();
        let location = Location::Sqlite(folder.path().join("server.db"));
        let database = Database::open(&location).await.unwrap();
        let artifacts = Artifacts::local(&folder.path().join("artifacts")).unwrap();
        let resolver = Resolver::new(&config, &database, &artifacts).unwrap();
        let (_, bytes) = embedded::SAMPLES[0];
        let file = folder.path().join("cat.png");
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        let write = |bytes: &[u8], time| {
            fs::write(&file, bytes).unwrap();
            File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        };
        let read = async || resolver.read(Picture::File(file.clone()), "cat.png", "cat.png").await;
        write(bytes, long_ago);
        let first = read().await.unwrap();

        // As large and as old: only whoever reads it sees the difference.
        write(&vec![0; bytes.len()], long_ago);
        let again = read().await.unwrap();
        assert_eq!((again.sha256, again.size), (first.sha256.clone(), first.size));
        write(&vec![0; bytes.len()], long_ago + Duration::from_secs(1));
        assert!(read().await.is_err(), "it has changed");

        write(bytes, long_ago);
        fs::remove_dir_all(folder.path().join("artifacts/inputs")).unwrap();
        read().await.unwrap();
        assert!(artifacts.has(FileKind::Input, &first.sha256).await.unwrap(), "stored again");

        write(bytes, SystemTime::now());
        read().await.unwrap();
        write(&vec![0; bytes.len()], SystemTime::now());
        assert!(read().await.is_err(), "what has just changed may change again");
    }
}
