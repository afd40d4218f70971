//! Conditioning: what the texts of a plan are to the UNet, and which of them has its turn.

use std::sync::Arc;

use crate::info::ModelInfo;
use crate::model::Model;
use crate::models::{ClipText, Conditioning, UNet};
use crate::ops::Meter;
use crate::plan::{Plan, PromptSyntax};
use crate::prompt::{self, Chunk, Role, Texts, Turn};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result, schedulers};

/// Characters that a warning repeats of what is cut off.
const MAX_TOLD: usize = 300;

/// The texts of one prompt as the UNet sees them.
#[derive(Debug, Clone)]
pub(crate) struct Conditioned {
    /// Each different text once; copies of a sample share them.
    texts: Arc<[Conditioning]>,
    turns: Vec<Turn>,
}

impl Conditioned {
    /// Encodes all texts of a prompt, with the text encoder's last layers but `left_out`.
    pub(crate) fn new(
        texts: &Texts,
        encoder: &ClipText,
        unet: &UNet,
        left_out: usize,
        meter: &Meter,
    ) -> Result<Self> {
        let contexts = texts.contexts(encoder, left_out, meter)?;
        let texts_seen = contexts.into_iter().map(|context| unet.condition(&context)).collect();
        Ok(Self { texts: texts_seen, turns: texts.turns.clone() })
    }

    /// The text that conditions after `done` evaluations of the run; the last one stays.
    pub(crate) fn at(&self, done: usize) -> &Conditioning {
        let turn = self.turns.partition_point(|turn| turn.last < done);
        &self.texts[self.turns[turn.min(self.turns.len() - 1)].text]
    }
}

impl Plan {
    /// The prompts that condition, with their roles: the negative one with guidance, the prompt.
    pub(crate) fn prompts(&self, info: &ModelInfo) -> Vec<(Role, &str)> {
        let both = [(Role::Negative, &*self.negative_prompt), (Role::Prompt, &*self.prompt)];
        both[both.len() - info.rows(self)..].to_vec()
    }

    /// Layers of the text encoder that are left out at its end.
    pub(crate) fn left_out(&self) -> usize {
        self.text.clip_skip.map_or(0, |skip| skip.saturating_sub(1) as usize)
    }
}

impl ModelInfo {
    pub(crate) fn check_clip_skip(&self, plan: &Plan) -> Result<()> {
        let layers = self.text.layers;
        if let Some(skip) = plan.text.clip_skip
            && (skip == 0 || skip as usize > layers)
        {
            let message = format!(
                "{skip}: this model's text encoder has {layers} layers, of which 1 is the last"
            );
            return Err(Error::plan("clip_skip", message));
        }
        Ok(())
    }

    /// Reads a plan's prompts to their end; gives warnings of what is cut off.
    ///
    /// # Errors
    /// A prompt asks for what cannot be done, is too long, or has characters that the vocabulary
    /// cannot express.
    pub fn read_prompts(&self, tokenizer: &Tokenizer, plan: &Plan) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        self.texts(tokenizer, plan, &mut warnings)?;
        Ok(warnings)
    }

    /// The texts of the plan: the negative prompt's with guidance, the prompt's.
    pub(crate) fn texts(
        &self,
        tokenizer: &Tokenizer,
        plan: &Plan,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Texts>> {
        let read = |(role, text): (Role, &str)| match plan.text.syntax {
            PromptSyntax::A1111 => Texts::read(tokenizer, text, role, self.evaluations(plan)?),
            PromptSyntax::Long => Texts::long(tokenizer, text, role),
            PromptSyntax::Plain => {
                let encoding = tokenizer.encode(text)?;
                if encoding.dropped > 0 {
                    let name = role.field().replace('_', " ");
                    let mut text = encoding.dropped_text;
                    if let Some((end, _)) = text.char_indices().nth(MAX_TOLD) {
                        text.replace_range(end.., "…");
                    }
                    warnings
                        .push(format!("the {name} is too long for the model; cut off: \"{text}\""));
                }
                Ok(Texts::single(Chunk::plain(encoding.ids), role))
            }
        };
        plan.prompts(self).into_iter().map(read).collect()
    }

    /// Reads a plan's prompts, as far as that goes without the tokenizer.
    pub(crate) fn check_prompts(&self, plan: &Plan) -> Result<()> {
        if plan.text.syntax == PromptSyntax::A1111 {
            let evaluations = self.evaluations(plan)?;
            for (role, text) in plan.prompts(self) {
                prompt::read(text, role, evaluations).map_err(|e| e.of(role.field()))?;
            }
        }
        Ok(())
    }

    /// Evaluations of the UNet in the whole schedule of a plan, as the web UI counts them to
    /// schedule prompts: image-to-image runs fewer, and counts from its own beginning.
    pub(crate) fn evaluations(&self, plan: &Plan) -> Result<usize> {
        let scheduler = schedulers::build(&self.scheduler, plan.scheduler, plan.steps)?;
        Ok(plan.steps.saturating_mul(scheduler.order()))
    }
}

impl Model {
    /// Keys and values of the plan's texts, a row each.
    pub(crate) fn condition(&self, plan: &Plan, texts: &[Texts]) -> Result<Vec<Conditioned>> {
        let encode = |texts: &Texts| {
            let meter = self.runtime.meter();
            self.runtime
                .run(|| Conditioned::new(texts, &self.text, &self.unet, plan.left_out(), meter))
        };
        texts.iter().map(encode).collect()
    }
}
