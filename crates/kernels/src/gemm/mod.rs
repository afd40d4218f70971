//! Matrix products over packed weights, in blocks that fit the caches.
//!
//! Each value of a result is the sum over the inner dimension in its own order, so its bytes
//! depend neither on how the work is cut into blocks nor on the number of threads.

mod arithmetic;
mod micro;
mod pack;

use std::ops::Range;

pub(crate) use arithmetic::{Arithmetic, Product, Tile};
pub(crate) use micro::{MAX_DEPTH, ROW_STRIDE};
pub(crate) use pack::{GATE_GROUP, Panels, TURN, Weight, gate_order, packed_columns, packed_len};
pub use pack::{Gated, Packed};

use crate::parallel::{Disjoint, for_each_tile};
use crate::scratch::{with_rows, with_tile};
use crate::simd::{MAX_ROWS, PANEL_VECTORS};

/// The left operand of a product, row by row.
pub(crate) trait Rows<T>: Sync {
    /// Copies the numbers `from..from + out.len()` of row `row`.
    fn copy(&self, row: usize, from: usize, out: &mut [T]);
}

/// A left operand that was written the way the register tile reads it: for each of its [`runs`]
/// all rows, [`ROW_STRIDE`] apart.
#[derive(Clone, Copy)]
pub(crate) struct Chunked<'a, T> {
    numbers: &'a [T],
    rows: usize,
}

/// Numbers of a [`Chunked`] operand of `rows` rows of `depth` numbers.
pub(crate) fn chunked_len(rows: usize, depth: usize) -> usize {
    runs(depth).count() * rows * ROW_STRIDE
}

/// Where a [`Chunked`] operand of `rows` rows has the number `column` of row `row`, and what
/// follows it up to the end of its run.
#[inline(always)]
pub(crate) fn chunked_place(rows: usize, depth: usize, row: usize, column: usize) -> usize {
    let size = run_size(depth);
    ((column / size) * rows + row) * ROW_STRIDE + column % size
}

impl<'a, T> Chunked<'a, T> {
    pub(crate) fn new(numbers: &'a [T], rows: usize) -> Self {
        Self { numbers, rows }
    }

    /// The numbers of one run.
    pub(crate) fn run(self, index: usize) -> Self {
        let len = self.rows * ROW_STRIDE;
        Self { numbers: &self.numbers[index * len..][..len], rows: self.rows }
    }
}

/// Rows that lie in memory, `stride` numbers apart.
pub(crate) struct Strided<'a, T> {
    pub(crate) numbers: &'a [T],
    pub(crate) stride: usize,
}

impl<T: Copy + Sync> Rows<T> for Strided<'_, T> {
    #[inline(always)]
    fn copy(&self, row: usize, from: usize, out: &mut [T]) {
        out.copy_from_slice(&self.numbers[row * self.stride + from..][..out.len()]);
    }
}

/// A finished block of a product.
pub(crate) struct Block<'a, T> {
    /// Which rows of the product.
    pub(crate) rows: Range<usize>,
    /// Which columns.
    pub(crate) columns: Range<usize>,
    pub(crate) sums: &'a mut [T],
    pub(crate) stride: usize,
}

impl<T> Block<'_, T> {
    /// The values of row `row` of the product.
    pub(crate) fn row(&self, row: usize) -> &[T] {
        &self.sums[(row - self.rows.start) * self.stride..][..self.columns.len()]
    }
}

/// Rows and columns of one block at the most: its left operand, one panel and its sums fit a
/// second-level cache of a megabyte.
const BLOCK_ROWS: usize = 224;
const BLOCK_COLUMNS: usize = 384;

/// Multiplies `rows` rows of `a` with `b` and hands every finished block to `finish`.
pub(crate) fn gemm<A: Arithmetic>(
    a: &impl Rows<A::Left>,
    rows: usize,
    b: Panels<'_, A>,
    finish: impl Fn(Block<'_, A::Sum>) + Sync,
) {
    let cut = Cut::new(b.level(), rows, b.columns(), 1);
    let work = rows * b.columns() * b.depth();
    for_each_tile(cut.count(), work, |index| {
        let (rows, columns) = cut.block(index);
        block(a, rows, b, columns, &finish);
    });
}

/// Several products of the same shape at once, `a(i)` with `b(i)` for `i` below `count`. The sums
/// of each are `[rows, stride]`, and those of the next begin `plane` values further in `out`.
pub(crate) fn gemms<'a, A: Arithmetic>(
    count: usize,
    a: impl Fn(usize) -> Chunked<'a, A::Left> + Sync,
    rows: usize,
    b: impl Fn(usize) -> Panels<'a, A> + Sync,
    out: &mut [f32],
    (stride, plane): (usize, usize),
) {
    let any = b(0);
    // Whole rows, so that what two threads write does not interleave.
    let cut = Cut::new(any.level(), rows, any.columns(), count).whole_rows();
    let work = count * rows * any.columns() * any.depth();
    assert!(rows * stride <= plane, "results overlap");
    assert!(count * plane <= out.len(), "result too short");
    let out = Disjoint::new(out);
    for_each_tile(count * cut.count(), work, |index| {
        let (product, index) = (index / cut.count(), index % cut.count());
        let (part, _) = cut.block(index);
        // SAFETY: parts of the rows of one product, and different products, are disjoint.
        #[allow(unsafe_code)]
        let sums = unsafe { out.part(product * plane + part.start * stride, part.len() * stride) };
        let sums = bytemuck::cast_slice_mut(sums);
        let (a, b) = (a(product), b(product));
        let columns = 0..b.columns();
        b.level().compute(ChunkedProduct { a, rows: part, b, columns, sums, stride, add: false });
    });
}

/// Values of working memory that a thread keeps: one block's left operand and sums, and the scores of
/// a tile of attention.
pub(crate) fn thread_values() -> usize {
    BLOCK_ROWS * (ROW_STRIDE + BLOCK_COLUMNS) + MAX_ROWS * ROW_STRIDE
}

/// Computes one block on this thread.
fn block<A: Arithmetic>(
    a: &impl Rows<A::Left>,
    rows: Range<usize>,
    b: Panels<'_, A>,
    columns: Range<usize>,
    finish: &impl Fn(Block<'_, A::Sum>),
) {
    let stride = columns.len().next_multiple_of(b.level().lanes());
    with_tile(rows.len() * stride, |sums| {
        let sums = bytemuck::cast_slice_mut(sums);
        with_rows(rows.len() * ROW_STRIDE, |chunk| {
            b.level().compute(RowsProduct {
                a,
                rows: rows.clone(),
                b,
                columns: columns.clone(),
                chunk: bytemuck::cast_slice_mut(chunk),
                sums,
            });
        });
        finish(Block { rows, columns, sums, stride });
    });
}

/// How a product is cut into blocks.
struct Cut {
    rows: usize,
    columns: usize,
    block_rows: usize,
    block_columns: usize,
}

impl Cut {
    fn new<A: Arithmetic>(level: A, rows: usize, columns: usize, products: usize) -> Self {
        let (tile, panel) = (level.rows(), packed_columns(level));
        let (tiles, panels) = (rows.div_ceil(tile), columns.div_ceil(panel));
        // A few blocks for each thread, so that none waits long for the last one.
        let wanted = 3 * rayon::current_num_threads();
        let mut block_panels = even(panels, BLOCK_COLUMNS / panel);
        let mut block_tiles = even(tiles, BLOCK_ROWS / tile);
        let count = |t: usize, p: usize| products * tiles.div_ceil(t) * panels.div_ceil(p);
        while count(block_tiles, block_panels) < wanted && block_tiles > 4 {
            block_tiles = block_tiles.div_ceil(2);
        }
        while count(block_tiles, block_panels) < wanted && block_panels > 2 {
            block_panels = block_panels.div_ceil(2);
        }
        Self {
            rows,
            columns,
            block_rows: block_tiles * tile,
            // Whole groups of gates stay together.
            block_columns: (block_panels * panel).next_multiple_of(2 * GATE_GROUP),
        }
    }

    fn whole_rows(self) -> Self {
        Self { block_columns: self.columns, ..self }
    }

    fn count(&self) -> usize {
        self.rows.div_ceil(self.block_rows) * self.columns.div_ceil(self.block_columns)
    }

    fn block(&self, index: usize) -> (Range<usize>, Range<usize>) {
        let across = self.columns.div_ceil(self.block_columns);
        let row = index / across * self.block_rows;
        let column = index % across * self.block_columns;
        (
            row..(row + self.block_rows).min(self.rows),
            column..(column + self.block_columns).min(self.columns),
        )
    }
}

/// The size of the largest part when `count` is cut into the fewest even parts of at most `most`.
fn even(count: usize, most: usize) -> usize {
    count.div_ceil(count.div_ceil(most).max(1)).max(1)
}

/// The runs into which the inner dimension is cut; they follow its length alone.
pub(crate) fn runs(depth: usize) -> impl Iterator<Item = Range<usize>> {
    let size = run_size(depth);
    (0..depth).step_by(size).map(move |from| from..(from + size).min(depth))
}

/// The length of all runs but the last: even ones, of whole vectors.
fn run_size(depth: usize) -> usize {
    let count = depth.div_ceil(MAX_DEPTH).max(1);
    depth.div_ceil(count).next_multiple_of(16).min(MAX_DEPTH)
}

/// One block of a product whose left operand needs no gathering.
pub(crate) struct ChunkedProduct<'a, A: Arithmetic> {
    pub(crate) a: Chunked<'a, A::Left>,
    pub(crate) rows: Range<usize>,
    pub(crate) b: Panels<'a, A>,
    pub(crate) columns: Range<usize>,
    /// The result, `[rows, stride]`.
    pub(crate) sums: &'a mut [A::Sum],
    pub(crate) stride: usize,
    /// Whether it is added to what `sums` hold.
    pub(crate) add: bool,
}

impl<A: Arithmetic> Product<A> for ChunkedProduct<'_, A> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<T: Tile<A>>(self) {
        let Self { a, rows, b, columns, sums, stride, add } = self;
        for (index, run) in runs(b.depth()).enumerate() {
            let chunk = &a.numbers[(index * a.rows + rows.start) * ROW_STRIDE..];
            let fresh = index == 0 && !add;
            let out = (&mut *sums, stride);
            // SAFETY: the instruction set is the caller's promise.
            unsafe { multiply::<A, T>(chunk, rows.len(), b, columns.clone(), run, out, fresh) };
        }
    }
}

/// One block of a product whose left operand is gathered.
struct RowsProduct<'a, A: Arithmetic, R> {
    a: &'a R,
    rows: Range<usize>,
    b: Panels<'a, A>,
    columns: Range<usize>,
    /// Room for the left operand, `[rows, ROW_STRIDE]`.
    chunk: &'a mut [A::Left],
    /// The result, a row for each of the rows, as far apart as whole vectors hold the columns.
    sums: &'a mut [A::Sum],
}

impl<A: Arithmetic, R: Rows<A::Left>> Product<A> for RowsProduct<'_, A, R> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<T: Tile<A>>(self) {
        let Self { a, rows, b, columns, chunk, sums } = self;
        let stride = columns.len().next_multiple_of(T::LANES);
        assert!(chunk.len() >= rows.len() * ROW_STRIDE && sums.len() >= rows.len() * stride);
        for run in runs(b.depth()) {
            for (line, row) in chunk.chunks_exact_mut(ROW_STRIDE).zip(rows.clone()) {
                a.copy(row, run.start, &mut line[..run.len()]);
            }
            let fresh = run.start == 0;
            let out = (&mut *sums, stride);
            // SAFETY: the instruction set is the caller's promise; the lengths were checked.
            unsafe { multiply::<A, T>(chunk, rows.len(), b, columns.clone(), run, out, fresh) };
        }
    }
}

/// `sums[rows, stride] = chunk[rows, ROW_STRIDE] · b[run, columns]`, or `+=` unless `fresh`. What
/// `sums` hold beyond the last column is not defined.
///
/// # Safety
/// The processor has the instruction set of `T`.
#[allow(unsafe_code)]
#[inline(always)]
pub(crate) unsafe fn multiply<A: Arithmetic, T: Tile<A>>(
    chunk: &[A::Left],
    rows: usize,
    b: Panels<'_, A>,
    columns: Range<usize>,
    run: Range<usize>,
    (sums, stride): (&mut [A::Sum], usize),
    fresh: bool,
) {
    const { assert!(T::Half::LANES <= T::LANES) };
    let panel = PANEL_VECTORS * T::LANES;
    let width = columns.len().next_multiple_of(T::LANES);
    assert!(rows * ROW_STRIDE <= chunk.len() && run.len() <= MAX_DEPTH, "left operand too short");
    assert!(columns.start.is_multiple_of(panel) && columns.end <= b.columns(), "columns");
    assert!(columns.end == b.columns() || columns.end.is_multiple_of(panel), "columns");
    assert_eq!(b.level().lanes(), T::LANES, "panels for other instructions");
    assert!(run.end <= b.depth(), "run beyond the depth");
    assert_eq!(b.numbers().len(), b.depth() * b.columns().next_multiple_of(T::LANES), "panels");
    assert!(width <= stride && (rows == 0 || (rows - 1) * stride + width <= sums.len()), "sums");
    for column in columns.clone().step_by(panel) {
        // The last panel of all may be narrower.
        let narrow = b.columns().next_multiple_of(T::LANES) - column < panel;
        let lanes = if narrow { T::LANES } else { panel };
        let right = &b.numbers()[column * b.depth() + run.start * lanes..][..run.len() * lanes];
        let half = T::Half::LANES < T::LANES && columns.end - column <= T::Half::LANES;
        for row in (0..rows).step_by(T::ROWS) {
            let count = T::ROWS.min(rows - row);
            let operands = micro::Operands {
                a: chunk[row * ROW_STRIDE..].as_ptr(),
                b: right.as_ptr(),
                b_stride: lanes,
                depth: run.len(),
                c: sums[row * stride + column - columns.start..].as_mut_ptr(),
                c_stride: stride,
            };
            // SAFETY: `count` rows lie in `chunk` and in `sums`, and the panel's run in `right`,
            // by the assertions above, and half a register is no more than a whole one; whoever has
            // the instructions of `T` has those of `T::Half`.
            unsafe {
                if !narrow {
                    micro::tile::<A, T, T, PANEL_VECTORS>(count, operands, fresh);
                } else if half {
                    micro::tile::<A, T, T::Half, 1>(count, operands, fresh);
                } else {
                    micro::tile::<A, T, T, 1>(count, operands, fresh);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Level;
    use crate::testing::{close, values};

    /// The definition, in f64.
    fn reference(a: &[f32], b: &[f32], rows: usize, depth: usize, columns: usize) -> Vec<f32> {
        let mut out = Vec::new();
        for r in 0..rows {
            for c in 0..columns {
                let products =
                    (0..depth).map(|k| f64::from(a[r * depth + k]) * f64::from(b[c * depth + k]));
                out.push(products.sum::<f64>() as f32);
            }
        }
        out
    }

    fn product(
        level: Level,
        a: &[f32],
        b: &[f32],
        (rows, depth, columns): (usize, usize, usize),
    ) -> Vec<f32> {
        let bytes: Vec<u8> = b.iter().flat_map(|v| v.to_le_bytes()).collect();
        let packed = Packed::convolution_at(level, crate::Stored::F32, &bytes, columns, depth, 1);
        let out = std::sync::Mutex::new(vec![f32::NAN; rows * columns]);
        gemm(&Strided { numbers: a, stride: depth }, rows, packed.view(), |block| {
            let mut out = out.lock().unwrap();
            for row in block.rows.clone() {
                out[row * columns + block.columns.start..][..block.columns.len()]
                    .copy_from_slice(block.row(row));
            }
        });
        out.into_inner().unwrap()
    }

    #[test]
    fn products_match_the_definition_on_every_instruction_set() {
        let shapes = [
            (1, 1, 1),
            (3, 5, 7),
            (14, 16, 32),
            (15, 257, 33),
            (29, 300, 40),
            (29, 300, 41),
            (15, 257, 48),
            (29, 300, 49),
            (250, 40, 410),
            (77, 513, 4),
        ];
        // Interpreted, small ones must do, of one run and of two.
        let few = [(1, 1, 1), (3, 5, 7), (6, 16, 12), (3, 257, 9)];
        let shapes = if cfg!(miri) { &few[..] } else { &shapes[..] };
        for level in Level::available() {
            for &shape in shapes {
                let (rows, depth, columns) = shape;
                let (a, b) = (values(rows * depth, 1), values(columns * depth, 2));
                let got = product(level, &a, &b, shape);
                close(&got, &reference(&a, &b, rows, depth, columns), 1e-5, &(level, shape));
            }
        }
    }

    #[test]
    fn bytes_do_not_follow_rows_or_threads() {
        let (rows, depth, columns) = if cfg!(miri) { (21, 20, 33) } else { (61, 300, 70) };
        let (a, b) = (values(rows * depth, 3), values(columns * depth, 4));
        for level in Level::available() {
            let all = product(level, &a, &b, (rows, depth, columns));
            let some = product(level, &a[7 * depth..20 * depth], &b, (13, depth, columns));
            assert_eq!(some, all[7 * columns..20 * columns]);
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                assert_eq!(pool.install(|| product(level, &a, &b, (rows, depth, columns))), all);
            }
        }
    }

    #[test]
    fn runs_cover_the_depth() {
        for depth in [1, 40, 256, 257, 320, 2880, 11520] {
            let all: Vec<_> = runs(depth).collect();
            assert!(all.iter().all(|r| !r.is_empty() && r.len() <= MAX_DEPTH), "{depth}: {all:?}");
            assert_eq!(all.iter().map(Range::len).sum::<usize>(), depth);
        }
    }
}
