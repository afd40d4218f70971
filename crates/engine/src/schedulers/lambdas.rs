//! What DPM-Solver and UniPC share: noise levels in λ = ln α − ln σ at unit variance.

use serde_json::json;

use super::betas::Training;
use super::grid::interpolate;
use super::sigmas::{SigmaSpacing, configured_bounds, ends_at_sigma_min, sigma_to_t};
use super::solver::Schedule;
use super::spacing::Spacing;
use crate::Result;
use crate::config::Reader;

/// What the solver classes differ in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Timesteps with a smaller λ are left out; −∞ for none.
    pub(super) lambda_min: f32,
    /// Whether the class reads `use_lu_lambdas`.
    pub(super) knows_lu: bool,
    /// Whether timesteps of Karras's and Lu's spacings are rounded; they are cut off otherwise.
    pub(super) rounds: bool,
    /// Whether `sigma_min` at the end is that of the spacing, not of the training schedule.
    pub(super) ends_with_spacing: bool,
}

/// A latent at unit variance: `signal`·clean + `noise`·noise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) signal: f32,
    pub(super) noise: f32,
    /// Half the logarithm of the signal-to-noise ratio; infinite without noise.
    pub(super) lambda: f32,
}

/// Timesteps and noise levels of a multistep solver.
#[derive(Debug, Clone)]
pub(super) struct LambdaSchedule {
    pub(super) timesteps: Vec<f32>,
    /// σ of latents of variance 1 + σ²: one for each timestep and one for the end.
    sigmas: Vec<f32>,
    /// Whether the last level has no noise.
    pub(super) ends_clean: bool,
}

impl LambdaSchedule {
    /// A schedule of `steps` steps, 1 ≤ `steps` ≤ training timesteps.
    ///
    /// # Errors
    /// Flow matching is not supported; no timestep is left above `lambda_min`; a noise level
    /// before the last is zero or not finite.
    pub(super) fn new(
        params: &Reader,
        training: &Training,
        steps: usize,
        options: Options,
    ) -> Result<Self> {
        params.only("use_flow_sigmas", &[json!(false)])?;
        let train = training.len();
        let spacing = Spacing::read(params, false, train)?;
        let sigma_spacing = SigmaSpacing::read(params, options.knows_lu)?;
        let trained = training.sigmas();
        let last = count_from(training, options.lambda_min);
        if last == 0 {
            return Err(params.malformed("lambda_min_clipped leaves no timestep"));
        }

        let mut timesteps = spacing.multistep_timesteps(last, train, steps);
        let mut sigmas: Vec<f64> = timesteps.iter().map(|t| interpolate(*t, &trained)).collect();
        let end = |sigma: Option<&f32>| sigma.copied().map_or(0.0, f64::from);
        let (max, min) = (end(trained.last()), end(trained.first()));
        let bounds = match sigma_spacing {
            SigmaSpacing::Lu => (max, min),
            _ => configured_bounds(params, (max, min))?,
        };
        let mut sigma_min = min;
        if let Some(spread) = sigma_spacing.spread(bounds, steps) {
            let log_sigmas: Vec<f32> = trained.iter().map(|sigma| sigma.ln()).collect();
            let round = options.rounds && sigma_spacing != SigmaSpacing::Exponential;
            let whole = |t: f64| if round { t.round_ties_even() } else { t.trunc() };
            timesteps = spread.iter().map(|s| whole(sigma_to_t(*s, &log_sigmas))).collect();
            if options.ends_with_spacing {
                sigma_min = spread.last().copied().unwrap_or(min);
            }
            sigmas = spread;
        }
        if let Some(sigma) = sigmas.iter().find(|s| !(**s as f32).is_normal() || **s < 0.0) {
            let message = format!("a noise level of {sigma} for {steps} steps cannot be sampled");
            return Err(params.malformed(message));
        }
        let ends_clean = !ends_at_sigma_min(params)?;
        sigmas.push(if ends_clean { 0.0 } else { sigma_min });
        Ok(Self {
            timesteps: timesteps.into_iter().map(|t| t as f32).collect(),
            sigmas: sigmas.into_iter().map(|sigma| sigma as f32).collect(),
            ends_clean,
        })
    }

    /// The level at an evaluation; past the end there is no noise.
    pub(super) fn level(&self, step: usize) -> Level {
        let sigma = self.sigmas.get(step).copied().unwrap_or(0.0);
        let signal = 1.0 / (sigma * sigma + 1.0).sqrt();
        let noise = sigma * signal;
        Level { signal, noise, lambda: signal.ln() - noise.ln() }
    }
}

impl Schedule for LambdaSchedule {
    fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    /// A clean latent with noise of an evaluation's level.
    fn add_noise(&self, step: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        let Level { signal, noise: level, .. } = self.level(step);
        clean.iter().zip(noise).map(|(x, noise)| signal * x + level * noise).collect()
    }
}

/// Reads `solver_order`, of which 1 to 3 are implemented.
pub(super) fn read_order(params: &Reader) -> Result<usize> {
    let order = params.count("solver_order", 2, 1..=usize::MAX)?;
    if order > 3 {
        return Err(params.unsupported("solver_order", "supported: 1, 2, 3"));
    }
    Ok(order)
}

/// How many training timesteps, from the first, have at least this λ.
fn count_from(training: &Training, lambda_min: f32) -> usize {
    let lambda = |alpha: f32| alpha.sqrt().ln() - (1.0 - alpha).sqrt().ln();
    training.alphas_cumprod.partition_point(|alpha| lambda(*alpha) >= lambda_min)
}
