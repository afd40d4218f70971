//! Euler's method with ancestral noise, diffusers' `EulerAncestralDiscreteScheduler`.

use super::State;
use super::betas::{BetaDefaults, Training};
use super::prediction::Prediction;
use super::sigmas::{Options, SigmaSchedule, SigmaSpacing};
use super::solver::Solver;
use crate::Result;
use crate::config::Reader;
use crate::noise::Generator;

/// Euler's method to below the next noise level, and noise up to it.
#[derive(Debug)]
pub(super) struct EulerAncestral {
    schedule: SigmaSchedule,
    prediction: Prediction,
}

impl EulerAncestral {
    pub(super) fn new(params: &Reader, steps: usize) -> Result<Self> {
        let training = Training::read(params, BetaDefaults::COMMON)?.nearly_zero_snr();
        let prediction = Prediction::read_without_sample(params)?;
        let options = Options {
            spacing: SigmaSpacing::Training,
            bounded: false,
            log_linear: false,
            ends_at_min: false,
        };
        let schedule = SigmaSchedule::new(params, &training, steps, options)?;
        Ok(Self { schedule, prediction })
    }
}

/// The noise level to step down to from `from`, and how much noise leads from there to `to`.
fn down_and_up(from: f32, to: f32) -> (f32, f32) {
    let (from, to) = (from * from, to * to);
    let up = (to * (from - to) / from).sqrt();
    // Rounding can take the difference just below zero.
    ((to - up * up).max(0.0).sqrt(), up)
}

impl Solver for EulerAncestral {
    type Schedule = SigmaSchedule;

    fn schedule(&self) -> &SigmaSchedule {
        &self.schedule
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// Draws noise at every step, the last included, where its weight is zero.
    fn solve(&self, state: &mut State, output: &[f32], latent: &mut [f32], noise: &mut Generator) {
        let sigma = self.schedule.sigma(state.step);
        let (down, up) = down_and_up(sigma, self.schedule.sigma(state.step + 1));
        let noise = noise.randn(latent.len());
        for ((x, output), noise) in latent.iter_mut().zip(output).zip(noise) {
            let clean = self.prediction.clean_from_sigma(sigma, *x, *output);
            *x = *x + (*x - clean) / sigma * (down - sigma) + noise * up;
        }
    }
}
