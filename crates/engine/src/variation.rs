//! The noise that a sample begins with, and a variation of it.

use crate::noise::Generator;
use crate::plan::{Plan, Variation};

/// Noises this alike are mixed along a line.
const ALIKE: f64 = 0.9995;
/// Below this sine of an angle there is no arc to follow.
const FLAT: f64 = 1e-6;

/// Planes `[channels, height, width]` of the plan's own noise, mixed with that of its variation.
///
/// `noise` has drawn `earlier` times as many values already, and so has the other seed's generator
/// first: a whole variation gives the noise that a plan of the other seed has.
pub(crate) fn initial_noise(
    plan: &Plan,
    noise: &mut Generator,
    earlier: usize,
    (channels, height, width): (usize, usize, usize),
) -> Vec<f32> {
    let count = channels * height * width;
    let own = noise.randn(count);
    match plan.variation {
        Some(Variation { seed, strength }) if strength != 0.0 => {
            let mut generator = Generator::new(seed);
            (0..earlier).for_each(|_| drop(generator.randn(count)));
            slerp(&own, &generator.randn(count), strength, height, width)
        }
        _ => own,
    }
}

/// Goes from one noise to another along the sphere: the web UI's `slerp`, which takes the columns
/// of each plane (of `height` rows of `width` values) for the vectors.
pub fn slerp(own: &[f32], other: &[f32], strength: f64, height: usize, width: usize) -> Vec<f32> {
    assert_eq!(own.len(), other.len(), "noises of one size");
    let columns = || (0..own.len()).step_by(height * width).flat_map(|plane| plane..plane + width);
    let cosine = |column: usize| {
        let values = || (column..column + height * width).step_by(width);
        let product = |a: &[f32], b: &[f32]| -> f64 {
            values().map(|i| f64::from(a[i]) * f64::from(b[i])).sum()
        };
        let norms = product(own, own).sqrt() * product(other, other).sqrt();
        (product(own, other) / norms).clamp(-1.0, 1.0)
    };
    let cosines: Vec<f64> = columns().map(cosine).collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;

    let mut mixed = vec![0.0; own.len()];
    for (column, cosine) in columns().zip(cosines) {
        let angle = cosine.acos();
        let (a, b) = if mean > ALIKE {
            // The other way round than along the sphere, as in the web UI.
            (strength, 1.0 - strength)
        } else if angle.sin() < FLAT {
            (1.0 - strength, strength)
        } else {
            (((1.0 - strength) * angle).sin() / angle.sin(), (strength * angle).sin() / angle.sin())
        };
        for i in (column..column + height * width).step_by(width) {
            mixed[i] = (a * f64::from(own[i]) + b * f64::from(other[i])) as f32;
        }
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64) -> Vec<f32> {
        Generator::new(seed).randn(4 * 6 * 5)
    }

    fn furthest(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn from_one_noise_to_the_other() {
        let (own, other) = (noise(1), noise(2));
        assert!(furthest(&slerp(&own, &other, 0.0, 6, 5), &own) < 1e-6);
        assert!(furthest(&slerp(&own, &other, 1.0, 6, 5), &other) < 1e-6);
        let half = slerp(&own, &other, 0.5, 6, 5);
        assert!(furthest(&half, &own) > 0.5 && furthest(&half, &other) > 0.5);
    }

    #[test]
    fn noise_varied_by_itself_or_of_a_single_row_stays_finite() {
        let own = noise(3);
        assert!(furthest(&slerp(&own, &own, 0.3, 6, 5), &own) < 1e-6);
        let mixed = slerp(&own, &noise(4), 0.3, 1, 30);
        assert!(mixed.iter().all(|value| value.is_finite()));
    }
}
