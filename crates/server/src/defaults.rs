//! What images are made with where neither the request nor the model says.

/// Denoising steps.
pub(crate) const STEPS: u32 = 30;
/// Denoising steps of random draws: those of the original's pipeline.
pub(crate) const RANDOM_STEPS: u32 = 50;
/// Guidance scale.
pub(crate) const GUIDANCE: f64 = 7.5;
/// Strength of what is drawn from a picture.
pub(crate) const STRENGTH: f64 = 0.8;
