//! Fully connected layers.

use crate::epilogue::{Epilogue, Target};
use crate::gemm::{Packed, Strided, gemm};

/// `out[rows, outputs] = x[rows, inputs] · weightᵀ`, and what the epilogue says.
///
/// `rows` of `x` make up `batch` batch rows, which matters to a bias for each of them alone.
pub fn linear(
    out: &mut [f32],
    x: &[f32],
    weight: &Packed,
    batch: usize,
    epilogue: &Epilogue<'_>,
) {
    let (inputs, outputs) = (weight.depth(), weight.columns());
    let rows = x.len() / inputs;
    assert_eq!(x.len(), rows * inputs, "input is not a whole number of rows");
    assert_eq!(out.len(), rows * outputs, "output length");
    assert!(batch > 0 && rows.is_multiple_of(batch), "batch rows of different lengths");
    epilogue.check(out.len(), outputs, batch);
    if rows == 0 {
        return;
    }
    let tokens = rows / batch;
    let target = Target::new(out, outputs, epilogue);
    gemm(&Strided { values: x, stride: inputs }, rows, weight.view(), |block| {
        for row in block.rows.clone() {
            // SAFETY: blocks are disjoint.
            #[allow(unsafe_code)]
            unsafe {
                target.finish(row, row / tokens, block.columns.clone(), block.row(row));
            }
        }
    });
}
