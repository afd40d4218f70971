//! What is stored of an image before it is made: all that decides its bytes.

use std::path::{Path, PathBuf};

use diffusion_engine::{MaskedStart, Source};
use diffusion_jobs::request::{Fill, Inpaint, Resize};
use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;

/// The stored plan of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImagePlan {
    /// The model's name.
    pub(crate) model: String,
    /// The folder that it was found in; none for a model in the binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) folder: Option<PathBuf>,
    /// SHA-256 of the picture that it is drawn from, as stored; the picture is brought to the
    /// plan's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<String>,
    /// How that picture comes to the plan's size.
    #[serde(default)]
    pub(crate) resize: Resize,
    /// The part of it that is repainted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mask: Option<StoredMask>,
    /// The rest.
    #[serde(flatten)]
    pub(crate) plan: diffusion_engine::Plan,
}

impl ImagePlan {
    /// Where its model lies: where it was when the job was accepted, else wherever a model of this
    /// name is now.
    ///
    /// # Errors
    /// There is none of this name; the folder of models cannot be read.
    pub(crate) fn source(&self, models_dir: Option<&Path>) -> anyhow::Result<Source> {
        match &self.folder {
            Some(folder) if folder.join("model_index.json").is_file() => {
                Ok(Source::Folder(folder.clone()))
            }
            _ => Ok(Catalogue::discover(models_dir)?.find(&self.model)?.source),
        }
    }
}

/// The part of the input that is repainted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredMask {
    /// SHA-256 of its picture, as stored: white is repainted.
    pub(crate) picture: String,
    /// How.
    #[serde(flatten)]
    pub(crate) inpaint: Inpaint,
}

/// What the latent of the repainted part begins with: colours are filled in before it is made.
pub(crate) fn masked_start(fill: Fill) -> MaskedStart {
    match fill {
        Fill::Surround | Fill::Original => MaskedStart::Image,
        Fill::LatentNoise => MaskedStart::Noise,
        Fill::LatentNothing => MaskedStart::Nothing,
    }
}
