//! Group and layer normalisation.

use proptest::prelude::*;

use super::{Exact, UNIT, cases, on, within_bounds};
use crate::testing::values;
use crate::{Activation, group_norm, layer_norm};

const EPSILON: f32 = 1e-5;

/// Mean and variance.
fn moments(x: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let count = x.clone().count() as f64;
    let mean = x.clone().map(f64::from).sum::<f64>() / count;
    (mean, x.map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count)
}

#[test]
fn group_norm_is_the_definition() {
    // The largest are several chunks of work.
    let shapes = (1_usize..=500, 1_usize..=8, 1_usize..=32);
    proptest!(cases(30), |(shape in shapes, silu: bool, offset in -8.0_f32..8.0)| {
        let (pixels, groups, each) = shape;
        let channels = groups * each;
        let x: Vec<f32> = values(pixels * channels, 1).iter().map(|v| 3.0 * v + offset).collect();
        let (weight, bias) = (values(channels, 2), values(channels, 3));
        let mut want = vec![Exact::default(); x.len()];
        for group in 0..groups {
            let places = (0..pixels).flat_map(|p| {
                (group * each..(group + 1) * each).map(move |c| p * channels + c)
            });
            let (mean, variance) = moments(places.clone().map(|i| x[i]));
            let inverse = 1.0 / (variance + f64::from(EPSILON)).sqrt();
            for i in places {
                let scale = inverse * f64::from(weight[i % channels]);
                let value = (f64::from(x[i]) - mean) * scale + f64::from(bias[i % channels]);
                // Scale and shift are rounded once each, and so are their product and sum.
                let size = (f64::from(x[i]).abs() + mean.abs()) * scale.abs()
                    + f64::from(bias[i % channels]).abs();
                let plain = Exact { value, bound: 4.0 * UNIT * size };
                want[i] = if silu { plain.activated(Activation::Silu) } else { plain };
            }
        }
        let run = || {
            let mut out = vec![f32::NAN; x.len()];
            group_norm(&mut out, &x, &weight, &bias, groups, EPSILON, silu);
            out
        };
        let got = on(3, run);
        within_bounds(&got, &want, &(shape, silu, offset));
        prop_assert_eq!(on(1, run), got, "{:?}", shape);
    });
}

#[test]
fn layer_norm_is_the_definition() {
    let shapes = (1_usize..=120, 1_usize..=700);
    proptest!(cases(30), |(shape in shapes, offset in -4.0_f32..4.0)| {
        let (rows, channels) = shape;
        let x: Vec<f32> = values(rows * channels, 1).iter().map(|v| 3.0 * v + offset).collect();
        let (weight, bias) = (values(channels, 2), values(channels, 3));
        let want: Vec<Exact> = x
            .chunks(channels)
            .flat_map(|row| {
                let (mean, variance) = moments(row.iter().copied());
                let inverse = 1.0 / (variance + f64::from(EPSILON)).sqrt();
                let most = row.iter().fold(0.0_f64, |a, &v| a.max(f64::from(v).abs()));
                // Sixteen sums of a sixteenth of the row each, then four additions.
                let roundings = (channels as f64 / 16.0 + 8.0) * UNIT;
                row.iter().zip(&weight).zip(&bias).map(move |((&v, &w), &b)| {
                    let scaled = (f64::from(v) - mean) * inverse * f64::from(w);
                    let mean_off = roundings * most * inverse * f64::from(w).abs();
                    let value = scaled + f64::from(b);
                    let bound = 2.0 * mean_off + roundings * scaled.abs() + UNIT * value.abs();
                    Exact { value, bound }
                })
            })
            .collect();
        let run = |x: &[f32]| {
            let mut out = vec![f32::NAN; x.len()];
            layer_norm(&mut out, x, &weight, &bias, EPSILON);
            out
        };
        let got = on(3, || run(&x));
        within_bounds(&got, &want, &(shape, offset));
        let alone = on(1, || x.chunks(channels).flat_map(run).collect::<Vec<_>>());
        prop_assert_eq!(alone, got, "{:?}", shape);
    });
}
