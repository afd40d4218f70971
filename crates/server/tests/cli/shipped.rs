//! What the binary carries with it.

use serde_json::Value;

use crate::run::check_page;
use crate::support::{Place, tiny};

/// Names of the models in the binary.
fn embedded(place: &Place) -> Vec<String> {
    let outcome = place.execute(&["models", "--json"]).succeeded();
    let rows: Vec<Value> = serde_json::from_str(&outcome.stdout).unwrap();
    let embedded = rows.iter().filter(|row| row["source"] == "embedded");
    embedded.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_sample_picture_can_be_used() {
    let place = Place::new();
    place
        .execute(&["run", "--model", &tiny("tiny-sd1"), "--steps", "1", "--strength", "1"])
        .succeeded();
    let summary = place.json("out/summary.json");
    assert_eq!(summary["inputs"], 17);
    check_page(&place, "out", 17);
}

#[test]
fn a_run_needs_no_arguments() {
    let place = Place::new();
    let models = embedded(&place);
    if models.is_empty() {
        println!("skipped: no model is in the binary");
        place.execute(&["run"]).refused(&["--model"]);
        return;
    }
    place.execute(&["run", "--steps", "2"]).succeeded();
    check_page(&place, "out", 17);
    for image in place.json("out/summary.json")["images"].as_array().unwrap() {
        assert!(models.iter().any(|model| image["model"] == **model), "{image}");
    }
}
