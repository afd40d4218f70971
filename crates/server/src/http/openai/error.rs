//! Errors in OpenAI's shape.

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, response};
use utoipa::{IntoResponses, ToSchema};

use crate::http::Problem;
use crate::http::accept::GOES_ON;
use crate::http::error::Told;

/// OpenAI's clients try again by themselves what fails on the server's side, unless told not to.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The kind of a problem of images that could not be made: trying again would make no other.
pub(super) const NOT_MADE: &str = "image_generation_failed";

/// An error of OpenAI's API
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiError, example = json!({"error": {
    "message": "n: 11 is not between 1 and 10",
    "type": "invalid_request_error", "param": "n", "code": "invalid_value"
}}))]
pub(in crate::http) struct Refusal {
    error: Refused,
}

/// What is wrong
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiErrorDetails)]
struct Refused {
    /// What happened and what to do about it, for people
    message: String,
    /// `invalid_request_error`, `rate_limit_error` or `server_error`
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field that is wrong
    param: Option<String>,
    /// What kind of error it is, for programs
    code: Option<String>,
}

impl Refusal {
    fn new(told: Told, status: StatusCode) -> Self {
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let code = match told.kind {
            "malformed" | "internal" => None,
            "invalid" => Some("invalid_value".to_owned()),
            "key" => Some("invalid_api_key".to_owned()),
            "scope" => Some("insufficient_permissions".to_owned()),
            "rate" | "backlog" => Some("rate_limit_exceeded".to_owned()),
            "media-type" => Some("unsupported_content_type".to_owned()),
            other => Some(other.replace('-', "_")),
        };
        Self { error: Refused { message: told.detail, kind, param: told.field, code } }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        Self::new(problem.told(), status)
    }
}

/// Puts what went wrong under `/v1` into this dialect's shape, wherever it came from: a route, the
/// layers around it, or the lack of a route.
pub(in crate::http) async fn shape(request: Request, next: Next) -> Response {
    let is_ours = request.uri().path().starts_with("/v1/");
    let has_key = request.headers().contains_key("idempotency-key");
    let mut response = next.run(request).await;
    if !is_ours {
        return response;
    }
    match response.extensions_mut().remove::<Told>() {
        Some(told) => refuse(told, response, has_key),
        None => response,
    }
}

/// An error with the headers, such as `Retry-After`, that the problem's answer had.
fn refuse(told: Told, problem: Response, has_key: bool) -> Response {
    let (mut parts, _) = problem.into_parts();
    if parts.status == StatusCode::UNPROCESSABLE_ENTITY {
        parts.status = StatusCode::BAD_REQUEST;
    }
    // A conflict stays one. A job that goes on would be asked for twice, unless it has a key.
    let goes_on = told.kind == GOES_ON && !has_key;
    if goes_on || told.kind == NOT_MADE || parts.status == StatusCode::CONFLICT {
        parts.headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    let refusal = Refusal::new(told, parts.status);
    (parts.status, parts.headers, axum::Json(refusal)).into_response()
}

/// 400 that names the field.
pub(super) fn wrong(field: &str, why: impl std::fmt::Display) -> Problem {
    Problem::invalid(format!("{field}: {why}")).field(field)
}

/// 400 for a field that is needed.
pub(super) fn missing(field: &str) -> Problem {
    let text = format!("{field}: is missing");
    Problem::new(StatusCode::BAD_REQUEST, "missing_required_parameter", text).field(field)
}

/// The errors that any route of this dialect may answer with, for the OpenAPI document.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        let described = [
            (400, "The request cannot be read, or a field is not valid; `param` names it"),
            (401, "An API key is demanded"),
            (403, "The API key does not allow this, or the request comes from another site"),
            (404, "There is no such thing; of a model, `model_not_found`"),
            (409, "The `Idempotency-Key` was used for another request, or the job was cancelled"),
            (413, "The request's body is too large"),
            (415, "The request's body is not of a type that is read here"),
            (429, "Too much at once; `Retry-After` says when to come back"),
            (500, "The images could not be made, or the server failed"),
            (503, "The database or storage does not answer; try again"),
        ];
        let answer = |text: &str| {
            let schema = Ref::from_schema_name("OpenAiError");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            ResponseBuilder::new().description(text).content("application/json", content).build()
        };
        described
            .iter()
            .map(|(status, text)| (status.to_string(), RefOr::T(answer(text))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_goes_on_is_not_asked_for_twice() {
        let is_told = |kind, has_key| {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, "why");
            let answer = refuse(problem.told(), problem.into_response(), has_key);
            answer.headers().contains_key(SHOULD_RETRY)
        };
        assert!(is_told(GOES_ON, false));
        assert!(!is_told(GOES_ON, true) && !is_told("unavailable", false));
    }
}
