use serde_json::{Value, json};

use super::refused;
use crate::support::{Data, Server};

#[test]
fn models_are_listed_and_shown() {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/goldens");
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--models-dir", models], &[]);
    let list = server.get("/v1/models").json();
    assert_eq!(list["object"], "list");
    let cards = list["data"].as_array().unwrap();
    let ids: Vec<&str> = cards.iter().map(|card| card["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"tiny-sd1") && ids.len() > 2, "{ids:?}");
    for card in cards {
        assert_eq!(card["object"], "model");
        assert!(card["created"].is_i64() && card["owned_by"].is_string(), "{card}");
        let shown = server.get(&format!("/v1/models/{}", card["id"].as_str().unwrap()));
        assert_eq!((shown.status, &shown.json()), (200, card));
    }
    let (param, code) = refused(&server.get("/v1/models/none"), 404);
    assert_eq!((param, code), (json!("model"), json!("model_not_found")));
    refused(&server.get("/v1/models/no/such"), 404);
    // A name of OpenAI's stands for the first.
    let foreign = server.get("/v1/models/dall-e-3").json();
    assert_eq!((&foreign["id"], &foreign["root"]), (&json!("dall-e-3"), &cards[0]["id"]));
    assert!(!ids.contains(&"dall-e-3"));
}

#[test]
fn models_of_the_same_name_are_told_apart_by_their_owners() {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/goldens");
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--models-dir", models], &[]);
    for (owner, path) in [("me", "tiny-sd1"), ("you", "tiny-sd2")] {
        let row = json!({"path": path, "name": "tiny", "owner": owner});
        assert_eq!(server.post("/api/v1/models", &row).status, 201);
    }
    let ids = server.get("/v1/models").json()["data"].clone();
    let ids: Vec<&Value> = ids.as_array().unwrap().iter().map(|card| &card["id"]).collect();
    for id in ["me/tiny", "you/tiny"] {
        assert!(ids.contains(&&json!(id)), "{ids:?}");
        for path in [format!("/v1/models/{id}"), format!("/v1/models/{}", id.replace('/', "%2F"))] {
            assert_eq!(server.get(&path).json()["id"], id, "{path}");
        }
    }
}
