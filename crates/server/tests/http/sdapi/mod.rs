//! AUTOMATIC1111's API: `/sdapi/v1`, and `/internal` at the root.

mod errors;
mod generate;
mod internal;
mod lists;
mod masks;
mod open_webui;
mod options;
mod owners;
mod png_info;
mod progress;
mod silly_tavern;
mod stop;

use std::thread::{self, ScopedJoinHandle};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::jobs::{JOBS, begun};
use crate::support::{Answer, Data, Server};

/// A route of this dialect.
pub(crate) fn route(name: &str) -> String {
    format!("/sdapi/v1/{name}")
}

/// The smallest models.
const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/goldens");

/// A server over this folder that has several models.
pub(crate) fn with_models(data: &Data, more: &[&str]) -> Server {
    let arguments = ["--bind", "127.0.0.1:0", "--models-dir", MODELS];
    Server::start_in(data, &[&arguments, more].concat(), &[])
}

/// What is made in a moment, and what is asked beside.
pub(crate) fn small(more: Value) -> Value {
    let mut body = json!({"prompt": "a cat", "width": 64, "height": 64, "steps": 2, "seed": 7});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// What is still being made when the test ends, unless it is interrupted.
pub(crate) fn long(more: Value) -> Value {
    let mut body = small(json!({"width": 256, "height": 256, "steps": 900}));
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Asks for images, which must be made.
#[track_caller]
pub(crate) fn made(server: &Server, name: &str, body: &Value) -> Value {
    let answer = server.post(&route(name), body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// What an answer says of its images.
#[track_caller]
pub(crate) fn info(answer: &Value) -> Value {
    serde_json::from_str(answer["info"].as_str().unwrap()).unwrap()
}

/// The files of an answer.
#[track_caller]
pub(crate) fn files(answer: &Value) -> Vec<Vec<u8>> {
    let images = answer["images"].as_array().unwrap().iter();
    images.map(|image| BASE64_STANDARD.decode(image.as_str().unwrap()).unwrap()).collect()
}

/// A picture in base64.
pub(crate) fn picture(server: &Server) -> String {
    let image = server.get("/api/v1/images?limit=1").json()["images"][0].clone();
    let content = server.get(image["content"].as_str().unwrap());
    BASE64_STANDARD.encode(content.body)
}

/// A picture of one colour, in base64.
pub(crate) fn plain(width: u32, height: u32, colour: [u8; 3]) -> String {
    let picture = image::RgbImage::from_pixel(width, height, image::Rgb(colour));
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    BASE64_STANDARD.encode(png.into_inner())
}

/// The error of an answer that must be one, in this dialect's shape.
#[track_caller]
pub(crate) fn refusal(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = answer.json();
    for member in ["error", "detail", "body", "errors"] {
        assert!(error[member].is_string(), "{member}: {error}");
    }
    assert_eq!(error.as_object().unwrap().len(), 4);
    error["detail"].as_str().unwrap().to_owned()
}

/// Asks for images on a thread of its own.
pub(crate) fn waiting<'a>(
    scope: &'a thread::Scope<'a, '_>,
    server: &'a Server,
    body: Value,
) -> ScopedJoinHandle<'a, Answer> {
    scope.spawn(move || server.post(&route("txt2img"), &body))
}

/// The job that a call made, once it has done so many evaluations of an image.
pub(crate) fn running(server: &Server, label: &str, evaluations: u64) -> Value {
    let start = std::time::Instant::now();
    loop {
        let list = server.get(JOBS).json();
        let jobs = list["jobs"].as_array().unwrap();
        if let Some(job) = jobs.iter().find(|job| job["request"]["label"] == label) {
            begun(server, job, evaluations);
            return job.clone();
        }
        assert!(start.elapsed() < crate::support::PATIENCE, "there is no job {label}");
    }
}
