//! Elementwise functions.

use rayon::prelude::*;

use crate::epilogue::Activation;
use crate::parallel::{CHUNK, rows_per_chunk};

/// Applies `activation` in place.
pub fn activate(x: &mut [f32], activation: Activation) {
    x.par_chunks_mut(CHUNK).for_each(|chunk| activation.apply(chunk));
}

/// Rows of `a` values of `x`, each followed by `b` values of `y`.
pub fn interleave(out: &mut [f32], x: &[f32], y: &[f32], (a, b): (usize, usize)) {
    assert!(a > 0 && b > 0, "rows of no values");
    let rows = x.len() / a;
    assert!(x.len() == rows * a && y.len() == rows * b, "input lengths");
    assert_eq!(out.len(), rows * (a + b), "output length");
    let chunk = rows_per_chunk(a + b);
    out.par_chunks_mut(chunk * (a + b))
        .zip(x.par_chunks(chunk * a))
        .zip(y.par_chunks(chunk * b))
        .for_each(|((out, x), y)| {
            let rows = x.chunks_exact(a).zip(y.chunks_exact(b));
            for (out, (x, y)) in out.chunks_exact_mut(a + b).zip(rows) {
                out[..a].copy_from_slice(x);
                out[a..].copy_from_slice(y);
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_put_side_by_side() {
        let mut out = [0.0; 6];
        interleave(&mut out, &[1.0, 2.0], &[10.0, 11.0, 20.0, 21.0], (1, 2));
        assert_eq!(out, [1.0, 10.0, 11.0, 2.0, 20.0, 21.0]);
    }
}
