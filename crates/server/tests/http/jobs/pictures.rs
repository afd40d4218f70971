//! Jobs that start from pictures.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{each, made, small};
use crate::support::Server;

/// The data set's first images.
fn images(server: &Server) -> Vec<Value> {
    server.get("/api/v1/images?limit=3").json()["images"].as_array().unwrap().clone()
}

fn from_pictures(more: Value) -> Value {
    let mut job = small(json!({"kind": "img2img", "strength": 0.5}));
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

#[test]
fn a_picture_is_named_or_sent() {
    let server = Server::start(&[]);
    let picture = &images(&server)[0];
    let content =
        server.get(&format!("/api/v1/images/{}/content", picture["id"].as_str().unwrap()));
    let encoded = BASE64_STANDARD.encode(&content.body);
    let named = json!([picture["name"], picture["id"], picture["path"]]);
    let by_names = made(&server, &from_pictures(json!({"images": named})));
    let url = format!("data:image/png;base64,{encoded}");
    let sent = json!({"images": [encoded, url]});
    let by_bytes = made(&server, &from_pictures(sent));
    assert_eq!(by_names["state"], "succeeded", "{by_names}");
    let hashes = [each(&by_names, "sha256"), each(&by_bytes, "sha256")].concat();
    assert_eq!(hashes, vec![hashes[0].clone(); 5]);
    assert_eq!(each(&by_names, "input"), vec![picture["path"].clone(); 3]);
    assert_eq!(each(&by_bytes, "input"), [Value::Null, Value::Null]);
    // The record tells pictures by their hashes, and holds no bytes of theirs.
    assert_eq!(
        by_bytes["request"]["images"][0],
        json!({
            "path": null, "sha256": by_names["request"]["images"][0]["sha256"]
        })
    );

    let stronger =
        made(&server, &from_pictures(json!({"init_image": picture["id"], "strength": 1.0})));
    assert_ne!(stronger["images"][0]["sha256"], hashes[0]);
}

#[test]
fn a_draw_takes_the_pictures_that_are_named() {
    let server = Server::start(&[]);
    let named: Vec<Value> = images(&server).iter().map(|image| image["name"].clone()).collect();
    let asked = json!({
        "kind": "random", "prompt": null, "prompts": ["a cat", "a dog"], "images": named,
        "strength": 0.5
    });
    let job = made(&server, &small(asked.clone()));
    assert_eq!((&job["kind"], &job["state"]), (&json!("random"), &json!("succeeded")), "{job}");
    assert_eq!(each(&job, "seed"), [7, 8, 9]);
    assert!(each(&job, "prompt").iter().all(|prompt| *prompt == "a cat" || *prompt == "a dog"));
    let again = made(&server, &small(asked));
    assert_eq!(each(&again, "sha256"), each(&job, "sha256"));
}
