//! What our own images say of how they were made: enough to make them again.

use diffusion_engine::{OwnScheduler, Plan, Precision, build_identity};
use diffusion_jobs::request::Resize;
use serde::{Deserialize, Serialize};

use super::write;
use crate::plan::{ImagePlan, StoredMask};

/// The keyword of [`Record`] in a PNG, and what begins it elsewhere.
pub(crate) const RECORD: &str = "diffusion-server";
/// The keyword of the text that tools of the field read.
pub(crate) const PARAMETERS: &str = "parameters";

/// All that decides an image's bytes. Neither a time nor a job nor a path is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The model's name.
    pub(crate) model: String,
    /// As [`crate::fingerprint::of`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model_hash: Option<String>,
    /// The numbers that it was computed in.
    pub(crate) precision: String,
    /// As [`build_identity`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) build: Option<String>,
    /// SHA-256 of the file that it is drawn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<String>,
    /// How that picture came to the plan's size.
    #[serde(default)]
    pub(crate) resize: Resize,
    /// The part of it that is repainted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mask: Option<StoredMask>,
    /// The rest.
    pub(crate) plan: Plan,
}

impl Record {
    /// Of an image that this build makes of a plan.
    pub(crate) fn new(plan: ImagePlan, model_hash: Option<String>, precision: Precision) -> Self {
        let ImagePlan { model, folder: _, input, resize, mask, plan } = plan;
        let (precision, build) = (precision.to_string(), Some(build_identity()));
        Self { model, model_hash, precision, build, input, resize, mask, plan }
    }

    /// The texts of the image, by their keywords. `own` is the scheduler of its model, for tools
    /// that know none without a name.
    ///
    /// # Errors
    /// A number is none.
    pub(crate) fn texts(
        &self,
        own: Option<OwnScheduler>,
    ) -> serde_json::Result<[(&'static str, String); 2]> {
        Ok([(PARAMETERS, write::parameters(self, own)), (RECORD, serde_json::to_string(self)?)])
    }
}
