//! Elementwise functions, in place or into a buffer of the caller's.

use rayon::prelude::*;

use crate::dispatch::dispatch;
use crate::epilogue::Activation;
use crate::math;
use crate::parallel::{CHUNK, rows_per_chunk};

/// Applies `activation` in place.
pub fn activate(x: &mut [f32], activation: Activation) {
    x.par_chunks_mut(CHUNK).for_each(|chunk| activation.apply(chunk));
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
}
