//! How a scheduler is put together: a noise schedule, and a solver that steps along it.
//!
//! The schedule knows the noise levels, so it alone answers all but [`Scheduler::step`]; a solver
//! has nothing to write but its rule. The three kinds of schedules are in `alphas.rs`, `sigmas.rs`
//! and `lambdas.rs`.

use super::prediction::Prediction;
use super::{Scheduler, State};
use crate::Result;
use crate::noise::Generator;

/// Timesteps and noise levels for one number of steps.
pub(super) trait Schedule {
    /// As [`Scheduler::timesteps`].
    fn timesteps(&self) -> &[f32];

    /// As [`Scheduler::init_noise_sigma`]: 1 where latents are kept at unit variance.
    fn init_noise_sigma(&self) -> f32 {
        1.0
    }

    /// As [`Scheduler::scale_model_input`]: nothing where latents are kept at unit variance.
    fn scale(&self, _step: usize, _latent: &mut [f32]) {}

    /// As [`Scheduler::add_noise`].
    fn add_noise(&self, step: usize, clean: &[f32], noise: &[f32]) -> Vec<f32>;
}

/// The rule of one method, over the schedule that it owns.
pub(super) trait Solver: Send + Sync + std::fmt::Debug {
    /// The kind of noise levels that the method works with.
    type Schedule: Schedule;

    /// As [`Scheduler::order`].
    const ORDER: usize = 1;

    /// The noise levels.
    fn schedule(&self) -> &Self::Schedule;

    /// What the UNet predicts.
    fn prediction(&self) -> Prediction;

    /// Advances `latent` by one evaluation. The state has been checked: `state.step` is within the
    /// schedule and all lengths are equal. It moves on by itself afterwards.
    fn solve(&self, state: &mut State, output: &[f32], latent: &mut [f32], noise: &mut Generator);
}

impl<S: Solver> Scheduler for S {
    fn timesteps(&self) -> &[f32] {
        self.schedule().timesteps()
    }

    fn order(&self) -> usize {
        S::ORDER
    }

    fn init_noise_sigma(&self) -> f32 {
        self.schedule().init_noise_sigma()
    }

    fn scale_model_input(&self, step: usize, latent: &mut [f32]) {
        self.schedule().scale(step, latent);
    }

    fn add_noise(&self, step: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        self.schedule().add_noise(step, clean, noise)
    }

    fn clean(&self, step: usize, latent: &[f32], output: &[f32]) -> Vec<f32> {
        // What a unit of either becomes tells the noise level, in the terms of any schedule.
        let of = |clean: f32, noise: f32| -> f32 {
            self.add_noise(step, &[clean], &[noise]).into_iter().sum()
        };
        let (signal, noise) = (of(1.0, 0.0), of(0.0, 1.0));
        let unit = (signal * signal + noise * noise).sqrt().recip();
        let (signal, noise) = (signal * unit, noise * unit);
        let pairs = latent.iter().zip(output);
        pairs.map(|(x, out)| self.prediction().clean(signal, noise, x * unit, *out)).collect()
    }

    fn step(
        &self,
        state: &mut State,
        output: &[f32],
        latent: &mut [f32],
        noise: &mut Generator,
    ) -> Result<()> {
        state.check(self, output, latent)?;
        self.solve(state, output, latent, noise);
        state.advance();
        Ok(())
    }
}
