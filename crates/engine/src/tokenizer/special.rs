//! Special tokens: which they are, and how they are found in a prompt.
//!
//! They are spread over four files whose precedence has grown: `tokenizer_config.json` goes alone
//! when it has `added_tokens_decoder`; otherwise `special_tokens_map.json` overrides its names, and
//! `added_tokens.json` and `tokenizer.json` declare further tokens.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokenizers::AddedToken;

use super::DEFAULT_MAX_LENGTH;
use super::files::{
    ADDED_TOKENS, CONFIG, SPECIAL_TOKENS_MAP, TokenizerFiles, Vocabulary, unsupported,
};
use crate::{Error, Result};

const BEGIN: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";

/// A longer prompt than any text encoder takes. Folders that name none hold 10³⁰.
const MAX_LENGTH: f64 = 65536.0;

/// The special tokens of a tokenizer.
pub(super) struct Special {
    /// Begins every prompt.
    pub(super) begin: String,
    /// Ends every prompt.
    pub(super) end: String,
    /// Fills prompts up.
    pub(super) pad: String,
    /// Stands for what the vocabulary does not have.
    pub(super) unknown: String,
    /// All tokens that are found in a prompt before it is split into words. Of those with the same
    /// text, the first one counts.
    pub(super) added: Vec<AddedToken>,
    /// Ids per prompt, at least 2.
    pub(super) max_length: usize,
}

/// A token with how it is found, as files spell it out.
#[derive(Clone, Deserialize)]
pub(super) struct Declared {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl Declared {
    fn special(content: &str) -> Self {
        Self {
            content: content.to_owned(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: None,
            special: true,
        }
    }

    fn to_added(&self) -> AddedToken {
        AddedToken::from(self.content.clone(), self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized.unwrap_or(!self.special))
    }
}

/// A special token by its text, or with how it is found.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Named {
    Text(String),
    Token(Declared),
}

impl Named {
    fn declared(&self) -> Declared {
        match self {
            Self::Text(text) => Declared::special(text),
            Self::Token(token) => Declared { special: true, ..token.clone() },
        }
    }
}

/// The names that `tokenizer_config.json` and `special_tokens_map.json` share.
#[derive(Default, Deserialize)]
struct Names {
    bos_token: Option<Named>,
    eos_token: Option<Named>,
    unk_token: Option<Named>,
    sep_token: Option<Named>,
    pad_token: Option<Named>,
    cls_token: Option<Named>,
    mask_token: Option<Named>,
    /// The name of `extra_special_tokens` before transformers 5.
    additional_special_tokens: Option<Extra>,
    extra_special_tokens: Option<Extra>,
}

/// Special tokens without a part of their own: a list, or by names that matter to nobody here.
#[derive(Deserialize)]
#[serde(untagged)]
enum Extra {
    List(Vec<Named>),
    Map(BTreeMap<String, Named>),
}

impl Extra {
    fn tokens(&self) -> Vec<&Named> {
        match self {
            Self::List(tokens) => tokens.iter().collect(),
            Self::Map(tokens) => tokens.values().collect(),
        }
    }
}

impl Names {
    /// The names that CLIP's tokenizer has by itself.
    fn clip() -> Self {
        let end = || Some(Named::Text(END.into()));
        Self {
            bos_token: Some(Named::Text(BEGIN.into())),
            eos_token: end(),
            unk_token: end(),
            pad_token: end(),
            ..Self::default()
        }
    }

    /// These names, and where they are silent those of `other`.
    fn or(self, other: Self) -> Self {
        Self {
            bos_token: self.bos_token.or(other.bos_token),
            eos_token: self.eos_token.or(other.eos_token),
            unk_token: self.unk_token.or(other.unk_token),
            sep_token: self.sep_token.or(other.sep_token),
            pad_token: self.pad_token.or(other.pad_token),
            cls_token: self.cls_token.or(other.cls_token),
            mask_token: self.mask_token.or(other.mask_token),
            additional_special_tokens: (self.additional_special_tokens)
                .or(other.additional_special_tokens),
            extra_special_tokens: self.extra_special_tokens.or(other.extra_special_tokens),
        }
    }

    /// The tokens without a part of their own. An empty list is as good as none.
    fn extra(&self) -> impl Iterator<Item = &Named> {
        let lists = [&self.extra_special_tokens, &self.additional_special_tokens];
        let lists = lists.into_iter().flatten().map(Extra::tokens);
        lists.into_iter().find(|tokens| !tokens.is_empty()).unwrap_or_default().into_iter()
    }

    /// All tokens, in the order in which they are added.
    fn all(&self) -> impl Iterator<Item = &Named> {
        let parts = [
            &self.bos_token,
            &self.eos_token,
            &self.unk_token,
            &self.sep_token,
            &self.pad_token,
            &self.cls_token,
            &self.mask_token,
        ];
        parts.into_iter().flatten().chain(self.extra())
    }
}

/// `tokenizer_config.json`
#[derive(Default, Deserialize)]
struct Config {
    #[serde(flatten)]
    names: Names,
    added_tokens_decoder: Option<BTreeMap<u32, Declared>>,
    model_max_length: Option<f64>,
    padding_side: Option<String>,
    truncation_side: Option<String>,
}

/// Collects the special tokens of `files`.
pub(super) fn read(files: &TokenizerFiles<'_>, vocabulary: &Vocabulary) -> Result<Special> {
    let config: Config =
        files.config.map_or(Ok(Config::default()), |bytes| files.parse(CONFIG, bytes))?;
    let place = files.place.join(CONFIG);
    for (key, side) in
        [("padding_side", &config.padding_side), ("truncation_side", &config.truncation_side)]
    {
        if side.as_deref().is_some_and(|side| side != "right") {
            return Err(unsupported(&place, key, side, "\"right\" is"));
        }
    }
    let max_length = match config.model_max_length {
        Some(length) if length < 2.0 => {
            return Err(Error::malformed(place, format!("model_max_length is {length}")));
        }
        Some(length) if length <= MAX_LENGTH => length as usize,
        _ => DEFAULT_MAX_LENGTH,
    };

    let (names, declared) = match config.added_tokens_decoder {
        Some(declared) => (config.names, declared),
        None => gather(files, vocabulary, config.names)?,
    };
    let names = names.or(Names::clip());
    let part = |name: &Option<Named>| -> Result<String> {
        let content = name.as_ref().map_or(String::new(), |name| name.declared().content);
        let known = vocabulary.ids.contains_key(&content)
            || declared.values().any(|token| token.content == content);
        known.then_some(()).ok_or_else(|| {
            let message = format!("the special token {content:?} is not in the vocabulary");
            Error::malformed(&vocabulary.place, message)
        })?;
        Ok(content)
    };
    let named = names.all().map(Named::declared);
    Ok(Special {
        begin: part(&names.bos_token)?,
        end: part(&names.eos_token)?,
        unknown: part(&names.unk_token)?,
        pad: part(&names.pad_token)?,
        added: declared.values().cloned().chain(named).map(|token| token.to_added()).collect(),
        max_length,
    })
}

/// The names and declared tokens of all files, when the configuration does not declare tokens.
fn gather(
    files: &TokenizerFiles<'_>,
    vocabulary: &Vocabulary,
    config: Names,
) -> Result<(Names, BTreeMap<u32, Declared>)> {
    let names = match files.special_tokens_map {
        Some(bytes) => files.parse::<Names>(SPECIAL_TOKENS_MAP, bytes)?.or(config),
        None => config,
    };
    let added: BTreeMap<String, u32> =
        files.added_tokens.map_or(Ok(BTreeMap::new()), |bytes| files.parse(ADDED_TOKENS, bytes))?;
    let named = |content: &str| names.all().any(|name| name.declared().content == content);
    let mut declared: BTreeMap<u32, Declared> = added
        .into_iter()
        .map(|(content, id)| {
            let special = named(&content);
            (id, Declared { special, ..Declared::special(&content) })
        })
        .collect();
    declared.extend(vocabulary.added.iter().map(|entry| (entry.id, entry.token.clone())));
    Ok((names, declared))
}
