//! Bodies of requests, and the values in them, as leniently as that tool reads them.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::refused::{Refused, Result};
use crate::http::body;

/// The body of a request, however its type is declared, or why it could not be read.
pub(super) type Body = std::result::Result<Bytes, BytesRejection>;

/// Reads a JSON object. Of a field that is given twice the last counts, and one that is null is not
/// given.
///
/// # Errors
/// 400 where it is not JSON; 422 where it is no object.
pub(super) fn object(body: Body) -> Result<Map<String, Value>> {
    let bytes = body.map_err(|error| body::problem(&error, error.status()))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Refused::bad_request(format!("the body is not JSON: {error}")))?;
    let Value::Object(mut object) = value else {
        return Err(Refused::invalid("the body is not a JSON object"));
    };
    object.retain(|_, value| !value.is_null());
    Ok(object)
}

/// An object's fields as this type.
///
/// # Errors
/// 422 that names the field that does not fit.
pub(super) fn read<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T> {
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let field = error.path().to_string();
        Refused::field(&field, error.into_inner())
    })
}

/// Base64 with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// An encoded picture: base64, or a data URL that holds it.
///
/// # Errors
/// Why it is neither.
pub(super) fn picture(text: &str) -> Result<Bytes, &'static str> {
    let text = text.trim();
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err("pictures are not fetched from elsewhere; send them in base64");
    }
    let data = match text.strip_prefix("data:") {
        Some(url) => url.split_once(";base64,").ok_or("the data URL holds no base64")?.1,
        None => text,
    };
    let data: String = data.split_ascii_whitespace().collect();
    let bytes = LENIENT.decode(data).map_err(|_| "Invalid encoded image: it is no base64")?;
    if bytes.is_empty() {
        return Err("Invalid encoded image: it is empty");
    }
    Ok(bytes.into())
}

/// A whole number, also as text or as `1.0`.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let value = Value::deserialize(from)?;
    let number = match &value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(exact)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| D::Error::custom(format!("{value} is no whole number")))
}

/// The whole number that this is, if it is one.
fn exact(number: f64) -> Option<i64> {
    // Beyond this, neighbours are no longer told apart.
    let within = number.abs() <= 9_007_199_254_740_992.0;
    (within && number.fract() == 0.0).then_some(number as i64)
}

/// A number, also as text.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = Value::deserialize(from)?;
    let number = match &value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.filter(|number| number.is_finite());
    number.ok_or_else(|| D::Error::custom(format!("{value} is no number")))
}

/// A number that may be left out.
pub(super) fn some_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    number(from).map(Some)
}

/// A truth, also as a number.
pub(super) fn truth<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(from)?;
    let truth = match &value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        _ => None,
    };
    truth.ok_or_else(|| D::Error::custom(format!("{value} is neither true nor false")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Fields {
        #[serde(deserialize_with = "whole")]
        whole: i64,
        #[serde(deserialize_with = "number")]
        number: f64,
        #[serde(deserialize_with = "truth")]
        truth: bool,
    }

    fn fields(text: &'static str) -> Result<Fields> {
        read(object(Ok(Bytes::from(text)))?)
    }

    #[test]
    fn values_are_read_as_clients_write_them() {
        let one = Fields { whole: 1, number: 0.5, truth: true };
        for text in [
            r#"{"whole": 1, "number": 0.5, "truth": true}"#,
            r#"{"whole": 1.0, "number": "0.5", "truth": 1}"#,
            r#"{"whole": "1", "number": 0.5, "truth": true, "more": [1]}"#,
            r#"{"whole": 2, "whole": 1, "number": 0.5, "truth": true}"#,
        ] {
            assert_eq!(fields(text).unwrap(), one, "{text}");
        }
        assert_eq!(fields(r#"{"whole": null, "truth": null}"#).unwrap(), Fields::default());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (text, name) in [
            ("", "not JSON"),
            ("[]", "no"),
            (r#"{"whole": 1.5}"#, "whole"),
            (r#"{"whole": 1e300}"#, "whole"),
            (r#"{"number": "nan"}"#, "number"),
            (r#"{"number": []}"#, "number"),
            (r#"{"truth": "x"}"#, "truth"),
        ] {
            let refused = format!("{:?}", fields(text).unwrap_err());
            assert!(refused.contains(name), "{text}: {refused}");
        }
    }

    #[test]
    fn pictures_come_in_two_shapes() {
        for text in ["YWI=", "YWI", " Y\nWI=\n", "data:image/png;base64,YWI="] {
            assert_eq!(picture(text).unwrap(), "ab", "{text}");
        }
        for text in ["", "!", "http://a/b.png", "data:image/png,ab", "data:;base64,"] {
            assert!(picture(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,64}", bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = picture(&text);
            let _ = picture(&format!("data:{text}"));
            let _ = object(Ok(bytes.into())).and_then(read::<Fields>);
            let _ = object(Ok(format!(r#"{{"whole": {text}}}"#).into())).and_then(read::<Fields>);
        }
    }
}
