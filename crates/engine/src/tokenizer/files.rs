//! The files of a tokenizer folder, and the vocabulary in them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{END_OF_WORD, Tokenizer};
use crate::source::Source;
use crate::{Error, Result};

/// Most bytes that a file of a tokenizer may have. Those of CLIP have about two million.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// More ids than any vocabulary has.
const MAX_ID: u32 = 1 << 24;

pub(super) const TOKENIZER_JSON: &str = "tokenizer.json";
pub(super) const CONFIG: &str = "tokenizer_config.json";
pub(super) const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";
pub(super) const ADDED_TOKENS: &str = "added_tokens.json";
const VOCAB: &str = "vocab.json";
const MERGES: &str = "merges.txt";

/// The folder of a model's tokenizer.
pub const FOLDER: &str = "tokenizer";
/// The files that may be in it and count.
pub const FILES: [&str; 6] =
    [TOKENIZER_JSON, VOCAB, MERGES, CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS];

/// The contents of a tokenizer's files, wherever they come from. Needed are `tokenizer_json`, which
/// goes first, or else `vocab` and `merges`.
#[derive(Debug, Clone, Copy)]
pub struct TokenizerFiles<'a> {
    /// `tokenizer.json`
    pub tokenizer_json: Option<&'a [u8]>,
    /// `vocab.json`
    pub vocab: Option<&'a [u8]>,
    /// `merges.txt`
    pub merges: Option<&'a [u8]>,
    /// `tokenizer_config.json`
    pub config: Option<&'a [u8]>,
    /// `special_tokens_map.json`
    pub special_tokens_map: Option<&'a [u8]>,
    /// `added_tokens.json`
    pub added_tokens: Option<&'a [u8]>,
    /// The folder, for messages.
    pub place: &'a Path,
}

/// The tokens and merges of a model.
pub(super) struct Vocabulary {
    /// Every token's id.
    pub(super) ids: HashMap<String, u32>,
    /// Pairs of tokens that are merged, the first ones first.
    pub(super) merges: Vec<(String, String)>,
    /// Tokens that `tokenizer.json` declares beside the model.
    pub(super) added: Vec<AddedEntry>,
    /// The file that the ids are from.
    pub(super) place: PathBuf,
}

/// An entry of `added_tokens` in `tokenizer.json`.
#[derive(Deserialize)]
pub(super) struct AddedEntry {
    pub(super) id: u32,
    #[serde(flatten)]
    pub(super) token: super::special::Declared,
}

#[derive(Deserialize)]
struct TokenizerJson {
    #[serde(default)]
    added_tokens: Vec<AddedEntry>,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

/// As much of `tokenizer.json` as tells what kind of model it has.
#[derive(Deserialize)]
struct Kind {
    model: ModelKind,
}

#[derive(Deserialize)]
struct ModelKind {
    #[serde(rename = "type")]
    name: Option<String>,
    end_of_word_suffix: Option<String>,
}

/// Reads the tokenizer in `folder` of a model.
pub(super) fn read(source: &Source, folder: &str) -> Result<Tokenizer> {
    let read = |name| source.read(&format!("{folder}/{name}"));
    let tokenizer_json = read(TOKENIZER_JSON)?;
    let vocab = read(VOCAB)?;
    let merges = read(MERGES)?;
    let config = read(CONFIG)?;
    let special_tokens_map = read(SPECIAL_TOKENS_MAP)?;
    let added_tokens = read(ADDED_TOKENS)?;
    Tokenizer::from_parts(TokenizerFiles {
        tokenizer_json: tokenizer_json.as_deref(),
        vocab: vocab.as_deref(),
        merges: merges.as_deref(),
        config: config.as_deref(),
        special_tokens_map: special_tokens_map.as_deref(),
        added_tokens: added_tokens.as_deref(),
        place: &source.path(folder),
    })
}

impl TokenizerFiles<'_> {
    /// The vocabulary of `tokenizer.json`, or else of `vocab.json` and `merges.txt`.
    pub(super) fn vocabulary(&self) -> Result<Vocabulary> {
        let vocabulary = match (self.tokenizer_json, self.vocab, self.merges) {
            (Some(json), _, _) => self.parse_tokenizer_json(json)?,
            (None, Some(vocab), Some(merges)) => self.parse_vocab_and_merges(vocab, merges)?,
            _ => {
                return Err(Error::malformed(
                    self.place,
                    format!("no tokenizer: neither {TOKENIZER_JSON} nor {VOCAB} and {MERGES}"),
                ));
            }
        };
        match vocabulary.ids.iter().find(|(_, id)| **id > MAX_ID) {
            Some((token, id)) => Err(Error::malformed(
                vocabulary.place,
                format!("token {token:?} has the impossible id {id}"),
            )),
            None => Ok(vocabulary),
        }
    }

    fn parse_tokenizer_json(&self, bytes: &[u8]) -> Result<Vocabulary> {
        let place = self.place.join(TOKENIZER_JSON);
        let Kind { model: kind } = self.parse(TOKENIZER_JSON, bytes)?;
        if kind.name.as_deref().is_some_and(|name| name != "BPE") {
            return Err(unsupported(&place, "model.type", &kind.name, "BPE is"));
        }
        if kind.end_of_word_suffix.as_deref() != Some(END_OF_WORD) {
            let (key, found) = ("model.end_of_word_suffix", &kind.end_of_word_suffix);
            return Err(unsupported(&place, key, found, "CLIP's </w> is"));
        }
        let json: TokenizerJson = self.parse(TOKENIZER_JSON, bytes)?;
        let merges = json.model.merges.into_iter().map(|merge| match merge {
            Merge::Pair(left, right) => Ok((left, right)),
            Merge::Line(line) => split_merge(&line).ok_or_else(|| bad_merge(&place, &line)),
        });
        Ok(Vocabulary {
            merges: merges.collect::<Result<_>>()?,
            ids: json.model.vocab,
            added: json.added_tokens,
            place,
        })
    }

    fn parse_vocab_and_merges(&self, vocab: &[u8], merges: &[u8]) -> Result<Vocabulary> {
        let place = self.place.join(MERGES);
        self.check_size(MERGES, merges)?;
        let merges =
            std::str::from_utf8(merges).map_err(|error| Error::malformed(&place, error))?;
        let merges = merges
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("#version"))
            .map(|line| split_merge(line).ok_or_else(|| bad_merge(&place, line)))
            .collect::<Result<_>>()?;
        let ids = self.parse(VOCAB, vocab)?;
        Ok(Vocabulary { ids, merges, added: Vec::new(), place: self.place.join(VOCAB) })
    }

    /// Parses the JSON file `name`.
    pub(super) fn parse<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T> {
        self.check_size(name, bytes)?;
        serde_json::from_slice(bytes)
            .map_err(|error| Error::malformed(self.place.join(name), error))
    }

    fn check_size(&self, name: &str, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            let message = format!("more than {} MiB", MAX_FILE_BYTES >> 20);
            return Err(Error::malformed(self.place.join(name), message));
        }
        Ok(())
    }
}

/// `left right`, separated by one space.
fn split_merge(line: &str) -> Option<(String, String)> {
    let (left, right) = line.split_once(' ')?;
    (!right.contains(' ')).then(|| (left.to_owned(), right.to_owned()))
}

fn bad_merge(place: &Path, line: &str) -> Error {
    Error::malformed(place, format!("{line:?} is no merge of two tokens"))
}

/// A value of a file that makes it another kind of tokenizer.
pub(super) fn unsupported(
    place: &Path,
    key: &str,
    value: &Option<String>,
    supported: &str,
) -> Error {
    Error::Unsupported {
        place: place.display().to_string(),
        key: key.to_owned(),
        value: value.as_ref().map_or("null".to_owned(), |value| format!("{value:?}")),
        supported: supported.to_owned(),
    }
}
