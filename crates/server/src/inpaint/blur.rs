//! Gaussian blur, by three box filters whose widths need not be whole numbers: Gwosdek et al. 2011,
//! "Theoretical Foundations of Gaussian Convolution by Extended Box Filtering".
//!
//! Sums are of integers, so what lies far from all light stays exactly dark.

/// Box filters that make one Gaussian.
const PASSES: usize = 3;
/// Fractional bits of a weight.
const BITS: u32 = 16;

/// One channel of a picture, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) values: Vec<u16>,
}

impl Plane {
    /// Blurs it by so many pixels of standard deviation. Beyond its edges it goes on as it ends.
    pub(super) fn blurred(self, deviation: f64) -> Self {
        if self.width == 0 || deviation <= 0.0 {
            return self;
        }
        let filter = Window::new(deviation);
        let across = filter.over_rows(self).transposed();
        filter.over_rows(across).transposed()
    }

    fn transposed(&self) -> Self {
        let height = self.values.len() / self.width;
        let column = |x: usize| self.values.iter().skip(x).step_by(self.width).copied();
        Self { width: height, values: (0..self.width).flat_map(column).collect() }
    }
}

/// A box of whole pixels and a part of one more at both of its ends.
struct Window {
    radius: usize,
    /// Weight of the ends, fixed-point.
    ends: u64,
    /// One over the sum of all weights.
    scale: f64,
}

impl Window {
    fn new(deviation: f64) -> Self {
        let variance = deviation * deviation / PASSES as f64;
        let radius = (((12.0 * variance + 1.0).sqrt() - 1.0) / 2.0).floor();
        let (whole, next) = (2.0 * radius + 1.0, radius + 1.0);
        let ends = whole * (radius * next - 3.0 * variance) / (6.0 * (variance - next * next));
        let one = f64::from(1 << BITS);
        let ends = (ends * one).round().max(0.0);
        Self { radius: radius as usize, ends: ends as u64, scale: 1.0 / (whole * one + 2.0 * ends) }
    }

    fn over_rows(&self, mut plane: Plane) -> Plane {
        let mut padded = Vec::new();
        for row in plane.values.chunks_exact_mut(plane.width) {
            for _ in 0..PASSES {
                self.over_row(row, &mut padded);
            }
        }
        plane
    }

    fn over_row(&self, row: &mut [u16], padded: &mut Vec<u64>) {
        let (Some(&first), Some(&last)) = (row.first(), row.last()) else { return };
        let beyond = self.radius + 1;
        padded.clear();
        padded.resize(beyond, first.into());
        padded.extend(row.iter().map(|&value| u64::from(value)));
        padded.resize(padded.len() + beyond, last.into());
        let mut inner: u64 = padded[1..2 * beyond].iter().sum();
        for (x, value) in row.iter_mut().enumerate() {
            let (left, right) = (padded[x], padded[x + 2 * beyond]);
            let sum = (inner << BITS) + self.ends * (left + right);
            // Less than 2^53, so that the conversion is exact.
            *value = (sum as f64 * self.scale).round() as u16;
            inner = inner + right - padded[x + 1];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_point_becomes_a_bell_of_the_deviation() {
        for deviation in [0.7, 1.0, 2.5, 4.0, 6.3] {
            let (width, middle) = (61, 30);
            let mut values = vec![0; width * width];
            values[middle * width + middle] = u16::MAX;
            let blurred = Plane { width, values }.blurred(deviation);
            let place = |i: usize| (i % width) as f64 - middle as f64;
            let weights = || blurred.values.iter().map(|&value| f64::from(value));
            let sum: f64 = weights().sum();
            let spread: f64 = weights().enumerate().map(|(i, w)| w * place(i).powi(2)).sum();
            let found = (spread / sum).sqrt();
            assert!((found / deviation - 1.0).abs() < 0.06, "{found} for {deviation}");
            assert!(blurred.values.iter().eq(blurred.values.iter().rev()), "one side is another's");
        }
    }

    #[test]
    fn what_is_flat_stays_so_and_what_is_far_stays_dark() {
        let flat = Plane { width: 7, values: vec![65025; 35] };
        for deviation in [0.0, 0.3, 4.0, 256.0] {
            assert_eq!(flat.clone().blurred(deviation), flat);
        }
        let values = (0..100).map(|x| if x < 10 { u16::MAX } else { 0 }).collect();
        let blurred = Plane { width: 100, values }.blurred(4.0);
        assert!(blurred.values[9] > blurred.values[10] && blurred.values[10] > 0);
        assert!(blurred.values[30..].iter().all(|&value| value == 0));
    }

    proptest! {
        #[test]
        fn no_plane_leaves_its_range(
            width in 1_usize..20,
            values in prop::collection::vec(any::<u16>(), 1..200),
            deviation in 0.0..256.0_f64,
        ) {
            let height = values.len().div_ceil(width);
            let mut values = values;
            values.resize(width * height, 9);
            let (least, most) = (values.iter().min().copied(), values.iter().max().copied());
            let blurred = Plane { width, values }.blurred(deviation);
            prop_assert_eq!(blurred.values.len(), width * height);
            prop_assert!(blurred.values.iter().min().copied() >= least);
            prop_assert!(blurred.values.iter().max().copied() <= most);
        }
    }
}
