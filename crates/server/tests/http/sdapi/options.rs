//! `/sdapi/v1/options` and `override_settings`.

use serde_json::{Value, json};

use super::{files, info, made, refusal, route, small, with_models};
use crate::support::{Data, Server};

/// The models of a server, that of the options first.
fn models(server: &Server) -> Vec<Value> {
    let models = server.get(&route("sd-models")).json().as_array().unwrap().clone();
    let current = server.get(&route("options")).json()["sd_model_checkpoint"].clone();
    assert_eq!(models[0]["title"], current);
    assert!(models.len() > 1, "{models:?}");
    models
}

fn model(server: &Server, more: Value) -> Value {
    info(&made(server, "txt2img", &small(more)))["sd_model_name"].clone()
}

#[test]
fn the_model_is_switched_for_the_calls_that_name_none() {
    let data = Data::new();
    let server = with_models(&data, &[]);
    let all = models(&server);
    assert_eq!(model(&server, json!({})), all[0]["model_name"]);
    for name in ["title", "model_name", "filename"] {
        for checkpoint in [&all[1], &all[0]] {
            let body = json!({"sd_model_checkpoint": checkpoint[name]});
            let set = server.post(&route("options"), &body);
            assert_eq!((set.status, set.text()), (200, "null"), "{body}");
            let options = server.get(&route("options")).json();
            assert_eq!(options["sd_model_checkpoint"], checkpoint["title"]);
        }
    }
    let second = json!({"sd_model_checkpoint": all[1]["title"]});
    assert_eq!(server.post(&route("options"), &second).status, 200);
    assert_eq!(model(&server, json!({})), all[1]["model_name"]);

    let unknown = json!({"sd_model_checkpoint": "none such"});
    assert!(refusal(&server.post(&route("options"), &unknown), 404).contains("none such"));
    assert_eq!(model(&server, json!({})), all[1]["model_name"]);

    // It stays over a restart.
    drop(server);
    let server = with_models(&data, &[]);
    assert_eq!(model(&server, json!({})), all[1]["model_name"]);
}

#[test]
fn a_call_overrides_and_may_leave_it_so() {
    let data = Data::new();
    let server = with_models(&data, &[]);
    let all = models(&server);
    let other = json!({"sd_model_checkpoint": all[1]["title"]});
    let once = json!({"override_settings": other});
    assert_eq!(model(&server, once.clone()), all[1]["model_name"]);
    assert_eq!(model(&server, json!({})), all[0]["model_name"]);
    let mut stays = once;
    stays["override_settings_restore_afterwards"] = json!(false);
    assert_eq!(model(&server, stays), all[1]["model_name"]);
    assert_eq!(model(&server, json!({})), all[1]["model_name"]);
    let options = server.get(&route("options")).json();
    assert_eq!(options["sd_model_checkpoint"], all[1]["title"]);
}

#[test]
fn layers_are_left_out_as_the_options_say() {
    let server = Server::start(&[]);
    let skipped = |more| info(&made(&server, "txt2img", &small(more)));
    assert_eq!(skipped(json!({}))["clip_skip"], 1);
    let two = json!({"CLIP_stop_at_last_layers": 2});
    let once = skipped(json!({"override_settings": two}));
    assert_eq!(once["clip_skip"], 2);
    assert_eq!(server.post(&route("options"), &two).status, 200);
    assert_eq!(skipped(json!({}))["clip_skip"], 2);
    let one = json!({"override_settings": {"CLIP_stop_at_last_layers": 1}});
    assert_eq!(skipped(one)["clip_skip"], 1);
}

#[test]
fn the_whole_object_can_be_posted_back() {
    let server = Server::start(&[]);
    let mut options = server.get(&route("options")).json();
    for name in ["sd_model_checkpoint", "samples_format", "sd_vae"] {
        assert!(options[name].is_string(), "{name}: {options}");
    }
    assert_eq!(options["CLIP_stop_at_last_layers"], 1);
    assert_eq!(options["eta_noise_seed_delta"], 0);
    assert_eq!(server.post(&route("options"), &options).status, 200);
    assert_eq!(server.get(&route("options")).json(), options);
    // What changes no picture is kept as it is.
    options["jpeg_quality"] = json!(90);
    options["outdir_samples"] = json!("/anywhere");
    assert_eq!(server.post(&route("options"), &options).status, 200);
    assert_eq!(server.get(&route("options")).json(), options);
    // What would change pictures is not taken, nor is anything beside it.
    let wrong = json!({"jpeg_quality": 80, "eta_noise_seed_delta": 31337});
    assert!(refusal(&server.post(&route("options"), &wrong), 422).contains("eta_noise_seed_delta"));
    assert_eq!(server.get(&route("options")).json(), options);
    let large = json!({"outdir_samples": "x".repeat(300 << 10)});
    refusal(&server.post(&route("options"), &large), 422);
}

#[test]
fn files_come_as_the_options_say() {
    let server = Server::start(&[]);
    let file = |settings: Value| {
        let body = small(json!({"override_settings": settings}));
        files(&made(&server, "txt2img", &body)).remove(0)
    };
    let says = |file: &[u8]| file.windows(8).any(|part| part == b"Steps: 2");
    let utf16: Vec<u8> = "Steps: 2".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let tells = |file: &[u8]| says(file) || file.windows(16).any(|part| part == utf16);
    let png = file(json!({}));
    assert!(says(&png));
    let bare = file(json!({"enable_pnginfo": false}));
    assert!(!says(&bare) && bare.starts_with(b"\x89PNG"));
    let pixels = |file: &[u8]| image::load_from_memory(file).unwrap().into_rgb8();
    assert_eq!(pixels(&png), pixels(&bare));
    for (name, magic) in [("jpg", &b"\xff\xd8"[..]), ("jpeg", b"\xff\xd8"), ("webp", b"RIFF")] {
        let with = file(json!({"samples_format": name}));
        assert!(with.starts_with(magic) && tells(&with), "{name}");
        let bare = file(json!({"samples_format": name, "enable_pnginfo": false}));
        assert!(bare.starts_with(magic) && !tells(&bare), "{name}");
        let rough = file(json!({"samples_format": name, "jpeg_quality": 1}));
        assert!(rough.len() < with.len(), "{name}");
    }
    assert_eq!(server.post(&route("options"), &json!({"samples_format": "webp"})).status, 200);
    assert!(file(json!({})).starts_with(b"RIFF"));
    refusal(&server.post(&route("options"), &json!({"samples_format": "gif"})), 422);
}
