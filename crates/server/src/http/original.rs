//! The original's own route: "random diffusion" over the data set, in the original's shapes.

use std::collections::{BTreeMap, HashSet};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use diffusion_jobs::request::{Dialect, Input, Kind};
use diffusion_jobs::{Error, Request};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::accept::{accept, idempotency, prefers_async, remembered, wait};
use super::auth::Generate;
use super::extract::is_array;
use super::v1::jobs::create::answer;
use super::v1::jobs::view::{JobState, JobView};
use super::{AppState, Problem, body};

/// What to draw from
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"prompt_list": ["cat dancing in rain"]}))]
pub(super) struct Draw {
    /// One of these is drawn for each image
    #[schema(min_items = 1)]
    prompt_list: Vec<String>,
    /// Images of the data set by name, path or id; all of them if none
    #[serde(default)]
    image_list: Option<Vec<String>>,
}

/// What was drawn
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Drawn {
    /// For each input image, where its output is
    #[serde(rename = "Result")]
    #[schema(example = json!({
        "samples/cat.jpg": "/outputs/0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90/cat-diffusion.png"
    }))]
    result: BTreeMap<String, String>,
    /// The job that made them, as in `/api/v1/jobs`
    job: Uuid,
    /// How each output was made
    images: Vec<Output>,
    /// Why there is no output, for each input image without one
    failures: BTreeMap<String, String>,
}

/// How an output was made
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Output {
    input: String,
    output: String,
    model: String,
    prompt: String,
    seed: u64,
    /// Time that the device spent on it
    seconds: Option<f64>,
}

/// The error of the original
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"Error Message": "prompt_list: a list of strings is needed"}))]
pub(super) struct Refusal {
    #[serde(rename = "Error Message")]
    message: String,
}

/// An error in the original's shape: whatever is wrong with the request is 400.
pub(super) struct Refused(Problem);

impl<E: Into<Problem>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self.0.status() {
            StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::NOT_FOUND
            | StatusCode::CONFLICT => StatusCode::BAD_REQUEST,
            status => status,
        };
        let refusal = axum::Json(Refusal { message: self.0.detail().to_owned() });
        // Headers such as Retry-After are the problem's.
        let (mut parts, _) = self.0.into_response().into_parts();
        parts.headers.remove(axum::http::header::CONTENT_TYPE);
        parts.headers.remove(axum::http::header::CONTENT_LENGTH);
        (status, parts.headers, refusal).into_response()
    }
}

/// Draw a new image from each image of the data set
///
/// For each image a prompt and a model are drawn at random; the answer tells where the outputs are.
/// `Prefer: respond-async` answers with the job at once.
#[utoipa::path(
    post,
    path = "/api/image_model_domain/v1/random_diffusion/{pk}/initialize_diffusion/",
    operation_id = "initialize_diffusion",
    tag = "original",
    params(
        ("pk" = String, Path, description = "Any text, as in the original", example = "1"),
        ("Prefer" = Option<String>, Header, description = "`respond-async` answers at once"),
        ("Idempotency-Key" = Option<String>, Header, description = "As for a job; used for another \
            request before, it is refused with 400 as any mistake here is", example = "d9e1")
    ),
    request_body = Draw,
    responses(
        (status = 200, description = "The outputs", body = Drawn),
        (status = 202, description = "The job that will make them", body = JobView),
        (status = 400, description = "The request is not valid, or nothing could be made", body = Refusal),
        (status = 401, description = "An API key is demanded", body = Refusal),
        (status = 403, description = "The API key does not allow this", body = Refusal),
        (status = 413, description = "The body is too large", body = Refusal),
        (status = 429, description = "Too much at once", body = Refusal),
        (status = 503, description = "Try again", body = Refusal)
    )
)]
pub(super) async fn initialize_diffusion(
    State(state): State<AppState>,
    identity: Result<Generate, Problem>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Response, Refused> {
    let Generate(identity) = identity?;
    let body = body.map_err(|error| body::problem(&error, error.status()))?;
    let draw = read(&body)?;
    let key = idempotency(&headers, "initialize_diffusion", &draw)?;
    let id = match remembered(&state, identity.owner, key.as_ref()).await? {
        Some(id) => id,
        None => {
            let inputs = draw.image_list.unwrap_or_default().into_iter().map(Input::Named);
            let request = Request {
                inputs: inputs.collect(),
                dialect: Dialect::Original,
                ..Request::new(Kind::Random, draw.prompt_list)
            };
            let job = state.resolver.resolve(&request, identity.owner).await;
            let mut job = job.map_err(rename)?;
            // An image may be named twice, by its name and by its path; the answer has one output
            // for each.
            let mut seen = HashSet::new();
            job.images.retain(|image| seen.insert(image.input_path.clone()));
            accept(&state, &job, key.as_ref()).await?
        }
    };
    if prefers_async(&headers) {
        return Ok(answer(&state, id, StatusCode::ACCEPTED).await?);
    }
    wait(&state, id, key.is_none()).await?;
    let drawn = Drawn::new(JobView::load(&state, state.database.job(id).await?).await?);
    if drawn.result.is_empty() {
        let why: Vec<String> =
            drawn.failures.iter().map(|(input, error)| format!("{input}: {error}")).collect();
        let why = format!("no image could be made (job {id}): {}", why.join("; "));
        return Err(Problem::bad_request(why).into());
    }
    Ok(axum::Json(drawn).into_response())
}

/// The error, with its field as this route calls it.
fn rename(error: Error) -> Error {
    match error {
        Error::Field { field, message } => {
            let field = field.replace("images", "image_list").replace("prompt", "prompt_list");
            Error::Field { field, message }
        }
        error => error,
    }
}

/// Reads the body. The original's clients do not always say that it is JSON.
fn read(body: &[u8]) -> Result<Draw, Problem> {
    if is_array(body) {
        return Err(Problem::bad_request("the body is not a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let draw: Result<Draw, _> = serde_path_to_error::deserialize(&mut json);
    let draw = draw.map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        match &*field {
            // The path of the whole, and of what ends too early.
            "." | "?" => Problem::bad_request(format!("the body is not what is expected: {error}")),
            field => Problem::bad_request(format!("{field}: {error}")),
        }
    })?;
    json.end().map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
    if draw.prompt_list.is_empty() {
        return Err(Problem::bad_request("prompt_list: at least one prompt is needed"));
    }
    if draw.image_list.as_ref().is_some_and(Vec::is_empty) {
        return Err(Problem::bad_request(
            "image_list: name an image, or leave the list out for all",
        ));
    }
    Ok(draw)
}

impl Drawn {
    fn new(job: JobView) -> Self {
        let mut drawn = Self {
            result: BTreeMap::new(),
            job: job.id,
            images: Vec::new(),
            failures: BTreeMap::new(),
        };
        for image in job.images {
            let input = image.input.unwrap_or_default();
            if image.state == JobState::Succeeded {
                let output = format!("/outputs/{}/{}", job.id, encoded(&image.name));
                drawn.result.insert(input.clone(), output.clone());
                drawn.images.push(Output {
                    input,
                    output,
                    model: image.model,
                    prompt: image.prompt,
                    seed: image.seed,
                    seconds: image.seconds,
                });
            } else {
                let why = image.error.unwrap_or_else(|| "cancelled".into());
                drawn.failures.insert(input, why);
            }
        }
        drawn
    }
}

/// A file name as a part of a URL's path.
fn encoded(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_wrong_are_named() {
        assert_eq!(read(br#"{"prompt_list": ["a"]}"#).unwrap().prompt_list, ["a"]);
        assert!(read(br#"{"prompt_list": ["a"], "more": 1}"#).is_ok(), "as the original does");
        for (body, name) in [
            (&b""[..], "body"),
            (b"{", "body"),
            (b"[]", "body"),
            (b"{}", "prompt_list"),
            (br#"{"prompt_list": []}"#, "prompt_list"),
            (br#"{"prompt_list": "a"}"#, "prompt_list"),
            (br#"{"prompt_list": ["a", 1]}"#, "prompt_list[1]"),
            (br#"{"prompt_list": ["a"], "image_list": []}"#, "image_list"),
            (br#"{"prompt_list": ["a"], "image_list": [{}]}"#, "image_list[0]"),
        ] {
            let problem = read(body).unwrap_err();
            assert!(problem.detail().contains(name), "{name}: {}", problem.detail());
        }
    }
}
