//! What random draws choose from: what is there.

use diffusion_jobs::images::Image;
use diffusion_jobs::models::Model;

use super::{Picture, Pictures, Shelf};
use crate::catalogue::{Known, Origin};

/// The images of the data set whose files are there. Looks at files.
pub(crate) fn images_at_hand(rows: Vec<Image>, pictures: &Pictures) -> Vec<(Image, Picture)> {
    let found = |image: Image| pictures.find(&image.path).ok().map(|picture| (image, picture));
    rows.into_iter().filter_map(found).collect()
}

/// The models that have a row and weights, and those in the folder of models that have no row.
/// What happens to lie in a cache was not put there for us, and a shipped model whose row was
/// removed is not wanted. The first is taken where none is named. Looks at files; whether they can be
/// used is another matter.
pub(crate) fn models_at_hand(rows: &[Model], shelf: &Shelf) -> Vec<Known> {
    let mut models: Vec<Known> = rows.iter().filter_map(|row| shelf.known(row).ok()).collect();
    let found = shelf.without_row(rows).into_iter();
    models.extend(found.filter(|known| known.origin == Origin::ModelsDir));
    models.sort_by_key(|known| !known.is_default());
    models
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use diffusion_jobs::Database;
    use diffusion_jobs::database::Location;

    use super::*;
    use crate::config::Storage;
    use crate::dataset::seed;
    use crate::embedded;

    #[tokio::test]
    async fn what_is_not_there_is_not_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage { data: folder.path().to_owned(), ..Storage::default() };
        let database = Location::Sqlite(folder.path().join("server.db"));
        let database = Database::open(&database).await.unwrap();
        let pictures = Pictures::new(&storage);
        let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens");
        assert!(seed(&database).await.unwrap());
        assert!(!seed(&database).await.unwrap());
        database.images().insert(Image::new("late.png", "me", "late.png")).await.unwrap();
        let missing = Model::new("stable-diffusion-x", "nobody", "HUGGING_FACE");
        database.models().insert(missing).await.unwrap();

        let names = async || {
            let rows = database.images().all().await.unwrap();
            let images = images_at_hand(rows, &pictures);
            images.into_iter().map(|(image, _)| image.name).collect::<Vec<_>>()
        };
        let samples: Vec<&str> = embedded::SAMPLES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names().await, samples);
        std::fs::create_dir(pictures.own()).unwrap();
        std::fs::write(pictures.own().join("late.png"), "").unwrap();
        assert!(names().await.contains(&"late.png".to_owned()), "as soon as it is there");

        let models = async |shelf: &Shelf| {
            let rows = database.models().all().await.unwrap();
            let models = models_at_hand(&rows, shelf);
            models.into_iter().map(|known| known.name).collect::<Vec<_>>()
        };
        let demo: Vec<String> = embedded::MODELS.iter().map(|(name, _)| (*name).into()).collect();
        assert_eq!(models(&Shelf::discover(None).unwrap()).await, demo);
        let found = models(&Shelf::discover(Some(&goldens)).unwrap()).await;
        assert_eq!(found, [&demo[..], &["tiny-sd1".into(), "tiny-sd2".into()]].concat());
        for row in database.models().all().await.unwrap() {
            database.models().delete(row.id).await.unwrap();
        }
        assert!(models(&Shelf::discover(None).unwrap()).await.is_empty(), "removed, not wanted");
    }
}
