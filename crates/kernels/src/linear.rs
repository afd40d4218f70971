//! Fully connected layers.

use crate::dispatch::dispatch;
use crate::epilogue::{Epilogue, Target};
use crate::gemm::{Block, GATE_GROUP, Gated, Packed, Strided, gemm};
use crate::math;
use crate::parallel::{Disjoint, volume};

/// `out[rows, outputs] = x[rows, inputs] · weightᵀ`, and what the epilogue says.
///
/// `rows` of `x` make up `batch` batch rows, which matters to a bias for each of them alone.
pub fn linear(out: &mut [f32], x: &[f32], weight: &Packed, batch: usize, epilogue: &Epilogue<'_>) {
    let sizes = (weight.depth(), weight.columns());
    finish(out, x, sizes, batch, epilogue, |rows, finish| {
        gemm(&Strided { numbers: x, stride: sizes.0 }, rows, weight.view(), finish);
    });
}

/// Checks lengths and hands every block of `product` to the epilogue.
pub(crate) fn finish(
    out: &mut [f32],
    x: &[f32],
    (inputs, outputs): (usize, usize),
    batch: usize,
    epilogue: &Epilogue<'_>,
    product: impl FnOnce(usize, &(dyn Fn(Block<'_, f32>) + Sync)),
) {
    let rows = check_rows(out, x, inputs, outputs);
    assert!(batch > 0 && rows.is_multiple_of(batch), "batch rows of different lengths");
    epilogue.check(out.len(), outputs, batch);
    let target = Target::new(out, outputs, epilogue);
    if rows > 0 {
        product(rows, &|block| target.finish_block(&block, rows / batch));
    }
}

fn check_rows(out: &[f32], x: &[f32], inputs: usize, outputs: usize) -> usize {
    let rows = x.len() / inputs;
    assert_eq!(x.len(), rows * inputs, "input is not a whole number of rows");
    assert_eq!(out.len(), volume(&[rows, outputs]), "output length");
    rows
}

/// GEGLU: `out[rows, outputs] = value · gelu(gate)`, where a row of `x · weightᵀ + bias` is the
/// values, then the gates (Shazeer, "GLU variants improve transformer", 2020).
pub fn linear_gated(out: &mut [f32], x: &[f32], layer: &Gated) {
    let inputs = layer.weight.depth();
    finish_gated(out, x, (inputs, layer.outputs), &layer.bias, |rows, finish| {
        gemm(&Strided { numbers: x, stride: inputs }, rows, layer.weight.view(), finish);
    });
}

/// As [`finish`], with values times their gates in place of an epilogue.
pub(crate) fn finish_gated(
    out: &mut [f32],
    x: &[f32],
    (inputs, outputs): (usize, usize),
    bias: &[f32],
    product: impl FnOnce(usize, &(dyn Fn(Block<'_, f32>) + Sync)),
) {
    let rows = check_rows(out, x, inputs, outputs);
    if rows == 0 {
        return;
    }
    let out = Disjoint::new(out);
    product(rows, &|block| {
        // A block holds whole groups, each of values and their gates.
        let bias = &bias[block.columns.clone()];
        let (first, count) = (block.columns.start / 2, block.columns.len() / 2);
        for row in block.rows.clone() {
            // SAFETY: blocks are disjoint.
            #[allow(unsafe_code)]
            let out = unsafe { out.part(row * outputs + first, count) };
            gate(out, block.row(row), bias);
        }
    });
}

dispatch! {
    fn gate(out: &mut [f32], sums: &[f32], bias: &[f32]) {
        let (groups, last) = out.as_chunks_mut::<GATE_GROUP>();
        let (sum_groups, last_sums) = sums.as_chunks::<{ 2 * GATE_GROUP }>();
        let (bias_groups, last_bias) = bias.as_chunks::<{ 2 * GATE_GROUP }>();
        // Of a known length, so that a group is computed as whole vectors.
        for (out, (sums, bias)) in groups.iter_mut().zip(sum_groups.iter().zip(bias_groups)) {
            for i in 0..GATE_GROUP {
                let gate = sums[GATE_GROUP + i] + bias[GATE_GROUP + i];
                out[i] = (sums[i] + bias[i]) * math::gelu(gate);
            }
        }
        let count = last.len();
        for (i, out) in last.iter_mut().enumerate() {
            let gate = last_sums[count + i] + last_bias[count + i];
            *out = (last_sums[i] + last_bias[i]) * math::gelu(gate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stored;
    use crate::simd::Level;
    use crate::testing::{close, values};

    #[test]
    fn gates_meet_their_values_on_every_instruction_set() {
        for level in Level::available() {
            for (rows, inputs, outputs) in [(3, 5, 16), (20, 30, 24), (9, 40, 200), (2, 7, 1)] {
                if cfg!(miri) && rows * inputs * outputs > 20_000 {
                    continue; // It would be interpreted for minutes.
                }
                let x = values(rows * inputs, 1);
                let weight: Vec<f32> =
                    values(2 * outputs * inputs, 2).iter().map(|v| 3.0 * v).collect();
                let bias = values(2 * outputs, 3);
                let bytes: Vec<u8> = weight.iter().flat_map(|v| v.to_le_bytes()).collect();
                let layer = Gated::new_at(level, Stored::F32, &bytes, &bias, outputs, inputs);
                let mut got = vec![f32::NAN; rows * outputs];
                linear_gated(&mut got, &x, &layer);
                let one = |row: usize, output: usize| {
                    let products = (0..inputs).map(|k| {
                        f64::from(x[row * inputs + k]) * f64::from(weight[output * inputs + k])
                    });
                    (products.sum::<f64>() + f64::from(bias[output])) as f32
                };
                let want: Vec<f32> = (0..rows * outputs)
                    .map(|i| (i / outputs, i % outputs))
                    .map(|(r, o)| one(r, o) * math::gelu(one(r, outputs + o)))
                    .collect();
                close(&got, &want, 1e-5, &(level, rows, inputs, outputs));
            }
        }
    }
}
