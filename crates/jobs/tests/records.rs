//! The two tables of the original: rows in and out, on both databases.

#![allow(clippy::unwrap_used)]

mod support;

use diffusion_jobs::images::Image;
use diffusion_jobs::models::Model;
use diffusion_jobs::records::{Change, MAX_META, MAX_NAME, MAX_TEXT, Page};
use diffusion_jobs::{Database, Error};
use serde_json::{Map, json};
use uuid::Uuid;

use support::{Fresh, on_both};

on_both!(
    rows_come_back_as_they_were,
    pages_follow_names,
    names_are_searched,
    rows_are_found_as_people_name_them,
    changes_are_partial,
    names_are_unique_for_each_owner,
    columns_have_limits,
    what_is_removed_is_gone,
    a_database_is_seeded_once,
    many_seed_at_once,
);

fn image(name: &str, owner: &str) -> Image {
    Image::new(name, owner, format!("folder/{name}"))
}

async fn add(database: &Database, names: &[(&str, &str)]) {
    for (name, owner) in names {
        database.images().insert(image(name, owner)).await.unwrap();
    }
}

fn object(value: serde_json::Value) -> Map<String, serde_json::Value> {
    value.as_object().unwrap().clone()
}

async fn rows_come_back_as_they_were(fresh: &Fresh) {
    let mut full = image("cat ü '\"%_!.jpg", "me");
    full.meta = object(json!({"a": [1, 2.5, null, {"b": "ü\n"}], "": true}));
    full.description = Some("a cat\nin rain".into());
    (full.created_by_id, full.updated_by_id) = (Some(i32::MIN), Some(7));
    let database = &fresh.database;
    assert_eq!(database.images().insert(full.clone()).await.unwrap(), full);
    assert_eq!(database.images().get(full.id).await.unwrap(), full);
    let model = Model::new("stable-diffusion-2", "stabilityai", "HUGGING_FACE");
    database.models().insert(model.clone()).await.unwrap();
    assert_eq!(database.models().get(model.id).await.unwrap(), model);
    assert_eq!(database.models().all().await.unwrap(), [model]);
}

async fn pages_follow_names(fresh: &Fresh) {
    let mut names = [("b", "2"), ("a", "x"), ("Ä", "x"), ("b", "1"), ("B", "x"), ("a-", "x")];
    add(&fresh.database, &names).await;
    names.sort_unstable();
    let mut seen = Vec::new();
    let mut page = Page { limit: Some(2), ..Page::default() };
    for _ in 0..3 {
        let list = fresh.database.images().list(&page).await.unwrap();
        seen.extend(list.rows.into_iter().map(|row| (row.name, row.owner)));
        page.after = list.next;
    }
    assert_eq!(page.after, None, "a full last page is the last");
    assert_eq!(seen, names.map(|(name, owner)| (name.to_owned(), owner.to_owned())));
    for wrong in ["no hex", "00ff"] {
        let page = Page { after: Some(wrong.into()), ..Page::default() };
        let error = fresh.database.images().list(&page).await.unwrap_err();
        assert!(error.to_string().starts_with("cursor: "), "{error}");
    }
}

async fn names_are_searched(fresh: &Fresh) {
    add(&fresh.database, &[("Cat.jpg", "x"), ("concat_50%.png", "x"), ("dog!", "x")]).await;
    let search = async |text: &str| {
        let page = Page { search: Some(text.into()), ..Page::default() };
        let list = fresh.database.images().list(&page).await.unwrap();
        list.rows.into_iter().map(|row| row.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(search("CAT").await, "Cat.jpg concat_50%.png");
    assert_eq!(search("t_5").await, "concat_50%.png");
    assert_eq!(search("%").await, "concat_50%.png");
    assert_eq!(search("!").await, "dog!");
    assert_eq!(search("_").await, "concat_50%.png");
    assert_eq!(search("").await, "Cat.jpg concat_50%.png dog!");
}

async fn rows_are_found_as_people_name_them(fresh: &Fresh) {
    let images = fresh.database.images();
    add(&fresh.database, &[("a.png", "me"), ("a.png", "you"), ("b.png", "me")]).await;
    // A name that is another's path.
    images.insert(Image::new("folder/b.png", "me", "elsewhere")).await.unwrap();
    let find = async |text: &str| {
        let found = images.find(text).await.unwrap();
        found.into_iter().map(|row| row.name + " " + &row.owner).collect::<Vec<_>>()
    };
    assert_eq!(find("a.png").await, ["a.png me", "a.png you"]);
    assert_eq!(find("you/a.png").await, ["a.png you"]);
    assert_eq!(find("folder/b.png").await, ["b.png me"], "paths before names");
    let id = images.find_one("b.png").await.unwrap().id;
    assert_eq!(find(&id.to_string()).await, ["b.png me"]);
    assert_eq!(find(&id.simple().to_string()).await, ["b.png me"]);
    for text in ["", "/", "c.png", "A.PNG", "me/", "\0", &Uuid::nil().to_string()] {
        assert!(find(text).await.is_empty(), "{text:?}");
        assert!(matches!(images.find_one(text).await, Err(Error::NotFound { .. })), "{text:?}");
    }
    let error = images.find_one("a.png").await.unwrap_err().to_string();
    assert!(error.contains("owner me") && error.contains("owner you"), "{error}");

    let models = fresh.database.models();
    models.insert(Model::new("sd", "owner", "HUGGING_FACE")).await.unwrap();
    assert_eq!(models.find("owner/sd").await.unwrap().len(), 1);
    assert_eq!(models.find("HUGGING_FACE").await.unwrap(), [], "a host is no name");
}

async fn changes_are_partial(fresh: &Fresh) {
    let images = fresh.database.images();
    let mut before = image("a", "me");
    before.description = Some("old".into());
    before.update_ts -= chrono::TimeDelta::days(1);
    images.insert(before.clone()).await.unwrap();
    let after = images.update(before.id, &Change::default()).await.unwrap();
    assert!(after.update_ts > before.update_ts);
    assert_eq!(after, Image { update_ts: after.update_ts, ..before.clone() });
    let meta = object(json!({"k": 1}));
    let change = Change {
        name: Some("b".into()),
        owner: Some("you".into()),
        place: Some("p".into()),
        meta: Some(meta.clone()),
        description: Some(None),
    };
    let after = images.update(before.id, &change).await.unwrap();
    assert_eq!((&*after.name, &*after.owner, &*after.path), ("b", "you", "p"));
    assert_eq!((&after.meta, &after.description), (&meta, &None));
    assert_eq!(images.get(before.id).await.unwrap(), after);
    let change = Change { description: Some(Some("new".into())), ..Change::default() };
    let after = images.update(before.id, &change).await.unwrap();
    assert_eq!(after.description.as_deref(), Some("new"));
    let error = images.update(Uuid::nil(), &change).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { what: "image", .. }), "{error}");
}

async fn names_are_unique_for_each_owner(fresh: &Fresh) {
    let images = fresh.database.images();
    add(&fresh.database, &[("a", "me"), ("a", "you"), ("b", "me")]).await;
    let error = images.insert(image("a", "me")).await.unwrap_err();
    assert!(matches!(&error, Error::Conflict(text) if text.starts_with("name: ")), "{error}");
    let b = images.find_one("b").await.unwrap();
    let change = Change { name: Some("a".into()), ..Change::default() };
    let error = images.update(b.id, &change).await.unwrap_err();
    assert!(matches!(&error, Error::Conflict(text) if text.starts_with("name: ")), "{error}");
    assert_eq!(images.get(b.id).await.unwrap(), b);
}

async fn columns_have_limits(fresh: &Fresh) {
    let images = fresh.database.images();
    // Counted in characters, not bytes.
    images.insert(Image::new("ü".repeat(MAX_NAME), "ü".repeat(MAX_TEXT), "p")).await.unwrap();
    let model = Model::new("ü".repeat(MAX_NAME), "ü".repeat(MAX_NAME), "h");
    fresh.database.models().insert(model).await.unwrap();
    let long = || Some("x".repeat(MAX_TEXT + 1));
    let wrong = [
        ("name", Change { name: Some("ü".repeat(MAX_NAME + 1)), ..Change::default() }),
        ("name", Change { name: Some(String::new()), ..Change::default() }),
        ("name", Change { name: Some("\0".into()), ..Change::default() }),
        ("owner", Change { owner: long(), ..Change::default() }),
        ("path", Change { place: long(), ..Change::default() }),
        ("description", Change { description: Some(long()), ..Change::default() }),
        ("meta", Change { meta: Some(object(json!({"a": [{"\0": 1}]}))), ..Change::default() }),
        (
            "meta",
            Change { meta: Some(object(json!({"a": "x".repeat(MAX_META)}))), ..Change::default() },
        ),
    ];
    let row = images.insert(image("a", "me")).await.unwrap();
    for (column, change) in wrong {
        let error = images.update(row.id, &change).await.unwrap_err();
        let starts = format!("{column}: ");
        assert!(matches!(&error, Error::Invalid(text) if text.starts_with(&starts)), "{error}");
    }
    let error = images.insert(Image::new("", "me", "p")).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.starts_with("name: ")), "{error}");
    let model = Model::new("m", "x".repeat(MAX_NAME + 1), "h");
    let error = fresh.database.models().insert(model).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.starts_with("owner: ")), "{error}");
    assert_eq!(images.get(row.id).await.unwrap(), row);
}

async fn what_is_removed_is_gone(fresh: &Fresh) {
    let images = fresh.database.images();
    let row = images.insert(image("a", "me")).await.unwrap();
    images.delete(row.id).await.unwrap();
    for error in [images.delete(row.id).await.unwrap_err(), images.get(row.id).await.unwrap_err()] {
        assert!(matches!(error, Error::NotFound { what: "image", .. }), "{error}");
    }
}

async fn a_database_is_seeded_once(fresh: &Fresh) {
    let database = &fresh.database;
    add(database, &[("a", "me")]).await;
    let images = [image("a", "me"), image("b", "me")];
    let models = [Model::new("m", "me", "EMBEDDED")];
    assert!(database.seed(&images, &models).await.unwrap());
    assert_eq!(database.images().all().await.unwrap().len(), 2, "what was there stays");
    database.images().delete(images[1].id).await.unwrap();
    assert!(!database.seed(&images, &models).await.unwrap());
    assert_eq!(database.images().all().await.unwrap().len(), 1, "what is removed stays removed");
    assert_eq!(database.models().all().await.unwrap(), models);
}

async fn many_seed_at_once(fresh: &Fresh) {
    let seed = |n: usize| {
        let database = fresh.database.clone();
        let images = [image(&n.to_string(), "me")];
        tokio::spawn(async move { database.seed(&images, &[]).await.unwrap() })
    };
    let mut first = 0;
    for seeded in [seed(0), seed(1), seed(2)] {
        first += usize::from(seeded.await.unwrap());
    }
    assert_eq!((first, fresh.database.images().all().await.unwrap().len()), (1, 1));
}
