//! How far two results are from each other.

/// `max|a − b| / max|b|`; nothing where lengths differ or there is nothing to compare.
///
/// A value that is not a number makes the difference infinite.
pub(super) fn relative(a: &[f32], b: &[f32]) -> Option<f64> {
    if a.len() != b.len() || b.is_empty() {
        return None;
    }
    let mut apart = 0f64;
    let mut largest = 0f64;
    for (&a, &b) in a.iter().zip(b) {
        if !(a.is_finite() && b.is_finite()) {
            return Some(f64::INFINITY);
        }
        apart = apart.max((f64::from(a) - f64::from(b)).abs());
        largest = largest.max(f64::from(b).abs());
    }
    Some(if apart == 0.0 { 0.0 } else { apart / largest })
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn differences_are_relative_to_the_largest_value() {
        assert_eq!(relative(&[1.0, 2.0], &[1.0, 4.0]), Some(0.5));
        assert_eq!(relative(&[0.0], &[0.0]), Some(0.0));
        assert_eq!(relative(&[1.0], &[0.0]), Some(f64::INFINITY));
    }

    #[test]
    fn what_is_no_number_is_far_away() {
        assert_eq!(relative(&[f32::NAN], &[1.0]), Some(f64::INFINITY));
        assert_eq!(relative(&[1.0], &[f32::INFINITY]), Some(f64::INFINITY));
    }

    #[test]
    fn other_lengths_do_not_compare() {
        assert_eq!(relative(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(relative(&[], &[]), None);
    }
}
