//! Linear layers, plain and gated.

use proptest::prelude::*;

use super::{Exact, cases, on, stored, weights, within_bounds};
use crate::simd::Level;
use crate::testing::values;
use crate::{Activation, Epilogue, Gated, Packed, Then, linear, linear_gated};

/// What follows the bias.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Store,
    Activate(Activation),
    AddToOut,
    AddTo,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Store),
        Just(Kind::Activate(Activation::Silu)),
        Just(Kind::Activate(Activation::Gelu)),
        Just(Kind::Activate(Activation::QuickGelu)),
        Just(Kind::AddToOut),
        Just(Kind::AddTo),
    ]
}

#[test]
fn linear_is_the_definition() {
    let shapes = (1_usize..=3, 1_usize..=40, 1_usize..=600, 1_usize..=90);
    proptest!(cases(40), |(shape in shapes, stored in stored(), kind in kind(), biases in 0_usize..3)| {
        let (batch, tokens, inputs, outputs) = shape;
        let rows = batch * tokens;
        let x = values(rows * inputs, 1);
        let (bytes, weight) = weights(stored, &values(outputs * inputs, 2));
        // None, one for all batch rows, or one for each.
        let bias = values(outputs * if biases == 1 { 1 } else { batch }, 3);
        let (before, other) = (values(rows * outputs, 4), values(rows * outputs, 5));
        let want: Vec<Exact> = (0..rows * outputs)
            .map(|i| {
                let (row, output) = (i / outputs, i % outputs);
                let (a, b) = (&x[row * inputs..][..inputs], &weight[output * inputs..][..inputs]);
                let product = Exact::dot(a.iter().copied().zip(b.iter().copied()));
                let sum = match biases {
                    0 => product,
                    1 => product.plus(bias[output]),
                    _ => product.plus(bias[row / tokens * outputs + output]),
                };
                match kind {
                    Kind::Store => sum,
                    Kind::Activate(activation) => sum.activated(activation),
                    Kind::AddToOut => sum.plus(before[i]),
                    Kind::AddTo => sum.plus(other[i]),
                }
            })
            .collect();
        for level in Level::available() {
            let weight = Packed::convolution_at(level, stored, &bytes, outputs, inputs, 1);
            // Some batch rows alone.
            let run = |range: std::ops::Range<usize>| {
                let part = range.start * tokens * outputs..range.end * tokens * outputs;
                let mut out = before[part.clone()].to_vec();
                let of_batch = range.start * outputs..range.end * outputs;
                let bias = match biases {
                    0 => None,
                    1 => Some(&bias[..]),
                    _ => Some(&bias[of_batch]),
                };
                let then = match kind {
                    Kind::Store => Then::Store,
                    Kind::Activate(activation) => Then::Activate(activation),
                    Kind::AddToOut => Then::AddToOut,
                    Kind::AddTo => Then::AddTo(&other[part]),
                };
                let x = &x[range.start * tokens * inputs..range.end * tokens * inputs];
                linear(&mut out, x, &weight, range.len(), &Epilogue { bias, then });
                out
            };
            let got = on(3, || run(0..batch));
            within_bounds(&got, &want, &(level, shape, kind, biases));
            let alone = on(1, || (0..batch).flat_map(|i| run(i..i + 1)).collect::<Vec<_>>());
            prop_assert_eq!(alone, got, "{:?} {:?}", level, shape);
        }
    });
}

#[test]
fn gated_linear_is_the_definition() {
    let shapes = (1_usize..=60, 1_usize..=300, 1_usize..=70);
    proptest!(cases(30), |(shape in shapes, stored in stored(), larger in 1.0_f32..8.0)| {
        let (rows, inputs, outputs) = shape;
        let x = values(rows * inputs, 1);
        let scaled: Vec<f32> = values(2 * outputs * inputs, 2).iter().map(|v| larger * v).collect();
        let (bytes, weight) = weights(stored, &scaled);
        let bias = values(2 * outputs, 3);
        let one = |row: usize, output: usize| {
            let (a, b) = (&x[row * inputs..][..inputs], &weight[output * inputs..][..inputs]);
            Exact::dot(a.iter().copied().zip(b.iter().copied())).plus(bias[output])
        };
        let want: Vec<Exact> = (0..rows * outputs)
            .map(|i| (i / outputs, i % outputs))
            .map(|(r, o)| one(r, o).times(one(r, outputs + o).activated(Activation::Gelu)))
            .collect();
        for level in Level::available() {
            let layer = Gated::new_at(level, stored, &bytes, &bias, outputs, inputs);
            let run = |x: &[f32]| {
                let mut out = vec![f32::NAN; x.len() / inputs * outputs];
                linear_gated(&mut out, x, &layer);
                out
            };
            let got = on(3, || run(&x));
            within_bounds(&got, &want, &(level, shape));
            let alone = on(1, || x.chunks(inputs).flat_map(run).collect::<Vec<_>>());
            prop_assert_eq!(alone, got, "{:?} {:?}", level, shape);
        }
    });
}
