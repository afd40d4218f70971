//! Forms: pictures, a mask, and the fields that a JSON body has too.

use axum::extract::multipart::MultipartError;
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::error::wrong;
use super::fields::Wanted;
use crate::http::extract::from_value;
use crate::http::{AppState, Problem, Result, body};

/// Pictures in one form, as OpenAI's API has it.
const MOST_PICTURES: usize = 16;

/// Fields that are no texts.
const BARE: [&str; 8] = [
    "n",
    "output_compression",
    "partial_images",
    "seed",
    "num_inference_steps",
    "guidance_scale",
    "strength",
    "stream",
];

/// What a form holds.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) wanted: Wanted,
    pub(super) pictures: Vec<Bytes>,
    pub(super) mask: Option<Bytes>,
}

/// Reads a form.
///
/// # Errors
/// 415 where the body is none; 400 for a field that is wrong; 413 where it is too large.
pub(super) async fn read(state: &AppState, request: Request) -> Result<Form> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    if !kind.starts_with("multipart/form-data") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "send a form with the header Content-Type: multipart/form-data",
        ));
    }
    let form = Multipart::from_request(request, state).await;
    let mut parts = form.map_err(|error| Problem::bad_request(error.body_text()))?;
    let mut form = Form::default();
    let (mut fields, mut masks) = (Map::new(), None);
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let name = part.name().unwrap_or_default().to_owned();
        match &*name {
            "mask" => {
                if masks.replace(()).is_some() {
                    return Err(twice("mask"));
                }
                // An empty file is one that was not chosen.
                form.mask = Some(part.bytes().await.map_err(broken)?).filter(|it| !it.is_empty());
            }
            "markup" => return Err(wrong("markup", "no model here reads drawings; use a mask")),
            name if is_picture(name) => {
                if form.pictures.len() == MOST_PICTURES {
                    return Err(wrong("image", format!("more than {MOST_PICTURES} pictures")));
                }
                form.pictures.push(part.bytes().await.map_err(broken)?);
            }
            name => {
                let text = part.text().await.map_err(broken)?;
                if fields.insert(name.to_owned(), value(name, text)).is_some() {
                    return Err(twice(name));
                }
            }
        }
    }
    form.wanted = from_value(Value::Object(fields))?;
    Ok(form)
}

fn twice(field: &str) -> Problem {
    wrong(field, "it is given twice: send it once")
}

/// Clients send several pictures as `image` again and again, as `image[]`, or as `image[0]`.
fn is_picture(name: &str) -> bool {
    let index = name.strip_prefix("image").and_then(|rest| match rest {
        "" => Some(rest),
        rest => rest.strip_prefix('[')?.strip_suffix(']'),
    });
    index.is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The value of a field. An empty text is a field that was not filled in.
fn value(name: &str, text: String) -> Value {
    if !BARE.contains(&name) {
        return if text.is_empty() && name != "prompt" { Value::Null } else { Value::String(text) };
    }
    match serde_json::from_str(&text.trim().to_ascii_lowercase()) {
        _ if text.trim().is_empty() => Value::Null,
        Ok(bare @ (Value::Null | Value::Bool(_) | Value::Number(_))) => bare,
        _ => Value::String(text),
    }
}

fn broken(error: MultipartError) -> Problem {
    match error.status() {
        // The causes are those of the body, but where they are the form's own.
        StatusCode::BAD_REQUEST if std::error::Error::source(&error).is_none() => {
            Problem::bad_request(error.body_text())
        }
        status => body::problem(&error, status),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn pictures_have_several_names() {
        for name in ["image", "image[]", "image[0]", "image[12]"] {
            assert!(is_picture(name), "{name}");
        }
        for name in ["", "images", "image[", "image]", "image[a]", "image[]x", "mask"] {
            assert!(!is_picture(name), "{name}");
        }
    }

    #[test]
    fn values_are_what_their_fields_are() {
        assert_eq!(value("n", " 2 ".into()), json!(2));
        assert_eq!(value("stream", "True".into()), json!(true));
        assert_eq!(value("strength", "0.5".into()), json!(0.5));
        assert_eq!(value("n", "two".into()), json!("two"));
        assert_eq!(value("n", "[2]".into()), json!("[2]"));
        assert_eq!(value("n", String::new()), Value::Null);
        assert_eq!(value("prompt", "2".into()), json!("2"));
        assert_eq!(value("prompt", String::new()), json!(""));
        assert_eq!(value("model", String::new()), Value::Null);
    }

    proptest! {
        #[test]
        fn no_field_breaks_it(name in "image(\\[.{0,4}\\]?)?|[a-z_]{0,12}", text in "\\PC{0,40}") {
            let _ = is_picture(&name);
            for name in [&*name, "n", "stream", "size"] {
                let fields = Map::from_iter([(name.to_owned(), value(name, text.clone()))]);
                let _: Result<Wanted> = from_value(Value::Object(fields));
            }
        }
    }
}
