//! What is timed.

use clap::ValueEnum;
use serde::Serialize;

/// One row group of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Task {
    /// One UNet evaluation of two rows, 64×64: a step with guidance.
    Unet,
    /// Decoding one latent to 512×512 pixels
    Decode,
    /// Encoding a picture of 512×512 pixels
    Encode,
    /// Encoding one prompt of 77 tokens
    Text,
    /// A whole image, 512×512, of a few steps with guidance
    Image,
}

impl Task {
    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unet => "unet",
            Self::Decode => "decode",
            Self::Encode => "encode",
            Self::Text => "text",
            Self::Image => "image",
        }
    }

    /// What it is, in a few words.
    pub(super) fn title(self) -> String {
        match self {
            Self::Unet => "UNet, one guided step".to_owned(),
            Self::Decode => "VAE, decoding 512×512".to_owned(),
            Self::Encode => "VAE, encoding 512×512".to_owned(),
            Self::Text => "text encoder, one prompt".to_owned(),
            Self::Image => format!("image of {} steps, 512×512", super::inputs::STEPS),
        }
    }

    /// How often one process runs it; short work is measured several times.
    pub(super) fn repeats(self) -> u32 {
        if self == Self::Text { 5 } else { 1 }
    }
}
