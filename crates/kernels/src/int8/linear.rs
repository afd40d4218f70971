//! Fully connected layers.

use super::gemm::gemm;
use super::pack::{Gated, Packed};
use super::quantise::{self, Quantum};
use crate::epilogue::Epilogue;
use crate::gemm::{Block, Strided};
use crate::linear::{finish, finish_gated};
use crate::scratch::with_shared;

/// Bytes of working memory that a layer takes for `rows` rows, beside that of the threads.
pub fn linear_scratch(rows: usize, inputs: usize) -> usize {
    rows * (inputs.next_multiple_of(4) + size_of::<Quantum>())
}

/// As [`crate::linear`].
pub fn linear(out: &mut [f32], x: &[f32], weight: &Packed, batch: usize, epilogue: &Epilogue<'_>) {
    let sizes = (weight.depth(), weight.columns());
    finish(out, x, sizes, batch, epilogue, |rows, finish| product(x, rows, weight, finish));
}

/// As [`crate::linear_gated`].
pub fn linear_gated(out: &mut [f32], x: &[f32], layer: &Gated) {
    let Gated { weight, bias, outputs } = layer;
    finish_gated(out, x, (weight.depth(), *outputs), bias, |rows, finish| {
        product(x, rows, weight, finish);
    });
}

/// Quantises every row of `x` and multiplies.
fn product(x: &[f32], rows: usize, weight: &Packed, finish: impl Fn(Block<'_, f32>) + Sync) {
    let inputs = weight.depth();
    let stride = inputs.div_ceil(4);
    with_shared(linear_scratch(rows, inputs) / 4, |buffer| {
        let (numbers, quanta) = buffer.split_at_mut(rows * stride);
        let quanta: &mut [Quantum] = bytemuck::cast_slice_mut(quanta);
        quantise::rows(bytemuck::cast_slice_mut(numbers), quanta, x, inputs, 4 * stride);
        let rows_of = Strided { numbers: bytemuck::cast_slice(numbers), stride };
        gemm(&rows_of, |row| quanta[row], rows, weight, finish);
    });
}

#[cfg(test)]
mod tests {
    use super::super::level::Level;
    use super::*;
    use crate::epilogue::{Activation, Then};
    use crate::testing::values;
    use crate::{Stored, math};

    const SHAPES: [(usize, usize, usize); 9] = [
        (1, 1, 1),
        (3, 5, 7),
        (4, 8, 4),
        (15, 16, 33),
        (29, 75, 49),
        (14, 1027, 32),
        (9, 2100, 18),
        (250, 40, 410),
        (77, 513, 4),
    ];

    fn shapes() -> &'static [(usize, usize, usize)] {
        if cfg!(miri) { &SHAPES[..4] } else { &SHAPES }
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    /// What the layer means by its integers, in f64: rows of `x` and of `weight` quantised as the
    /// documentation says.
    fn reference(x: &[f32], weight: &[f32], depth: usize) -> Vec<f64> {
        let weights: Vec<Vec<f64>> = weight
            .chunks_exact(depth)
            .map(|row| {
                let scale = row.iter().fold(0.0_f32, |a, v| a.max(v.abs())) / 127.0;
                row.iter().map(|v| f64::from((v / scale).round() * scale)).collect()
            })
            .collect();
        let mut out = Vec::new();
        for row in x.chunks_exact(depth) {
            let low = row.iter().fold(0.0_f32, |a, &v| a.min(v));
            let high = row.iter().fold(0.0_f32, |a, &v| a.max(v));
            let scale = (high - low) / 255.0;
            let zero = (-low / scale).round();
            let row: Vec<f64> = row
                .iter()
                .map(|v| f64::from(((v / scale + zero).round().clamp(0.0, 255.0) - zero) * scale))
                .collect();
            out.extend(weights.iter().map(|w| w.iter().zip(&row).map(|(w, x)| w * x).sum::<f64>()));
        }
        out
    }

    /// The root of the mean square of the differences, over that of the wanted values.
    fn error(got: &[f32], want: &[f64]) -> f64 {
        let squares: f64 = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).powi(2)).sum();
        (squares / want.iter().map(|w| w * w).sum::<f64>()).sqrt()
    }

    #[test]
    fn int8_products_are_those_of_the_quantised_operands() {
        for &(rows, depth, columns) in shapes() {
            let x: Vec<f32> = values(rows * depth, 1).iter().map(|v| v + 0.2).collect();
            let weight = values(columns * depth, 2);
            let want = reference(&x, &weight, depth);
            let exact: Vec<f64> = (0..rows * columns)
                .map(|i| {
                    let (x, w) = (&x[i / columns * depth..], &weight[i % columns * depth..]);
                    let products = x[..depth].iter().zip(w);
                    products.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
                })
                .collect();
            let mut first: Option<Vec<f32>> = None;
            for level in Level::available() {
                let packed =
                    Packed::convolution_at(level, Stored::F32, &bytes(&weight), columns, depth, 1);
                let mut got = vec![f32::NAN; rows * columns];
                linear(&mut got, &x, &packed, 1, &Epilogue::default());
                // Ties may be rounded the other way, here and there.
                assert!(error(&got, &want) < 2e-3, "{level:?} {rows} {depth} {columns}");
                assert!(error(&got, &exact) < 2e-2, "{level:?} {rows} {depth} {columns}");
                let first = first.get_or_insert_with(|| got.clone());
                assert_eq!(&got, first, "{level:?} {rows} {depth} {columns}");
            }
        }
    }

    #[test]
    fn int8_products_do_not_saturate() {
        let depth = if cfg!(miri) { 64 } else { 5000 };
        for (x, w) in [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)] {
            for level in Level::available() {
                // The greatest magnitudes of either sign, and a zero point at either end.
                let packed = Packed::convolution_at(
                    level,
                    Stored::F32,
                    &bytes(&vec![w; depth]),
                    1,
                    depth,
                    1,
                );
                let mut got = [0.0];
                linear(&mut got, &vec![x; depth], &packed, 1, &Epilogue::default());
                let want = depth as f32 * x * w;
                assert!((got[0] - want).abs() <= 1e-4 * depth as f32, "{level:?}: {got:?}");
            }
        }
    }

    #[test]
    fn int8_bytes_follow_neither_batch_nor_threads() {
        let (rows, depth, columns) = if cfg!(miri) { (6, 5, 5) } else { (62, 300, 170) };
        let x = values(rows * depth, 3);
        let packed =
            Packed::linear(Stored::F32, &bytes(&values(columns * depth, 4)), columns, depth);
        let bias = values(2 * columns, 5);
        let run = |batch: std::ops::Range<usize>, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let each = rows / 2;
            let x = &x[batch.start * each * depth..batch.end * each * depth];
            let mut out = vec![1.0; batch.len() * each * columns];
            let epilogue = Epilogue {
                bias: Some(&bias[batch.start * columns..batch.end * columns]),
                then: Then::AddToOut,
            };
            pool.install(|| linear(&mut out, x, &packed, batch.len(), &epilogue));
            out
        };
        let all = run(0..2, 3);
        let half = all.len() / 2;
        assert_eq!(run(0..1, 1), all[..half]);
        assert_eq!(run(1..2, 2), all[half..]);
    }

    #[test]
    fn int8_gates_meet_their_values() {
        let shapes = [(3, 5, 16), (20, 30, 24), (9, 40, 200), (2, 7, 1)];
        for (rows, inputs, outputs) in shapes {
            let x = values(rows * inputs, 1);
            let weight: Vec<f32> =
                values(2 * outputs * inputs, 2).iter().map(|v| 3.0 * v).collect();
            let bias = values(2 * outputs, 3);
            let products = reference(&x, &weight, inputs);
            let one = |row: usize, output: usize| {
                products[row * 2 * outputs + output] as f32 + bias[output]
            };
            let want: Vec<f64> = (0..rows * outputs)
                .map(|i| (i / outputs, i % outputs))
                .map(|(r, o)| f64::from(one(r, o) * math::gelu(one(r, outputs + o))))
                .collect();
            for level in Level::available() {
                let layer =
                    Gated::new_at(level, Stored::F32, &bytes(&weight), &bias, outputs, inputs);
                let mut got = vec![f32::NAN; rows * outputs];
                linear_gated(&mut got, &x, &layer);
                assert!(error(&got, &want) < 5e-3, "{level:?} {rows} {inputs} {outputs}");
            }
        }
    }

    #[test]
    fn int8_shows_what_is_no_number() {
        let packed = Packed::linear(Stored::F32, &bytes(&[1.0, 2.0]), 1, 2);
        let mut out = [0.0; 2];
        let epilogue = Epilogue { bias: None, then: Then::Activate(Activation::Silu) };
        linear(&mut out, &[f32::NAN, 1.0, 1.0, 0.0], &packed, 1, &epilogue);
        assert!(out[0].is_nan() && out[1].is_finite());
        let packed = Packed::linear(Stored::F32, &bytes(&[1.0, f32::INFINITY]), 1, 2);
        linear(&mut out, &[1.0; 4], &packed, 1, &epilogue);
        assert!(out[0].is_nan());
    }
}
