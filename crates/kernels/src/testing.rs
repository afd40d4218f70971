//! What the kernels' tests share.

use std::fmt::Debug;

/// `n` values between −0.5 and 0.5.
pub(crate) fn values(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        })
        .collect()
}

/// Asserts that no value is further from the wanted one than `tolerance` times the largest.
pub(crate) fn close(got: &[f32], want: &[f32], tolerance: f32, what: &dyn Debug) {
    assert_eq!(got.len(), want.len(), "{what:?}");
    let largest = want.iter().fold(0.0_f32, |a, b| a.max(b.abs())).max(1e-30);
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= tolerance * largest, "{what:?}: {g} for {w} at {i}");
    }
}
