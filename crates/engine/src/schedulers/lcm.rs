//! Latent consistency models: Luo et al. 2023, <https://huggingface.co/papers/2310.04378>,
//! diffusers' `LCMScheduler`.

use super::State;
use super::alphas::AlphaSchedule;
use super::betas::{BetaDefaults, BetaSchedule, Training};
use super::prediction::{Prediction, Range};
use super::solver::{Schedule, Solver};
use crate::config::Reader;
use crate::noise::Generator;
use crate::{Error, Result};

/// Standard deviation of the data in the boundary condition, squared.
const DATA_VARIANCE: f32 = 0.25;

/// Multistep consistency sampling: a clean latent at each step, and noise again but for the last.
#[derive(Debug)]
pub(super) struct Lcm {
    schedule: AlphaSchedule,
    prediction: Prediction,
    range: Range,
    /// Factor of the timestep in the boundary condition.
    timestep_scaling: f32,
}

impl Lcm {
    pub(super) fn new(params: &Reader, steps: usize) -> Result<Self> {
        let defaults = BetaDefaults {
            start: 0.00085,
            end: 0.012,
            schedule: BetaSchedule::ScaledLinear,
            ..BetaDefaults::COMMON
        };
        let training = Training::read(params, defaults)?;
        let original = params.count("original_inference_steps", 50, 1..=training.len())?;
        if steps > original {
            let message = format!(
                "{steps}: too many for this LCM scheduler, which takes 1 to {original} \
                 (original_inference_steps)"
            );
            return Err(Error::plan("steps", message));
        }
        let timesteps = timesteps(training.len(), original, steps);
        let schedule = AlphaSchedule::new(params, training, true, &timesteps)?;
        let prediction = Prediction::read(params)?;
        if prediction == Prediction::Epsilon {
            schedule.check(params, prediction)?;
        }
        Ok(Self {
            schedule,
            prediction,
            range: Range::read(params, false)?,
            timestep_scaling: params.number("timestep_scaling", 10.0)? as f32,
        })
    }

    /// Weights of the latent and of the predicted clean latent, by which the model is the identity
    /// at timestep zero.
    fn boundary(&self, timestep: i64) -> (f32, f32) {
        let t = timestep as f32 * self.timestep_scaling;
        let variance = t * t + DATA_VARIANCE;
        (DATA_VARIANCE / variance, t / variance.sqrt())
    }
}

/// `steps` of the `original` timesteps that the model was distilled with, spaced evenly by index.
fn timesteps(train: usize, original: usize, steps: usize) -> Vec<f64> {
    let stride = train / original;
    let spacing = original as f64 / steps as f64;
    (0..steps)
        .map(|i| (i as f64 * spacing) as usize)
        .map(|i| ((original - i) * stride) as f64 - 1.0)
        .collect()
}

impl Solver for Lcm {
    type Schedule = AlphaSchedule;

    fn schedule(&self) -> &AlphaSchedule {
        &self.schedule
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// Draws noise at every step but the last.
    fn solve(&self, state: &mut State, output: &[f32], latent: &mut [f32], noise: &mut Generator) {
        let timestep = self.schedule.timestep(state.step);
        let alpha = self.schedule.alpha(timestep);
        let (signal, level) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let mut clean: Vec<f32> = latent
            .iter()
            .zip(output)
            .map(|(x, output)| self.prediction.clean(signal, level, *x, *output))
            .collect();
        self.range.apply(&mut clean);
        let (skip, out) = self.boundary(timestep);
        for (x, clean) in latent.iter_mut().zip(clean) {
            *x = out * clean + skip * *x;
        }
        if state.step + 1 < self.schedule.timesteps.len() {
            let noise = noise.randn(latent.len());
            let noisy = self.schedule.add_noise(state.step + 1, latent, &noise);
            latent.copy_from_slice(&noisy);
        }
    }
}
