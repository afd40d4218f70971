//! Signal levels α̅ of the samplers that keep latents at unit variance and look levels up by
//! training timestep (DDIM, PNDM, LCM).

use super::betas::Training;
use super::prediction::Prediction;
use super::solver::Schedule;
use crate::Result;
use crate::config::Reader;

/// Timesteps to visit and the α̅ of every training timestep.
#[derive(Debug, Clone)]
pub(super) struct AlphaSchedule {
    pub(super) timesteps: Vec<f32>,
    indices: Vec<i64>,
    alphas_cumprod: Vec<f32>,
    /// α̅ before the first training timestep.
    final_alpha: f32,
}

impl AlphaSchedule {
    /// Reads `set_alpha_to_one`, for a schedule that visits whole `timesteps`.
    ///
    /// # Errors
    /// A timestep outside the training schedule.
    pub(super) fn new(
        params: &Reader,
        training: Training,
        alpha_to_one_by_default: bool,
        timesteps: &[f64],
    ) -> Result<Self> {
        let len = training.len();
        if let Some(t) = timesteps.iter().find(|t| !(0.0..len as f64).contains(*t)) {
            return Err(params.unsuited(format!(
                "one of the steps falls on timestep {t}, outside the {len} trained: ask for \
                 another number of steps"
            )));
        }
        let to_one = params.flag("set_alpha_to_one", alpha_to_one_by_default)?;
        Ok(Self {
            timesteps: timesteps.iter().map(|t| *t as f32).collect(),
            indices: timesteps.iter().map(|t| *t as i64).collect(),
            final_alpha: if to_one { 1.0 } else { training.first_alpha() },
            alphas_cumprod: training.alphas_cumprod,
        })
    }

    /// Refuses levels at which a prediction cannot be turned into a clean latent and noise.
    pub(super) fn check(&self, params: &Reader, prediction: Prediction) -> Result<()> {
        let alphas = self.indices.iter().map(|t| self.alpha(*t));
        for alpha in alphas {
            if alpha == 0.0 && prediction == Prediction::Epsilon {
                return Err(params.unsupported(
                    "prediction_type",
                    "a timestep without signal, as of rescale_betas_zero_snr, needs v_prediction \
                     or sample",
                ));
            }
            if alpha == 1.0 && prediction == Prediction::Sample {
                return Err(params.unsupported(
                    "prediction_type",
                    "a timestep without noise needs epsilon or v_prediction",
                ));
            }
        }
        Ok(())
    }

    /// Whether every training timestep has both signal and noise.
    pub(super) fn is_open(&self) -> bool {
        self.alphas_cumprod.iter().all(|alpha| *alpha > 0.0 && *alpha < 1.0)
    }

    /// The training timestep of an evaluation; −1 past the end.
    pub(super) fn timestep(&self, step: usize) -> i64 {
        self.indices.get(step).copied().unwrap_or(-1)
    }

    /// α̅ at a training timestep; before the first, the final α̅.
    pub(super) fn alpha(&self, timestep: i64) -> f32 {
        let last = self.alphas_cumprod.len().saturating_sub(1);
        match usize::try_from(timestep) {
            Ok(t) => self.alphas_cumprod.get(t.min(last)).copied().unwrap_or(1.0),
            Err(_) => self.final_alpha,
        }
    }
}

impl Schedule for AlphaSchedule {
    fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    /// A clean latent with the noise of an evaluation's timestep; past the end, the clean latent.
    fn add_noise(&self, step: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        let alpha = self.indices.get(step).map_or(1.0, |t| self.alpha(*t));
        let (signal, level) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        clean.iter().zip(noise).map(|(x, noise)| signal * x + level * noise).collect()
    }
}
