//! `/api/v1/png-info`

use serde_json::json;

use crate::jobs::{made, small};
use crate::support::{Answer, Server};

fn ask(server: &Server, kind: &str, body: &[u8]) -> Answer {
    server.send("POST", "/api/v1/png-info", &[("content-type", kind)], body)
}

#[test]
fn an_image_of_ours_says_all_of_itself_in_every_format() {
    let server = Server::start(&[]);
    let job = made(&server, &small(json!({"negative_prompt": "rain", "scheduler": "euler-a"})));
    let url = job["images"][0]["url"].as_str().unwrap();
    let png = server.get(url);
    let expected = ask(&server, "image/png", &png.body).json();
    for (field, value) in [
        ("origin", json!("diffusion-server")),
        ("prompt", json!("a cat")),
        ("negative_prompt", json!("rain")),
        ("seed", json!(7)),
        ("sampler", json!("Euler a")),
        ("scheduler", json!("euler-a")),
        ("model", job["images"][0]["model"].clone()),
    ] {
        assert_eq!(expected[field], value, "{field}");
    }
    let record = &expected["record"];
    assert_eq!(record["plan"]["steps"], 2);
    // Neither a time nor a job nor a path.
    let text = record.to_string();
    assert!(!text.contains(job["id"].as_str().unwrap()) && !text.contains("folder"), "{text}");
    for (format, kind) in [("jpeg", "image/jpeg"), ("webp", "image/webp")] {
        let file = server.get(&format!("{url}?format={format}&quality=80"));
        assert_eq!((file.status, file.header("content-type")), (200, Some(kind)));
        assert_eq!(ask(&server, kind, &file.body).json(), expected, "{format}");
    }
}

#[test]
fn other_programs_are_read() {
    use diffusion_engine::images::{RgbImage, encode_png};
    let server = Server::start(&[]);
    let of = |keyword: &str, text: &str| {
        let file = encode_png(&RgbImage::new(1, 1), &[(keyword, text)]).unwrap();
        ask(&server, "application/octet-stream", &file).json()
    };
    let read = of("parameters", "a cat\nSteps: 5, Sampler: Euler a, Seed: 3, Size: 64x32");
    assert_eq!((&read["origin"], &read["seed"]), (&json!("automatic1111"), &json!(3)));
    assert_eq!(read["parameters"]["Sampler"], "Euler a");
    let read = of("invokeai_metadata", r#"{"positive_prompt": "a cat", "steps": 5}"#);
    assert_eq!((&read["origin"], &read["prompt"]), (&json!("invokeai"), &json!("a cat")));
    let read =
        of("prompt", r#"{"1": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 5}}}"#);
    assert_eq!((&read["origin"], &read["steps"]), (&json!("comfyui"), &json!(5)));
    let read = of("Comment", "by hand");
    assert_eq!((&read["origin"], &read["texts"]["Comment"]), (&json!(null), &json!("by hand")));
}

#[test]
fn what_is_no_image_is_refused() {
    let server = Server::start(&[]);
    let details = ask(&server, "image/png", b"notes").problem(422);
    assert!(details["detail"].as_str().unwrap().contains("neither PNG"), "{details}");
    ask(&server, "image/png", b"\x89PNG\r\n\x1a\n").problem(422);
    ask(&server, "application/json", b"{}").problem(415);
    ask(&server, "text/plain", b"notes").problem(415);
}
