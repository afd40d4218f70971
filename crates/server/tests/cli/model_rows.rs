//! `models list|add|edit|remove` keeps the models that were made known.

use serde_json::Value;

use crate::support::Place;

fn list(place: &Place, args: &[&str]) -> Vec<Value> {
    let outcome = place.execute(&[&["models", "list", "--json"], args].concat()).succeeded();
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn a_fresh_database_has_the_demo_models() {
    let place = Place::with_database();
    let rows = list(&place, &[]);
    assert!(!rows.is_empty());
    for row in &rows {
        assert_eq!(
            (&row["available"], &row["source"]),
            (&true.into(), &"embedded".into()),
            "{row}"
        );
    }
    let table = place.execute(&["models", "list"]).succeeded().stdout;
    assert!(table.contains(rows[0]["name"].as_str().unwrap()), "{table}");
}

#[test]
fn models_are_added_edited_and_removed() {
    let place = Place::new();
    place.copy_model("tiny-sd2", "models/deep/tiny");
    let add =
        ["models", "add", "--models-dir", "models", "--folder", "deep/tiny", "--name", "mine"];
    place.execute(&add).succeeded();
    place.execute(&["models", "add", "nobody/nothing", "--description", "later"]).succeeded();
    let named = |name: &str| -> Option<Value> {
        let rows = list(&place, &["--models-dir", "models"]);
        rows.into_iter().find(|row| row["name"] == name)
    };
    let mine = named("mine").unwrap();
    assert_eq!((&mine["available"], &mine["family"]), (&true.into(), &"sd2".into()), "{mine}");
    assert_eq!((&mine["meta"]["folder"], &mine["owner"]), (&"deep/tiny".into(), &"local".into()));
    let later = named("nothing").unwrap();
    assert_eq!((&later["owner"], &later["available"]), (&"nobody".into(), &false.into()));
    assert_eq!(later["description"], "later");
    let table = place.execute(&["models", "list"]).succeeded().stdout;
    assert!(table.contains("not available: "), "{table}");

    place.execute(&["models", "edit", "mine", "--name", "yours", "--hosted", "HERE"]).succeeded();
    assert_eq!(named("yours").unwrap()["hosted"], "HERE");
    place.execute(&["models", "remove", "yours", "nobody/nothing"]).succeeded();
    assert!(named("yours").is_none() && named("nothing").is_none());
}

#[test]
fn a_folder_may_be_named_from_here() {
    let place = Place::new();
    place.copy_model("tiny-sd1", "models/tiny");
    let add = ["models", "add", "--models-dir", "models", "--folder", "models/tiny"];
    place.execute(&add).succeeded();
    let rows = list(&place, &["--models-dir", "models", "--search", "tiny"]);
    assert_eq!(rows[0]["meta"]["folder"], "tiny");
}

#[test]
fn mistakes_change_nothing() {
    let place = Place::with_database();
    let before = list(&place, &[]);
    place.copy_model("tiny-sd1", "elsewhere/tiny");
    std::fs::create_dir_all(place.path("models/broken")).unwrap();
    std::fs::write(place.path("models/broken/model_index.json"), "{}").unwrap();
    let add = |folder: &str| {
        place.execute(&["models", "add", "--models-dir", "models", "--folder", folder])
    };
    add("../elsewhere/tiny").refused(&["--folder", "leads out"]);
    add("elsewhere/tiny").refused(&["--folder", "there is no model"]);
    add("broken").refused(&["--folder", "_class_name"]);
    place.execute(&["models", "add", "--folder", "x"]).refused(&["--models-dir"]);
    place.execute(&["models", "add", "just-a-name"]).refused(&["OWNER/NAME"]);
    place.execute(&["models", "add"]).refused(&["OWNER/NAME"]);
    place.execute(&["models", "remove", "nothing"]).refused(&["there is no model \"nothing\""]);
    assert_eq!(list(&place, &[]), before);
}
