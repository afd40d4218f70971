//! What programs send that speak this API, one sequence for each.

use serde_json::{Value, json};

use super::{EDITS, GENERATIONS, Part, decoded, files, form, made, png, stripes};
use crate::support::{Answer, Server};

/// Such programs send no steps: these images are made as the server would by itself.
fn posted(server: &Server, key: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [
        ("authorization", &*authorization),
        ("content-type", "application/json"),
        ("accept", "*/*"),
    ];
    server.send("POST", GENERATIONS, &headers, body.to_string().as_bytes())
}

#[test]
fn open_webui() {
    let server = Server::start(&[]);
    // Its list of models, for the settings.
    assert!(!server.get("/v1/models").json()["data"].as_array().unwrap().is_empty());
    let answer = made(&posted(
        &server,
        "sk-openwebui",
        &json!({
            "model": "dall-e-2", "prompt": "a cat", "n": 1, "size": "512x512",
            "response_format": "b64_json"
        }),
    ));
    let image = files(&answer).pop().unwrap();
    assert_eq!(decoded(&image).dimensions(), (128, 128));
    // One picture is sent as `image`, several as `image[]`; the mask does not exist for it.
    let other = png(stripes());
    for names in [&["image"][..], &["image[]", "image[]"]] {
        let mut parts: Vec<(&str, Part<'_>)> = vec![
            ("model", Part::Text("gpt-image-1")),
            ("prompt", Part::Text("a dog")),
            ("n", Part::Text("1")),
            ("size", Part::Text("1024x1024")),
        ];
        let pictures = [&image, &other];
        parts.extend(names.iter().zip(pictures).map(|(name, file)| (*name, Part::File(file))));
        let answer = made(&form(&server, EDITS, &parts));
        assert_eq!(files(&answer).len(), names.len());
    }
}

#[test]
fn sillytavern() {
    let server = Server::start(&[]);
    for (model, format) in [("dall-e-3", Some("b64_json")), ("gpt-image-1", None)] {
        let mut body = json!({
            "prompt": "a cat", "model": model, "size": "1024x1024", "n": 1
        });
        let more = match format {
            Some(format) => {
                json!({"response_format": format, "quality": "standard", "style": "vivid"})
            }
            None => json!({"quality": "auto", "moderation": "low"}),
        };
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = made(&posted(&server, "sk-sillytavern", &body));
        assert_eq!(decoded(&files(&answer)[0]).dimensions(), (128, 128), "{model}");
    }
}

#[test]
fn librechat() {
    let server = Server::start(&[]);
    let body = json!({
        "model": "dall-e-3", "quality": "standard", "style": "natural", "size": "1792x1024",
        "prompt": "a cat", "n": 1
    });
    let answer = made(&posted(&server, "user_provided", &body));
    // It fetches the image without its key.
    let url = answer["data"][0]["url"].as_str().unwrap();
    let path = url.strip_prefix(&format!("http://{}", server.address())).unwrap();
    let file = server.get(path);
    assert_eq!(file.header("content-type"), Some("image/png"));
    assert_eq!(decoded(&file.body).dimensions(), (168, 96));
}
