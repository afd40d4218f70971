//! `loaddata` and `dumpdata`.

use serde_json::{Value, json};

use crate::support::Place;

/// A fixture in the form of the original's.
fn fixture() -> Value {
    let fields = |more: Value| {
        let mut fields = json!({
            "install_ts": "2023-05-15 01:14:00", "update_ts": "2023-05-15 01:15:00", "meta": {},
        });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    json!([
        {
            "model": "image_model_domain.images",
            "pk": "ab900031-4256-4de9-a2c6-4ef948db6b4a",
            "fields": fields(json!({
                "name": "cat.jpg", "owner": "LEONARDO_AI", "path": "dataset_domain/images/cat.jpg",
            })),
        },
        {
            "model": "image_model_domain.dlmodels",
            "pk": "ab900031-4256-4de9-a2c6-4ef948db6b4a",
            "fields": fields(json!({
                "name": "stable-diffusion-v1-5", "owner": "runwayml", "hosted": "HUGGING_FACE",
            })),
        },
    ])
}

fn write(place: &Place, name: &str, value: &Value) {
    std::fs::write(place.path(name), value.to_string()).unwrap();
}

#[test]
fn fixtures_are_loaded_and_written_back() {
    let place = Place::new();
    write(&place, "all.json", &fixture());
    let loaded = place.execute(&["loaddata", "all.json"]).succeeded().stdout;
    assert_eq!(loaded, "loaded 2 objects of 1 files: 2 changed\n");
    let again = place.execute(&["loaddata", "all.json"]).succeeded().stdout;
    assert_eq!(again, "loaded 2 objects of 1 files: 0 changed\n");

    let images = place.execute(&["dumpdata", "images"]).succeeded().stdout;
    let images: Value = serde_json::from_str(&images).unwrap();
    let cat =
        images.as_array().unwrap().iter().find(|object| object["fields"]["name"] == "cat.jpg");
    assert_eq!(cat.unwrap()["pk"], fixture()[0]["pk"]);
    assert_eq!(cat.unwrap()["fields"]["install_ts"], "2023-05-15T01:14:00Z");
    assert!(images.as_array().unwrap().iter().all(|o| o["model"] == "image_model_domain.images"));

    // A database that holds what was dumped dumps the same.
    place.execute(&["dumpdata", "-o", "dump.json"]).succeeded();
    place.execute(&["loaddata", "dump.json"]).succeeded();
    let dump = place.execute(&["dumpdata"]).succeeded().stdout;
    assert_eq!(dump.as_bytes(), place.read("dump.json"));
}

#[test]
fn what_is_loaded_is_listed_as_not_available_until_it_is_there() {
    let place = Place::new();
    write(&place, "all.json", &fixture());
    place.execute(&["loaddata", "all.json"]).succeeded();
    let list = |args: &[&str]| -> Vec<Value> {
        let outcome = place.execute(&[args, &["list", "--json"]].concat()).succeeded();
        serde_json::from_str(&outcome.stdout).unwrap()
    };
    let named = |rows: Vec<Value>, name: &str| -> Value {
        rows.into_iter().find(|row| row["name"] == name).unwrap()
    };
    let cat = named(list(&["images"]), "cat.jpg");
    assert_eq!(cat["available"], false);
    assert!(cat["unavailable_because"].as_str().unwrap().contains("no such file"), "{cat}");
    place.picture("data/images/dataset_domain/images/cat.jpg", 8, 8);
    assert_eq!(named(list(&["images"]), "cat.jpg")["available"], true);

    let model = named(list(&["models"]), "stable-diffusion-v1-5");
    assert_eq!((&model["available"], &model["family"]), (&json!(false), &Value::Null));
    place.copy_model("tiny-sd1", "models/stable-diffusion-v1-5");
    let outcome =
        place.execute(&["models", "list", "--json", "--models-dir", "models"]).succeeded();
    let model = named(serde_json::from_str(&outcome.stdout).unwrap(), "stable-diffusion-v1-5");
    assert_eq!((&model["available"], &model["family"]), (&json!(true), &json!("sd1")));
}

#[test]
fn a_wrong_object_is_named_with_file_place_and_field() {
    let place = Place::with_database();
    let mut wrong = fixture();
    wrong[1]["fields"]["owner"] = json!(7);
    write(&place, "good.json", &fixture());
    write(&place, "wrong.json", &wrong);
    place
        .execute(&["loaddata", "good.json", "wrong.json"])
        .refused(&["wrong.json: object 1: owner: 7 is not a string"]);
    let dump = place.execute(&["dumpdata"]).succeeded().stdout;
    assert!(!dump.contains("cat.jpg"), "nothing is loaded where one object is wrong");

    wrong[0]["model"] = json!("auth.user");
    write(&place, "wrong.json", &wrong);
    let outcome = place.execute(&["loaddata", "wrong.json"]).ended(2);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("wrong.json: object 0: model: \"auth.user\""), "{lines:?}");
    assert!(lines[2].starts_with("error: nothing was loaded"), "{lines:?}");

    place.execute(&["loaddata", "none.json"]).refused(&["none.json"]);
    std::fs::write(place.path("text.json"), "cats").unwrap();
    place.execute(&["loaddata", "text.json"]).refused(&["text.json: not JSON"]);
    write(&place, "clash.json", &{
        let mut clash = fixture();
        clash[0]["pk"] = json!("ab900031-4256-4de9-a2c6-4ef948db6b4b");
        clash
    });
    place
        .execute(&["loaddata", "good.json", "clash.json"])
        .refused(&["clash.json: object 0: name: ", "cat.jpg"]);
}
