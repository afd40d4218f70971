//! What one image is to be: every value resolved, nothing left to defaults.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::schedulers::SchedulerKind;
use crate::{Error, Result};

/// One image. The same plan on the same model gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What the image shows.
    pub prompt: String,
    /// What guidance steers away from; without guidance it has no effect.
    pub negative_prompt: String,
    /// Width in pixels, a multiple of [`crate::ModelInfo::multiple`].
    pub width: u32,
    /// Height in pixels, likewise.
    pub height: u32,
    /// Steps of the full schedule; image-to-image runs the last `steps · strength` of them.
    pub steps: usize,
    /// Guidance scale; at 1 or less there is no guidance and each step costs half.
    pub guidance: f64,
    /// The scheduler, or the model's own.
    pub scheduler: Option<SchedulerKind>,
    /// Seed of all noise; as in PyTorch, the low 32 bits count.
    pub seed: u64,
    /// For image-to-image, how far from the initial image to go: above 0, to 1.
    pub strength: Option<f64>,
    /// How the prompts are read.
    #[serde(default)]
    pub text: TextOptions,
    /// Noise of another seed, mixed in.
    #[serde(default)]
    pub variation: Option<Variation>,
    /// For inpainting, what the masked part begins with; a mask comes with the initial image then.
    #[serde(default)]
    pub inpaint: Option<MaskedStart>,
}

/// How prompts become conditioning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextOptions {
    /// What punctuation of a prompt means.
    pub syntax: PromptSyntax,
    /// Which of the text encoder's layers conditions, counted from its last, 1; the model's own if
    /// none. (AUTOMATIC1111's "Clip skip".)
    ///
    /// It counts the layers that the model's folder has. Those of Stable Diffusion 2 leave out the
    /// last of OpenCLIP's 24, so that 1 is the one before the last there, which the model was
    /// trained with; the web UI has no clip skip for it.
    pub clip_skip: Option<u32>,
}

/// What punctuation of a prompt means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptSyntax {
    /// Nothing: the words are read as they stand, and cut off after about 75 tokens, as diffusers
    /// does.
    #[default]
    Plain,
    /// Nothing: the words are read as they stand, in as many chunks of 75 tokens as they take.
    Long,
    /// As AUTOMATIC1111's web UI: `(a)`, `[a]`, `(a:1.2)`, `[a:b:0.5]`, `[a|b]`, `BREAK`, `\(`, in
    /// chunks of 75 tokens without an end.
    A1111,
}

impl fmt::Display for PromptSyntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Long => "long",
            Self::A1111 => "a1111",
        })
    }
}

impl FromStr for PromptSyntax {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [Self::Plain, Self::Long, Self::A1111];
        all.into_iter()
            .find(|syntax| syntax.to_string() == name)
            .ok_or_else(|| Error::plan("syntax", format!("{name:?}: plain, long or a1111")))
    }
}

/// Noise of another seed, mixed into the initial noise along the sphere.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// Seed of the other noise.
    pub seed: u64,
    /// Its part: 0 is the plan's own noise, 1 the other.
    pub strength: f64,
}

/// What the latent of the masked part begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskedStart {
    /// The initial image, noised like the rest.
    Image,
    /// Noise alone.
    Noise,
    /// Zeros, noised.
    Nothing,
}

/// The longest side, so that no product of sizes can overflow.
const MAX_SIDE: u32 = 8192;
/// The longest prompt in bytes; a text encoder reads about 75 tokens at a time.
const MAX_PROMPT_BYTES: usize = 64 << 10;

impl Plan {
    /// Checks what can be checked without a model but for its size rule.
    ///
    /// # Errors
    /// A value is out of range; the message says which, and what would do.
    pub fn check(&self, multiple: u32) -> Result<()> {
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if side == 0 || side > MAX_SIDE || !side.is_multiple_of(multiple) {
                let down = (side.min(MAX_SIDE) / multiple * multiple).max(multiple);
                return Err(Error::plan(
                    name,
                    format!(
                        "{side}: sides are multiples of {multiple} up to {MAX_SIDE}, for instance {down}"
                    ),
                ));
            }
        }
        if self.steps == 0 {
            return Err(Error::plan("steps", "0: at least 1 is needed"));
        }
        if !(0.0..=1000.0).contains(&self.guidance) {
            let message =
                format!("{}: a number from 0 to 1000 is needed, usually 1 to 15", self.guidance);
            return Err(Error::plan("guidance", message));
        }
        if let Some(strength) = self.strength
            && !(strength > 0.0 && strength <= 1.0)
        {
            let message = format!("{strength}: above 0, up to 1, is needed");
            return Err(Error::plan("strength", message));
        }
        if self.inpaint.is_some() && self.strength.is_none() {
            let message = "takes an initial image, and so a strength";
            return Err(Error::plan("inpaint", message));
        }
        if let Some(Variation { strength, .. }) = self.variation
            && !(0.0..=1.0).contains(&strength)
        {
            let message = format!("{strength}: from 0 to 1 is needed");
            return Err(Error::plan("variation_strength", message));
        }
        for (name, text) in [("prompt", &self.prompt), ("negative_prompt", &self.negative_prompt)] {
            if text.len() > MAX_PROMPT_BYTES {
                let message = format!("has {} bytes; {MAX_PROMPT_BYTES} are allowed", text.len());
                return Err(Error::plan(name, message));
            }
        }
        Ok(())
    }

    /// Whether the unconditional prediction is needed beside the conditional one.
    pub fn is_guided(&self) -> bool {
        self.guidance > 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            prompt: "a cat".into(),
            negative_prompt: String::new(),
            width: 64,
            height: 64,
            steps: 4,
            guidance: 7.5,
            scheduler: None,
            seed: 0,
            strength: None,
            text: TextOptions::default(),
            variation: None,
            inpaint: None,
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        plan().check(8).unwrap();
        for (broken, name) in [
            (Plan { width: 100, ..plan() }, "width 100"),
            (Plan { height: 0, ..plan() }, "height 0"),
            (Plan { height: u32::MAX, ..plan() }, "height"),
            (Plan { steps: 0, ..plan() }, "steps 0"),
            (Plan { guidance: f64::NAN, ..plan() }, "guidance NaN"),
            (Plan { guidance: -1.0, ..plan() }, "guidance -1"),
            (Plan { strength: Some(0.0), ..plan() }, "strength 0"),
            (Plan { strength: Some(1.5), ..plan() }, "strength 1.5"),
            (Plan { inpaint: Some(MaskedStart::Image), ..plan() }, "inpaint takes"),
            (Plan { prompt: "x".repeat(100_000), ..plan() }, "prompt"),
            (
                Plan { variation: Some(Variation { seed: 1, strength: 1.1 }), ..plan() },
                "variation_strength 1.1",
            ),
        ] {
            let message = broken.check(8).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
