//! JSON as Python writes it, with numbers that are not finite.

use std::borrow::Cow;

use serde_json::Value;

/// What Python writes for numbers that JSON does not have; the longer name goes first.
const NOT_FINITE: [(&str, f64); 3] =
    [("-Infinity", f64::NEG_INFINITY), ("Infinity", f64::INFINITY), ("NaN", f64::NAN)];

/// Parses a text in which numbers may be `Infinity`, `-Infinity` or `NaN`; they become strings of
/// that name, which [`number`] reads. diffusers writes `"lambda_min_clipped": -Infinity`.
pub(super) fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(&quoted(text))
}

/// A number, or one of Python's numbers that are not finite as a string.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(name) => {
            NOT_FINITE.iter().find(|(known, _)| known == name).map(|(_, number)| *number)
        }
        _ => None,
    }
}

/// Puts quotes around numbers that are not finite.
fn quoted(text: &str) -> Cow<'_, str> {
    if !NOT_FINITE.iter().any(|(name, _)| text.contains(name)) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 16);
    let (mut rest, mut in_string) = (text, false);
    while let Some(c) = rest.chars().next() {
        let name = NOT_FINITE.iter().find(|(name, _)| !in_string && rest.starts_with(name));
        let (taken, after) = rest.split_at(match name {
            Some((name, _)) => name.len(),
            None if in_string && c == '\\' => {
                1 + rest[1..].chars().next().map_or(0, char::len_utf8)
            }
            None => c.len_utf8(),
        });
        in_string ^= c == '"';
        match name {
            Some((name, _)) => quoted.extend(["\"", name, "\""]),
            None => quoted.push_str(taken),
        }
        rest = after;
    }
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_numbers_are_read_outside_strings_only() {
        let text =
            r#"{"a": -Infinity, "b": [NaN, Infinity], "c\"NaN": "-Infinity \" NaN", "ü": 1}"#;
        let value = parse(text).unwrap();
        assert_eq!(number(&value["a"]), Some(f64::NEG_INFINITY));
        assert!(number(&value["b"][0]).unwrap().is_nan());
        assert_eq!(number(&value["b"][1]), Some(f64::INFINITY));
        assert_eq!(value["c\"NaN"], "-Infinity \" NaN");
        assert_eq!(number(&value["c\"NaN"]), None);
        assert_eq!(number(&value["ü"]), Some(1.0));
    }

    #[test]
    fn broken_text_stays_broken() {
        for text in ["", "{", "{\"a\": Nan}", "\"\\", "{\"NaN\\", "-Infinit", "[Infinity"] {
            parse(text).unwrap_err();
        }
    }
}
