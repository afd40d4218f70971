//! Inputs that are neither zero nor special.

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
