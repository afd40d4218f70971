//! 8-bit matrix products whose results are `f32`.

use super::level::Level;
use super::pack::{Column, Packed};
use super::quantise::Quantum;
use crate::dispatch::dispatch;
use crate::gemm::{self, Block, Rows};

/// Multiplies `rows` rows of `a`, of which each stands for what `quantum` says, with `b` and hands
/// every finished block to `finish`.
pub(super) fn gemm(
    a: &impl Rows<[u8; 4]>,
    quantum: impl Fn(usize) -> Quantum + Sync,
    rows: usize,
    b: &Packed,
    finish: impl Fn(Block<'_, f32>) + Sync,
) {
    gemm::gemm(a, rows, b.view(), |block| {
        let Block { rows, columns, sums, stride } = block;
        let sums: &mut [f32] = bytemuck::cast_slice_mut(sums);
        for (sums, row) in sums.chunks_exact_mut(stride).zip(rows.clone()) {
            widen(b.level(), sums, b.columns_of(columns.clone()), quantum(row));
        }
        finish(Block { rows, columns, sums, stride });
    });
}

/// Turns sums, as bits, into what they stand for.
pub(super) fn widen(level: Level, sums: &mut [f32], of: &[Column], quantum: Quantum) {
    let Quantum { scale, zero } = quantum;
    widen_sums(sums, of, scale, zero - level.offset());
}

dispatch! {
    fn widen_sums(sums: &mut [f32], of: &[Column], scale: f32, zero: i32) {
        for (value, of) in sums.iter_mut().zip(of) {
            let sum = (value.to_bits() as i32).wrapping_sub(zero.wrapping_mul(of.sum));
            *value = sum as f32 * (scale * of.scale);
        }
    }
}
