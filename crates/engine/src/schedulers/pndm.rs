//! Pseudo numerical methods: Liu et al. 2022, <https://huggingface.co/papers/2202.09778>,
//! diffusers' `PNDMScheduler`. With `skip_prk_steps` it is the PLMS sampler of latent diffusion.

use super::State;
use super::alphas::AlphaSchedule;
use super::betas::{BetaDefaults, Training};
use super::prediction::Prediction;
use super::solver::Solver;
use super::spacing::Spacing;
use crate::config::Reader;
use crate::noise::Generator;
use crate::{Error, Result};

/// Evaluations of one Runge–Kutta step.
const STAGES: usize = 4;

/// Linear multistep method of order 4, begun by Runge–Kutta steps or by a second evaluation.
///
/// Like diffusers it counts evaluations since the sample began, also where image-to-image begins
/// past the first timestep: the second evaluation is then taken for one at the first's timestep.
#[derive(Debug)]
pub(super) struct Pndm {
    schedule: AlphaSchedule,
    prediction: Prediction,
    /// Evaluations in Runge–Kutta steps, 0 or 12.
    runge_kutta: usize,
    /// Training timesteps in one step.
    stride: i64,
}

impl Pndm {
    pub(super) fn new(params: &Reader, steps: usize) -> Result<Self> {
        let defaults = BetaDefaults { zero_snr: false, ..BetaDefaults::COMMON };
        let training = Training::read(params, defaults)?;
        let train = training.len();
        let falling = Spacing::read(params, true, train)?.timesteps(train, steps);
        let falling: Vec<f64> = falling.into_iter().map(f64::round_ties_even).collect();
        let stride = train / steps;
        let (timesteps, runge_kutta) = if params.flag("skip_prk_steps", false)? {
            (with_second_repeated(&falling), 0)
        } else if falling.len() < STAGES {
            let message = format!(
                "{steps}: too few for PNDM with Runge-Kutta steps, which needs at least {STAGES} \
                 (skip_prk_steps does without)"
            );
            return Err(Error::plan("steps", message));
        } else {
            let half = (stride / 2) as f64;
            let timesteps = runge_kutta_timesteps(&falling, half);
            let runge_kutta = timesteps.len();
            (timesteps.into_iter().chain(falling.into_iter().skip(3)).collect(), runge_kutta)
        };
        let schedule = AlphaSchedule::new(params, training, false, &timesteps)?;
        if !schedule.is_open() {
            return Err(params.malformed("a training timestep is without signal or noise"));
        }
        let prediction = Prediction::read_without_sample(params)?;
        Ok(Self { schedule, prediction, runge_kutta, stride: stride as i64 })
    }

    /// A stage of a Runge–Kutta step: the output to step with, and between which timesteps.
    ///
    /// Every stage begins with the latent of the first. The outputs of the first three are kept
    /// for the last, and only the first's after it.
    fn runge_kutta(
        &self,
        state: &mut State,
        output: &[f32],
        latent: &mut [f32],
    ) -> (Vec<f32>, i64, i64) {
        let stage = state.done % STAGES;
        let half = if stage % 2 == 1 { 0 } else { self.stride / 2 };
        let to = self.schedule.timestep(state.step) - half;
        let from = self.schedule.timestep(state.done - stage);
        match &state.held {
            Some(start) if stage > 0 => latent.copy_from_slice(start),
            _ => state.held = Some(latent.to_vec()),
        }
        if stage < STAGES - 1 {
            state.history.push(output.to_vec());
            return (output.to_vec(), from, to);
        }
        state.held = None;
        let stages = state.history.split_off(state.history.len().saturating_sub(STAGES - 1));
        let outputs = stages.iter().map(Vec::as_slice).chain([output]);
        let mut mean = vec![0.0; output.len()];
        for (weight, output) in
            [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0].into_iter().zip(outputs)
        {
            mean.iter_mut().zip(output).for_each(|(sum, value)| *sum += weight * value);
        }
        state.history.extend(stages.into_iter().next());
        (mean, from, to)
    }

    /// A linear multistep: the output to step with, and between which timesteps.
    ///
    /// Without Runge–Kutta steps, the second evaluation repeats the first step from its beginning,
    /// with the mean of both outputs.
    fn multistep(
        &self,
        state: &mut State,
        output: &[f32],
        latent: &mut [f32],
    ) -> (Vec<f32>, i64, i64) {
        let timestep = self.schedule.timestep(state.step);
        if state.done == 1 {
            if let Some(start) = state.held.take() {
                latent.copy_from_slice(&start);
            }
            let first = state.history.last().map_or(output, Vec::as_slice);
            let mean = output.iter().zip(first).map(|(a, b)| (a + b) / 2.0).collect();
            return (mean, timestep + self.stride, timestep);
        }
        if state.done == 0 {
            state.held = Some(latent.to_vec());
        }
        state.remember(output.to_vec(), 4);
        let (weights, divisor) = match state.history.len() {
            0 | 1 => ([1.0, 0.0, 0.0, 0.0], 1.0),
            2 => ([3.0, -1.0, 0.0, 0.0], 2.0),
            3 => ([23.0, -16.0, 5.0, 0.0], 12.0),
            _ => ([55.0, -59.0, 37.0, -9.0], 24.0),
        };
        let mut mixed = vec![0.0; output.len()];
        for (weight, output) in weights.into_iter().zip(state.history.iter().rev()) {
            mixed.iter_mut().zip(output).for_each(|(sum, value)| *sum += weight * value);
        }
        mixed.iter_mut().for_each(|value| *value /= divisor);
        (mixed, timestep, timestep - self.stride)
    }

    /// Formula 9: from `latent` at one timestep to another.
    fn transfer(&self, latent: &mut [f32], output: &[f32], from: i64, to: i64) {
        let (now, next) = (self.schedule.alpha(from), self.schedule.alpha(to));
        let (signal, noise) = (now.sqrt(), (1.0 - now).sqrt());
        let scale = (next / now).sqrt();
        let divisor = now * (1.0 - next).sqrt() + (now * (1.0 - now) * next).sqrt();
        for (x, output) in latent.iter_mut().zip(output) {
            let output = self.prediction.noise(signal, noise, *x, *output);
            *x = scale * *x - (next - now) * output / divisor;
        }
    }
}

/// Timesteps of PLMS: the second is evaluated twice.
fn with_second_repeated(falling: &[f64]) -> Vec<f64> {
    let mut timesteps = falling.to_vec();
    if let Some(second) = falling.get(1) {
        timesteps.insert(1, *second);
    }
    timesteps
}

/// Timesteps of three Runge–Kutta steps over the first four timesteps: the beginning, twice the
/// middle, and the end of each.
fn runge_kutta_timesteps(falling: &[f64], half: f64) -> Vec<f64> {
    falling
        .windows(2)
        .take(3)
        .flat_map(|pair| [pair[0], pair[1] + half, pair[1] + half, pair[1]])
        .collect()
}

impl Solver for Pndm {
    type Schedule = AlphaSchedule;

    fn schedule(&self) -> &AlphaSchedule {
        &self.schedule
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    fn solve(&self, state: &mut State, output: &[f32], latent: &mut [f32], _noise: &mut Generator) {
        let (output, from, to) = if state.done < self.runge_kutta {
            self.runge_kutta(state, output, latent)
        } else {
            self.multistep(state, output, latent)
        };
        self.transfer(latent, &output, from, to);
    }
}
