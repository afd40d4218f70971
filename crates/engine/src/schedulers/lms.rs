//! Linear multistep method in σ (Adams–Bashforth with unequal steps), diffusers'
//! `LMSDiscreteScheduler`.

use super::State;
use super::betas::{BetaDefaults, Training};
use super::prediction::Prediction;
use super::sigmas::{Options, SigmaSchedule, SigmaSpacing};
use super::solver::Solver;
use crate::Result;
use crate::config::Reader;
use crate::noise::Generator;

/// Most derivatives that a step uses.
const ORDER: usize = 4;

/// Linear multistep method of order 4.
#[derive(Debug)]
pub(super) struct Lms {
    schedule: SigmaSchedule,
    prediction: Prediction,
}

impl Lms {
    pub(super) fn new(params: &Reader, steps: usize) -> Result<Self> {
        let defaults = BetaDefaults { zero_snr: false, ..BetaDefaults::COMMON };
        let training = Training::read(params, defaults)?;
        let prediction = Prediction::read(params)?;
        let options = Options {
            spacing: SigmaSpacing::read(params, false)?,
            bounded: false,
            log_linear: false,
            ends_at_min: false,
        };
        let scheduler =
            Self { schedule: SigmaSchedule::new(params, &training, steps, options)?, prediction };
        for step in 0..scheduler.schedule.timesteps.len() {
            if scheduler.coefficients(step).iter().any(|weight| !weight.is_finite()) {
                return Err(params.unsuited(format!(
                    "step {step} of {steps} has no length: ask for another number of steps"
                )));
            }
        }
        Ok(scheduler)
    }

    /// Weights of the derivatives at `step` and before it, latest first.
    ///
    /// There is one for every step since the schedule's beginning, up to [`ORDER`], also where
    /// the sample began later.
    fn coefficients(&self, step: usize) -> Vec<f32> {
        let order = ORDER.min(step + 1);
        let sigma = |back: usize| f64::from(self.schedule.sigma(step - back));
        let (from, to) = (sigma(0), f64::from(self.schedule.sigma(step + 1)));
        let basis = |current: usize, x: f64| {
            let others = (0..order).filter(|other| *other != current);
            others.map(|other| (x - sigma(other)) / (sigma(current) - sigma(other))).product()
        };
        (0..order).map(|current| integral(from, to, |x| basis(current, x)) as f32).collect()
    }
}

/// The integral of a polynomial of degree 3 or less, by Gauss's rule of two points.
fn integral(from: f64, to: f64, polynomial: impl Fn(f64) -> f64) -> f64 {
    let (middle, half) = ((from + to) / 2.0, (to - from) / 2.0);
    let offset = half / 3.0_f64.sqrt();
    half * (polynomial(middle - offset) + polynomial(middle + offset))
}

impl Solver for Lms {
    type Schedule = SigmaSchedule;

    fn schedule(&self) -> &SigmaSchedule {
        &self.schedule
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    fn solve(&self, state: &mut State, output: &[f32], latent: &mut [f32], _noise: &mut Generator) {
        let sigma = self.schedule.sigma(state.step);
        let derivative = latent
            .iter()
            .zip(output)
            .map(|(x, output)| (x - self.prediction.clean_from_sigma(sigma, *x, *output)) / sigma);
        state.remember(derivative.collect(), ORDER);
        let mut change = vec![0.0; latent.len()];
        for (weight, derivative) in
            self.coefficients(state.step).into_iter().zip(state.history.iter().rev())
        {
            change.iter_mut().zip(derivative).for_each(|(sum, d)| *sum += weight * d);
        }
        latent.iter_mut().zip(change).for_each(|(x, change)| *x += change);
    }
}
