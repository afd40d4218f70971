//! Noise levels σ = √((1 − α̅)/α̅) of the samplers that solve an ODE in σ.

use serde_json::json;

use super::betas::Training;
use super::grid::{interpolate, linspace, linspace_f32};
use super::solver::Schedule;
use super::spacing::Spacing;
use crate::Result;
use crate::config::Reader;

/// The exponent of Karras et al. 2022, equation 5.
const RHO: f64 = 7.0;

/// How σ is spread over the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigmaSpacing {
    /// By the training schedule at the timesteps visited.
    Training,
    /// Evenly in σ^(1/7) (Karras et al. 2022, <https://huggingface.co/papers/2206.00364>).
    Karras,
    /// Evenly in ln σ, between the bounds of the training schedule or those configured.
    Exponential,
    /// Evenly in ln σ, between the bounds of the training schedule
    /// (Lu et al. 2022, <https://huggingface.co/papers/2206.00927>).
    Lu,
}

impl SigmaSpacing {
    /// Reads `use_karras_sigmas` and `use_exponential_sigmas`, and `use_lu_lambdas` where the
    /// class `knows_lu`.
    ///
    /// # Errors
    /// `use_beta_sigmas` is not supported, and two spacings at once are none.
    pub(super) fn read(params: &Reader, knows_lu: bool) -> Result<Self> {
        params.only("use_beta_sigmas", &[json!(false)])?;
        let karras = params.flag("use_karras_sigmas", false)?;
        let exponential = params.flag("use_exponential_sigmas", false)?;
        let lu = knows_lu && params.flag("use_lu_lambdas", false)?;
        match (karras, lu, exponential) {
            (true, _, true) => {
                Err(params
                    .malformed("use_karras_sigmas and use_exponential_sigmas exclude each other"))
            }
            (true, ..) => Ok(Self::Karras),
            (_, true, _) => Ok(Self::Lu),
            (_, _, true) => Ok(Self::Exponential),
            _ => Ok(Self::Training),
        }
    }

    /// `steps` falling values between `bounds`, the largest and the smallest σ of the schedule;
    /// none if the spacing is that of the training schedule.
    pub(super) fn spread(self, bounds: (f64, f64), steps: usize) -> Option<Vec<f64>> {
        let (max, min) = bounds;
        match self {
            Self::Training => None,
            Self::Karras => {
                let (max, min) = (max.powf(1.0 / RHO), min.powf(1.0 / RHO));
                let ramp = linspace(0.0, 1.0, steps).into_iter();
                Some(ramp.map(|r| (max + r * (min - max)).powf(RHO)).collect())
            }
            Self::Exponential | Self::Lu => {
                Some(linspace(max.ln(), min.ln(), steps).into_iter().map(f64::exp).collect())
            }
        }
    }
}

/// `final_sigmas_type`: the σ after the last step.
///
/// Returns whether it is that of the first training timestep, `sigma_min`, and not zero.
pub(super) fn ends_at_sigma_min(params: &Reader) -> Result<bool> {
    params.choice("final_sigmas_type", false, &[("zero", false), ("sigma_min", true)])
}

/// The bounds of a spacing: `sigma_max` and `sigma_min` if configured, for any class (diffusers
/// looks for them among the keys that a class does not know too), or those given.
pub(super) fn configured_bounds(params: &Reader, bounds: (f64, f64)) -> Result<(f64, f64)> {
    Ok((
        params.optional_number("sigma_max")?.unwrap_or(bounds.0),
        params.optional_number("sigma_min")?.unwrap_or(bounds.1),
    ))
}

/// The fractional training timestep of a noise level, linear in ln σ and clamped to the schedule;
/// `log_sigmas` rise.
pub(super) fn sigma_to_t(sigma: f64, log_sigmas: &[f32]) -> f64 {
    let log_sigma = sigma.max(1e-10).ln();
    let below = log_sigmas.partition_point(|level| f64::from(*level) <= log_sigma);
    let low = below.saturating_sub(1).min(log_sigmas.len().saturating_sub(2));
    let &[low_sigma, high_sigma, ..] = &log_sigmas[low..] else { return 0.0 };
    let (low_sigma, high_sigma) = (f64::from(low_sigma), f64::from(high_sigma));
    let weight = ((low_sigma - log_sigma) / (low_sigma - high_sigma)).clamp(0.0, 1.0);
    (1.0 - weight) * low as f64 + weight * (low + 1) as f64
}

/// What the classes that descend from k-diffusion differ in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) spacing: SigmaSpacing,
    /// Whether `sigma_min` and `sigma_max` bound Karras's spacing.
    pub(super) bounded: bool,
    /// Interpolate ln σ between the ends of the training schedule (Euler's `log_linear`).
    pub(super) log_linear: bool,
    /// Whether the last σ is that of the first training timestep, not zero.
    pub(super) ends_at_min: bool,
}

/// Timesteps and noise levels of Euler, Euler ancestral, LMS and Heun.
#[derive(Debug, Clone)]
pub(super) struct SigmaSchedule {
    pub(super) timesteps: Vec<f32>,
    /// One for each timestep and at least one for the end.
    sigmas: Vec<f32>,
    init_noise_sigma: f32,
}

impl SigmaSchedule {
    /// A schedule of `steps` steps, 1 ≤ `steps` ≤ training timesteps.
    ///
    /// # Errors
    /// A noise level to divide by that is zero or not finite.
    pub(super) fn new(
        params: &Reader,
        training: &Training,
        steps: usize,
        options: Options,
    ) -> Result<Self> {
        let spacing = Spacing::read(params, false, training.len())?;
        let trained = training.sigmas();
        let mut timesteps: Vec<f32> =
            spacing.timesteps(training.len(), steps).into_iter().map(|t| t as f32).collect();
        let mut sigmas: Vec<f64> = if options.log_linear {
            log_linear(&trained, steps)
        } else {
            timesteps.iter().map(|t| interpolate(f64::from(*t), &trained)).collect()
        };
        let ends = (sigmas.first().copied(), sigmas.last().copied());
        let mut bounds = (ends.0.unwrap_or(0.0), ends.1.unwrap_or(0.0));
        if options.bounded || options.spacing == SigmaSpacing::Exponential {
            bounds = configured_bounds(params, bounds)?;
        }
        if let Some(spread) = options.spacing.spread(bounds, steps) {
            let log_sigmas: Vec<f32> = trained.iter().map(|sigma| sigma.ln()).collect();
            timesteps = spread.iter().map(|s| sigma_to_t(*s, &log_sigmas) as f32).collect();
            sigmas = spread;
        }
        let last = if options.ends_at_min { trained.first().copied() } else { None };
        let mut sigmas: Vec<f32> = sigmas.into_iter().map(|sigma| sigma as f32).collect();
        sigmas.push(last.unwrap_or(0.0));

        if let Some(sigma) =
            sigmas.iter().take(timesteps.len()).find(|sigma| !sigma.is_normal() || **sigma < 0.0)
        {
            let message = format!("a noise level of {sigma} for {steps} steps cannot be sampled");
            return Err(params.malformed(message));
        }
        let max = sigmas.iter().copied().fold(0.0, f32::max);
        let init_noise_sigma = if spacing.is_leading() { (max * max + 1.0).sqrt() } else { max };
        Ok(Self { timesteps, sigmas, init_noise_sigma })
    }

    /// σ at an evaluation; zero past the end.
    pub(super) fn sigma(&self, step: usize) -> f32 {
        self.sigmas.get(step).copied().unwrap_or(0.0)
    }

    /// Evaluates every level but the first and the last twice, as Heun's method does.
    #[must_use]
    pub(super) fn doubled(mut self) -> Self {
        let twice_from_second =
            |values: &[f32]| values.iter().skip(1).flat_map(|v| [*v, *v]).collect::<Vec<_>>();
        let end = self.sigmas.pop().unwrap_or(0.0);
        let doubled = twice_from_second(&self.sigmas);
        self.sigmas.truncate(1);
        self.sigmas.extend(doubled);
        self.sigmas.push(end);
        let doubled = twice_from_second(&self.timesteps);
        self.timesteps.truncate(1);
        self.timesteps.extend(doubled);
        self
    }

    /// Replaces the timesteps by ¼ ln σ, for models trained on continuous time.
    #[must_use]
    pub(super) fn continuous(mut self) -> Self {
        self.timesteps =
            self.sigmas.iter().take(self.timesteps.len()).map(|s| 0.25 * s.ln()).collect();
        self
    }
}

impl Schedule for SigmaSchedule {
    fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    fn init_noise_sigma(&self) -> f32 {
        self.init_noise_sigma
    }

    /// Brings a latent to unit variance.
    fn scale(&self, step: usize, latent: &mut [f32]) {
        let sigma = self.sigma(step);
        let scale = (sigma * sigma + 1.0).sqrt();
        latent.iter_mut().for_each(|x| *x /= scale);
    }

    /// A clean latent with noise of level σ.
    fn add_noise(&self, step: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        let sigma = self.sigma(step);
        clean.iter().zip(noise).map(|(x, noise)| x + noise * sigma).collect()
    }
}

/// One σ more than steps, evenly in ln σ from the last to the first training timestep.
fn log_linear(trained: &[f32], steps: usize) -> Vec<f64> {
    let log = |sigma: Option<&f32>| sigma.map_or(0.0, |sigma| sigma.ln());
    let logs = linspace_f32(log(trained.last()), log(trained.first()), steps + 1);
    logs.into_iter().map(|log| f64::from(log.exp())).collect()
}
