//! The one error type of handlers: RFC 9457 problem details.
//!
//! Policy: what the client can mend is a 4xx that says what and where; what it can wait out is a
//! 429 or 503 with `Retry-After`; the rest is a 500 whose cause stands in the log, under the
//! request's id, and never in the answer. What it tells is bounded, whatever it repeats of what the
//! client sent.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, response};
use utoipa::{IntoResponses, ToSchema};

use super::observe;

/// The most bytes of a text for people; a longer one loses its middle.
const LONGEST: usize = 2000;
/// What is kept of the beginning of a longer one.
const HEAD: usize = 1200;
/// What is kept of its end, where mostly stands what to do.
const TAIL: usize = 600;

/// What handlers return.
pub(crate) type Result<T, E = Problem> = std::result::Result<T, E>;

/// Why a request was not carried out.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    members: BTreeMap<&'static str, Value>,
}

/// Problem details (RFC 9457), sent as `application/problem+json`
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:diffusion-server:invalid",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "steps: 0 is not between 1 and 1000",
    "request_id": "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90",
    "field": "steps"
}))]
pub(crate) struct Details {
    /// What kind of problem it is, for programs: `urn:diffusion-server:` and a word
    #[serde(rename = "type")]
    kind: String,
    /// The status in words
    title: &'static str,
    /// The HTTP status
    status: u16,
    /// What happened and what to do about it, for people
    detail: String,
    /// As in the `X-Request-Id` header and in the server's log
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Seconds after which the same request may succeed
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// More about it, such as the `field` that is wrong
    #[serde(flatten)]
    members: BTreeMap<&'static str, Value>,
}

/// What a problem says. It stands beside the answer that became of the problem, for a dialect that
/// has a shape of its own.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// As [`Problem::new`] has it.
    pub(crate) kind: &'static str,
    /// For people.
    pub(crate) detail: String,
    /// The field that is wrong.
    pub(crate) field: Option<String>,
}

impl Problem {
    /// A problem of a kind of its own; `kind` is a short word that programs may rely on.
    pub(crate) fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        let detail = bounded(detail.into());
        Self { status, kind, detail, retry_after: None, members: BTreeMap::new() }
    }

    /// 400: the request cannot be read.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 422: the request can be read, and what it says is not valid.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// 404.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 503, to be tried again after a while.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .retry_after(Duration::from_secs(5))
    }

    /// 500: the cause is logged, not told.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed; its log says why, under this request's id",
        )
    }

    /// Names the field that is wrong, as `a.b[2]`.
    pub(crate) fn field(self, path: impl Into<String>) -> Self {
        self.with("field", path.into())
    }

    /// Adds a member to the problem.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        let value = match value.into() {
            Value::String(text) => bounded(text).into(),
            value => value,
        };
        self.members.insert(name, value);
        self
    }

    /// Says when the same request may succeed: as a header and as a member.
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// What it says, for another shape.
    pub(crate) fn told(&self) -> Told {
        let field = self.members.get("field").and_then(Value::as_str).map(str::to_owned);
        Told { kind: self.kind, detail: self.detail.clone(), field }
    }

    /// What happened, for people.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }
}

/// A text that may repeat what a client sent, without its middle where it is too long.
fn bounded(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let (head, tail) = (text.floor_char_boundary(HEAD), text.ceil_char_boundary(text.len() - TAIL));
    format!("{} … ({} bytes) … {}", &text[..head], tail - head, &text[tail..])
}

impl From<diffusion_jobs::Error> for Problem {
    fn from(error: diffusion_jobs::Error) -> Self {
        use diffusion_jobs::Error;
        match error {
            Error::NotFound { .. } => Self::not_found(error.to_string()),
            Error::Conflict(detail) => Self::new(StatusCode::CONFLICT, "conflict", detail),
            Error::Invalid(detail) => Self::invalid(detail),
            Error::Field { ref field, .. } => Self::invalid(error.to_string()).field(field),
            Error::Superseded | Error::Backlog { .. } => {
                Self::new(StatusCode::CONFLICT, "conflict", error.to_string())
            }
            error if error.is_outage() => {
                tracing::error!(%error, "outage");
                Self::unavailable("the server's database or storage does not answer; try again")
            }
            error => Self::internal(error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Whole seconds, upwards: a client that waits as long as it is told must not be early.
        let retry_after = self.retry_after.map(|after| after.as_millis().div_ceil(1000) as u64);
        let told = self.told();
        let details = Details {
            kind: format!("urn:diffusion-server:{}", self.kind),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail,
            request_id: observe::request_id(),
            retry_after,
            members: self.members,
        };
        let mut response = (self.status, axum::Json(details)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"diffusion-server\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(told);
        response
    }
}

/// The problems that any route may answer with, for the OpenAPI document:
/// `responses((status = 200, …), Problems)`.
pub(crate) struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        let described = [
            (400, "The request cannot be read"),
            (401, "An API key is demanded"),
            (403, "The API key does not allow this, or the request comes from another site"),
            (404, "There is no such thing"),
            (408, "The request's body came too slowly"),
            (
                409,
                "It does not go with what is there; of an Idempotency-Key, it was used otherwise",
            ),
            (413, "The request's body is too large"),
            (415, "The request's body is not of a type that is read here"),
            (421, "The server is not to be called by this host name"),
            (422, "A field is not valid; `field` names it"),
            (429, "Too much at once; `Retry-After` says when to come back"),
            (500, "The server failed; its log says why"),
            (503, "The database or storage does not answer; try again"),
        ];
        let answer = |text: &str| {
            let schema = Ref::from_schema_name("Problem");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            ResponseBuilder::new()
                .description(text)
                .content("application/problem+json", content)
                .build()
        };
        described
            .iter()
            .map(|(status, text)| (status.to_string(), RefOr::T(answer(text))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_repeated_is_bounded() {
        let detail = |text: &str| Problem::invalid(text).field(text).told();
        let short = "steps: 0 is not between 1 and 1000";
        assert_eq!(detail(short).detail, short);
        let long = format!("steps: {} is not between 1 and 1000", "9".repeat(1 << 20));
        let told = detail(&long);
        assert!(told.detail.starts_with("steps: 999") && told.detail.ends_with(" 1 and 1000"));
        assert!(told.detail.contains("bytes) …") && told.detail.len() <= LONGEST);
        assert_eq!(told.field.as_deref(), Some(&*told.detail));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(\\PC{0,40}é){0,200}") {
            let is_short = text.len() <= LONGEST;
            let told = bounded(text.clone());
            prop_assert!(told.len() <= LONGEST && (told == text) == is_short);
        }
    }
}
