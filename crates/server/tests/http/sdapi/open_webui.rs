//! The calls of Open WebUI and of LibreChat, in their order.

use serde_json::{Value, json};

use super::{info, route, with_models};
use crate::support::{Data, Server};

#[test]
fn open_webui_switches_the_model_and_asks() {
    let data = Data::new();
    let server = with_models(&data, &[]);
    // Without a name and password it sends an empty header.
    let headers = [("authorization", ""), ("content-type", "application/json")];
    let get = |name: &str| {
        let answer = server.send("GET", &route(name), &headers, b"");
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.json()
    };
    let post = |name: &str, body: &Value| {
        let answer = server.send("POST", &route(name), &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        answer.json()
    };
    // Its list of models shows `model_name` and keeps `title`.
    let models = get("sd-models");
    let chosen = models[1]["title"].clone();
    assert!(models[1]["model_name"].is_string());
    let mut options = get("options");
    assert_ne!(options["sd_model_checkpoint"], chosen);
    options["sd_model_checkpoint"] = chosen.clone();
    post("options", &options);
    assert_eq!(get("options")["sd_model_checkpoint"], chosen);
    let answer = post(
        "txt2img",
        &json!({
            "prompt": "a lighthouse", "batch_size": 2, "width": 64, "height": 64, "steps": 2,
            "negative_prompt": "people"
        }),
    );
    assert_eq!(answer["images"].as_array().unwrap().len(), 2);
    assert!(answer["info"].is_string());
    assert_eq!(info(&answer)["sd_model_name"], models[1]["model_name"]);
}

#[test]
fn libre_chat_reads_the_info() {
    let server = Server::start(&[]);
    let body = json!({
        "prompt": "a lighthouse, fog", "negative_prompt": "people", "cfg_scale": 4.5, "steps": 2,
        "width": 128, "height": 128
    });
    let answer = server.post(&route("txt2img"), &body).json();
    let image = answer["images"][0].as_str().unwrap();
    assert!(!image.contains(','), "base64 alone");
    let info = info(&answer);
    assert!(info["seed"].is_u64(), "{info}");
    assert_eq!((&info["width"], &info["height"]), (&json!(128), &json!(128)));
    let text = info["infotexts"][0].as_str().unwrap();
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("Steps: 2, Sampler: Euler, "), "{text}");
    assert!(last.contains(&format!("Seed: {}", info["seed"])), "{text}");
}
