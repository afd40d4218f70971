//! The register tile: all the arithmetic of convolutions, linear layers and attention.

use crate::simd::{MAX_ROWS, Simd};

/// The longest run of the inner dimension between two visits of the accumulators to memory.
/// With it a register tile's left operand stays in the first-level cache.
pub(crate) const MAX_DEPTH: usize = 256;

/// Values from row to row of the left operand: the run and a cache line, since rows a power of
/// two apart would compete for the same places of the cache.
pub(crate) const ROW_STRIDE: usize = MAX_DEPTH + 16;

/// `c[rows, N·LANES] = a · b`, or `c += a · b` unless `fresh`: every value is one chain of
/// additions in the order of the inner dimension, whatever the number of rows.
///
/// # Safety
/// `rows ≤ S::ROWS`; `a` has `rows` rows of `depth` values, [`ROW_STRIDE`] apart; `b` has `depth`
/// rows of `VECTORS · LANES` values without gaps; `c` has `rows` rows of as many values, `c_stride`
/// apart, and overlaps neither.
#[allow(unsafe_code)]
#[inline(always)]
pub(super) unsafe fn tile<S: Simd, const VECTORS: usize>(
    rows: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    c_stride: usize,
    depth: usize,
    fresh: bool,
) {
    const { assert!(S::ROWS <= MAX_ROWS) };
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match rows {
                // SAFETY: the caller's promise.
                $($n if $n <= S::ROWS => unsafe {
                    fixed::<S, VECTORS, $n>(a, b, c, c_stride, depth, fresh);
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
unsafe fn fixed<S: Simd, const VECTORS: usize, const ROWS: usize>(
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    c_stride: usize,
    depth: usize,
    fresh: bool,
) {
    // SAFETY: every pointer stays within what the caller of `tile` promised.
    unsafe {
        let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
        if !fresh {
            for (r, row) in sums.iter_mut().enumerate() {
                for (v, sum) in row.iter_mut().enumerate() {
                    *sum = S::load(c.add(r * c_stride + v * S::LANES));
                }
            }
        }
        let mut b = b;
        for k in 0..depth {
            let mut right = [S::splat(0.0); VECTORS];
            for (v, right) in right.iter_mut().enumerate() {
                *right = S::load(b.add(v * S::LANES));
            }
            b = b.add(VECTORS * S::LANES);
            for (r, row) in sums.iter_mut().enumerate() {
                let left = S::splat(*a.add(r * ROW_STRIDE + k));
                for (sum, right) in row.iter_mut().zip(right) {
                    *sum = S::mul_add(left, right, *sum);
                }
            }
        }
        for (r, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                S::store(c.add(r * c_stride + v * S::LANES), *sum);
            }
        }
    }
}
