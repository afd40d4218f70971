use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{EDITS, GENERATIONS, Part, VARIATIONS, form, made, png, quick, refused, stripes};
use crate::jobs::{begun, long, only, path, submitted};
use crate::support::{Data, Server};

#[test]
fn fields_that_are_wrong_are_named() {
    let server = Server::start(&[]);
    for (more, param) in [
        (json!({"n": 0}), "n"),
        (json!({"n": 11}), "n"),
        (json!({"n": "two"}), "n"),
        (json!({"size": "large"}), "size"),
        (json!({"response_format": "bytes"}), "response_format"),
        (json!({"output_format": "gif"}), "output_format"),
        (json!({"output_compression": 101}), "output_compression"),
        (json!({"quality": "best"}), "quality"),
        (json!({"background": "transparent"}), "background"),
        (json!({"partial_images": 4}), "partial_images"),
        (json!({"stream": "yes"}), "stream"),
        (json!({"prompt": "a".repeat(32_001)}), "prompt"),
        (json!({"prompt": 1}), "prompt"),
        (json!({"num_inference_steps": 0}), "num_inference_steps"),
        (json!({"num_inference_steps": 1001}), "num_inference_steps"),
        (json!({"user": "\0"}), "user"),
        (json!({"strength": 2}), "strength"),
        (json!({"guidance_scale": 0.5}), "guidance_scale"),
        (json!({"guidance_scale": 0}), "guidance_scale"),
        (json!({"guidance_scale": -7.5}), "guidance_scale"),
        (json!({"mask": "data:image/png;base64,AA"}), "mask"),
        (json!({"image": "data:image/png;base64,AA"}), "image"),
        (json!({"image": ["data:image/png;base64,AA"]}), "image"),
    ] {
        let answer = server.post(GENERATIONS, &quick(more.clone()));
        assert_eq!(refused(&answer, 400), (json!(param), json!("invalid_value")), "{more}");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(!message.contains(" at line "), "{message}");
        assert!(
            !message.contains("guidance_scale") || message.contains("less than 1"),
            "{message}"
        );
        assert_eq!(message.contains("/v1/images/edits"), ["mask", "image"].contains(&param));
    }
    let missing = refused(&server.post(GENERATIONS, &json!({"n": 1})), 400);
    assert_eq!(missing, (json!("prompt"), json!("missing_required_parameter")));
    let unknown = server.post(GENERATIONS, &quick(json!({"model": "none"})));
    assert_eq!(refused(&unknown, 404), (json!("model"), json!("model_not_found")));
    assert!(unknown.text().contains(" see /v1/models"), "{}", unknown.text());
}

#[test]
fn what_is_long_is_not_repeated_whole() {
    let server = Server::start(&[]);
    let long = "x".repeat(1 << 20);
    for field in ["size", "model", "n", "quality", "response_format"] {
        let answer = server.post(GENERATIONS, &quick(json!({field: long})));
        assert!([400, 404].contains(&answer.status), "{field}: {}", answer.status);
        assert!(answer.body.len() < 8 << 10, "{field}: {}", answer.body.len());
        assert_eq!(refused(&answer, answer.status).0, field);
    }
}

#[test]
fn whatever_goes_wrong_has_this_apis_shape() {
    let server = Server::start(&[("DIFFUSION_SERVER_BODY_BYTES", "4KB")]);
    let json_type = [("content-type", "application/json")];
    for body in ["", "{", "[]", "{} x"] {
        let (param, _) =
            refused(&server.send("POST", GENERATIONS, &json_type, body.as_bytes()), 400);
        assert_eq!(param, Value::Null, "{body}");
    }
    let text = server.send("POST", GENERATIONS, &[("content-type", "text/plain")], b"a cat");
    assert_eq!(refused(&text, 415).1, "unsupported_content_type");
    for path in [EDITS, VARIATIONS] {
        assert_eq!(
            refused(&server.post(path, &quick(json!({}))), 415).1,
            "unsupported_content_type"
        );
    }
    assert_eq!(refused(&server.get("/v1/nothing"), 404).1, "not_found");
    refused(&server.get(GENERATIONS), 405);
    let large = quick(json!({"user": "u".repeat(5000)}));
    assert_eq!(refused(&server.post(GENERATIONS, &large), 413).1, "too_large");
    let picture = vec![0; 5000];
    let large = form(&server, EDITS, &[("image", Part::File(&picture))]);
    assert_eq!(refused(&large, 413).1, "too_large");
    let elsewhere = [("host", "elsewhere.example"), json_type[0]];
    refused(&server.send("POST", GENERATIONS, &elsewhere, b"{}"), 421);
    let page = [("origin", "http://elsewhere.example"), json_type[0]];
    refused(&server.send("POST", GENERATIONS, &page, b"{}"), 403);
    // Others keep theirs.
    server.get("/api/v1/nothing").problem(404);
    server.get("/v1").problem(404);
}

#[test]
fn too_much_at_once_says_when_to_come_back() {
    let variables = [("DIFFUSION_SERVER_BACKLOG", "3"), ("DIFFUSION_SERVER_MAX_BATCH", "1")];
    let server = Server::start(&variables);
    let first = submitted(&server, &long(json!({"count": 12})));
    begun(&server, &first, 1);
    let answer = server.post(GENERATIONS, &quick(json!({})));
    assert_eq!(refused(&answer, 429), (Value::Null, json!("rate_limit_exceeded")));
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
}

#[test]
fn a_job_that_another_client_cancels_is_an_error() {
    let server = Server::start(&[]);
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| server.post(GENERATIONS, &quick(json!({"num_inference_steps": 900}))));
        let job = only(&server);
        begun(&server, &job, 1);
        let cancel = server.send("POST", &format!("{}/cancel", path(&job)), &[], b"");
        assert!(cancel.status < 300, "{}", cancel.text());
        let answer = waiting.join().unwrap();
        assert_eq!(refused(&answer, 409).1, "cancelled");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    });
}

#[test]
fn images_that_cannot_be_made_are_not_tried_again() {
    let data = Data::new();
    let models = data.path().join("models");
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens/tiny-sd1");
    copy(&goldens, &models.join("tiny"));
    let arguments = ["--bind", "127.0.0.1:0", "--models-dir", models.to_str().unwrap()];
    let server = Server::start_in(&data, &arguments, &[]);
    // The model looks whole, but none of its values is a number.
    for entry in fs::read_dir(models.join("tiny/unet")).unwrap().map(|entry| entry.unwrap().path())
    {
        if entry.extension().is_some_and(|ending| ending == "safetensors") {
            let mut bytes = fs::read(&entry).unwrap();
            let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
            bytes[8 + header..].fill(0xff);
            fs::write(entry, bytes).unwrap();
        }
    }
    let answer = server.post(GENERATIONS, &quick(json!({"model": "tiny"})));
    assert_eq!(refused(&answer, 500), (Value::Null, json!("image_generation_failed")));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let streamed = server.post(GENERATIONS, &quick(json!({"model": "tiny", "stream": true})));
    assert_eq!(streamed.status, 200);
    let event = streamed.text().trim();
    let data = event.strip_prefix("event: error\ndata: ").unwrap_or_else(|| panic!("{event}"));
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["error"]["code"], "image_generation_failed");
    // Others can be.
    made(&server.post(GENERATIONS, &quick(json!({}))));
}

#[test]
fn pictures_that_cannot_be_used_are_named() {
    let server = Server::start(&[]);
    let picture = png(stripes());
    let prompt = || ("prompt", Part::Text("a cat"));
    let image = || ("image", Part::File(&picture));
    for (path, parts, param, code) in [
        (EDITS, vec![prompt()], "image", "missing_required_parameter"),
        (EDITS, vec![image()], "prompt", "missing_required_parameter"),
        (EDITS, vec![prompt(), ("image", Part::File(b"x"))], "image", "invalid_value"),
        (
            EDITS,
            vec![prompt(), image(), ("markup", Part::File(&picture))],
            "markup",
            "invalid_value",
        ),
        (EDITS, vec![prompt(), image(), ("n", Part::Text("x"))], "n", "invalid_value"),
        (
            EDITS,
            vec![prompt(), image(), ("strength", Part::Text("2"))],
            "strength",
            "invalid_value",
        ),
        (
            EDITS,
            vec![prompt(), image(), ("n", Part::Text("1")), ("n", Part::Text("2"))],
            "n",
            "invalid_value",
        ),
        (EDITS, vec![prompt(), prompt(), image()], "prompt", "invalid_value"),
        (
            EDITS,
            vec![prompt(), image(), ("mask", Part::File(&picture)), ("mask", Part::File(&picture))],
            "mask",
            "invalid_value",
        ),
        (VARIATIONS, vec![("n", Part::Text("1"))], "image", "missing_required_parameter"),
        (VARIATIONS, vec![image(), image()], "image", "invalid_value"),
        (VARIATIONS, vec![image(), ("mask", Part::File(&picture))], "mask", "invalid_value"),
    ] {
        let answer = form(&server, path, &parts);
        assert_eq!(refused(&answer, 400), (json!(param), json!(code)), "{}", answer.text());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
