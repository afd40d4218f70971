//! One image in flight, as a value.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::conditioning::Conditioned;
use crate::identity::build_identity;
use crate::inpaint::Kept;
use crate::model::Model;
use crate::noise::Generator;
use crate::plan::Plan;
use crate::schedulers::{self, Scheduler, State};
use crate::{Error, Result};

/// The whole state of one image between two steps.
///
/// A sample can share a batch with any other of the same model and size, be dropped at any step,
/// and be written out ([`Sample::save`]) and read back ([`Sample::restore`]) in another process;
/// its final bytes are the same in each case.
#[derive(Debug, Clone)]
pub struct Sample {
    pub(crate) plan: Plan,
    /// [`Model::fingerprint`] of its model.
    pub(crate) model: u64,
    /// Planes `[channels, height, width]`.
    pub(crate) latent: Vec<f32>,
    /// What the last evaluation in this process predicted it to become.
    pub(crate) clean: Option<Vec<f32>>,
    pub(crate) state: State,
    pub(crate) noise: Generator,
    /// For inpainting.
    pub(crate) kept: Option<Kept>,
    pub(crate) scheduler: Arc<dyn Scheduler>,
    /// The negative prompt's (with guidance only), then the prompt's.
    pub(crate) conditioning: Vec<Conditioned>,
    pub(crate) warnings: Vec<String>,
}

/// A sample as written out. Conditioning and schedule follow from the plan and are made anew.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// [`build_identity`].
    build: String,
    /// [`Model::fingerprint`] of the model that it was begun on.
    model: u64,
    plan: Plan,
    latent: Vec<f32>,
    state: State,
    noise: Generator,
    kept: Option<Kept>,
}

impl Sample {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// UNet evaluations done, and those that there are in all.
    pub fn progress(&self) -> (usize, usize) {
        let left = self.scheduler.timesteps().len() - self.state.step;
        (self.state.done, self.state.done + left)
    }

    /// Whether all steps are done.
    pub fn is_done(&self) -> bool {
        self.state.step == self.scheduler.timesteps().len()
    }

    /// The latent as it stands, planes `[channels, height, width]`.
    pub fn latent(&self) -> &[f32] {
        &self.latent
    }

    /// The image so far, for people to look at: the clean latent that the last evaluation
    /// predicted; before the first one the latent itself, at unit variance.
    pub fn clean_latent(&self) -> Vec<f32> {
        if let (Some(clean), false) = (&self.clean, self.is_done()) {
            return clean.clone();
        }
        let mut latent = self.latent.clone();
        if !self.is_done() {
            self.scheduler.scale_model_input(self.state.step, &mut latent);
        }
        latent
    }

    /// What the user should know, such as words of the prompt that were cut off.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Writes the sample out.
    ///
    /// # Errors
    /// None that is known of; encoding is fallible in principle.
    pub fn save(&self) -> Result<Vec<u8>> {
        let saved = Saved {
            build: build_identity(),
            model: self.model,
            plan: self.plan.clone(),
            latent: self.latent.clone(),
            state: self.state.clone(),
            noise: self.noise.clone(),
            kept: self.kept.clone(),
        };
        postcard::to_stdvec(&saved).map_err(|e| Error::Invalid(format!("saving a sample: {e}")))
    }

    /// Reads a sample back, to be continued on the model that it was begun on.
    ///
    /// # Errors
    /// The bytes are no sample, come from another build or instruction set (such a sample is to be
    /// begun anew), or do not fit the model.
    pub fn restore(model: &Model, bytes: &[u8]) -> Result<Self> {
        let broken = |what: &str| Error::Invalid(format!("stored sample: {what}"));
        let saved: Saved = postcard::from_bytes(bytes).map_err(|e| broken(&e.to_string()))?;
        let build = build_identity();
        if saved.build != build {
            return Err(broken(&format!("made by {:?}, this is {build:?}", saved.build)));
        }
        if saved.model != model.fingerprint {
            return Err(broken("begun on another model, or at another precision"));
        }
        let Saved { plan, latent, state, noise, kept, .. } = saved;
        let mut warnings = Vec::new();
        let texts = model.admit(&plan, &mut warnings)?;
        if latent.len() != model.latent_len(&plan) {
            return Err(broken("its latent does not fit the model"));
        }
        let (height, width) = model.info.latent_size(plan.width, plan.height);
        if kept.is_some() != plan.inpaint.is_some()
            || kept.as_ref().is_some_and(|kept| !kept.fits(latent.len(), height * width))
        {
            return Err(broken("its mask does not fit its plan"));
        }
        let scheduler: Arc<dyn Scheduler> =
            schedulers::build(&model.info.scheduler, plan.scheduler, plan.steps)?.into();
        if state.step > scheduler.timesteps().len() {
            return Err(broken("it is past its last step"));
        }
        if state.step < scheduler.timesteps().len() {
            state.check(&*scheduler, &latent, &latent)?;
        }
        let conditioning = model.condition(&plan, &texts)?;
        let model = model.fingerprint;
        Ok(Self {
            plan,
            model,
            latent,
            clean: None,
            state,
            noise,
            kept,
            scheduler,
            conditioning,
            warnings,
        })
    }
}
