//! `/sdapi/v1/png-info`.

use serde_json::{Value, json};

use super::{info, made, plain, refusal, route, small};
use crate::support::Server;

#[test]
fn what_an_image_says_is_told() {
    let server = Server::start(&[]);
    let body = small(json!({"negative_prompt": "rain", "sampler_name": "Euler a"}));
    let answer = made(&server, "txt2img", &body);
    let image = answer["images"][0].as_str().unwrap();
    let told = made(&server, "png-info", &json!({"image": image}));
    assert_eq!(told["info"], info(&answer)["infotexts"][0]);
    assert!(told["items"].as_object().unwrap().contains_key("diffusion-server"), "{told}");
    assert!(told["items"].get("parameters").is_none());
    for (name, value) in [
        ("Prompt", json!("a cat")),
        ("Negative prompt", json!("rain")),
        ("Steps", json!("2")),
        ("Sampler", json!("Euler a")),
        ("Seed", json!("7")),
        ("CFG scale", json!("7")),
        ("Size-1", json!("64")),
        ("Size-2", json!("64")),
    ] {
        assert_eq!(told["parameters"][name], value, "{name}: {told}");
    }
    let url = format!("data:image/png;base64,{image}");
    assert_eq!(made(&server, "png-info", &json!({"image": url})), told);
}

#[test]
fn an_image_that_says_nothing_is_no_error() {
    let server = Server::start(&[]);
    let told = made(&server, "png-info", &json!({"image": plain(1, 1, [0; 3])}));
    assert_eq!(told, json!({"info": "", "items": {}, "parameters": {}}));
    for image in [json!(""), json!("!"), json!("YWI="), Value::Null, json!(1)] {
        refusal(&server.post(&route("png-info"), &json!({"image": image})), 422);
    }
}
