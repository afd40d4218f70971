//! DPM-Solver and DPM-Solver++, multistep: Lu et al. 2022,
//! <https://huggingface.co/papers/2206.00927> and <https://huggingface.co/papers/2211.01095>,
//! diffusers' `DPMSolverMultistepScheduler`.

use super::State;
use super::betas::{BetaDefaults, Training};
use super::lambdas::{LambdaSchedule, Level, Options, read_order};
use super::prediction::{Prediction, Range};
use super::solver::Solver;
use crate::Result;
use crate::config::Reader;
use crate::noise::Generator;

/// Fewer steps than this may use lower orders at the end (`lower_order_final`).
const FEW_STEPS: usize = 15;

/// `algorithm_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    /// Integrates the predicted noise.
    Noise,
    /// Integrates the predicted clean latent (`++`).
    Clean,
    /// As `Noise`, for the SDE.
    NoiseSde,
    /// As `Clean`, for the SDE.
    CleanSde,
}

impl Algorithm {
    fn is_stochastic(self) -> bool {
        matches!(self, Self::NoiseSde | Self::CleanSde)
    }

    fn predicts_clean(self) -> bool {
        matches!(self, Self::Clean | Self::CleanSde)
    }
}

/// Multistep DPM-Solver of order 1 to 3.
#[derive(Debug)]
pub(super) struct DpmMultistep {
    schedule: LambdaSchedule,
    prediction: Prediction,
    range: Range,
    algorithm: Algorithm,
    order: usize,
    /// Heun's second-order update in place of the midpoint's.
    heun: bool,
    euler_at_final: bool,
    lower_order_final: bool,
}

/// Weights of one update: of the latent, of the differences of model outputs, and of noise.
#[derive(Debug, Clone, Copy, Default)]
struct Update {
    latent: f32,
    differences: [f32; 3],
    noise: f32,
    /// Reciprocals of the latest two steps' lengths in λ, relative to this one.
    inverse: [f32; 2],
    /// Third order: weight of the change of first differences in the extrapolated first one.
    blend: f32,
    /// Third order: divisor of the change of first differences, inverted.
    inverse_sum: f32,
}

impl Update {
    fn is_finite(&self) -> bool {
        let rest = [self.latent, self.noise, self.blend, self.inverse_sum];
        rest.iter().chain(&self.differences).chain(&self.inverse).all(|weight| weight.is_finite())
    }

    /// The weighted differences of up to three model outputs, latest first.
    fn change(&self, m0: f32, m1: f32, m2: f32) -> f32 {
        let first = self.inverse[0] * (m0 - m1);
        let curve = first - self.inverse[1] * (m1 - m2);
        let (first, second) = (first + self.blend * curve, self.inverse_sum * curve);
        let [d0, d1, d2] = self.differences;
        d0 * m0 + d1 * first + d2 * second
    }
}

impl DpmMultistep {
    pub(super) fn new(params: &Reader, steps: usize) -> Result<Self> {
        let training = Training::read(params, BetaDefaults::COMMON)?.nearly_zero_snr();
        let options = Options {
            lambda_min: params.number("lambda_min_clipped", f64::NEG_INFINITY)? as f32,
            knows_lu: true,
            rounds: !params.is("beta_schedule", "squaredcos_cap_v2"),
            ends_with_spacing: false,
        };
        let algorithms = [
            ("dpmsolver++", Algorithm::Clean),
            ("sde-dpmsolver++", Algorithm::CleanSde),
            ("dpmsolver", Algorithm::Noise),
            ("sde-dpmsolver", Algorithm::NoiseSde),
            ("deis", Algorithm::Clean),
        ];
        let solvers = [
            ("midpoint", false),
            ("heun", true),
            ("logrho", false),
            ("bh1", false),
            ("bh2", false),
        ];
        if params.is("variance_type", "learned") || params.is("variance_type", "learned_range") {
            return Err(params.unsupported("variance_type", "a model without learned variance"));
        }
        let scheduler = Self {
            schedule: LambdaSchedule::new(params, &training, steps, options)?,
            prediction: Prediction::read(params)?,
            range: Range::read_thresholding(params)?,
            algorithm: params.choice("algorithm_type", Algorithm::Clean, &algorithms)?,
            order: read_order(params)?,
            heun: params.choice("solver_type", false, &solvers)?,
            euler_at_final: params.flag("euler_at_final", false)?,
            lower_order_final: params.flag("lower_order_final", true)?,
        };
        scheduler.check(params)?;
        Ok(scheduler)
    }

    /// Refuses what has no finite update.
    fn check(&self, params: &Reader) -> Result<()> {
        if self.schedule.ends_clean && !self.algorithm.predicts_clean() {
            let supported = "sigma_min with algorithm_type dpmsolver or sde-dpmsolver";
            return Err(params.unsupported("final_sigmas_type", supported));
        }
        if self.order > 2 && self.algorithm == Algorithm::NoiseSde {
            return Err(params.unsupported("solver_order", "1 or 2 with sde-dpmsolver"));
        }
        let steps = self.schedule.timesteps.len();
        match (0..steps).find(|i| !self.update(*i, self.order_at(*i, *i)).is_finite()) {
            None => Ok(()),
            Some(step) => Err(params.unsuited(format!(
                "step {step} of {steps} has no finite update: ask for another number of steps or \
                 another scheduler"
            ))),
        }
    }

    /// The order of the update at `step`, when `done` evaluations came before it.
    fn order_at(&self, step: usize, done: usize) -> usize {
        let steps = self.schedule.timesteps.len();
        let few = self.lower_order_final && steps < FEW_STEPS;
        let most = match steps.saturating_sub(step) {
            0 | 1 if self.euler_at_final || few || self.schedule.ends_clean => 1,
            2 if few => 2,
            _ => 3,
        };
        self.order.min(most).min(done + 1)
    }

    /// The weights at `step`; `order` at most `step` + 1.
    fn update(&self, step: usize, order: usize) -> Update {
        let level = |back: usize| self.schedule.level(step - back);
        let (target, from) = (self.schedule.level(step + 1), level(0));
        let h = target.lambda - from.lambda;
        let mut update = self.weights(h, target, from, order);
        if order >= 2 {
            let r0 = (from.lambda - level(1).lambda) / h;
            update.inverse[0] = 1.0 / r0;
            if order >= 3 {
                let r1 = (level(1).lambda - level(2).lambda) / h;
                update.inverse[1] = 1.0 / r1;
                update.blend = r0 / (r0 + r1);
                update.inverse_sum = 1.0 / (r0 + r1);
            }
        }
        update
    }

    /// The weights that depend on this step's length `h` in λ only.
    fn weights(&self, h: f32, target: Level, from: Level, order: usize) -> Update {
        let Level { signal, noise, .. } = target;
        // The change over the step, and its first and second moments.
        let (latent, scale, d0, d1, d2, noise) = match self.algorithm {
            Algorithm::Clean => {
                let growth = (-h).exp() - 1.0;
                let second = (growth + h) / (h * h) - 0.5;
                (noise / from.noise, -signal, growth, growth / h + 1.0, second, 0.0)
            }
            Algorithm::Noise => {
                let growth = h.exp() - 1.0;
                let second = (growth - h) / (h * h) - 0.5;
                (signal / from.signal, -noise, growth, growth / h - 1.0, second, 0.0)
            }
            Algorithm::CleanSde => {
                let loss = 1.0 - (-2.0 * h).exp();
                let second = (loss - 2.0 * h) / (2.0 * h * (2.0 * h)) - 0.5;
                let latent = noise / from.noise * (-h).exp();
                (latent, signal, loss, loss / (-2.0 * h) + 1.0, second, noise * loss.sqrt())
            }
            Algorithm::NoiseSde => {
                let growth = h.exp() - 1.0;
                let noise_weight = noise * ((2.0 * h).exp() - 1.0).sqrt();
                let latent = signal / from.signal;
                (latent, -2.0 * noise, growth, growth / h - 1.0, 0.0, noise_weight)
            }
        };
        // DPM-Solver++ has its first moment with the opposite sign.
        let d1 = if self.algorithm == Algorithm::Clean { -d1 } else { d1 };
        let midpoint = order == 2 && !self.heun;
        let mut differences = [scale * d0, 0.0, 0.0];
        if order >= 2 {
            differences[1] = if midpoint { 0.5 * (scale * d0) } else { scale * d1 };
        }
        if order >= 3 {
            differences[2] = scale * d2;
        }
        Update { latent, differences, noise, ..Update::default() }
    }

    /// The model output in the terms of the algorithm: clean latents or noise.
    fn convert(&self, step: usize, latent: &[f32], output: &[f32]) -> Vec<f32> {
        let Level { signal, noise, .. } = self.schedule.level(step);
        let pairs = latent.iter().zip(output);
        if !self.algorithm.predicts_clean() && self.range == Range::Free {
            return pairs.map(|(x, out)| self.prediction.noise(signal, noise, *x, *out)).collect();
        }
        let mut clean: Vec<f32> =
            pairs.map(|(x, out)| self.prediction.clean(signal, noise, *x, *out)).collect();
        self.range.apply(&mut clean);
        if !self.algorithm.predicts_clean() {
            clean
                .iter_mut()
                .zip(latent)
                .for_each(|(clean, x)| *clean = (x - signal * *clean) / noise);
        }
        clean
    }
}

impl Solver for DpmMultistep {
    type Schedule = LambdaSchedule;

    fn schedule(&self) -> &LambdaSchedule {
        &self.schedule
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// The stochastic algorithms draw noise at every step.
    fn solve(&self, state: &mut State, output: &[f32], latent: &mut [f32], noise: &mut Generator) {
        state.remember(self.convert(state.step, latent, output), self.order);
        let order = self.order_at(state.step, state.done.min(state.step));
        let update = self.update(state.step, order.min(state.history.len()));
        let mut outputs = state.history.iter().rev();
        let m0 = outputs.next().map_or(&[][..], |m| m);
        let m1 = outputs.next().map_or(m0, |m| m);
        let m2 = outputs.next().map_or(m1, |m| m);
        for (i, x) in latent.iter_mut().enumerate() {
            *x = update.latent * *x + update.change(m0[i], m1[i], m2[i]);
        }
        if self.algorithm.is_stochastic() {
            let noise = noise.randn(latent.len());
            latent.iter_mut().zip(noise).for_each(|(x, noise)| *x += update.noise * noise);
        }
    }
}
