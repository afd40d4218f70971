//! Typed access to one JSON configuration, with errors that name file, key and value.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::ops::Activation;
use crate::source::Source;
use crate::{Error, Result};

/// No dimension of a Stable Diffusion model comes near this; larger ones are refused before they
/// can overflow anything.
const MAX_SIZE: u64 = 1 << 20;

/// Likewise, no block or transformer has near as many layers.
pub(super) const MAX_LAYERS: usize = 256;

/// One configuration file.
#[derive(Debug, Clone)]
pub struct Reader {
    path: PathBuf,
    values: Map<String, Value>,
}

impl Reader {
    /// Reads a configuration that must exist.
    ///
    /// # Errors
    /// The file is missing, not JSON, or not an object.
    pub fn open(source: &Source, relative: &str) -> Result<Self> {
        let path = source.path(relative);
        match source.json(relative)? {
            Some(Value::Object(values)) => Ok(Self { path, values }),
            Some(_) => Err(Error::malformed(path, "not a JSON object")),
            None => Err(Error::io(path, std::io::ErrorKind::NotFound.into())),
        }
    }

    /// A configuration from values already at hand; `path` is for messages.
    pub fn new(path: impl Into<PathBuf>, values: Map<String, Value>) -> Self {
        Self { path: path.into(), values }
    }

    /// The value of a key that a class defaults to `None`: absent and `null` are the same.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    /// The value of a key that a class gives a default other than `None`: there `null` is a value
    /// of its own, and never one that we know.
    fn not_null(&self, key: &str, needed: &str) -> Result<Option<&Value>> {
        match self.values.get(key) {
            Some(Value::Null) => Err(self.unsupported(key, needed)),
            value => Ok(value),
        }
    }

    /// All values as found.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// An error about this key's value.
    pub fn unsupported(&self, key: &str, supported: &str) -> Error {
        Error::Unsupported {
            place: self.path.display().to_string(),
            key: key.to_owned(),
            value: abbreviated(self.values.get(key).unwrap_or(&Value::Null)),
            supported: supported.to_owned(),
        }
    }

    /// An error about the file as a whole.
    pub fn malformed(&self, message: impl std::fmt::Display) -> Error {
        Error::malformed(&self.path, message)
    }

    /// A size, from 1 up.
    ///
    /// # Errors
    /// The value is not a whole number in range.
    pub fn size(&self, key: &str, default: usize) -> Result<usize> {
        match self.not_null(key, "a whole number is needed")? {
            None => Ok(default),
            Some(value) => self.as_size(key, value),
        }
    }

    fn as_size(&self, key: &str, value: &Value) -> Result<usize> {
        match value.as_u64() {
            Some(size @ 1..=MAX_SIZE) => Ok(size as usize),
            _ => Err(self.unsupported(key, "a whole number from 1 up is needed")),
        }
    }

    /// A size, or `None` where the key is absent or null.
    ///
    /// # Errors
    /// As [`Reader::size`].
    pub fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        self.value(key).map(|value| self.as_size(key, value)).transpose()
    }

    /// A list of sizes.
    ///
    /// # Errors
    /// The value is not a list of 1 to 16 sizes.
    pub fn sizes(&self, key: &str, default: &[usize]) -> Result<Vec<usize>> {
        match self.not_null(key, "a list of whole numbers is needed")? {
            None => Ok(default.to_vec()),
            Some(Value::Array(items)) if (1..=16).contains(&items.len()) => {
                items.iter().map(|item| self.as_size(key, item)).collect()
            }
            Some(_) => Err(self.unsupported(key, "a list of 1 to 16 whole numbers is needed")),
        }
    }

    /// One size for each of `count` blocks: a list, or one value for all.
    ///
    /// # Errors
    /// The list has another length, or an item is not a size.
    pub fn sizes_per_block(&self, key: &str, count: usize, default: usize) -> Result<Vec<usize>> {
        match self.value(key) {
            Some(Value::Array(items)) if items.len() == count => self.sizes(key, &[]),
            Some(Value::Array(_)) => {
                Err(self
                    .unsupported(key, &format!("one value for each of {count} blocks is needed")))
            }
            _ => Ok(vec![self.size(key, default)?; count]),
        }
    }

    /// Demands that no value read for a key is above `most`.
    ///
    /// # Errors
    /// One is.
    pub fn at_most(&self, key: &str, values: &[usize], most: usize) -> Result<()> {
        if values.iter().any(|&value| value > most) {
            return Err(self.unsupported(key, &format!("up to {most} is")));
        }
        Ok(())
    }

    /// A number.
    ///
    /// # Errors
    /// The value is not a finite number.
    pub fn number(&self, key: &str, default: f64) -> Result<f64> {
        match self.not_null(key, "a number is needed")? {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|number| number.is_finite())
                .ok_or_else(|| self.unsupported(key, "a number is needed")),
        }
    }

    /// A flag; `null` is false, as in Python.
    ///
    /// # Errors
    /// The value is not true or false.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.values.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(value) => {
                value.as_bool().ok_or_else(|| self.unsupported(key, "true or false is needed"))
            }
        }
    }

    /// A list of names.
    ///
    /// # Errors
    /// The value is not a list of strings.
    pub fn names(&self, key: &str, default: &[&str]) -> Result<Vec<String>> {
        match self.not_null(key, "a list of names is needed")? {
            None => Ok(default.iter().map(|&name| name.to_owned()).collect()),
            Some(Value::Array(items)) if (1..=16).contains(&items.len()) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| self.unsupported(key, "a list of names is needed")),
            Some(_) => Err(self.unsupported(key, "a list of 1 to 16 names is needed")),
        }
    }

    /// An activation by its name in diffusers or transformers.
    ///
    /// # Errors
    /// The name is not one of those implemented.
    pub fn activation(&self, key: &str, default: Activation) -> Result<Activation> {
        match self.not_null(key, "a name is needed")? {
            None => Ok(default),
            Some(value) => match value.as_str() {
                Some("silu" | "swish") => Ok(Activation::Silu),
                Some("gelu") => Ok(Activation::Gelu),
                Some("quick_gelu") => Ok(Activation::QuickGelu),
                _ => Err(self.unsupported(key, "silu, gelu and quick_gelu are")),
            },
        }
    }

    /// Demands that a key is absent or holds one of the values implemented.
    ///
    /// # Errors
    /// It holds another value.
    pub fn only(&self, key: &str, allowed: &[Value]) -> Result<()> {
        match self.value(key) {
            None => Ok(()),
            Some(value) if allowed.iter().any(|a| same(a, value)) => Ok(()),
            Some(_) => {
                let list: Vec<String> = allowed.iter().map(Value::to_string).collect();
                let list = if list.is_empty() { "null".to_owned() } else { list.join(" or ") };
                Err(self.unsupported(key, &format!("only {list} is")))
            }
        }
    }
}

/// A value for an error message.
fn abbreviated(value: &Value) -> String {
    const MAX_CHARS: usize = 100;
    let text = value.to_string();
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Equality that does not tell 1 from 1.0, nor a value from a list of that value alone.
fn same(allowed: &Value, found: &Value) -> bool {
    match (allowed, found) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (_, Value::Array(items)) if !items.is_empty() && !allowed.is_array() => {
            items.iter().all(|item| same(allowed, item))
        }
        _ => allowed == found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reader(value: Value) -> Reader {
        let Value::Object(values) = value else { panic!("an object") };
        Reader::new("unet/config.json", values)
    }

    #[test]
    fn a_value_that_is_not_implemented_is_named() {
        let config = reader(json!({"dual_cross_attention": true}));
        let error = config.only("dual_cross_attention", &[json!(false)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unet/config.json: dual_cross_attention = true is not supported (only false is)"
        );
    }

    #[test]
    fn absent_null_and_per_block_defaults_pass() {
        let config = reader(json!({"a": null, "b": [false, false], "c": 1}));
        for (key, allowed) in
            [("a", json!(3)), ("b", json!(false)), ("c", json!(1.0)), ("d", json!(0))]
        {
            config.only(key, &[allowed]).unwrap();
        }
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for value in [json!(0), json!(-1), json!(1.5), json!("8"), json!(1_u64 << 40)] {
            let config = reader(json!({"norm_num_groups": value}));
            assert!(config.size("norm_num_groups", 32).is_err(), "{value}");
        }
    }

    #[test]
    fn null_is_no_default() {
        let config = reader(json!({"flag": null, "groups": null, "act_fn": null}));
        assert!(!config.flag("flag", true).unwrap());
        assert!(config.size("groups", 32).is_err());
        assert!(config.activation("act_fn", Activation::Silu).is_err());
        assert_eq!(config.optional_size("groups").unwrap(), None);
    }

    #[test]
    fn one_value_serves_all_blocks() {
        let config = reader(json!({"one": 8, "each": [5, 10, 20, 20], "short": [1, 2]}));
        assert_eq!(config.sizes_per_block("one", 4, 1).unwrap(), [8; 4]);
        assert_eq!(config.sizes_per_block("each", 4, 1).unwrap(), [5, 10, 20, 20]);
        assert_eq!(config.sizes_per_block("none", 4, 1).unwrap(), [1; 4]);
        assert!(config.sizes_per_block("short", 4, 1).is_err());
    }
}
