//! What clients read when they start.

use serde_json::{Value, json};

use super::{made, refusal, route, small};
use crate::support::Server;

#[test]
fn every_sampler_that_is_listed_is_taken() {
    let server = Server::start(&[]);
    let samplers = server.get(&route("samplers")).json();
    let names: Vec<&str> =
        samplers.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    for expected in ["Euler", "Euler a", "DPM++ 2M", "DPM++ 2M SDE", "DDIM", "LMS", "Heun"] {
        assert!(names.contains(&expected), "{expected}: {names:?}");
    }
    for item in samplers.as_array().unwrap() {
        assert!(item["aliases"].is_array() && item["options"].is_object(), "{item}");
        // With each of the schedules that it says, and with no other.
        for schedule in item["options"]["schedulers"].as_str().unwrap().split(", ") {
            let body = small(json!({
                "sampler_name": item["name"], "scheduler": schedule, "steps": 3,
                "send_images": false
            }));
            let answer = made(&server, "txt2img", &body);
            assert_eq!(super::info(&answer)["sampler_name"], item["name"]);
        }
    }
    let schedulers = server.get(&route("schedulers")).json();
    let labels: Vec<&str> =
        schedulers.as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap()).collect();
    assert!(labels.contains(&"Automatic") && labels.contains(&"Karras"), "{labels:?}");
    for item in schedulers.as_array().unwrap() {
        for member in ["name", "label", "aliases", "default_rho", "need_inner_model"] {
            assert!(item.get(member).is_some(), "{member}: {item}");
        }
        for name in [&item["name"], &item["label"]] {
            let asked = json!({"sampler_name": "DPM++ 2M", "scheduler": name, "steps": 3});
            made(&server, "txt2img", &small(asked));
        }
    }
}

#[test]
fn the_models_are_those_that_can_be_used() {
    let server = Server::start(&[]);
    let models = server.get(&route("sd-models")).json();
    let models = models.as_array().unwrap();
    let mut names: Vec<&Value> = models.iter().map(|model| &model["model_name"]).collect();
    let native = server.get("/api/v1/models").json();
    let native = native["models"].as_array().unwrap();
    let mut expected: Vec<&Value> = native
        .iter()
        .filter(|model| model["available"] == true)
        .map(|model| &model["name"])
        .collect();
    names.sort_by_key(|name| name.to_string());
    expected.sort_by_key(|name| name.to_string());
    assert_eq!(names, expected);
    for model in models {
        for member in ["title", "model_name", "filename"] {
            assert!(model[member].is_string(), "{member}: {model}");
        }
        for member in ["hash", "sha256", "config"] {
            assert!(model.get(member).is_some(), "{member}: {model}");
        }
    }
}

#[test]
fn what_there_is_not_is_an_empty_list() {
    let server = Server::start(&[]);
    for (name, expected) in [
        ("latent-upscale-modes", json!([])),
        ("sd-vae", json!([])),
        ("loras", json!([])),
        ("embeddings", json!({"loaded": {}, "skipped": {}})),
        ("hypernetworks", json!([])),
        ("face-restorers", json!([])),
        ("realesrgan-models", json!([])),
        ("prompt-styles", json!([])),
        ("scripts", json!({"txt2img": [], "img2img": []})),
        ("script-info", json!([])),
        ("extensions", json!([])),
    ] {
        let answer = server.get(&route(name));
        assert_eq!((answer.status, answer.json()), (200, expected), "{name}");
    }
    assert_eq!(server.get(&route("upscalers")).json()[0]["name"], "None");
    assert_eq!(server.get(&route("cmd-flags")).json()["api"], true);
    let memory = server.get(&route("memory")).json();
    assert!(memory["ram"].is_object() && memory["cuda"].is_object(), "{memory}");
    for name in ["refresh-checkpoints", "refresh-vae", "unload-checkpoint", "reload-checkpoint"] {
        let answer = server.send("POST", &route(name), &[], b"");
        assert_eq!((answer.status, answer.text()), (200, "null"), "{name}");
    }
    refusal(&server.get(&route("refresh-checkpoints")), 405);
}
