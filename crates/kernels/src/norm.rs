//! Group and layer normalisation.

use rayon::prelude::*;

use crate::dispatch::dispatch;
use crate::math;
use crate::parallel::rows_per_chunk;

/// Normalises one image `x[pixels, channels]` over groups of channels into `out`, then applies
/// `weight` and `bias` per channel and, where `silu` is set, SiLU.
pub fn group_norm(
    out: &mut [f32],
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    groups: usize,
    epsilon: f32,
    silu: bool,
) {
    let channels = weight.len();
    assert_eq!(bias.len(), channels, "bias length");
    assert_eq!(out.len(), x.len(), "output length");
    assert!(channels > 0 && groups > 0, "no channels or groups");
    assert!(channels.is_multiple_of(groups), "channels do not divide into groups");
    assert!(x.len().is_multiple_of(channels), "input is not a whole number of pixels");
    let pixels = x.len() / channels;

    let chunk = rows_per_chunk(channels) * channels;
    let partial: Vec<Vec<f64>> = x
        .par_chunks(chunk)
        .map(|chunk| {
            let mut sums = vec![0.0; 2 * channels];
            channel_sums(&mut sums, chunk);
            sums
        })
        .collect();
    let mut sums = vec![0.0; 2 * channels];
    for part in &partial {
        for (sum, value) in sums.iter_mut().zip(part) {
            *sum += value;
        }
    }

    let per_group = channels / groups;
    let count = (pixels * per_group) as f64;
    let mut scale = vec![0.0; channels];
    let mut shift = vec![0.0; channels];
    for group in 0..groups {
        let range = group * per_group..(group + 1) * per_group;
        let mean = sums[range.clone()].iter().sum::<f64>() / count;
        let squares = range.clone().map(|c| sums[channels + c]).sum::<f64>() / count;
        let inverse = 1.0 / ((squares - mean * mean).max(0.0) + f64::from(epsilon)).sqrt();
        for c in range {
            let factor = f64::from(weight[c]) * inverse;
            scale[c] = factor as f32;
            shift[c] = (f64::from(bias[c]) - mean * factor) as f32;
        }
    }
    out.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(out, x)| {
        if silu {
            scale_shift_silu(out, x, &scale, &shift);
        } else {
            scale_shift(out, x, &scale, &shift);
        }
    });
}

dispatch! {
    /// Per channel: the sum, then the sum of squares.
    fn channel_sums(sums: &mut [f64], chunk: &[f32]) {
        let (sum, squares) = sums.split_at_mut(sums.len() / 2);
        for pixel in chunk.chunks_exact(sum.len()) {
            for ((s, q), &v) in sum.iter_mut().zip(squares.iter_mut()).zip(pixel) {
                let v = v as f64;
                *s += v;
                *q += v * v;
            }
        }
    }
}

dispatch! {
    fn scale_shift(out: &mut [f32], x: &[f32], scale: &[f32], shift: &[f32]) {
        let channels = scale.len();
        for (out, pixel) in out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for (((o, v), a), b) in out.iter_mut().zip(pixel).zip(scale).zip(shift) {
                *o = v * a + b;
            }
        }
    }
}

dispatch! {
    fn scale_shift_silu(out: &mut [f32], x: &[f32], scale: &[f32], shift: &[f32]) {
        let channels = scale.len();
        for (out, pixel) in out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            for (((o, v), a), b) in out.iter_mut().zip(pixel).zip(scale).zip(shift) {
                let y = v * a + b;
                *o = y * math::sigmoid(y);
            }
        }
    }
}

/// Normalises every row of `x[rows, channels]` into `out`, then applies `weight` and `bias`.
pub fn layer_norm(out: &mut [f32], x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    let channels = weight.len();
    assert_eq!(bias.len(), channels, "bias length");
    assert_eq!(out.len(), x.len(), "output length");
    assert!(channels > 0 && x.len().is_multiple_of(channels), "not a whole number of rows");
    let chunk = rows_per_chunk(channels) * channels;
    out.par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .for_each(|(out, x)| layer_norm_rows(out, x, weight, bias, epsilon));
}

dispatch! {
    fn layer_norm_rows(out: &mut [f32], x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) {
        let channels = weight.len();
        let count = channels as f32;
        for (out, row) in out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
            let mean = math::fold(row, 0.0, |a, b| a + b) / count;
            for (o, v) in out.iter_mut().zip(row) {
                *o = v - mean;
            }
            // The squares go through the result's own memory: no second buffer.
            let mut squares = [0.0_f32; 16];
            let mut chunks = out.chunks_exact(16);
            for chunk in &mut chunks {
                for (s, v) in squares.iter_mut().zip(chunk) {
                    *s += v * v;
                }
            }
            for (s, v) in squares.iter_mut().zip(chunks.remainder()) {
                *s += v * v;
            }
            let variance = math::fold(&squares, 0.0, |a, b| a + b) / count;
            let inverse = 1.0 / (variance + epsilon).sqrt();
            for ((o, w), b) in out.iter_mut().zip(weight).zip(bias) {
                *o = *o * inverse * w + b;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_norm_matches_the_definition() {
        // Two pixels, four channels, two groups; a large mean must not cost precision.
        let x = [1000.0, 1002.0, 1.0, 2.0, 1004.0, 1006.0, 3.0, 4.0];
        let mut out = [0.0; 8];
        group_norm(&mut out, &x, &[1.0, 1.0, 2.0, 1.0], &[0.0, 0.0, 0.0, 10.0], 2, 0.0, false);
        let a = 1.0 / 5.0_f32.sqrt();
        let b = 1.0 / 1.25_f32.sqrt();
        let want = [-3.0 * a, -a, -3.0 * b, 10.0 - 0.5 * b, a, 3.0 * a, b, 10.0 + 1.5 * b];
        for (g, w) in out.iter().zip(want) {
            assert!((g - w).abs() < 1e-4, "{out:?}");
        }
    }

    #[test]
    fn layer_norm_has_zero_mean_and_unit_variance() {
        let x: Vec<f32> = (0..3 * 37).map(|i| ((i * 7919) % 101) as f32).collect();
        let mut out = vec![0.0; x.len()];
        layer_norm(&mut out, &x, &[1.0; 37], &[0.0; 37], 0.0);
        for row in out.chunks(37) {
            let mean = row.iter().sum::<f32>() / 37.0;
            let variance = row.iter().map(|v| v * v).sum::<f32>() / 37.0;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        }
    }
}
