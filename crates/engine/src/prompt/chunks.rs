//! Chunks: from the parts of a text to token ids that a text encoder takes, each with its weight.

use super::attention::Part;
use super::{MAX_CHUNKS, PromptError};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// How far back from a full chunk's end a comma may lie at which it is cut instead, in tokens.
const COMMA_BACKTRACK: usize = 20;

/// One sequence for the text encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Token ids: begin, the text's, end, and padding up to the tokenizer's length.
    pub ids: Vec<u32>,
    /// How much each counts; as many as ids.
    pub weights: Vec<f32>,
}

impl Chunk {
    /// Ids that all count as usual.
    pub fn plain(ids: Vec<u32>) -> Self {
        let weights = vec![1.0; ids.len()];
        Self { ids, weights }
    }
}

/// Cuts a text into chunks, of which there is at least one. `field` names the prompt in errors.
///
/// A chunk that is full ends behind its last comma where that is near, and what follows the comma
/// moves to the next.
///
/// # Errors
/// The text is too long, or has a character that the vocabulary cannot express.
pub fn read(tokenizer: &Tokenizer, parts: &[Part], field: &'static str) -> Result<Vec<Chunk>> {
    let length = tokenizer.max_length() - 2;
    if length == 0 {
        let message = "the model's tokenizer has no room between begin and end of a prompt";
        return Err(Error::Invalid(message.into()));
    }
    let mut cutter = Cutter { length, chunks: Vec::new(), open: Open::default() };
    for part in parts {
        if part.is_break() {
            cutter.cut();
        } else {
            for token in tokenizer.tokens(&part.text)? {
                cutter.push(token, part.weight as f32, Some(token) == tokenizer.comma());
            }
        }
        if cutter.chunks.len() > MAX_CHUNKS {
            return Err(PromptError::Chunks.of(field));
        }
    }
    if !cutter.open.tokens.is_empty() || cutter.chunks.is_empty() {
        cutter.cut();
    }
    if cutter.chunks.len() > MAX_CHUNKS {
        return Err(PromptError::Chunks.of(field));
    }
    Ok(cutter.chunks.into_iter().map(|chunk| framed(tokenizer, chunk)).collect())
}

/// A chunk with nothing in it, as texts are made equally long with.
pub fn empty(tokenizer: &Tokenizer) -> Chunk {
    framed(tokenizer, Vec::new())
}

/// Begin, tokens, end, and padding.
fn framed(tokenizer: &Tokenizer, tokens: Vec<(u32, f32)>) -> Chunk {
    let (begin, end, pad) = tokenizer.frame();
    let (mut ids, mut weights) = (vec![begin], vec![1.0]);
    for (token, weight) in tokens {
        ids.push(token);
        weights.push(weight);
    }
    ids.push(end);
    // Behind the first end, which may stand in the text, nothing is read.
    let ended = ids.iter().position(|id| *id == end).map_or(ids.len(), |end| end + 1);
    if pad != end {
        ids.truncate(ended);
    }
    ids.resize(tokenizer.max_length(), pad);
    weights.resize(ids.len(), 1.0);
    Chunk { ids, weights }
}

/// The chunk that is being filled.
#[derive(Default)]
struct Open {
    tokens: Vec<(u32, f32)>,
    /// Where its last comma is.
    comma: Option<usize>,
}

struct Cutter {
    /// Tokens of a chunk.
    length: usize,
    chunks: Vec<Vec<(u32, f32)>>,
    open: Open,
}

impl Cutter {
    fn cut(&mut self) {
        self.chunks.push(std::mem::take(&mut self.open).tokens);
    }

    fn push(&mut self, token: u32, weight: f32, is_comma: bool) {
        let is_full = self.open.tokens.len() == self.length;
        if is_comma {
            self.open.comma = Some(self.open.tokens.len());
        } else if let Some(comma) = self.open.comma
            && is_full
            && self.length - comma <= COMMA_BACKTRACK
        {
            let moved = self.open.tokens.split_off(comma + 1);
            self.cut();
            self.open.tokens = moved;
        }
        if self.open.tokens.len() == self.length {
            self.cut();
        }
        self.open.tokens.push((token, weight));
    }
}
