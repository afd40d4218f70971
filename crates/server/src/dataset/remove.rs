//! Taking images out of the data set.

use std::path::PathBuf;

use diffusion_jobs::backup::lock;
use diffusion_jobs::images::Image;
use diffusion_jobs::{Database, Error, Result};
use uuid::Uuid;

use super::{Picture, Pictures};

/// Removes an image's row, and its file where that was uploaded and no other row stands for it.
/// Files below other folders stay. While a backup is made whose rows may speak of the file, that is
/// waited for.
///
/// # Errors
/// There is no such row; the database. That a file cannot be removed is logged.
pub(crate) async fn remove(database: &Database, pictures: &Pictures, id: Uuid) -> Result<()> {
    let image = database.images().get(id).await?;
    database.images().delete(id).await?;
    let at = pictures.clone();
    let found = aside(move || {
        let file = uploaded(&at, &image)?;
        Some((lock(at.own()), file))
    });
    let Some((held, file)) = found.await? else { return Ok(()) };
    let held = match held {
        Ok(held) => held,
        Err(error) => {
            tracing::warn!(%error, file = %file.display(), "the file of a removed image stays");
            return Ok(());
        }
    };
    // Rows may have come while the lock was waited for.
    let others = database.images().all().await?;
    let pictures = pictures.clone();
    aside(move || {
        let _held = held;
        // Another path may lead to the same file; its last part is the same.
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut others = others.iter().filter(|other| other.path.ends_with(name));
        if others.any(|other| uploaded(&pictures, other).as_ref() == Some(&file)) {
            return;
        }
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::warn!(%error, file = %file.display(), "the file of a removed image stays");
        }
    })
    .await
}

/// Does what waits for files beside the runtime's threads.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::io("a thread", std::io::Error::other(error)))
}

/// The file of an image, if it lies in the folder that takes what is uploaded.
fn uploaded(pictures: &Pictures, image: &Image) -> Option<PathBuf> {
    let own = pictures.own().canonicalize().ok()?;
    match pictures.find(&image.path) {
        Ok(Picture::File(file)) if file.starts_with(own) => Some(file),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::task::Poll;
    use std::time::Duration;

    use diffusion_jobs::database::Location;

    use super::*;
    use crate::config::Storage;
    use crate::dataset::seed;

    #[tokio::test]
    async fn an_upload_goes_with_its_last_row_and_nothing_else_does() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("data");
        let storage = Storage {
            data: data.clone(),
            image_roots: vec![place.path().join("more"), data.clone()],
            ..Storage::default()
        };
        for file in ["data/images/a.png", "data/images/aa.png", "more/b.png", "data/c.png"] {
            let file = place.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let database = Location::Sqlite(data.join("server.db"));
        let database = Database::open(&database).await.unwrap();
        seed(&database).await.unwrap();
        let pictures = Pictures::new(&storage);
        let add = async |name: &str, path: &str| {
            database.images().insert(Image::new(name, "me", path)).await.unwrap().id
        };
        let there = |file: &str| place.path().join(file).exists();

        let whole = data.join("images/a.png");
        let rows = [
            add("one", "a.png").await,
            add("two", "./a.png").await,
            add("three", whole.to_str().unwrap()).await,
        ];
        add("longer", "aa.png").await;
        for id in rows {
            assert!(there("data/images/a.png"), "another row stands for it");
            remove(&database, &pictures, id).await.unwrap();
        }
        assert!(!there("data/images/a.png") && there("data/images/aa.png"));

        for path in ["b.png", "c.png", "../data/images/aa.png", "nowhere.png"] {
            let id = add(path, path).await;
            remove(&database, &pictures, id).await.unwrap();
        }
        assert!(there("more/b.png") && there("data/c.png") && there("data/images/aa.png"));
        let sample = database.images().all().await.unwrap().remove(0).id;
        remove(&database, &pictures, sample).await.unwrap();
        assert!(remove(&database, &pictures, sample).await.is_err(), "it is gone");

        // A backup whose rows speak of the file has it.
        let id = add("longest", "aa.png").await;
        let rows = database.images();
        rows.delete(rows.find_one("longer").await.unwrap().id).await.unwrap();
        let held = lock(pictures.own()).unwrap();
        let mut removed = Box::pin(remove(&database, &pictures, id));
        while rows.get(id).await.is_ok() {
            assert!(matches!(futures_util::poll!(&mut removed), Poll::Pending));
        }
        let waited = tokio::time::timeout(Duration::from_millis(200), &mut removed).await;
        assert!(waited.is_err() && there("data/images/aa.png"));
        // So does one of a row that came meanwhile.
        let again = add("again", "aa.png").await;
        drop(held);
        removed.await.unwrap();
        assert!(there("data/images/aa.png"));
        let held = lock(pictures.own()).unwrap();
        let mut removed = Box::pin(remove(&database, &pictures, again));
        let waited = tokio::time::timeout(Duration::from_millis(200), &mut removed).await;
        assert!(waited.is_err() && there("data/images/aa.png"));
        drop(held);
        removed.await.unwrap();
        assert!(!there("data/images/aa.png"));
    }
}
