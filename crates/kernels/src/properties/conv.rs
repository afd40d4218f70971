//! Convolution, direct and by Winograd's transform.

use proptest::prelude::*;

use super::{Exact, cases, on, stored, weights, within_bounds};
use crate::conv::{ConvShape, ConvWeights, conv2d, conv2d_stored_at};
use crate::simd::Level;
use crate::testing::{close, values};
use crate::{Epilogue, Stored, Then};

/// The source index of PyTorch's `nearest` enlargement.
fn nearest(index: usize, source: usize, size: usize) -> usize {
    ((index as f32 * (source as f32 / size as f32)).floor() as usize).min(source - 1)
}

/// The definition, for one image. `weight` is `[out, in, taps]`.
fn definition(x: &[f32], weight: &[f32], bias: &[f32], s: &ConvShape) -> Vec<Exact> {
    let (height, width) = s.output();
    let taps = s.kernel * s.kernel;
    let mut out = Vec::new();
    for (y, left) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        // The pixel under each tap, if it is no padding.
        let seen: Vec<Option<usize>> = (0..taps)
            .map(|tap| {
                let y = (y * s.stride + tap / s.kernel).checked_sub(s.padding.0)?;
                let x = (left * s.stride + tap % s.kernel).checked_sub(s.padding.0)?;
                let inside = y < s.input.0 && x < s.input.1;
                let row = nearest(y, s.source.0, s.input.0);
                inside.then(|| row * s.source.1 + nearest(x, s.source.1, s.input.1))
            })
            .collect();
        for (output, &bias) in bias.iter().enumerate() {
            let products = seen.iter().enumerate().flat_map(|(tap, &pixel)| {
                pixel.into_iter().flat_map(move |pixel| {
                    (0..s.in_channels).map(move |c| {
                        let w = weight[(output * s.in_channels + c) * taps + tap];
                        (x[pixel * s.in_channels + c], w)
                    })
                })
            });
            out.push(Exact::dot(products).plus(bias));
        }
    }
    out
}

/// Every instruction set's result of a batch on three threads is handed to `check`, and each of
/// its images alone on one thread must give the same bytes.
fn run(
    shape: &ConvShape,
    stored: Stored,
    batch: usize,
    check: impl Fn(&[f32], &[Exact], Level),
) -> Result<(), TestCaseError> {
    let x = values(batch * shape.source.0 * shape.source.1 * shape.in_channels, 1);
    let count = shape.out_channels * shape.in_channels * shape.kernel * shape.kernel;
    let (bytes, weight) = weights(stored, &values(count, 2));
    let bias = values(shape.out_channels, 3);
    let images = || x.chunks(x.len() / batch);
    let want: Vec<Exact> = images().flat_map(|x| definition(x, &weight, &bias, shape)).collect();
    for level in Level::available() {
        let weights = ConvWeights::pack_at(level, stored, &bytes, shape);
        prop_assert!(weights.fits(shape));
        let run = |x: &[f32], images: usize| {
            let mut out = vec![f32::NAN; want.len() / batch * images];
            let epilogue = Epilogue { bias: Some(&bias), then: Then::Store };
            conv2d(&mut out, x, &weights, shape, &epilogue);
            out
        };
        let got = on(3, || run(&x, batch));
        check(&got, &want, level);
        let alone = on(1, || images().flat_map(|x| run(x, 1)).collect::<Vec<_>>());
        prop_assert_eq!(alone, &*got, "{:?} {:?}", level, shape);
        if shape.by_winograd() {
            let unpacked = on(3, || {
                let mut out = vec![f32::NAN; want.len()];
                let epilogue = Epilogue { bias: Some(&bias), then: Then::Store };
                conv2d_stored_at(level, &mut out, &x, (stored, &bytes), shape, &epilogue);
                out
            });
            prop_assert_eq!(unpacked, got, "{:?} {:?}", level, shape);
        }
    }
    Ok(())
}

#[test]
fn direct_convolution_is_the_definition() {
    let sizes =
        ((1_usize..=11, 1_usize..=11), (0_usize..=11, 0_usize..=11), 1_usize..=24, 1_usize..=40);
    let filters = (1_usize..=4, 1_usize..=3, (0_usize..=3, 0_usize..=3));
    proptest!(cases(40), |(
        (source, more, in_channels, out_channels) in sizes,
        (kernel, stride, padding) in filters,
        enlarged: bool, batch in 1_usize..=3, stored in stored(),
    )| {
        let input = if enlarged { (source.0 + more.0, source.1 + more.1) } else { source };
        let shape = ConvShape { source, input, in_channels, out_channels, kernel, stride, padding };
        prop_assume!(input.0.min(input.1) + padding.0 + padding.1 >= kernel);
        if !shape.by_winograd() {
            run(&shape, stored, batch, |got, want, level| {
                within_bounds(got, want, &(level, shape));
            })?;
        }
    });
}

#[test]
fn convolution_by_winograd_is_the_definition() {
    let sizes = ((4_usize..=17, 4_usize..=17), 16_usize..=40, 16_usize..=40);
    proptest!(cases(16), |(
        (source, in_channels, out_channels) in sizes,
        enlarged: bool, odd in 0_usize..2, batch in 1_usize..=3, stored in stored(),
    )| {
        let input = if enlarged { (2 * source.0 - odd, 2 * source.1 + odd) } else { source };
        let (kernel, stride, padding) = (3, 1, (1, 1));
        let shape = ConvShape { source, input, in_channels, out_channels, kernel, stride, padding };
        prop_assume!(shape.by_winograd());
        run(&shape, stored, batch, |got, want, level| {
            // The transforms grow and cancel: what they leave is measured, not bounded.
            let want: Vec<f32> = want.iter().map(|w| w.value as f32).collect();
            close(got, &want, 2e-5, &(level, shape));
        })?;
    });
}
