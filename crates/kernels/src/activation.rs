//! Elementwise functions, in place or into a buffer of the caller's.

use rayon::prelude::*;

use crate::dispatch::dispatch;
use crate::math;
use crate::parallel::{CHUNK, rows_per_chunk};

/// `x · sigmoid(x)`, in place.
pub fn silu(x: &mut [f32]) {
    x.par_chunks_mut(CHUNK).for_each(silu_chunk);
}

/// Exact (erf) GELU, in place.
pub fn gelu(x: &mut [f32]) {
    x.par_chunks_mut(CHUNK).for_each(gelu_chunk);
}

/// CLIP's `x · sigmoid(1.702 x)`, in place.
pub fn quick_gelu(x: &mut [f32]) {
    x.par_chunks_mut(CHUNK).for_each(quick_gelu_chunk);
}

/// `out[row] = value[row] · gelu(gate[row])` where a row of `x[rows, 2 · channels]` is the value
/// followed by the gate.
pub fn geglu(out: &mut [f32], x: &[f32], channels: usize) {
    assert_eq!(x.len(), 2 * out.len(), "input length");
    assert!(channels > 0 && out.len().is_multiple_of(channels), "not a whole number of rows");
    let chunk = rows_per_chunk(channels) * channels;
    out.par_chunks_mut(chunk)
        .zip(x.par_chunks(2 * chunk))
        .for_each(|(out, x)| geglu_rows(out, x, channels));
}

/// `x += y`.
pub fn add(x: &mut [f32], y: &[f32]) {
    assert_eq!(x.len(), y.len(), "lengths differ");
    x.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).for_each(|(x, y)| add_chunk(x, y));
}

/// Adds `values[channels]` to every pixel of `x[pixels, channels]`.
pub fn add_to_channels(x: &mut [f32], values: &[f32]) {
    assert!(x.len().is_multiple_of(values.len()), "not a whole number of pixels");
    x.par_chunks_mut(rows_per_chunk(values.len()) * values.len()).for_each(|x| {
        for pixel in x.chunks_exact_mut(values.len()) {
            add_chunk(pixel, values);
        }
    });
}

dispatch! {
    fn silu_chunk(x: &mut [f32]) {
        for v in x {
            *v *= math::sigmoid(*v);
        }
    }
}

dispatch! {
    fn gelu_chunk(x: &mut [f32]) {
        for v in x {
            *v = math::gelu(*v);
        }
    }
}

dispatch! {
    fn quick_gelu_chunk(x: &mut [f32]) {
        for v in x {
            *v *= math::sigmoid(1.702 * *v);
        }
    }
}

dispatch! {
    fn geglu_rows(out: &mut [f32], x: &[f32], channels: usize) {
        for (out, row) in out.chunks_exact_mut(channels).zip(x.chunks_exact(2 * channels)) {
            let (value, gate) = row.split_at(channels);
            for ((o, v), g) in out.iter_mut().zip(value).zip(gate) {
                *o = v * math::gelu(*g);
            }
        }
    }
}

dispatch! {
    fn add_chunk(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geglu_takes_the_value_first_and_the_gate_second() {
        let mut out = [0.0; 2];
        geglu(&mut out, &[3.0, 5.0, 100.0, -100.0], 2);
        assert_eq!(out, [300.0, 0.0]);
    }

    #[test]
    fn channels_are_added_to_every_pixel() {
        let mut x = [1.0, 2.0, 3.0, 4.0];
        add_to_channels(&mut x, &[10.0, 20.0]);
        assert_eq!(x, [11.0, 22.0, 13.0, 24.0]);
    }
}
