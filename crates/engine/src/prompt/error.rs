//! What a prompt asks for that cannot be done.

use super::{MAX_CHUNKS, MAX_FORMS, MAX_HELD, MAX_NESTING, MAX_TEXTS, MAX_WEIGHT};
use crate::Error;

/// Why a prompt cannot be read. Each message goes behind the name of the field that holds it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PromptError {
    /// Prompts are joined.
    #[error("has AND, which composes several prompts and is not supported: write \"and\"")]
    And,

    /// The whole prompt has a weight, which composes it too.
    #[error(
        "ends with \":{0}\", the weight of a composed prompt, which is not supported: write \"(…:{0})\" around what it weighs, or end with other text"
    )]
    OwnWeight(String),

    /// An extra network (LoRA, hypernetwork, …) is asked for.
    #[error("has <{0}:…>: extra networks are not supported; leave it out")]
    Network(String),

    /// A weight has too many points, or no digits.
    #[error("has a weight that is no number: {0:?}")]
    NoNumber(String),

    /// A weight is too large, alone or with those around it.
    #[error("weighs a part by {0:e}: {MAX_WEIGHT} is the most")]
    Weight(f64),

    /// Too many brackets are open.
    #[error(
        "has more than {MAX_NESTING} open brackets: close them, or write \\( and \\[ for brackets of the text"
    )]
    Nesting,

    /// Too much scheduling and alternation.
    #[error("changes at more than {MAX_FORMS} places: alternate and schedule fewer")]
    Forms,

    /// Scheduling and alternation make too many texts.
    #[error("changes into more than {MAX_TEXTS} texts: alternate and schedule fewer")]
    Texts,

    /// A text is too long.
    #[error("takes more than {MAX_CHUNKS} chunks of tokens: shorten it")]
    Chunks,

    /// All texts together are too long.
    #[error(
        "takes {0} chunks of tokens for all texts that it changes into, and {MAX_HELD} are the most: alternate and schedule fewer, or shorten it"
    )]
    Held(usize),

    /// Weights that leave no mean.
    #[error("has weights that cancel out: change one of them")]
    Cancelled,
}

impl PromptError {
    /// As an error of the plan's field.
    pub(crate) fn of(self, field: &'static str) -> Error {
        Error::plan(field, self.to_string())
    }
}

/// The first part of what a message quotes.
pub(super) fn quoted(text: &str) -> String {
    const MAX_CHARS: usize = 32;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
