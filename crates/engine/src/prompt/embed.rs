//! Contexts: from the chunks of all texts of a prompt to what cross-attention sees.

use super::attention::Part;
use super::chunks::{self, Chunk};
use super::{MAX_HELD, PromptError, Role};
use crate::models::ClipText;
use crate::ops::{Meter, Tensor, concat_tokens, scale_tokens, sum};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

/// When a text conditions: up to an evaluation, counted from 0 at the run's own beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The last evaluation.
    pub last: usize,
    /// Index of the text.
    pub text: usize,
}

impl Turn {
    /// Of the one text of a prompt that does not change.
    const ALWAYS: Self = Self { last: usize::MAX, text: 0 };
}

/// All texts of one prompt, as a text encoder takes them.
#[derive(Debug, Clone, PartialEq)]
pub struct Texts {
    /// The chunks of each text, equally many.
    pub chunks: Vec<Vec<Chunk>>,
    /// In order of evaluations; not empty.
    pub turns: Vec<Turn>,
    /// Which prompt it is.
    pub role: Role,
}

impl Texts {
    /// One text in one chunk, whatever the evaluation.
    pub fn single(chunk: Chunk, role: Role) -> Self {
        Self { chunks: vec![vec![chunk]], turns: vec![Turn::ALWAYS], role }
    }

    /// One text as it stands, in as many chunks as it takes, whatever the evaluation.
    ///
    /// # Errors
    /// It is too long, or has a character that the vocabulary cannot express.
    pub fn long(tokenizer: &Tokenizer, text: &str, role: Role) -> Result<Self> {
        let chunks = chunks::read(tokenizer, &[Part::plain(text)], role.field())?;
        Ok(Self { chunks: vec![chunks], turns: vec![Turn::ALWAYS], role })
    }

    /// Reads a prompt for a run of `evaluations`.
    ///
    /// The web UI compares the number of evaluations done, from 0, with steps counted from 1, so
    /// that the first section holds for one evaluation more than it says and the last for one
    /// less. Shorter texts are filled up with empty chunks to as many as the longest has.
    ///
    /// # Errors
    /// The prompt asks for what cannot be done, or is beyond a limit.
    pub fn read(
        tokenizer: &Tokenizer,
        prompt: &str,
        role: Role,
        evaluations: usize,
    ) -> Result<Self> {
        let field = role.field();
        let (schedule, parts) = super::read(prompt, role, evaluations).map_err(|e| e.of(field))?;
        let mut chunks = parts
            .iter()
            .map(|parts| chunks::read(tokenizer, parts, field))
            .collect::<Result<Vec<_>>>()?;
        let most = chunks.iter().map(Vec::len).max().unwrap_or(0);
        if chunks.len() * most > MAX_HELD {
            return Err(PromptError::Held(chunks.len() * most).of(field));
        }
        chunks.iter_mut().for_each(|text| text.resize(most, chunks::empty(tokenizer)));
        let turns = schedule.sections.iter().map(|&(last, text)| Turn { last, text }).collect();
        Ok(Self { chunks, turns, role })
    }

    /// The context of each text, `[1, tokens, hidden_size]`, of the text encoder's last layer but
    /// `left_out`.
    ///
    /// # Errors
    /// As [`ClipText::forward`]; weights cancel out.
    pub fn contexts(
        &self,
        encoder: &ClipText,
        left_out: usize,
        meter: &Meter,
    ) -> Result<Vec<Tensor>> {
        let mut contexts: Vec<Vec<Tensor>> = Vec::new();
        for text in &self.chunks {
            let encode = |chunk: &Chunk| encoder.forward(&chunk.ids, left_out, meter);
            contexts.push(text.iter().map(encode).collect::<Result<_>>()?);
        }
        let count = contexts.first().map_or(0, Vec::len);
        (0..count).try_for_each(|index| self.emphasise(&mut contexts, index))?;
        Ok(contexts.into_iter().map(concat_tokens).collect())
    }

    /// Multiplies the tokens of all texts' chunks at `index` by their weights, then all of them by
    /// what restores their mean.
    ///
    /// The web UI encodes the texts of all sections together, so the mean is over those, and a text
    /// counts as often as it has a section.
    fn emphasise(&self, contexts: &mut [Vec<Tensor>], index: usize) -> Result<()> {
        let weighted = |text: &Vec<Chunk>| text[index].weights.iter().any(|w| *w != 1.0);
        if !self.chunks.iter().any(weighted) {
            return Ok(());
        }
        let (mut before, mut after) = (0.0, 0.0);
        for (text, (context, chunks)) in contexts.iter_mut().zip(&self.chunks).enumerate() {
            let sections = self.turns.iter().filter(|turn| turn.text == text).count() as f64;
            before += sections * sum(&context[index]);
            scale_tokens(&mut context[index], &chunks[index].weights);
            after += sections * sum(&context[index]);
        }
        if contexts.iter().flatten().any(|context| context.meter().is_planning()) {
            return Ok(());
        }
        let restoring = (before / after) as f32;
        if !restoring.is_finite() {
            return Err(Error::plan(self.role.field(), PromptError::Cancelled.to_string()));
        }
        for context in contexts {
            let all = vec![restoring; context[index].shape().tokens()];
            scale_tokens(&mut context[index], &all);
        }
        Ok(())
    }
}
