//! What the UNet predicts, and what a sampler makes of it.

use crate::Result;
use crate::config::Reader;

/// `prediction_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prediction {
    /// The noise.
    Epsilon,
    /// The clean latent.
    Sample,
    /// The velocity of Salimans & Ho 2022, α·noise − σ·clean.
    Velocity,
}

impl Prediction {
    const EPSILON: (&str, Self) = ("epsilon", Self::Epsilon);
    const VELOCITY: (&str, Self) = ("v_prediction", Self::Velocity);
    const SAMPLE: (&str, Self) = ("sample", Self::Sample);

    /// Any of the three.
    pub(super) fn read(params: &Reader) -> Result<Self> {
        let known = [Self::EPSILON, Self::VELOCITY, Self::SAMPLE];
        params.choice("prediction_type", Self::Epsilon, &known)
    }

    /// Noise or velocity, for classes that do not know the clean latent.
    pub(super) fn read_without_sample(params: &Reader) -> Result<Self> {
        params.choice("prediction_type", Self::Epsilon, &[Self::EPSILON, Self::VELOCITY])
    }

    /// The predicted clean latent where the latent is `signal`·clean + `noise`·noise.
    pub(super) fn clean(self, signal: f32, noise: f32, latent: f32, output: f32) -> f32 {
        match self {
            Self::Epsilon => (latent - noise * output) / signal,
            Self::Sample => output,
            Self::Velocity => signal * latent - noise * output,
        }
    }

    /// The predicted noise where the latent is `signal`·clean + `noise`·noise.
    pub(super) fn noise(self, signal: f32, noise: f32, latent: f32, output: f32) -> f32 {
        match self {
            Self::Epsilon => output,
            Self::Sample => (latent - signal * output) / noise,
            Self::Velocity => signal * output + noise * latent,
        }
    }

    /// The predicted clean latent where the latent is clean + `sigma`·noise.
    pub(super) fn clean_from_sigma(self, sigma: f32, latent: f32, output: f32) -> f32 {
        match self {
            Self::Epsilon => latent - sigma * output,
            Self::Sample => output,
            Self::Velocity => {
                let variance = sigma * sigma + 1.0;
                output * (-sigma / variance.sqrt()) + latent / variance
            }
        }
    }
}

/// How a predicted clean latent is kept in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Range {
    /// Not at all.
    Free,
    /// Clipped to ± this.
    Clipped(f32),
    /// Dynamic thresholding (Saharia et al. 2022, <https://huggingface.co/papers/2205.11487>).
    Dynamic { quantile: f32, max: f32 },
}

impl Range {
    /// Reads `clip_sample` and `clip_sample_range`.
    pub(super) fn read_clip(params: &Reader, clip_by_default: bool) -> Result<Self> {
        let range = params.number("clip_sample_range", 1.0)? as f32;
        let clip = params.flag("clip_sample", clip_by_default)?;
        Ok(if clip { Self::Clipped(range) } else { Self::Free })
    }

    /// Reads `thresholding`, `dynamic_thresholding_ratio` (0 to 1) and `sample_max_value`.
    pub(super) fn read_thresholding(params: &Reader) -> Result<Self> {
        let quantile = params.number("dynamic_thresholding_ratio", 0.995)? as f32;
        let max = params.number("sample_max_value", 1.0)? as f32;
        if !params.flag("thresholding", false)? {
            return Ok(Self::Free);
        }
        if !(0.0..=1.0).contains(&quantile) {
            let message = format!("dynamic_thresholding_ratio = {quantile} is not from 0 to 1");
            return Err(params.malformed(message));
        }
        Ok(Self::Dynamic { quantile, max })
    }

    /// Thresholding if it is on, clipping otherwise.
    pub(super) fn read(params: &Reader, clip_by_default: bool) -> Result<Self> {
        Ok(match Self::read_thresholding(params)? {
            Self::Free => Self::read_clip(params, clip_by_default)?,
            dynamic => dynamic,
        })
    }

    /// Brings a whole latent into range.
    pub(super) fn apply(self, latent: &mut [f32]) {
        let clip = |x: f32, limit: f32| x.max(-limit).min(limit);
        match self {
            Self::Free => {}
            Self::Clipped(limit) => latent.iter_mut().for_each(|x| *x = clip(*x, limit)),
            Self::Dynamic { quantile, max } => {
                let limit = quantile_of_magnitudes(latent, quantile).max(1.0).min(max);
                latent.iter_mut().for_each(|x| *x = clip(*x, limit) / limit);
            }
        }
    }
}

/// `torch.quantile(latent.abs(), q)` with linear interpolation; zero for an empty latent.
fn quantile_of_magnitudes(latent: &[f32], q: f32) -> f32 {
    let mut magnitudes: Vec<f32> = latent.iter().map(|x| x.abs()).collect();
    magnitudes.sort_by(f32::total_cmp);
    let last = magnitudes.len().saturating_sub(1);
    let rank = q * last as f32;
    let below = (rank as usize).min(last);
    let at = |i: usize| magnitudes.get(i.min(last)).copied().unwrap_or(0.0);
    let (low, high, weight) = (at(below), at(below + 1), rank - below as f32);
    if weight < 0.5 { low + weight * (high - low) } else { high - (high - low) * (1.0 - weight) }
}
