//! Errors in this dialect's shape.

use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use diffusion_jobs::Error;
use serde::Serialize;
use utoipa::ToSchema;

use super::settings::{CHECKPOINT, CLIP_SKIP};
use crate::http::Problem;
use crate::http::error::Told;

/// An error as AUTOMATIC1111's API sends it
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SdError, example = json!({
    "error": "HTTPException",
    "detail": "enable_hr: the second pass of high resolution is not done here",
    "body": "",
    "errors": "enable_hr: the second pass of high resolution is not done here"
}))]
pub(super) struct Refusal {
    /// The kind of error
    error: &'static str,
    /// What happened, where, and what to do
    detail: String,
    /// Empty
    body: &'static str,
    /// As `detail`
    errors: String,
}

/// A problem that is answered in this dialect's shape.
#[derive(Debug)]
pub(super) struct Refused(Problem);

/// What the routes of this dialect return.
pub(super) type Result<T, E = Refused> = std::result::Result<T, E>;

impl Refused {
    /// 422: a field asks for what is not done or cannot be.
    pub(super) fn field(field: &str, why: impl std::fmt::Display) -> Self {
        Self(Problem::invalid(format!("{field}: {why}")))
    }

    /// 422, in words of its own.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self(Problem::invalid(detail))
    }

    /// 400.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self(Problem::bad_request(detail))
    }

    /// 404.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self(Problem::not_found(detail))
    }

    /// 500: the images could not be made, and why.
    pub(super) fn failed(detail: impl Into<String>) -> Self {
        Self(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", detail))
    }

    /// An error of a job's making, its fields as this dialect calls them.
    pub(super) fn of_job(error: Error) -> Self {
        match error {
            Error::Field { field, message } => {
                let message = message.replace("/api/v1/models", "/sdapi/v1/sd-models");
                Self::field(called_here(&field), message)
            }
            error => error.into(),
        }
    }
}

/// The field of a request for a job as this dialect calls it.
fn called_here(field: &str) -> &str {
    match field {
        "models" | "models[0]" => CHECKPOINT,
        "clip_skip" => CLIP_SKIP,
        "images" | "images[0]" | "init_image" => "init_images",
        "strength" => "denoising_strength",
        "guidance" => "cfg_scale",
        "count" => "n_iter times batch_size",
        "scheduler" => "sampler_name",
        "variation_strength" => "subseed_strength",
        "label" => "force_task_id",
        field => field,
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let detail = self.0.detail().to_owned();
        refuse(detail, self.0.into_response())
    }
}

/// Puts what went wrong under `/sdapi` and `/internal` into this dialect's shape where it came from
/// no route of it: the layers around them, or the lack of a route.
pub(in crate::http) async fn shape(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_ours = path.starts_with("/sdapi/") || path.starts_with("/internal/");
    let mut response = next.run(request).await;
    if !is_ours {
        return response;
    }
    match response.extensions_mut().remove::<Told>() {
        Some(told) => refuse(told.detail, response),
        None => response,
    }
}

/// An error with the headers, such as `Retry-After`, that the problem's answer had.
fn refuse(detail: String, problem: Response) -> Response {
    let (mut parts, _) = problem.into_parts();
    let error = if parts.status.is_server_error() { "RuntimeError" } else { "HTTPException" };
    let refusal = Refusal { error, detail: detail.clone(), body: "", errors: detail };
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    if parts.status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"diffusion-server\"");
        parts.headers.insert(WWW_AUTHENTICATE, challenge);
    }
    (parts.status, parts.headers, axum::Json(refusal)).into_response()
}

/// What lies below `/sdapi/v1` and is not offered.
pub(super) async fn nothing_here(request: Request) -> Refused {
    let path = request.uri().path();
    Refused::not_found(format!("Not Found: this server does not offer {path}"))
}

/// A route of this dialect that was called with a method that it does not know.
pub(super) async fn no_such_method(request: Request) -> Refused {
    let detail = format!("Method Not Allowed: {} {}", request.method(), request.uri().path());
    Refused(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_job_are_told_as_they_are_called_here() {
        let of = |field: &str, why: &str| {
            Refused::of_job(Error::Field { field: field.into(), message: why.into() }).0.told()
        };
        let gone = of("models[0]", "\"x\" is not known here; see /api/v1/models").detail;
        assert_eq!(gone, "sd_model_checkpoint: \"x\" is not known here; see /sdapi/v1/sd-models");
        let deep = of("clip_skip", "12 is too many").detail;
        assert_eq!(deep, "CLIP_stop_at_last_layers: 12 is too many");
        assert_eq!(of("prompt", "has <lora:…>").detail, "prompt: has <lora:…>");
    }
}
