//! Inputs that are neither zero nor special.

use half::f16;

/// Values in −1…1, the same in every run.
pub(crate) fn values(count: usize) -> Vec<f32> {
    let mut state = count as u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
    .take(count)
    .collect()
}

/// The bytes of as many `f16` values, for weights.
pub(crate) fn f16_bytes(count: usize) -> Vec<u8> {
    values(count).into_iter().flat_map(|value| f16::from_f32(value).to_le_bytes()).collect()
}
