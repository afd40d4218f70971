//! `images` keeps the data set.

use serde_json::Value;

use crate::support::Place;

fn list(place: &Place, args: &[&str]) -> Vec<Value> {
    let outcome = place.execute(&[&["images", "list", "--json"], args].concat()).succeeded();
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn a_fresh_database_has_the_samples() {
    let place = Place::with_database();
    let rows = list(&place, &[]);
    assert!(rows.len() >= 10, "{rows:?}");
    assert!(rows.iter().all(|row| row["available"] == true), "{rows:?}");
    let cats = list(&place, &["--search", "CAT"]);
    assert!(!cats.is_empty() && cats.len() < rows.len(), "{cats:?}");
    let table = place.execute(&["images", "list"]).succeeded().stdout;
    for row in &rows {
        assert!(table.contains(row["id"].as_str().unwrap()), "{table}");
    }
    // What is removed does not come back.
    place.execute(&["images", "remove", rows[0]["id"].as_str().unwrap()]).succeeded();
    assert_eq!(list(&place, &[]).len(), rows.len() - 1);
}

#[test]
fn images_are_added_edited_and_removed() {
    let place = Place::new();
    place.picture("cat.png", 8, 8);
    place.picture("more/dog.png", 8, 8);
    let add = ["images", "add", "cat.png", "more/dog.png", "--owner", "me", "--images-dir", "more"];
    place.execute(&add).succeeded();
    let named = |name: &str| -> Option<Value> {
        let rows = list(&place, &["--images-dir", "more"]);
        rows.into_iter().find(|row| row["name"] == name)
    };
    let (cat, dog) = (named("cat.png").unwrap(), named("dog.png").unwrap());
    assert_eq!((cat["path"].as_str(), cat["available"].as_bool()), (Some("cat.png"), Some(true)));
    assert_eq!((dog["path"].as_str(), dog["available"].as_bool()), (Some("dog.png"), Some(true)));
    assert_eq!(place.read("data/images/cat.png"), place.read("cat.png"), "copied");
    assert!(!place.path("data/images/dog.png").exists(), "it lies in a folder of images");

    place
        .execute(&["images", "edit", "me/cat.png", "--name", "tom.png", "--description", "a cat"])
        .succeeded();
    assert_eq!(named("tom.png").unwrap()["description"], "a cat");
    place
        .execute(&["images", "edit", "tom.png", "--description", "", "--meta", "{\"k\": 1}"])
        .succeeded();
    let tom = named("tom.png").unwrap();
    assert_eq!((&tom["description"], &tom["meta"]["k"]), (&Value::Null, &1.into()));
    place.execute(&["images", "remove", "tom.png"]).succeeded();
    assert!(named("tom.png").is_none());
    assert!(!place.path("data/images/cat.png").exists(), "the copy was the row's own");
    place.execute(&["images", "remove", "dog.png"]).succeeded();
    assert!(place.path("more/dog.png").exists(), "files of others stay");
}

#[test]
fn mistakes_change_nothing() {
    let place = Place::with_database();
    let before = list(&place, &[]);
    place.picture("cat.png", 8, 8);
    std::fs::write(place.path("no.png"), "no image").unwrap();
    place.execute(&["images", "add", "no.png"]).refused(&["no.png", "format is unknown"]);
    place.execute(&["images", "add", "none.png"]).refused(&["none.png"]);
    place.execute(&["images", "add", "."]).refused(&["is not a file"]);
    place.execute(&["images", "remove", "nothing"]).refused(&["there is no image \"nothing\""]);
    let first = before[0]["name"].as_str().unwrap();
    let outside = place.path("cat.png").display().to_string();
    for path in ["../cat.png", &outside] {
        place.execute(&["images", "edit", first, "--path", path]).refused(&["leads out"]);
    }
    place.execute(&["images", "edit", first, "--meta", "[]"]).refused(&["not a JSON object"]);
    let second = before[1]["name"].as_str().unwrap();
    place.execute(&["images", "edit", first, "--name", second]).refused(&["name: "]);
    let owner = before[0]["owner"].as_str().unwrap();
    let taken = ["images", "add", "cat.png", "--name", first, "--owner", owner];
    place.execute(&taken).refused(&["name: ", first]);
    assert!(place.files("data/images").is_empty(), "no copy without a row");
    assert_eq!(list(&place, &[]), before);
}
