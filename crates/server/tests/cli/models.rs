//! `models` lists what can be used.

use serde_json::Value;

use crate::support::{Place, goldens};

/// The rows of `models --json` that are not in the binary.
fn rows(place: &Place, args: &[&str]) -> Vec<Value> {
    let outcome = place.execute(&[&["models", "--json"], args].concat()).succeeded();
    let Value::Array(rows) = serde_json::from_str(&outcome.stdout).unwrap() else {
        panic!("no array: {}", outcome.stdout)
    };
    for row in &rows {
        for key in ["name", "source", "location"] {
            assert!(row[key].is_string(), "{key} of {row}");
        }
        assert!(row["family"].is_string() != row["error"].is_string(), "{row}");
    }
    rows.into_iter().filter(|row| row["source"] != "embedded").collect()
}

#[test]
fn models_of_a_folder_are_listed_with_family_and_size() {
    let place = Place::new();
    let models = goldens().display().to_string();
    let rows = rows(&place, &["--models-dir", &models]);
    let seen: Vec<_> = rows
        .iter()
        .map(|row| ["name", "family", "size", "source"].map(|key| row[key].as_str().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [["tiny-sd1", "sd1", "64x64", "models-dir"], ["tiny-sd2", "sd2", "64x64", "models-dir"]]
    );
}

#[test]
fn a_broken_model_is_listed_with_its_error() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("models/broken")).unwrap();
    std::fs::create_dir_all(place.path("models/no-model")).unwrap();
    std::fs::write(place.path("models/notes.txt"), "").unwrap();
    std::fs::write(place.path("models/broken/model_index.json"), "{}").unwrap();
    let rows = rows(&place, &["--models-dir", "models"]);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["name"], "broken");
    assert_eq!(rows[0]["family"], Value::Null);
    let error = rows[0]["error"].as_str().unwrap();
    assert!(error.contains("model_index.json") && error.contains("_class_name"), "{error}");

    let table = place.execute(&["models", "--models-dir", "models"]).succeeded().stdout;
    assert!(table.contains("cannot be used: "), "{table}");
}

#[test]
fn the_cache_of_hugging_face_is_searched() {
    let place = Place::new();
    assert_eq!(rows(&place, &[]), [] as [Value; 0]);
    let repository = place.path("hub/models--someone--tiny");
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::write(repository.join("refs/main"), "0123abcd").unwrap();
    let snapshot = repository.join("snapshots/0123abcd");
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(snapshot.join("model_index.json"), "{}").unwrap();
    let rows = rows(&place, &[]);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["name"], "someone/tiny");
    assert_eq!(rows[0]["source"], "hugging-face-cache");
}

#[test]
fn a_missing_folder_of_models_is_an_error() {
    let place = Place::new();
    place.execute(&["models", "--models-dir", "no-such-folder"]).refused(&["no-such-folder"]);
    std::fs::write(place.path("file"), "").unwrap();
    place.execute(&["models", "--models-dir", "file"]).refused(&["file"]);
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_nobody_takes_is_no_crash() {
    let place = Place::new();
    let shell = |line: &str| {
        let program = env!("CARGO_BIN_EXE_diffusion-server");
        let mut command = std::process::Command::new("sh");
        let output =
            command.args(["-c", line, "sh", program]).env("HF_HUB_CACHE", place.path("hub"));
        output.current_dir(place.path("")).output().unwrap()
    };
    let closed = shell("set -o pipefail 2>/dev/null; \"$1\" models --json | true");
    assert!(closed.stderr.is_empty(), "{}", String::from_utf8_lossy(&closed.stderr));
    let full = shell("\"$1\" models --json > /dev/full");
    assert_eq!(full.status.code(), Some(2));
    let said = String::from_utf8(full.stderr).unwrap();
    assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
}
