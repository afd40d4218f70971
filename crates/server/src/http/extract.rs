//! Extractors whose rejections are problems that name what is wrong.

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Problem, body};

/// A JSON body, and a JSON answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<T>(pub(crate) T);

/// Parameters in the path. A path with one that cannot be read leads nowhere: 404.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<T>(pub(crate) T);

/// Parameters in the query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // Browsers send other types across sites without asking: a body that is not declared as
        // JSON is not read as JSON.
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media-type",
                "send a JSON body with the header Content-Type: application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|error| body::problem(&error, error.status()))?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => {
                Err(Problem::not_found(format!("{} leads nowhere", parts.uri.path())))
            }
            Err(error) => Err(Problem::internal(error)),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let query = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(query).map(Self).map_err(|error| {
            let field = error.path().to_string();
            misfit(&field, &error.into_inner().to_string())
        })
    }
}

/// Reads a JSON body.
///
/// # Errors
/// 400 where it is not JSON, 422 with the field where it is JSON of another shape.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.is_empty() {
        return Err(Problem::bad_request("the body is empty; send a JSON object"));
    }
    if is_array(bytes) {
        return Err(Problem::invalid("the body is not a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            serde_json::error::Category::Data => misfit(&field, &without_place(&error)),
            _ => not_json(&error),
        }
    })?;
    json.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// Reads what was put together from a form.
///
/// # Errors
/// 422 with the field that does not fit.
pub(super) fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let field = error.path().to_string();
        misfit(&field, &error.into_inner().to_string())
    })
}

/// Whether a JSON text is a list. No body here is one, and serde would take it for a struct whose
/// fields are not named.
pub(super) fn is_array(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"[")
}

/// What is wrong with a value. Where it stands in the text says less than its field.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map(str::to_owned).unwrap_or(text)
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("the body is not JSON: {error}"))
}

/// 422 for a value that does not fit its field.
fn misfit(field: &str, error: &str) -> Problem {
    // The path of the whole document is a dot.
    match field {
        "." | "" => Problem::invalid(error),
        field => Problem::invalid(format!("{field}: {error}")).field(field),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Body {
        #[allow(dead_code, reason = "only read")]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    struct Item {
        #[allow(dead_code, reason = "only read")]
        size: u32,
    }

    #[test]
    fn bodies_are_refused_by_field() {
        let refused = |text: &str| parse::<Body>(text.as_bytes()).unwrap_err();
        assert!(parse::<Body>(br#"{"items": [{"size": 3}]}"#).is_ok());
        for text in ["", "{", "nonsense", r#"{"items": []} x"#] {
            assert_eq!(refused(text).status(), StatusCode::BAD_REQUEST, "{text}");
        }
        assert_eq!(refused("[[]]").status(), StatusCode::UNPROCESSABLE_ENTITY);
        let problem = refused(r#"{"items": [{"size": 3}, {"size": "x"}]}"#);
        assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let told = problem.told();
        assert_eq!(told.field.as_deref(), Some("items[1].size"));
        assert_eq!(told.detail, "items[1].size: invalid type: string \"x\", expected u32");
    }

    #[test]
    fn types_of_json() {
        let is =
            |text: &str| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, text.parse().unwrap())]));
        assert!(is("application/json"));
        assert!(is("Application/JSON; charset=utf-8"));
        assert!(is("application/merge-patch+json"));
        assert!(!is("text/plain"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
