//! Reading `scheduler_config.json`.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::{Error, Result};

/// A folder's `scheduler_config.json` as found.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    path: PathBuf,
    values: Map<String, Value>,
}

impl SchedulerConfig {
    /// Reads a `scheduler_config.json`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Malformed`] if it is no JSON object.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let text = std::fs::read_to_string(&path).map_err(|source| Error::io(&path, source))?;
        Self::parse(path, &text)
    }

    /// Takes the text of a `scheduler_config.json`; `path` is what errors name.
    ///
    /// Python's `Infinity`, `-Infinity` and `NaN` are understood: diffusers writes
    /// `"lambda_min_clipped": -Infinity`, which is no JSON.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is no JSON object.
    pub fn parse(path: impl Into<PathBuf>, text: &str) -> Result<Self> {
        let path = path.into();
        match serde_json::from_str(&quote_non_finite(text)) {
            Ok(values) => Ok(Self { path, values }),
            Err(error) => Err(Error::malformed(path, error)),
        }
    }

    /// A configuration from its key-value pairs; `path` is what errors name.
    pub fn from_values(path: impl Into<PathBuf>, values: Map<String, Value>) -> Self {
        Self { path: path.into(), values }
    }

    /// The class that the configuration was saved from (`_class_name`), if it says so.
    pub fn class_name(&self) -> Option<&str> {
        self.values.get("_class_name").and_then(Value::as_str)
    }

    /// The key-value pairs as found.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// Where the configuration was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The pairs that a diffusers pipeline hands to the folder's own class: the
    /// [Stable Diffusion pipelines](https://github.com/huggingface/diffusers/blob/v0.42.1/src/diffusers/pipelines/stable_diffusion/pipeline_stable_diffusion.py)
    /// force `steps_offset` to 1 and `clip_sample` off, over the file and the class's defaults.
    pub(super) fn own_params(&self) -> Params<'_> {
        let mut values = self.loaded();
        values.insert("steps_offset".into(), 1.into());
        values.insert("clip_sample".into(), false.into());
        Params { path: &self.path, values }
    }

    /// The pairs that `X.from_config(pipe.scheduler.config)` hands to another class `X`.
    ///
    /// What the pipeline forced is taken over only for keys that the file has: for the others the
    /// folder's class used its default, `from_config` drops such keys (`_use_default_values`), and
    /// so `X` uses its own default.
    pub(super) fn foreign_params(&self) -> Params<'_> {
        let mut values = self.loaded();
        if let Some(offset) = values.get_mut("steps_offset") {
            *offset = 1.into();
        }
        if let Some(clip) = values.get_mut("clip_sample").filter(|clip| **clip == true) {
            *clip = false.into();
        }
        if let Some(solver) = values.get_mut("solver_type")
            && let Some(registered) = registered_solver_type(self.class_name(), solver.as_str())
        {
            *solver = registered.into();
        }
        Params { path: &self.path, values }
    }

    /// The file's pairs without those that it lists as defaults of the class it was saved from.
    fn loaded(&self) -> Map<String, Value> {
        let mut values = self.values.clone();
        if let Some(Value::Array(defaults)) = values.remove("_use_default_values") {
            for key in defaults.iter().filter_map(Value::as_str) {
                values.remove(key);
            }
        }
        values
    }
}

/// What a solver class writes into its configuration instead of another class's `solver_type`.
fn registered_solver_type(class: Option<&str>, found: Option<&str>) -> Option<&'static str> {
    match (class?, found?) {
        (
            "DPMSolverMultistepScheduler" | "DPMSolverSinglestepScheduler",
            "logrho" | "bh1" | "bh2",
        ) => Some("midpoint"),
        ("UniPCMultistepScheduler", "midpoint" | "heun" | "logrho") => Some("bh2"),
        ("DEISMultistepScheduler", "midpoint" | "heun" | "bh1" | "bh2") => Some("logrho"),
        _ => None,
    }
}

/// Puts quotes around Python's non-finite numbers, so that the text is JSON.
fn quote_non_finite(text: &str) -> Cow<'_, str> {
    const NAMES: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    if !NAMES.iter().any(|name| text.contains(name)) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 16);
    let (mut rest, mut in_string) = (text, false);
    while let Some(c) = rest.chars().next() {
        let name = NAMES.iter().find(|name| !in_string && rest.starts_with(**name));
        let (taken, after) = rest.split_at(match name {
            Some(name) => name.len(),
            None if in_string && c == '\\' => {
                1 + rest[1..].chars().next().map_or(0, char::len_utf8)
            }
            None => c.len_utf8(),
        });
        in_string ^= c == '"';
        match name {
            Some(name) => quoted.extend(["\"", name, "\""]),
            None => quoted.push_str(taken),
        }
        rest = after;
    }
    Cow::Owned(quoted)
}

/// The pairs that one scheduler class is built from, with typed access.
///
/// Every method takes the class's default for a key that is not there, and reports a value of the
/// wrong type as [`Error::Malformed`].
#[derive(Debug, Clone)]
pub(super) struct Params<'a> {
    path: &'a Path,
    values: Map<String, Value>,
}

impl Params<'_> {
    /// Sets a value over whatever the configuration says.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.values.insert(key.into(), value.into());
    }

    /// A truth value; `null` is false.
    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.values.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => Err(self.wrong_type(key, value, "true or false")),
        }
    }

    /// A number, which may be infinite.
    pub(super) fn number(&self, key: &str, default: f64) -> Result<f64> {
        let Some(value) = self.values.get(key) else { return Ok(default) };
        number(value).ok_or_else(|| self.wrong_type(key, value, "a number"))
    }

    /// Whether the value is this word.
    pub(super) fn is(&self, key: &str, word: &str) -> bool {
        self.values.get(key).is_some_and(|value| value == word)
    }

    /// A number or nothing, which is the default.
    pub(super) fn optional_number(&self, key: &str) -> Result<Option<f64>> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.number(key, 0.0).map(Some),
        }
    }

    /// A list of numbers or nothing, which is the default.
    pub(super) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_array()
                .and_then(|list| list.iter().map(number).collect())
                .map(Some)
                .ok_or_else(|| self.wrong_type(key, value, "a list of numbers")),
        }
    }

    /// A whole number in a range.
    pub(super) fn count(
        &self,
        key: &str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> Result<usize> {
        let Some(value) = self.values.get(key) else { return Ok(default) };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count.filter(|count| range.contains(count)).ok_or_else(|| {
            let wanted = format!("a whole number from {} to {}", range.start(), range.end());
            self.wrong_type(key, value, &wanted)
        })
    }

    /// One of a few words.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the words known.
    pub(super) fn choice<T: Copy>(&self, key: &str, default: T, known: &[(&str, T)]) -> Result<T> {
        if self.values.contains_key(key) { self.required_choice(key, known) } else { Ok(default) }
    }

    /// One of a few words, which must be there.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the words known.
    pub(super) fn required_choice<T: Copy>(&self, key: &str, known: &[(&str, T)]) -> Result<T> {
        let found = known.iter().find(|(name, _)| self.is(key, name));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.unsupported(key, &format!("supported: {}", names.join(", ")))
        })
    }

    /// Refuses a feature that would change the picture if it is switched on.
    pub(super) fn refuse(&self, key: &str) -> Result<()> {
        match self.values.get(key) {
            None | Some(Value::Null | Value::Bool(false)) => Ok(()),
            Some(_) => Err(self.unsupported(key, "leave it out")),
        }
    }

    /// That the value of `key` is not implemented; `supported` says what is.
    pub(super) fn unsupported(&self, key: &str, supported: &str) -> Error {
        let value = self.values.get(key).map_or_else(|| "(not set)".into(), abbreviated);
        Error::Unsupported {
            place: self.path.display().to_string(),
            key: key.into(),
            value,
            supported: supported.into(),
        }
    }

    /// That the configuration makes no sense.
    pub(super) fn malformed(&self, message: impl std::fmt::Display) -> Error {
        Error::malformed(self.path, message)
    }

    /// That the configuration does not suit the number of steps asked for.
    pub(super) fn unsuited(&self, message: impl std::fmt::Display) -> Error {
        Error::Invalid(format!("{}: {message}", self.path.display()))
    }

    fn wrong_type(&self, key: &str, value: &Value, wanted: &str) -> Error {
        self.malformed(format!("{key} = {} should be {wanted}", abbreviated(value)))
    }
}

/// A value for an error message.
fn abbreviated(value: &Value) -> String {
    const MAX_CHARS: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A JSON number, or one of Python's non-finite numbers as a string.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(name) => match name.as_str() {
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            "NaN" => Some(f64::NAN),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_numbers_are_read_outside_strings_only() {
        let text =
            r#"{"a": -Infinity, "b": [NaN, Infinity], "c\"NaN": "-Infinity \" NaN", "ü": 1}"#;
        let config = SchedulerConfig::parse("x.json", text).unwrap();
        assert_eq!(config.values()["a"], "-Infinity");
        assert_eq!(config.values()["b"][0], "NaN");
        assert_eq!(config.values()["b"][1], "Infinity");
        assert_eq!(config.values()["c\"NaN"], "-Infinity \" NaN");
        assert_eq!(config.own_params().number("a", 0.0).unwrap(), f64::NEG_INFINITY);
    }

    #[test]
    fn broken_text_is_malformed() {
        for text in ["", "[]", "{", "{\"a\": Nan}", "\"\\", "{\"NaN\\"] {
            let error = SchedulerConfig::parse("x.json", text).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{text}: {error}");
        }
    }
}
