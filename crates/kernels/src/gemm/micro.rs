//! The register tile: all the arithmetic of convolutions, linear layers and attention.

use super::arithmetic::{Arithmetic, Tile};
use crate::simd::{MAX_ROWS, PANEL_VECTORS};

/// The longest run of the inner dimension between two visits of the accumulators to memory.
/// With it a register tile's left operand stays in the first-level cache.
pub(crate) const MAX_DEPTH: usize = 256;

/// Numbers from row to row of the left operand: the run and a cache line, since rows a power of
/// two apart would compete for the same places of the cache.
pub(crate) const ROW_STRIDE: usize = MAX_DEPTH + 16;

/// Where the operands of a register tile lie.
pub(super) struct Operands<A: Arithmetic> {
    /// Rows of `depth` numbers, [`ROW_STRIDE`] apart.
    pub(super) a: *const A::Left,
    /// `depth` rows of numbers, `b_stride` apart.
    pub(super) b: *const A::Right,
    pub(super) b_stride: usize,
    pub(super) depth: usize,
    /// Rows of sums, `c_stride` apart.
    pub(super) c: *mut A::Sum,
    pub(super) c_stride: usize,
}

/// `c = a · b`, or `c += a · b` unless `fresh`, in a tile of `rows` rows and as many columns as
/// `VECTORS` registers of `R` hold: every value is one chain of additions in the order of the inner
/// dimension, whatever the number of rows.
///
/// # Safety
/// The processor has the instruction set of `R`; `rows ≤ T::ROWS`; `a` has that many rows of `depth`
/// numbers, `b` has `depth` rows and `c` `rows` rows of `VECTORS · R::LANES` columns; `c` overlaps
/// neither `a` nor `b`.
#[allow(unsafe_code)]
#[inline(always)]
pub(super) unsafe fn tile<A: Arithmetic, T: Tile<A>, R: Tile<A>, const VECTORS: usize>(
    rows: usize,
    operands: Operands<A>,
    fresh: bool,
) {
    const { assert!(T::ROWS <= MAX_ROWS && VECTORS <= PANEL_VECTORS) };
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match rows {
                // SAFETY: the caller's promise.
                $($n if $n <= T::ROWS => unsafe {
                    fixed::<A, R, VECTORS, $n>(operands, fresh);
                },)*
                _ => {}
            }
        };
    }
    by_rows!(14 13 12 11 10 9 8 7 6 5 4 3 2 1);
}

/// [`tile`] for a number of rows that the compiler knows, so that the accumulators are registers.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn fixed<A: Arithmetic, T: Tile<A>, const VECTORS: usize, const ROWS: usize>(
    operands: Operands<A>,
    fresh: bool,
) {
    let Operands { mut a, mut b, b_stride, depth, c, c_stride } = operands;
    // SAFETY: every pointer stays within what the caller of `tile` promised.
    unsafe {
        let mut sums = [[T::zero(); VECTORS]; ROWS];
        if !fresh {
            for (r, row) in sums.iter_mut().enumerate() {
                for (v, sum) in row.iter_mut().enumerate() {
                    *sum = T::load(c.add(r * c_stride + v * T::LANES));
                }
            }
        }
        for _ in 0..depth {
            let mut right = [T::right(b); VECTORS];
            for (v, right) in right.iter_mut().enumerate() {
                *right = T::right(b.add(v * T::LANES));
            }
            b = b.add(b_stride);
            for (r, row) in sums.iter_mut().enumerate() {
                let left = T::left(*a.add(r * ROW_STRIDE));
                for (sum, right) in row.iter_mut().zip(right) {
                    *sum = T::add(*sum, left, right);
                }
            }
            a = a.add(1);
        }
        for (r, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                T::store(c.add(r * c_stride + v * T::LANES), *sum);
            }
        }
    }
}
