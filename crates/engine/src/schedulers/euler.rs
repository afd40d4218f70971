//! Euler's method in σ: algorithm 2 of Karras et al. 2022
//! (<https://huggingface.co/papers/2206.00364>) without churn, diffusers'
//! `EulerDiscreteScheduler`.

use super::State;
use super::betas::{BetaDefaults, Training};
use super::prediction::Prediction;
use super::sigmas::{Options, SigmaSchedule, SigmaSpacing, ends_at_sigma_min};
use super::solver::Solver;
use crate::Result;
use crate::config::Reader;
use crate::noise::Generator;

/// Euler's method.
#[derive(Debug)]
pub(super) struct Euler {
    schedule: SigmaSchedule,
    prediction: Prediction,
}

impl Euler {
    pub(super) fn new(params: &Reader, steps: usize) -> Result<Self> {
        let training = Training::read(params, BetaDefaults::COMMON)?.nearly_zero_snr();
        let prediction = if params.is("prediction_type", "original_sample") {
            Prediction::Sample
        } else {
            Prediction::read(params)?
        };
        let options = Options {
            spacing: SigmaSpacing::read(params, false)?,
            bounded: true,
            log_linear: params.choice(
                "interpolation_type",
                false,
                &[("linear", false), ("log_linear", true)],
            )?,
            ends_at_min: ends_at_sigma_min(params)?,
        };
        let continuous =
            params.choice("timestep_type", false, &[("discrete", false), ("continuous", true)])?;
        let mut schedule = SigmaSchedule::new(params, &training, steps, options)?;
        if continuous && prediction == Prediction::Velocity {
            schedule = schedule.continuous();
        }
        Ok(Self { schedule, prediction })
    }
}

impl Solver for Euler {
    type Schedule = SigmaSchedule;

    fn schedule(&self) -> &SigmaSchedule {
        &self.schedule
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    fn solve(&self, state: &mut State, output: &[f32], latent: &mut [f32], _noise: &mut Generator) {
        let sigma = self.schedule.sigma(state.step);
        let change = self.schedule.sigma(state.step + 1) - sigma;
        for (x, output) in latent.iter_mut().zip(output) {
            let clean = self.prediction.clean_from_sigma(sigma, *x, *output);
            *x += (*x - clean) / sigma * change;
        }
    }
}
