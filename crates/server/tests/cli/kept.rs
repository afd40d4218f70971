//! Commands for what is kept, where nothing is.

use crate::support::Place;

#[test]
fn what_is_not_there_is_not_made() {
    let place = Place::new();
    let id = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90";
    let commands: [&[&str]; 15] = [
        &["backup", "copy"],
        &["jobs", "list"],
        &["jobs", "show", id],
        &["jobs", "cancel", id],
        &["jobs", "retry", id],
        &["jobs", "delete", id],
        &["keys", "list"],
        &["keys", "revoke", id],
        &["images", "list"],
        &["images", "edit", "cat", "--name", "tom"],
        &["images", "remove", "cat"],
        &["models", "list"],
        &["models", "edit", "mine", "--name", "yours"],
        &["models", "remove", "mine"],
        &["dumpdata"],
    ];
    for command in commands {
        place.execute(&[command, &["--data", "typo"]].concat()).refused(&["typo", "check --data"]);
    }
    let database = ["--database", "sqlite://typo.db"];
    for command in commands {
        std::fs::create_dir_all(place.path("data")).unwrap();
        place.execute(&[command, &database].concat()).refused(&["typo.db", "--database"]);
    }
    place.execute(&["restore", "typo", "--data", "new"]).refused(&["typo"]);
    for name in ["typo", "typo.db", "copy", "new"] {
        assert!(!place.path(name).exists(), "{name}");
    }
    assert!(place.files("data").is_empty());
}

#[test]
fn what_is_there_is_read_whoever_made_it() {
    let place = Place::new();
    place.execute(&["keys", "create", "first"]).succeeded();
    for command in ["jobs", "keys", "images", "models"] {
        place.execute(&[command, "list"]).succeeded();
    }
    place.execute(&["backup", "copy"]).succeeded();
    place.execute(&["restore", "copy", "--data", "new"]).succeeded();
    let keys = place.execute(&["keys", "list", "--data", "new"]).succeeded().stdout;
    assert!(keys.contains("first"), "{keys}");
    place.execute(&["backup", "copy"]).refused(&["copy", "not empty"]);
    place.execute(&["restore", "copy", "--data", "new"]).refused(&["new", "exists"]);
}
