//! `/v1`: OpenAI's Images API.

mod edits;
mod errors;
mod files;
mod generations;
mod keys;
mod models;
mod programs;
mod stream;
mod variations;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::{DynamicImage, ImageFormat, RgbImage, RgbaImage};
use serde_json::{Value, json};

use crate::support::{Answer, Server};

const GENERATIONS: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";
const VARIATIONS: &str = "/v1/images/variations";

/// An image that is made in a moment, and what is asked beside.
fn quick(more: Value) -> Value {
    let mut asked = json!({"prompt": "a cat", "num_inference_steps": 2, "seed": 7});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    asked
}

/// The answer to what must succeed.
#[track_caller]
fn made(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// An error in this API's shape: its `param` and `code`.
#[track_caller]
fn refused(answer: &Answer, status: u16) -> (Value, Value) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = &answer.json()["error"];
    assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
    let kind = match status {
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    assert_eq!(error["type"], kind, "{error}");
    (error["param"].clone(), error["code"].clone())
}

/// The images of an answer in base64, as files.
fn files(answer: &Value) -> Vec<Vec<u8>> {
    let data = answer["data"].as_array().unwrap().iter();
    data.map(|image| BASE64_STANDARD.decode(image["b64_json"].as_str().unwrap()).unwrap()).collect()
}

fn decoded(file: &[u8]) -> RgbImage {
    image::load_from_memory(file).unwrap().into_rgb8()
}

/// A picture as a PNG.
fn png(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A picture of coloured stripes, 128 pixels a side.
fn stripes() -> RgbImage {
    RgbImage::from_fn(128, 128, |x, y| image::Rgb([(x / 32 * 60) as u8, 90, (y / 32 * 60) as u8]))
}

/// The same with an alpha channel: its left half is transparent.
fn half_transparent() -> RgbaImage {
    RgbaImage::from_fn(128, 128, |x, y| {
        let [r, g, b] = stripes().get_pixel(x, y).0;
        image::Rgba([r, g, b, if x < 64 { 0 } else { 255 }])
    })
}

/// A part of a form: a text, or a file.
enum Part<'a> {
    Text(&'a str),
    File(&'a [u8]),
}

/// Sends a form.
fn form(server: &Server, path: &str, parts: &[(&str, Part<'_>)]) -> Answer {
    let mut body = Vec::new();
    for (name, part) in parts {
        body.extend(format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes());
        match part {
            Part::Text(text) => body.extend(format!("\r\n\r\n{text}").as_bytes()),
            Part::File(bytes) => {
                body.extend(b"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n");
                body.extend(*bytes);
            }
        }
        body.extend(b"\r\n");
    }
    body.extend(b"--x--\r\n");
    let headers = [("content-type", "multipart/form-data; boundary=x")];
    server.send("POST", path, &headers, &body)
}

/// The fields of a form whose images are made in a moment and come as base64.
const QUICK: [(&str, Part<'static>); 3] = [
    ("num_inference_steps", Part::Text("4")),
    ("seed", Part::Text("7")),
    ("response_format", Part::Text("b64_json")),
];

/// Sends a form with these parts and [`QUICK`].
fn quick_form(server: &Server, path: &str, parts: Vec<(&str, Part<'_>)>) -> Answer {
    let mut all = parts;
    all.extend(QUICK);
    form(server, path, &all)
}
