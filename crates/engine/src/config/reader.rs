//! Typed access to one JSON configuration, with errors that name file, key and value.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::python;
use crate::ops::Activation;
use crate::source::Source;
use crate::{Error, Result};

/// No dimension of a Stable Diffusion model comes near this; larger ones are refused before they
/// can overflow anything.
const MAX_SIZE: usize = 1 << 20;

/// Likewise, no block or transformer has near as many layers.
pub(super) const MAX_LAYERS: usize = 256;

/// One configuration file.
///
/// Every method takes the default of a class for a key that is not there. A value of the wrong type
/// or out of range is [`Error::Malformed`], one that is not implemented [`Error::Unsupported`].
/// `null` is a value of its own, and none of the right type, but for keys that a class gives no
/// other default: those are *optional* here.
#[derive(Debug, Clone, PartialEq)]
pub struct Reader {
    path: PathBuf,
    values: Map<String, Value>,
}

impl Reader {
    /// Reads a configuration that must exist.
    ///
    /// # Errors
    /// The file is missing, or as for [`Reader::parse`].
    pub fn open(source: &Source, relative: &str) -> Result<Self> {
        let path = source.path(relative);
        match source.read(relative)? {
            Some(bytes) => Self::parse(path, &bytes),
            None => Err(Error::io(path, std::io::ErrorKind::NotFound.into())),
        }
    }

    /// Takes the content of a file; `path` is what errors name. Python's `Infinity`, `-Infinity`
    /// and `NaN` are understood.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn parse(path: impl Into<PathBuf>, bytes: &[u8]) -> Result<Self> {
        let path = path.into();
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return Err(Error::malformed(path, error)),
        };
        match python::parse(text) {
            Ok(Value::Object(values)) => Ok(Self { path, values }),
            Ok(_) => Err(Error::malformed(path, "not a JSON object")),
            Err(error) => Err(Error::malformed(path, format!("not JSON: {error}"))),
        }
    }

    /// A configuration from values already at hand; `path` is what errors name.
    pub fn new(path: impl Into<PathBuf>, values: Map<String, Value>) -> Self {
        Self { path: path.into(), values }
    }

    /// What errors name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All values as found.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// The value of an optional key: absent and `null` are the same.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    /// Whether the value is this word.
    pub fn is(&self, key: &str, word: &str) -> bool {
        self.values.get(key).is_some_and(|value| value == word)
    }

    /// Sets a value over whatever the file says.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.values.insert(key.into(), value.into());
    }

    /// That the value of `key` is not implemented; `supported` says what is.
    pub fn unsupported(&self, key: &str, supported: &str) -> Error {
        Error::Unsupported {
            place: self.path.display().to_string(),
            key: key.to_owned(),
            value: self.values.get(key).map_or_else(|| "(not set)".to_owned(), abbreviated),
            supported: supported.to_owned(),
        }
    }

    /// That the file makes no sense.
    pub fn malformed(&self, message: impl std::fmt::Display) -> Error {
        Error::malformed(&self.path, message)
    }

    /// That the file, right or not, does not suit the number of steps that is asked for.
    pub fn unsuited(&self, message: impl std::fmt::Display) -> Error {
        Error::plan("steps", format!("({}): {message}", self.path.display()))
    }

    fn wrong(&self, key: &str, wanted: &str) -> Error {
        let value = self.values.get(key).map_or_else(|| "(not set)".to_owned(), abbreviated);
        self.malformed(format!("{key} = {value} should be {wanted}"))
    }

    /// The value that `convert` makes of a key's, or the default.
    fn converted<T>(
        &self,
        key: &str,
        default: T,
        wanted: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        match self.values.get(key) {
            None => Ok(default),
            Some(value) => convert(value).ok_or_else(|| self.wrong(key, wanted)),
        }
    }

    /// The items that `convert` makes of a key's list of 1 to 16, or none where the key is absent.
    fn list<T>(
        &self,
        key: &str,
        wanted: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        let wanted = format!("a list of 1 to 16 {wanted}");
        self.converted(key, None, &wanted, |value| {
            let items = value.as_array().filter(|items| (1..=16).contains(&items.len()))?;
            items.iter().map(&convert).collect::<Option<_>>().map(Some)
        })
    }

    /// A whole number in a range.
    ///
    /// # Errors
    /// The value is none.
    pub fn count(&self, key: &str, default: usize, range: RangeInclusive<usize>) -> Result<usize> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        self.converted(key, default, &wanted, |value| whole(value, &range))
    }

    /// A size, from 1 up.
    ///
    /// # Errors
    /// The value is not a whole number in range.
    pub fn size(&self, key: &str, default: usize) -> Result<usize> {
        self.count(key, default, 1..=MAX_SIZE)
    }

    /// An optional size.
    ///
    /// # Errors
    /// As [`Reader::size`].
    pub fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        self.value(key).map(|_| self.size(key, 1)).transpose()
    }

    /// A list of sizes.
    ///
    /// # Errors
    /// The value is not a list of 1 to 16 sizes.
    pub fn sizes(&self, key: &str, default: &[usize]) -> Result<Vec<usize>> {
        let sizes = self.list(key, "whole numbers from 1 up", |item| whole(item, &(1..=MAX_SIZE)));
        Ok(sizes?.unwrap_or_else(|| default.to_vec()))
    }

    /// One size for each of `count` blocks: a list, or one value for all; optional.
    ///
    /// # Errors
    /// The list has another length, or an item is not a size.
    pub fn sizes_per_block(&self, key: &str, count: usize, default: usize) -> Result<Vec<usize>> {
        match self.value(key) {
            Some(Value::Array(items)) if items.len() == count => self.sizes(key, &[]),
            Some(Value::Array(_)) => Err(self.wrong(key, &format!("one value for {count} blocks"))),
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

    /// A number, which may be infinite or none (NaN), as in Python.
    ///
    /// # Errors
    /// The value is of another type.
    pub fn number(&self, key: &str, default: f64) -> Result<f64> {
        self.converted(key, default, "a number", python::number)
    }

    /// A finite number.
    ///
    /// # Errors
    /// The value is of another type, or not finite.
    pub fn finite(&self, key: &str, default: f64) -> Result<f64> {
        self.converted(key, default, "a finite number", |value| {
            python::number(value).filter(|number| number.is_finite())
        })
    }

    /// An optional number.
    ///
    /// # Errors
    /// As [`Reader::number`].
    pub fn optional_number(&self, key: &str) -> Result<Option<f64>> {
        self.value(key).map(|_| self.number(key, 0.0)).transpose()
    }

    /// An optional list of numbers, of any length.
    ///
    /// # Errors
    /// The value is of another type, or an item is no number.
    pub fn optional_numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        match self.value(key) {
            None => Ok(None),
            Some(_) => self.converted(key, None, "a list of numbers", |value| {
                let numbers = value.as_array()?.iter().map(python::number);
                numbers.collect::<Option<_>>().map(Some)
            }),
        }
    }

    /// A flag; `null` is false, as in Python.
    ///
    /// # Errors
    /// The value is not true or false.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        self.converted(key, default, "true or false", |value| match value {
            Value::Null => Some(false),
            value => value.as_bool(),
        })
    }

    /// A list of names.
    ///
    /// # Errors
    /// The value is not a list of 1 to 16 strings.
    pub fn names(&self, key: &str, default: &[&str]) -> Result<Vec<String>> {
        let names = self.list(key, "names", |item| item.as_str().map(str::to_owned))?;
        Ok(names.unwrap_or_else(|| default.iter().map(|&name| name.to_owned()).collect()))
    }

    /// One of a few words.
    ///
    /// # Errors
    /// The value is none of those known.
    pub fn choice<T: Copy>(&self, key: &str, default: T, known: &[(&str, T)]) -> Result<T> {
        if self.values.contains_key(key) { self.required_choice(key, known) } else { Ok(default) }
    }

    /// One of a few words, which must be there.
    ///
    /// # Errors
    /// The value is none of those known.
    pub fn required_choice<T: Copy>(&self, key: &str, known: &[(&str, T)]) -> Result<T> {
        let found = known.iter().find(|(name, _)| self.is(key, name));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.unsupported(key, &format!("supported: {}", names.join(", ")))
        })
    }

    /// An activation by its name in diffusers or transformers.
    ///
    /// # Errors
    /// The name is not one of those implemented.
    pub fn activation(&self, key: &str, default: Activation) -> Result<Activation> {
        let known = [
            ("silu", Activation::Silu),
            ("swish", Activation::Silu),
            ("gelu", Activation::Gelu),
            ("quick_gelu", Activation::QuickGelu),
        ];
        self.choice(key, default, &known)
    }

    /// Demands that a key is absent, `null`, or holds one of the values implemented.
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

fn whole(value: &Value, range: &RangeInclusive<usize>) -> Option<usize> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.filter(|number| range.contains(number))
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
