//! What is stored of an image before it is made: all that decides its bytes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
    /// The rest.
    #[serde(flatten)]
    pub(crate) plan: diffusion_engine::Plan,
}
