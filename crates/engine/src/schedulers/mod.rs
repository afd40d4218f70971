//! Diffusion schedulers, one file each, as diffusers 0.42.1 defines them.
//!
//! A [`Scheduler`] is immutable once built: the whole changing state of one image is in
//! [`State`], so that a sample can be written out at any step and read back elsewhere.

mod alphas;
mod betas;
mod config;
mod ddim;
mod dpm_multistep;
mod euler;
mod euler_ancestral;
mod grid;
mod heun;
mod kind;
mod lambdas;
mod lcm;
mod lms;
mod pndm;
mod prediction;
mod sigmas;
mod solver;
mod spacing;
mod unipc;

use serde::{Deserialize, Serialize};

pub use self::config::{OwnScheduler, SchedulerConfig};
use self::kind::Class;
pub use self::kind::SchedulerKind;
pub use self::sigmas::SigmaSpacing;
use crate::noise::Generator;
use crate::{Error, Result};

/// What one sample carries from step to step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Index of the next UNet evaluation in [`Scheduler::timesteps`].
    pub step: usize,
    /// Evaluations done since the sample began (image-to-image begins past the first timestep).
    pub done: usize,
    /// Earlier model outputs or derivatives that a multistep method keeps, oldest first.
    pub history: Vec<Vec<f32>>,
    /// The latent that a method holds back between evaluations (Heun, PNDM, UniPC's corrector).
    pub held: Option<Vec<f32>>,
}

impl State {
    /// The state of a sample that begins at evaluation `begin`: 0, or what [`begin_index`] gives.
    pub fn begin(begin: usize) -> Self {
        Self { step: begin, ..Self::default() }
    }

    /// Checks that the state can step with this scheduler, output and latent.
    pub(crate) fn check(
        &self,
        scheduler: &(impl Scheduler + ?Sized),
        output: &[f32],
        latent: &[f32],
    ) -> Result<()> {
        let evaluations = scheduler.timesteps().len();
        if self.step >= evaluations {
            let step = self.step;
            let message = format!("evaluation {step} is past the end of the {evaluations} planned");
            return Err(Error::Invalid(message));
        }
        let lengths = self.history.iter().chain(&self.held).map(Vec::len).chain([output.len()]);
        if let Some(len) = lengths.into_iter().find(|len| *len != latent.len()) {
            let expected = latent.len();
            let message = format!("the sample has {len} values beside a latent of {expected}");
            return Err(Error::Invalid(message));
        }
        Ok(())
    }

    /// Adds to the history, of which at most `keep` are kept.
    fn remember(&mut self, values: Vec<f32>, keep: usize) {
        self.history.push(values);
        self.history.drain(..self.history.len().saturating_sub(keep));
    }

    /// Moves on by one evaluation.
    fn advance(&mut self) {
        self.step += 1;
        self.done = self.done.saturating_add(1);
    }
}

/// A noise schedule and its solver for one number of steps.
///
/// Latents are flat slices of one sample: no rule depends on their shape, and all are elementwise
/// but dynamic thresholding, which looks at the whole sample.
pub trait Scheduler: Send + Sync + std::fmt::Debug {
    /// The timestep given to the UNet at each evaluation, in order. Methods that evaluate the
    /// UNet more than once a step (Heun, PNDM's Runge-Kutta steps) list every evaluation.
    fn timesteps(&self) -> &[f32];

    /// Evaluations per step in `timesteps`, as diffusers' `order`; image-to-image skips
    /// `order` entries for each step that it leaves out.
    fn order(&self) -> usize {
        1
    }

    /// Standard deviation of the initial latent for text-to-image.
    fn init_noise_sigma(&self) -> f32;

    /// Scales the latent in place to what the UNet expects at evaluation `step`.
    fn scale_model_input(&self, step: usize, latent: &mut [f32]);

    /// The latent at evaluation `step` for a clean latent and unit noise of the same length;
    /// past the last evaluation, the clean latent.
    fn add_noise(&self, step: usize, clean: &[f32], noise: &[f32]) -> Vec<f32>;

    /// The clean latent that the (guided) output of the UNet at evaluation `step` predicts, for
    /// people to look at: no range is kept.
    fn clean(&self, step: usize, latent: &[f32], output: &[f32]) -> Vec<f32>;

    /// Advances `latent` in place by one evaluation, given the (guided) output of the UNet for it,
    /// and moves `state` on. Stochastic methods draw from `noise` in diffusers' order.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the sample is finished, or if the lengths in `state`, `output` and
    /// `latent` differ; nothing is changed then.
    fn step(
        &self,
        state: &mut State,
        output: &[f32],
        latent: &mut [f32],
        noise: &mut Generator,
    ) -> Result<()>;
}

/// Builds a scheduler for a number of steps.
///
/// Without a `kind` it is the class that the configuration names, with what the Stable Diffusion
/// pipelines of diffusers force on it (`steps_offset` = 1, no `clip_sample`). A `kind` takes over
/// the configuration as `X.from_config(pipe.scheduler.config)` does: keys that the file has, with
/// the forced values where it has them, and X's own defaults for all others.
///
/// # Errors
/// - [`Error::Plan`] if `steps` is not from 1 to the number of training timesteps, or does not
///   suit the scheduler.
/// - [`Error::Unsupported`] for a class or a value that is not implemented.
/// - [`Error::Malformed`] for a configuration that makes no sense or no finite schedule.
pub fn build(
    config: &SchedulerConfig,
    kind: Option<SchedulerKind>,
    steps: usize,
) -> Result<Box<dyn Scheduler>> {
    let (class, params) = match kind {
        None => {
            let params = config.own_params();
            (params.required_choice("_class_name", &Class::NAMED)?, params)
        }
        Some(kind) => {
            let mut params = config.foreign_params();
            kind.configure(&mut params);
            (kind.class(), params)
        }
    };
    let train = betas::train_timesteps(&params)?;
    if steps == 0 || steps > train {
        let message = format!("{steps}: this model can be sampled in 1 to {train}");
        return Err(Error::plan("steps", message));
    }
    let scheduler: Box<dyn Scheduler> = match class {
        Class::Euler => Box::new(euler::Euler::new(&params, steps)?),
        Class::EulerAncestral => Box::new(euler_ancestral::EulerAncestral::new(&params, steps)?),
        Class::Ddim => Box::new(ddim::Ddim::new(&params, steps)?),
        Class::DpmMultistep => Box::new(dpm_multistep::DpmMultistep::new(&params, steps)?),
        Class::Pndm => Box::new(pndm::Pndm::new(&params, steps)?),
        Class::Lms => Box::new(lms::Lms::new(&params, steps)?),
        Class::Heun => Box::new(heun::Heun::new(&params, steps)?),
        Class::UniPc => Box::new(unipc::UniPc::new(&params, steps)?),
        Class::Lcm => Box::new(lcm::Lcm::new(&params, steps)?),
    };
    let mut numbers = scheduler.timesteps().iter().copied().chain([scheduler.init_noise_sigma()]);
    match numbers.find(|number| !number.is_finite()) {
        None => Ok(scheduler),
        Some(number) => {
            Err(params.malformed(format!("the noise schedule leads to a value of {number}")))
        }
    }
}

/// The evaluation at which image-to-image begins: of `steps` steps it runs the last
/// ⌊`steps` × `strength`⌋, of [`Scheduler::order`] evaluations each.
///
/// # Errors
/// [`Error::Plan`] if `strength` is not from 0 to 1, or if no step would be left.
pub fn begin_index(steps: usize, strength: f64, order: usize) -> Result<usize> {
    if !(0.0..=1.0).contains(&strength) {
        return Err(Error::plan("strength", format!("{strength} is not from 0 to 1")));
    }
    let run = ((steps as f64 * strength) as usize).min(steps);
    if run == 0 {
        let message =
            format!("{strength} of {steps} steps leaves no step to run: raise one of them");
        return Err(Error::plan("strength", message));
    }
    Ok((steps - run).saturating_mul(order))
}
