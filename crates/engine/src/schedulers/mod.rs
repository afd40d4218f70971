//! Diffusion schedulers, one file each, as diffusers defines them.
//!
//! A [`Scheduler`] is immutable once built: the whole changing state of one image is in
//! [`State`], so that a sample can be written out at any step and read back elsewhere.

use serde::{Deserialize, Serialize};

use crate::noise::Generator;

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

/// A noise schedule and its solver for one number of steps.
///
/// Latents are flat slices: every rule here is elementwise, so their shape does not matter.
pub trait Scheduler: Send + Sync {
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

    /// The latent at evaluation `step` for a clean latent and unit noise of the same length.
    fn add_noise(&self, step: usize, clean: &[f32], noise: &[f32]) -> Vec<f32>;

    /// Advances `latent` in place by one evaluation, given the (guided) output of the UNet for it,
    /// and moves `state` on. Stochastic methods draw from `noise` in diffusers' order.
    fn step(&self, state: &mut State, output: &[f32], latent: &mut [f32], noise: &mut Generator);
}
