//! Heun's second-order method in σ: algorithm 1 of Karras et al. 2022
//! (<https://huggingface.co/papers/2206.00364>) without churn, diffusers'
//! `HeunDiscreteScheduler`.

use super::State;
use super::betas::{BetaDefaults, Training};
use super::prediction::{Prediction, Range};
use super::sigmas::{Options, SigmaSchedule, SigmaSpacing};
use super::solver::Solver;
use crate::Result;
use crate::config::Reader;
use crate::noise::Generator;

/// Heun's method: every step but the last evaluates the UNet at both of its ends.
#[derive(Debug)]
pub(super) struct Heun {
    schedule: SigmaSchedule,
    prediction: Prediction,
    range: Range,
}

impl Heun {
    pub(super) fn new(params: &Reader, steps: usize) -> Result<Self> {
        let defaults = BetaDefaults {
            start: 0.00085,
            end: 0.012,
            exponential: true,
            zero_snr: false,
            ..BetaDefaults::COMMON
        };
        let training = Training::read(params, defaults)?;
        let prediction = Prediction::read(params)?;
        let options = Options {
            spacing: SigmaSpacing::read(params, false)?,
            bounded: true,
            log_linear: false,
            ends_at_min: false,
        };
        let schedule = SigmaSchedule::new(params, &training, steps, options)?.doubled();
        Ok(Self { schedule, prediction, range: Range::read_clip(params, false)? })
    }

    /// The slope of the latent in σ.
    fn derivative(&self, sigma: f32, latent: &[f32], output: &[f32]) -> Vec<f32> {
        let mut clean: Vec<f32> = latent
            .iter()
            .zip(output)
            .map(|(x, output)| self.prediction.clean_from_sigma(sigma, *x, *output))
            .collect();
        self.range.apply(&mut clean);
        latent.iter().zip(clean).map(|(x, clean)| (x - clean) / sigma).collect()
    }
}

impl Solver for Heun {
    type Schedule = SigmaSchedule;
    const ORDER: usize = 2;

    fn schedule(&self) -> &SigmaSchedule {
        &self.schedule
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// Steps by Euler's method, and at the next evaluation again from the latent held back, with
    /// the mean of both slopes.
    fn solve(&self, state: &mut State, output: &[f32], latent: &mut [f32], _noise: &mut Generator) {
        let sigma = self.schedule.sigma(state.step);
        let slope = self.derivative(sigma, latent, output);
        match (state.held.take(), state.history.pop()) {
            (Some(start), Some(first)) => {
                let change = sigma - self.schedule.sigma(state.step.saturating_sub(1));
                let slopes = first.iter().zip(slope);
                for ((x, start), (a, b)) in latent.iter_mut().zip(start).zip(slopes) {
                    *x = start + (a + b) / 2.0 * change;
                }
            }
            _ => {
                let change = self.schedule.sigma(state.step + 1) - sigma;
                state.held = Some(latent.to_vec());
                latent.iter_mut().zip(&slope).for_each(|(x, slope)| *x += slope * change);
                state.history.push(slope);
            }
        }
    }
}
