//! Evenly spaced numbers and interpolation with NumPy's and PyTorch's exact rounding.
//!
//! Timesteps are rounded to integers, so a last bit can move one: these follow the libraries'
//! order of operations.

/// `numpy.linspace(start, stop, n)`, in double precision.
pub(super) fn linspace(start: f64, stop: f64, n: usize) -> Vec<f64> {
    let step = (stop - start) / n.saturating_sub(1).max(1) as f64;
    let mut values: Vec<f64> = (0..n).map(|i| i as f64 * step + start).collect();
    if n > 1 {
        values[n - 1] = stop;
    }
    values
}

/// `torch.linspace(start, stop, n, dtype=torch.float32)`: counted from both ends to the middle.
pub(super) fn linspace_f32(start: f32, stop: f32, n: usize) -> Vec<f32> {
    if n == 1 {
        return vec![start];
    }
    let step = (stop - start) / n.saturating_sub(1) as f32;
    (0..n)
        .map(|i| if i < n / 2 { start + step * i as f32 } else { stop - step * (n - i - 1) as f32 })
        .collect()
}

/// `numpy.arange(start, 0, -step)` for positive `start` and `step`.
///
/// As in NumPy, rounding can give one value more than `start / step`, which is then near zero.
pub(super) fn descending(start: f64, step: f64) -> Vec<f64> {
    let n = (start / step).ceil() as usize;
    let delta = (start - step) - start;
    (0..n).map(|i| start + i as f64 * delta).collect()
}

/// `numpy.interp(x, [0, 1, …], values)`: linear between neighbours, constant outside.
///
/// Zero if there are no values.
pub(super) fn interpolate(x: f64, values: &[f32]) -> f64 {
    let last = values.len().saturating_sub(1);
    let low = (x.max(0.0) as usize).min(last);
    let at = |i: usize| values.get(i).copied().map_or(0.0, f64::from);
    if x <= 0.0 || low == last {
        return at(low);
    }
    (at(low + 1) - at(low)) * (x - low as f64) + at(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exact() {
        assert_eq!(linspace(0.0, 999.0, 1), [0.0]);
        assert_eq!(linspace(0.0, 999.0, 3), [0.0, 499.5, 999.0]);
        assert_eq!(linspace_f32(1.0, 2.0, 1), [1.0]);
        assert_eq!(linspace_f32(1.0, 2.0, 2), [1.0, 2.0]);
        assert!(linspace(0.0, 1.0, 0).is_empty());
    }

    /// 61 steps of 1000/61 end just above zero in floating point, so NumPy adds one.
    #[test]
    fn arange_may_overrun() {
        assert_eq!(descending(1000.0, 1000.0 / 60.0).len(), 60);
        assert_eq!(descending(1000.0, 1000.0 / 61.0).len(), 62);
    }

    #[test]
    fn interpolation_is_clamped() {
        let values = [1.0, 3.0, 4.0];
        assert_eq!(interpolate(-1.0, &values), 1.0);
        assert_eq!(interpolate(0.5, &values), 2.0);
        assert_eq!(interpolate(2.0, &values), 4.0);
        assert_eq!(interpolate(9.0, &values), 4.0);
        assert_eq!(interpolate(9.0, &[]), 0.0);
    }
}
