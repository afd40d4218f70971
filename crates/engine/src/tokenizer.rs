//! CLIP's tokenizer: prompts to the token ids that a text encoder takes.
//!
//! Gives what transformers' `CLIPTokenizer` gives (version 5): Unicode in composed form, white space
//! collapsed, lower case, words split as CLIP does, byte-level BPE with `</w>` at the end of words.
//! As there, only vocabulary, merges and special tokens are taken from the files: a `tokenizer.json`
//! brings no normaliser of its own.

mod files;
mod special;

use tokenizers::SplitDelimiterBehavior;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{self, Lowercase, NFC, Replace, replace::ReplacePattern};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::{self, byte_level::ByteLevel};

use crate::source::Source;
use crate::{Error, Result};

pub use files::{FILES, FOLDER, TokenizerFiles};

/// The length of a prompt where the files name none that makes sense: CLIP's.
const DEFAULT_MAX_LENGTH: usize = 77;

/// Marks the last token of a word.
const END_OF_WORD: &str = "</w>";

/// Special tokens, contractions, words, single digits, and runs of anything else but white space.
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// A prompt as a text encoder takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids: begin, the prompt's tokens, end, and padding up to the tokenizer's
    /// [`max_length`](Tokenizer::max_length), always that many.
    pub ids: Vec<u32>,
    /// How many tokens at the prompt's end did not fit and were cut.
    pub dropped: usize,
    /// The text of the tokens that were cut, in lower case; empty when none were.
    pub dropped_text: String,
}

/// A tokenizer read from a model's `tokenizer` folder.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    begin: u32,
    end: u32,
    pad: u32,
    max_length: usize,
}

impl Tokenizer {
    /// Reads a model's tokenizer `folder`: `tokenizer.json`, or `vocab.json` and `merges.txt`, and
    /// where there are such `tokenizer_config.json`, `special_tokens_map.json` and
    /// `added_tokens.json`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be read, else those of [`from_parts`](Self::from_parts).
    pub fn open(source: &Source, folder: &str) -> Result<Self> {
        files::read(source, folder)
    }

    /// Makes a tokenizer of the contents of its files.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when a file is broken, too large (32 MiB), missing, or at odds with the
    /// others; [`Error::Unsupported`] when it is not CLIP's kind of tokenizer. Both name the file.
    pub fn from_parts(files: TokenizerFiles<'_>) -> Result<Self> {
        let vocabulary = files.vocabulary()?;
        let special = special::read(&files, &vocabulary)?;
        let pipeline_error = |error| Error::malformed(files.place, format!("tokenizer: {error}"));

        let bpe = BPE::builder()
            .vocab_and_merges(vocabulary.ids.into_iter().collect::<Vocab>(), vocabulary.merges)
            .unk_token(special.unknown)
            .end_of_word_suffix(END_OF_WORD.into())
            .build()
            .map_err(|error| Error::malformed(&vocabulary.place, error))?;
        let mut inner = pipeline(bpe).map_err(pipeline_error)?;
        inner.add_tokens(&special.added);

        let id = |token: &str| {
            inner.token_to_id(token).ok_or_else(|| {
                Error::malformed(&vocabulary.place, format!("no token {token:?} in the vocabulary"))
            })
        };
        Ok(Self {
            begin: id(&special.begin)?,
            end: id(&special.end)?,
            pad: id(&special.pad)?,
            max_length: special.max_length,
            inner,
        })
    }

    /// Tokenizes a prompt as diffusers' pipelines do: cut or padded to
    /// [`max_length`](Self::max_length), with the begin and end tokens kept.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the text has a character that the vocabulary can express in no way.
    pub fn encode(&self, text: &str) -> Result<Encoding> {
        let tokens = self.tokens(text)?;
        let (kept, dropped) = tokens.split_at(tokens.len().min(self.max_length - 2));

        let mut ids = Vec::with_capacity(self.max_length);
        ids.push(self.begin);
        ids.extend(kept);
        ids.push(self.end);
        ids.resize(self.max_length, self.pad);
        let dropped_text = self.inner.decode(dropped, false).map_err(untokenizable)?;
        Ok(Encoding {
            ids,
            dropped: dropped.len(),
            dropped_text: dropped_text.replace(END_OF_WORD, " ").trim().to_owned(),
        })
    }

    /// The tokens of a text alone, as many as there are, with nothing before, behind or cut.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let encoded = self.inner.encode_fast(text, false).map_err(untokenizable)?;
        Ok(encoded.get_ids().to_vec())
    }

    /// The token of a comma that ends a word, if the vocabulary has one.
    pub fn comma(&self) -> Option<u32> {
        self.inner.token_to_id(&format!(",{END_OF_WORD}"))
    }

    /// The tokens that begin a prompt, end it, and fill it up.
    pub fn frame(&self) -> (u32, u32, u32) {
        (self.begin, self.end, self.pad)
    }

    /// How many ids [`encode`](Self::encode) gives, the begin and end tokens included: 77 for CLIP.
    pub fn max_length(&self) -> usize {
        self.max_length
    }
}

fn untokenizable(error: tokenizers::Error) -> Error {
    Error::Invalid(format!("the prompt cannot be tokenized: {error}"))
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("begin", &self.begin)
            .field("end", &self.end)
            .field("pad", &self.pad)
            .field("max_length", &self.max_length)
            .finish_non_exhaustive()
    }
}

/// CLIP's normaliser, splitter and decoder around the model.
fn pipeline(bpe: BPE) -> tokenizers::Result<tokenizers::Tokenizer> {
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".into()), " ")?;
    let words = Split::new(
        SplitPattern::Regex(WORDS.into()),
        SplitDelimiterBehavior::Removed,
        true, // what matches is kept, and what lies between is removed
    )?;
    let bytes = ByteLevel::new(false, true, true);

    let mut tokenizer = tokenizers::Tokenizer::new(bpe);
    tokenizer.with_normalizer(Some(normalizers::Sequence::new(vec![
        NFC.into(),
        spaces.into(),
        Lowercase.into(),
    ])));
    tokenizer.with_pre_tokenizer(Some(pre_tokenizers::sequence::Sequence::new(vec![
        words.into(),
        bytes.into(),
    ])));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    Ok(tokenizer)
}
