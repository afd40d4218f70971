//! 8-bit matrix products, in blocks that fit the caches.

use std::ops::Range;

use super::level::{Dot, Level, Task};
use super::micro::{self, MAX_RUN, ROW_STRIDE};
use super::pack::{Column, Panels, panel_columns};
use super::quantise::Quantum;
use crate::dispatch::dispatch;
use crate::gemm::{Block, Cut};
use crate::parallel::for_each_tile;
use crate::scratch::{with_rows, with_tile};
use crate::simd::PANEL_VECTORS;

/// The quantised left operand of a product, row by row.
pub(super) trait Rows: Sync {
    /// Copies the bytes `from..from + out.len()` of row `row`; beyond the depth, anything.
    fn copy(&self, row: usize, from: usize, out: &mut [u8]);

    /// What the bytes of row `row` stand for.
    fn quantum(&self, row: usize) -> Quantum;
}

/// Rows that lie in memory.
pub(super) struct Strided<'a> {
    /// `[rows, stride]`.
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    pub(super) quanta: &'a [Quantum],
}

impl Rows for Strided<'_> {
    #[inline(always)]
    fn copy(&self, row: usize, from: usize, out: &mut [u8]) {
        out.copy_from_slice(&self.bytes[row * self.stride + from..][..out.len()]);
    }

    #[inline(always)]
    fn quantum(&self, row: usize) -> Quantum {
        self.quanta[row]
    }
}

/// Multiplies `rows` rows of `a` with `b` and hands every finished block, in `f32`, to `finish`.
pub(super) fn gemm(a: &impl Rows, rows: usize, b: Panels<'_>, finish: impl Fn(Block<'_>) + Sync) {
    let cut = cut(b.level, rows, b.columns, 1);
    // Four products take the time of one in `f32`.
    let work = rows * b.columns * b.depth / 4;
    for_each_tile(
        cut.count(),
        work,
        || (),
        |(), index| {
            let (rows, columns) = cut.block(index);
            block(a, rows, b, columns, &finish);
        },
    );
}

/// As the products in `f32` are cut: tiles and panels have the same size in bytes.
pub(super) fn cut(level: Level, rows: usize, columns: usize, products: usize) -> Cut {
    Cut::into_tiles(level.rows(), panel_columns(level), rows, columns, products)
}

/// Computes one block on this thread.
pub(super) fn block(
    a: &impl Rows,
    rows: Range<usize>,
    b: Panels<'_>,
    columns: Range<usize>,
    finish: &impl Fn(Block<'_>),
) {
    let stride = columns.len().next_multiple_of(b.level.lanes());
    with_tile(rows.len() * stride, |values| {
        with_rows(rows.len() * ROW_STRIDE / 4, |chunk| {
            b.level.run(Product {
                a,
                rows: rows.clone(),
                b,
                columns: columns.clone(),
                chunk: bytemuck::cast_slice_mut(chunk),
                sums: bytemuck::cast_slice_mut(values),
            });
        });
        let of = &b.columns_of[columns.clone()];
        for (values, row) in values.chunks_exact_mut(stride).zip(rows.clone()) {
            let Quantum { scale, zero } = a.quantum(row);
            widen_sums(values, of, scale, zero - b.level.offset());
        }
        finish(Block { rows, columns, values, stride });
    });
}

dispatch! {
    /// Sums, as bits, to what they stand for.
    fn widen_sums(values: &mut [f32], of: &[Column], scale: f32, zero: i32) {
        for (value, of) in values.iter_mut().zip(of) {
            let sum = (value.to_bits() as i32).wrapping_sub(zero.wrapping_mul(of.sum));
            *value = sum as f32 * (scale * of.scale);
        }
    }
}

/// One block of a product.
struct Product<'a, R> {
    a: &'a R,
    rows: Range<usize>,
    b: Panels<'a>,
    columns: Range<usize>,
    /// Room for the left operand, `[rows, ROW_STRIDE]`.
    chunk: &'a mut [u8],
    /// The result, `[rows, columns rounded up to whole vectors]`.
    sums: &'a mut [i32],
}

impl<R: Rows> Task for Product<'_, R> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<D: Dot>(self) {
        let Self { a, rows, b, columns, chunk, sums } = self;
        let panel = PANEL_VECTORS * D::LANES;
        let stride = columns.len().next_multiple_of(D::LANES);
        let all_columns = b.columns.next_multiple_of(D::LANES);
        let depth = b.depth.next_multiple_of(4);
        let count = rows.len();
        assert!(chunk.len() >= count * ROW_STRIDE && sums.len() >= count * stride, "room");
        assert!(columns.start.is_multiple_of(panel) && columns.end <= b.columns, "columns");
        assert!(columns.end == b.columns || columns.end.is_multiple_of(D::LANES), "columns");
        assert_eq!(b.values.len(), depth * all_columns, "panels");
        for start in (0..depth).step_by(MAX_RUN) {
            let run = start..(start + MAX_RUN).min(depth);
            for (line, row) in chunk.chunks_exact_mut(ROW_STRIDE).zip(rows.clone()) {
                a.copy(row, run.start, &mut line[..run.len()]);
            }
            for column in columns.clone().step_by(panel) {
                // The last panel of all may be narrower.
                let narrow = all_columns - column < panel;
                let lanes = if narrow { D::LANES } else { panel };
                let right = &b.values[column * depth + run.start * lanes..][..run.len() * lanes];
                for row in (0..count).step_by(D::ROWS) {
                    let tile_rows = D::ROWS.min(count - row);
                    let left = chunk[row * ROW_STRIDE..].as_ptr();
                    let out = sums[row * stride + column - columns.start..].as_mut_ptr();
                    let (right, groups, fresh) = (right.as_ptr(), run.len() / 4, start == 0);
                    // SAFETY: `tile_rows` rows lie in `chunk` and in `sums`, and the panel's run
                    // in `right`, by the assertions above; the instruction set is the caller's
                    // promise.
                    unsafe {
                        if narrow {
                            micro::tile::<D, 1>(tile_rows, left, right, out, stride, groups, fresh);
                        } else {
                            micro::tile::<D, PANEL_VECTORS>(
                                tile_rows, left, right, out, stride, groups, fresh,
                            );
                        }
                    }
                }
            }
        }
    }
}
