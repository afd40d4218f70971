//! The variance schedule of training, from which every sampler takes its noise levels.

use super::grid::linspace_f32;
use crate::Result;
use crate::config::Reader;

/// Longest training schedule accepted; models are trained with 1000 or a few thousand timesteps.
const MAX_TRAIN_TIMESTEPS: usize = 100_000;

/// α̅ that diffusers puts at the end of a zero-SNR schedule for samplers that divide by it:
/// the smallest positive half-precision number.
const NEARLY_ZERO: f32 = 1.0 / 16_777_216.0;

/// How β goes from `beta_start` to `beta_end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BetaSchedule {
    Linear,
    ScaledLinear,
    Cosine,
    Exponential,
}

/// What a scheduler class assumes where the configuration says nothing, and what it knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct BetaDefaults {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) schedule: BetaSchedule,
    /// Whether `beta_schedule = exp` exists for the class.
    pub(super) exponential: bool,
    /// Whether the class reads `rescale_betas_zero_snr`.
    pub(super) zero_snr: bool,
}

impl BetaDefaults {
    /// The defaults of most classes.
    pub(super) const COMMON: Self = Self {
        start: 0.0001,
        end: 0.02,
        schedule: BetaSchedule::Linear,
        exponential: false,
        zero_snr: true,
    };
}

/// The training schedule as cumulative products of α = 1 − β.
#[derive(Debug, Clone)]
pub(super) struct Training {
    /// α̅ for each training timestep, falling; never empty.
    pub(super) alphas_cumprod: Vec<f32>,
    /// Whether the schedule was rescaled to end without signal.
    pub(super) zero_snr: bool,
}

impl Training {
    /// Reads [`train_timesteps`], `beta_start`, `beta_end`, `beta_schedule`,
    /// `trained_betas` and, where the class has it, `rescale_betas_zero_snr` (Lin et al. 2023,
    /// algorithm 1).
    ///
    /// # Errors
    /// An unknown `beta_schedule`, or values that are no variances, which lie in [0, 1).
    pub(super) fn read(params: &Reader, defaults: BetaDefaults) -> Result<Self> {
        let len = train_timesteps(params)?;
        let betas = match params.optional_numbers("trained_betas")? {
            Some(betas) => betas.into_iter().map(|beta| beta as f32).collect(),
            None => computed_betas(params, defaults, len)?,
        };
        if betas.len() != len {
            let found = betas.len();
            return Err(params.malformed(format!(
                "trained_betas has {found} values, and num_train_timesteps is {len}"
            )));
        }
        if let Some(beta) = betas.iter().find(|beta| !(0.0..1.0).contains(*beta)) {
            return Err(params.malformed(format!("a beta of {beta} is not in [0, 1)")));
        }
        let zero_snr = defaults.zero_snr && params.flag("rescale_betas_zero_snr", false)?;
        let betas = if zero_snr { rescale_zero_terminal_snr(&betas) } else { betas };
        let alphas_cumprod = cumulative_alphas(&betas);
        if let Some(value) = alphas_cumprod.iter().find(|value| !value.is_finite()) {
            return Err(params.malformed(format!("the betas lead to an alpha of {value}")));
        }
        Ok(Self { alphas_cumprod, zero_snr })
    }

    /// Lifts the end of a zero-SNR schedule off zero, as the samplers do that work with σ.
    #[must_use]
    pub(super) fn nearly_zero_snr(mut self) -> Self {
        if self.zero_snr
            && let Some(last) = self.alphas_cumprod.last_mut()
        {
            *last = NEARLY_ZERO;
        }
        self
    }

    /// Number of training timesteps.
    pub(super) fn len(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// α̅ at the first training timestep, the one with the least noise.
    pub(super) fn first_alpha(&self) -> f32 {
        self.alphas_cumprod.first().copied().unwrap_or(1.0)
    }

    /// σ = √((1 − α̅)/α̅) for each training timestep, rising.
    pub(super) fn sigmas(&self) -> Vec<f32> {
        self.alphas_cumprod.iter().map(|alpha| ((1.0 - alpha) / alpha).sqrt()).collect()
    }
}

/// Reads `num_train_timesteps`, from 1 to 100 000.
pub(super) fn train_timesteps(params: &Reader) -> Result<usize> {
    params.count("num_train_timesteps", 1000, 1..=MAX_TRAIN_TIMESTEPS)
}

/// β by `beta_schedule`.
fn computed_betas(params: &Reader, defaults: BetaDefaults, len: usize) -> Result<Vec<f32>> {
    let known: &[_] = &[
        ("linear", BetaSchedule::Linear),
        ("scaled_linear", BetaSchedule::ScaledLinear),
        ("squaredcos_cap_v2", BetaSchedule::Cosine),
        ("exp", BetaSchedule::Exponential),
    ];
    let known = if defaults.exponential { known } else { &known[..3] };
    let start = params.number("beta_start", defaults.start)?;
    let end = params.number("beta_end", defaults.end)?;
    Ok(match params.choice("beta_schedule", defaults.schedule, known)? {
        BetaSchedule::Linear => linspace_f32(start as f32, end as f32, len),
        BetaSchedule::ScaledLinear => linspace_f32(start.sqrt() as f32, end.sqrt() as f32, len)
            .into_iter()
            .map(|root| root * root)
            .collect(),
        BetaSchedule::Cosine => betas_for_alpha_bar(len, |t| {
            ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2)
        }),
        BetaSchedule::Exponential => betas_for_alpha_bar(len, |t| (t * -12.0).exp()),
    })
}

/// β whose cumulative product follows `alpha_bar` over [0, 1], at most 0.999
/// (Nichol & Dhariwal 2021).
fn betas_for_alpha_bar(len: usize, alpha_bar: impl Fn(f64) -> f64) -> Vec<f32> {
    let at = |i: usize| alpha_bar(i as f64 / len as f64);
    (0..len).map(|i| (1.0 - at(i + 1) / at(i)).min(0.999) as f32).collect()
}

/// Products of 1 − β up to each timestep; PyTorch multiplies in double precision.
fn cumulative_alphas(betas: &[f32]) -> Vec<f32> {
    betas
        .iter()
        .scan(1.0_f64, |product, beta| {
            *product *= f64::from(1.0 - beta);
            Some(*product as f32)
        })
        .collect()
}

/// Shifts and scales √α̅ so that it keeps its first value and ends at zero.
fn rescale_zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = cumulative_alphas(betas).into_iter().map(f32::sqrt).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else { return Vec::new() };
    let scale = first / (first - last);
    let alphas_bar: Vec<f32> = roots.iter().map(|root| ((root - last) * scale).powi(2)).collect();
    let alphas = alphas_bar.windows(2).map(|pair| pair[1] / pair[0]);
    alphas_bar.first().copied().into_iter().chain(alphas).map(|alpha| 1.0 - alpha).collect()
}
