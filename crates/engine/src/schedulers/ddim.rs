//! DDIM without noise (η = 0): Song et al. 2020, <https://huggingface.co/papers/2010.02502>,
//! diffusers' `DDIMScheduler`.

use super::State;
use super::alphas::AlphaSchedule;
use super::betas::{BetaDefaults, Training};
use super::prediction::{Prediction, Range};
use super::solver::Solver;
use super::spacing::Spacing;
use crate::Result;
use crate::config::Reader;
use crate::noise::Generator;

/// Deterministic DDIM.
#[derive(Debug)]
pub(super) struct Ddim {
    schedule: AlphaSchedule,
    prediction: Prediction,
    range: Range,
    /// Training timesteps in one step.
    stride: i64,
}

impl Ddim {
    pub(super) fn new(params: &Reader, steps: usize) -> Result<Self> {
        let training = Training::read(params, BetaDefaults::COMMON)?;
        let train = training.len();
        let timesteps = Spacing::read(params, true, train)?.timesteps(train, steps);
        let timesteps: Vec<f64> = timesteps.into_iter().map(f64::round_ties_even).collect();
        let schedule = AlphaSchedule::new(params, training, true, &timesteps)?;
        let prediction = Prediction::read(params)?;
        schedule.check(params, prediction)?;
        let range = Range::read(params, true)?;
        Ok(Self { schedule, prediction, range, stride: (train / steps) as i64 })
    }
}

impl Solver for Ddim {
    type Schedule = AlphaSchedule;

    fn schedule(&self) -> &AlphaSchedule {
        &self.schedule
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// Formula 12 with σ = 0.
    fn solve(&self, state: &mut State, output: &[f32], latent: &mut [f32], _noise: &mut Generator) {
        let timestep = self.schedule.timestep(state.step);
        let alpha = self.schedule.alpha(timestep);
        let next = self.schedule.alpha(timestep - self.stride);
        let (signal, noise) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let mut clean: Vec<f32> = latent
            .iter()
            .zip(output)
            .map(|(x, output)| self.prediction.clean(signal, noise, *x, *output))
            .collect();
        self.range.apply(&mut clean);
        let (next_signal, next_noise) = (next.sqrt(), (1.0 - next).sqrt());
        for ((x, output), clean) in latent.iter_mut().zip(output).zip(clean) {
            let direction = self.prediction.noise(signal, noise, *x, *output);
            *x = next_signal * clean + next_noise * direction;
        }
    }
}
