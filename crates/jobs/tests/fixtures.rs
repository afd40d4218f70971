//! Django fixtures: read, loaded, written back.

#![allow(clippy::unwrap_used)]

#[path = "fixtures/arbitrary.rs"]
mod arbitrary;
#[path = "fixtures/reading.rs"]
mod reading;
mod support;

use diffusion_jobs::fixtures::{self, Loaded, Object, read};
use diffusion_jobs::images::Image;
use diffusion_jobs::{Database, Error};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use support::{Fresh, on_both};

on_both!(
    loading_twice_changes_nothing,
    a_fixture_replaces_what_has_its_keys,
    nothing_is_loaded_where_one_object_cannot_be,
    a_dump_loads_to_the_same_dump,
);

/// Two objects in the form of the original's files.
const SMALL: &str = r#"[{
    "model": "image_model_domain.images",
    "pk": "ab900031-4256-4de9-a2c6-4ef948db6b4a",
    "fields": {
        "install_ts": "2023-05-15 01:14:00",
        "update_ts": "2023-05-15 01:15:00",
        "name": "cat.jpg",
        "owner": "LEONARDO_AI",
        "path": "dataset_domain/images/cat.jpg",
        "meta": {}
    }
}, {
    "model": "image_model_domain.dlmodels",
    "pk": "ab900031-4256-4de9-a2c6-4ef948db6b4a",
    "fields": {
        "install_ts": "2023-05-15 01:14:00",
        "update_ts": "2023-05-15 01:15:00",
        "name": "stable-diffusion-v1-5",
        "owner": "runwayml",
        "hosted": "HUGGING_FACE",
        "meta": {}
    }
}]"#;

async fn load(database: &Database, files: &[&str]) -> Result<Loaded, Error> {
    let read = |(i, text): (usize, &&str)| (format!("{i}.json"), read(text.as_bytes()).unwrap());
    database.load(&files.iter().enumerate().map(read).collect::<Vec<_>>()).await
}

async fn dump(database: &Database) -> String {
    let images = database.images().all().await.unwrap().into_iter().map(Object::Image);
    let models = database.models().all().await.unwrap().into_iter().map(Object::Model);
    fixtures::write(images.chain(models))
}

async fn loading_twice_changes_nothing(fresh: &Fresh) {
    let database = &fresh.database;
    let loaded = load(database, &[SMALL]).await.unwrap();
    assert_eq!(loaded, Loaded { objects: 2, changed: 2 });
    let image = database.images().find_one("cat.jpg").await.unwrap();
    assert_eq!(image.install_ts.to_rfc3339(), "2023-05-15T01:14:00+00:00");
    assert_eq!(image.path, "dataset_domain/images/cat.jpg");
    let before = dump(database).await;
    let loaded = load(database, &[SMALL]).await.unwrap();
    assert_eq!(loaded, Loaded { objects: 2, changed: 0 });
    assert_eq!(dump(database).await, before);
}

async fn a_fixture_replaces_what_has_its_keys(fresh: &Fresh) {
    let database = &fresh.database;
    load(database, &[SMALL]).await.unwrap();
    let other = SMALL.replace("cat.jpg", "dog.jpg");
    let loaded = load(database, &[SMALL, &other]).await.unwrap();
    assert_eq!(loaded, Loaded { objects: 4, changed: 1 });
    let images: Vec<Image> = database.images().all().await.unwrap();
    assert_eq!(images.iter().map(|image| &*image.name).collect::<Vec<_>>(), ["dog.jpg"]);
}

async fn nothing_is_loaded_where_one_object_cannot_be(fresh: &Fresh) {
    let database = &fresh.database;
    let clash = SMALL.replace("4ef948db6b4a", "4ef948db6b4b");
    let error = load(database, &[SMALL, &clash]).await.unwrap_err().to_string();
    assert!(error.starts_with("1.json: object 0: name: ") && error.contains("cat.jpg"), "{error}");
    assert!(database.images().all().await.unwrap().is_empty());
    assert!(database.models().all().await.unwrap().is_empty());
}

async fn a_dump_loads_to_the_same_dump(fresh: &Fresh) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..32 {
        clear(&fresh.database).await;
        let objects = arbitrary::objects().new_tree(&mut runner).unwrap().current();
        let files = [("first".to_owned(), objects.clone())];
        fresh.database.load(&files).await.unwrap();
        let dumped = dump(&fresh.database).await;
        clear(&fresh.database).await;
        assert_eq!(
            load(&fresh.database, &[&dumped]).await.unwrap(),
            Loaded { objects: objects.len(), changed: objects.len() }
        );
        assert_eq!(dump(&fresh.database).await, dumped);
        assert_eq!(load(&fresh.database, &[&dumped]).await.unwrap().changed, 0);
    }
}

async fn clear(database: &Database) {
    for image in database.images().all().await.unwrap() {
        database.images().delete(image.id).await.unwrap();
    }
    for model in database.models().all().await.unwrap() {
        database.models().delete(model.id).await.unwrap();
    }
}
