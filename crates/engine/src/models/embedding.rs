//! Sinusoidal embeddings of timesteps and of the guidance scale.

/// The embedding of a timestep in `channels` values (diffusers' `get_timestep_embedding`).
///
/// Frequencies fall geometrically from 1 to 1/10000 over `channels / 2 - freq_shift` steps; sines
/// come first unless `cosines_first`. An odd channel at the end is zero.
pub fn timestep_embedding(
    timestep: f32,
    channels: usize,
    cosines_first: bool,
    freq_shift: f64,
) -> Vec<f32> {
    let half = channels / 2;
    // In the reference's order of operations, so that the rounding is the same.
    let (scale, steps) = (-10000.0_f64.ln() as f32, (half as f64 - freq_shift) as f32);
    let mut out = vec![0.0; channels];
    for i in 0..half {
        let angle = f64::from(timestep * (scale * i as f32 / steps).exp());
        let (sine, cosine) = (angle.sin() as f32, angle.cos() as f32);
        let (first, second) = if cosines_first { (cosine, sine) } else { (sine, cosine) };
        out[i] = first;
        out[half + i] = second;
    }
    out
}

/// The embedding of `guidance - 1` for models distilled with a guidance scale (the pipelines'
/// `get_guidance_scale_embedding`): sines, then cosines, of the scale in thousandths.
pub fn guidance_embedding(guidance: f64, channels: usize) -> Vec<f32> {
    let half = channels / 2;
    let scale = ((guidance - 1.0) as f32) * 1000.0;
    let step = -10000.0_f64.ln() as f32 / (half as f32 - 1.0);
    let mut out = vec![0.0; channels];
    for i in 0..half {
        let angle = f64::from(scale * (i as f32 * step).exp());
        out[i] = angle.sin() as f32;
        out[half + i] = angle.cos() as f32;
    }
    out
}
