//! What can be chosen for an image, as it is called over HTTP.

use diffusion_jobs::request::{Fill, Resize, Syntax};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a picture comes to the size of the image
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum JobResize {
    /// Squashed or stretched
    #[default]
    Stretch,
    /// Its middle, as large as it fits
    Crop,
    /// Whole, with its edges drawn out around it
    Pad,
}

impl From<JobResize> for Resize {
    fn from(resize: JobResize) -> Self {
        match resize {
            JobResize::Stretch => Self::Stretch,
            JobResize::Crop => Self::Crop,
            JobResize::Pad => Self::Pad,
        }
    }
}

/// What the repainted part of a picture begins with
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::http) enum MaskFill {
    /// The blurred colours around it
    Surround,
    /// What is there
    #[default]
    Original,
    /// Noise
    LatentNoise,
    /// Nothing: an empty latent
    LatentNothing,
}

impl From<MaskFill> for Fill {
    fn from(fill: MaskFill) -> Self {
        match fill {
            MaskFill::Surround => Self::Surround,
            MaskFill::Original => Self::Original,
            MaskFill::LatentNoise => Self::LatentNoise,
            MaskFill::LatentNothing => Self::LatentNothing,
        }
    }
}

/// How prompts are read
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum JobSyntax {
    /// As they stand, cut off after about 75 tokens
    #[default]
    Plain,
    /// As they stand, up to 32 chunks of 75 tokens
    Long,
    /// With AUTOMATIC1111's weights `(a:1.2)`, schedules `[a:b:0.5]` and `BREAK`, without an end
    A1111,
}

impl From<JobSyntax> for Syntax {
    fn from(syntax: JobSyntax) -> Self {
        match syntax {
            JobSyntax::Plain => Self::Plain,
            JobSyntax::Long => Self::Long,
            JobSyntax::A1111 => Self::A1111,
        }
    }
}
