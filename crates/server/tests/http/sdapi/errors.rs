//! What is refused, in this dialect's shape.

use serde_json::{Value, json};

use super::{plain, refusal, route, small};
use crate::jobs::{JOBS, begun, submitted};
use crate::support::Server;

#[test]
fn what_cannot_be_done_is_named() {
    let server = Server::start(&[]);
    for (more, status, named) in [
        (json!({"sampler_name": "DPM adaptive"}), 400, "Sampler not found"),
        (json!({"sampler_index": "none such"}), 400, "Sampler not found"),
        (json!({"sampler_name": "Euler a", "scheduler": "Karras"}), 400, "Karras"),
        (json!({"enable_hr": true}), 422, "enable_hr"),
        (json!({"refiner_checkpoint": "a refiner"}), 422, "refiner_checkpoint"),
        (json!({"restore_faces": true, "tiling": true}), 422, "tiling"),
        (json!({"script_name": "X/Y/Z plot"}), 422, "X/Y/Z plot"),
        (
            json!({"alwayson_scripts": {"ControlNet": {"args": [{"model": "x"}]}}}),
            422,
            "ControlNet",
        ),
        (json!({"styles": ["none such"]}), 422, "none such"),
        (json!({"override_settings": {"sd_model_checkpoint": "none such"}}), 404, "none such"),
        (json!({"override_settings": {"sd_vae": "x.pt"}}), 422, "sd_vae"),
        (json!({"override_settings": {"CLIP_stop_at_last_layers": 99}}), 422, "CLIP_stop"),
        (json!({"override_settings": []}), 422, "override_settings"),
        (json!({"override_settings": {"sigma_max": 9}}), 422, "sigma_max"),
        (json!({"override_settings": {"none such": 9}}), 422, "none such"),
        (json!({"infotext": "a\nSteps: 2, Seed: 1, Schedule rho: 5"}), 422, "rho"),
        (json!({"sampler_name": "DPM++ 2M SDE Beta"}), 400, "Exponential"),
        (json!({"steps": -1}), 422, "steps: -1"),
        (json!({"height": 1_000_000_001}), 422, "height: 1000000001"),
        (json!({"steps": 0}), 422, "steps"),
        (json!({"prompt": "a ".repeat(2500)}), 422, "prompt: takes more than 32 chunks"),
        (json!({"negative_prompt": "a ".repeat(2500)}), 422, "negative_prompt: takes more than"),
        (json!({"steps": "many"}), 422, "steps"),
        (json!({"steps": 1001}), 422, "steps"),
        (json!({"width": 0}), 422, "width"),
        (json!({"width": 100_000}), 422, "width"),
        (json!({"cfg_scale": 1e9}), 422, "cfg_scale"),
        (json!({"cfg_scale": 0.5}), 422, "cfg_scale: 0.5"),
        (json!({"cfg_scale": 0}), 422, "cfg_scale: 0"),
        (json!({"cfg_scale": -1}), 422, "cfg_scale: -1"),
        (json!({"infotext": "a\nSteps: 2, Seed: 1, CFG scale: 0.5"}), 422, "cfg_scale: 0.5"),
        (json!({"seed": -2}), 422, "seed"),
        (json!({"batch_size": 100, "n_iter": 100}), 422, "n_iter"),
        (json!({"subseed_strength": 2}), 422, "subseed_strength"),
        (json!({"prompt": ["a"]}), 422, "prompt"),
        (json!({"prompt": "a\u{0}"}), 422, "prompt"),
        (json!({"prompt": "a <lora:b:1>"}), 422, "prompt: has <lora:"),
    ] {
        let answer = server.post(&route("txt2img"), &small(more.clone()));
        let detail = refusal(&answer, status);
        assert!(detail.contains(named), "{more}: {detail}");
    }
    let picture = plain(8, 8, [0; 3]);
    for (more, status, named) in [
        (json!({}), 404, "Init image not found"),
        (json!({"init_images": null}), 404, "Init image not found"),
        (json!({"init_images": []}), 404, "Init image not found"),
        (json!({"init_images": ["!"]}), 422, "init_images"),
        (json!({"init_images": ["http://127.0.0.1/a.png"]}), 422, "init_images"),
        (json!({"init_images": ["YWI="]}), 422, "init_images"),
        (json!({"init_images": [picture, picture]}), 422, "init_images"),
        (json!({"init_images": [picture], "resize_mode": 3}), 422, "resize_mode"),
        (json!({"init_images": [picture], "denoising_strength": 1.5}), 422, "denoising_strength"),
        (json!({"init_images": [picture], "mask": "YWI="}), 422, "mask"),
        (json!({"init_images": [picture], "mask": picture, "mask_blur": 999}), 422, "mask_blur"),
    ] {
        let answer = server.post(&route("img2img"), &small(more.clone()));
        let detail = refusal(&answer, status);
        assert!(detail.contains(named), "{more}: {detail}");
    }
    assert_eq!(server.get(JOBS).json()["jobs"], json!([]), "nothing was stored");
}

#[test]
fn what_is_long_is_not_repeated_whole() {
    let server = Server::start(&[]);
    let long = "x".repeat(1 << 20);
    for (more, name, end) in [
        (json!({"init_images": long}), "img2img", "expected a sequence"),
        (json!({"width": long}), "txt2img", "is no whole number"),
        (json!({"sampler_name": long}), "txt2img", ""),
        (json!({"styles": [long]}), "txt2img", "x\""),
        (json!({"styles": vec!["x"; 1 << 17]}), "txt2img", "no style \"x\""),
        (json!({"override_settings": {"sd_model_checkpoint": long}}), "txt2img", "what there is"),
        (json!({"override_settings": {&*long: 1}}), "txt2img", "leave it out"),
        (json!({"override_settings": {"sigma_max": long}}), "txt2img", "can only be 0 here"),
    ] {
        let answer = server.post(&route(name), &small(more));
        assert!((400..500).contains(&answer.status), "{}", answer.status);
        assert!(answer.body.len() < 8 << 10, "{}", answer.body.len());
        let detail = refusal(&answer, answer.status);
        assert!(detail.ends_with(end), "{detail}");
    }
}

#[test]
fn an_option_that_no_layer_answers_to_is_named() {
    let server = Server::start(&[]);
    let deep = json!({"CLIP_stop_at_last_layers": 12});
    assert_eq!(server.post(&route("options"), &deep).status, 200);
    let detail = refusal(&server.post(&route("txt2img"), &small(json!({}))), 422);
    assert!(detail.starts_with("CLIP_stop_at_last_layers: "), "{detail}");
}

#[test]
fn bodies_and_routes_that_are_wrong_are_told() {
    let server = Server::start(&[]);
    for (body, status) in [("", 400), ("{", 400), ("x", 400), ("[]", 422), ("1", 422)] {
        let answer = server.send("POST", &route("txt2img"), &[], body.as_bytes());
        refusal(&answer, status);
    }
    for (method, name, status) in [
        ("GET", "txt2img", 405),
        ("POST", "progress", 405),
        ("GET", "sd-modules", 404),
        ("POST", "extra-single-image", 404),
        ("GET", "controlnet/version", 404),
    ] {
        refusal(&server.send(method, &route(name), &[], b""), status);
    }
    refusal(&server.send("GET", "/internal/progress", &[], b""), 405);
    refusal(&server.get("/internal/nothing"), 404);
    refusal(&server.send("GET", &route("options"), &[("host", "evil.example")], b""), 421);
    let small = Server::start(&[("DIFFUSION_SERVER_BODY_BYTES", "4KB")]);
    let large = json!({"prompt": "p".repeat(5000)});
    refusal(&small.post(&route("txt2img"), &large), 413);
}

#[test]
fn too_much_at_once_says_when_to_come_back_and_changes_no_option() {
    let variables = [("DIFFUSION_SERVER_BACKLOG", "3"), ("DIFFUSION_SERVER_MAX_BATCH", "1")];
    let server = Server::start(&variables);
    let first = submitted(&server, &crate::jobs::long(json!({"count": 12})));
    begun(&server, &first, 1);
    let body = small(json!({
        "override_settings": {"CLIP_stop_at_last_layers": 2},
        "override_settings_restore_afterwards": false
    }));
    let answer = server.post(&route("txt2img"), &body);
    refusal(&answer, 429);
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(server.get(&route("options")).json()["CLIP_stop_at_last_layers"], 1);
}

#[test]
fn fields_at_their_defaults_and_fields_that_are_not_known_trip_nothing() {
    let server = Server::start(&[]);
    let repeated = server.post(&route("txt2img"), &small(json!({}))).json()["parameters"].clone();
    let mut body = repeated.as_object().unwrap().clone();
    body.insert("something".into(), json!({"unknown": [1]}));
    body.insert("clip_skip".into(), json!(1));
    body.insert("init_images".into(), json!("of the other route"));
    body.insert("seed".into(), json!(7));
    let nulls = body.iter().filter(|(_, value)| value.is_null()).count();
    assert!(nulls > 5, "null is as good as nothing");
    let answer = server.post(&route("txt2img"), &Value::Object(body));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn pages_of_other_sites_make_nothing() {
    let server = Server::start(&[]);
    let headers = [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")];
    let body = small(json!({})).to_string();
    let answer = server.send("POST", &route("txt2img"), &headers, body.as_bytes());
    refusal(&answer, 403);
    assert_eq!(server.get(JOBS).json()["jobs"], json!([]));
}
