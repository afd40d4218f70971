//! The register tile of 8-bit products.

use super::level::Dot;
use crate::simd::{MAX_ROWS, PANEL_VECTORS};

/// The longest run of the inner dimension, in bytes, between two visits of the sums to memory.
pub(super) const MAX_RUN: usize = 1024;

/// Bytes from row to row of the left operand: the run and a cache line.
pub(super) const ROW_STRIDE: usize = MAX_RUN + 64;

/// `c[rows, N·LANES] (+)= (a − OFFSET) · b`, afresh where `fresh`.
///
/// # Safety
/// `rows ≤ D::ROWS`; `a` has `rows` rows of `4 · groups` bytes, [`ROW_STRIDE`] apart; `b` has
/// `groups` rows of `VECTORS · LANES` groups of four weights without gaps; `c` has `rows` rows of
/// `VECTORS · LANES` sums, `c_stride` apart, and overlaps neither.
#[allow(unsafe_code)]
#[inline(always)]
pub(super) unsafe fn tile<D: Dot, const VECTORS: usize>(
    rows: usize,
    a: *const u8,
    b: *const u8,
    c: *mut i32,
    c_stride: usize,
    groups: usize,
    fresh: bool,
) {
    const { assert!(D::ROWS <= MAX_ROWS && VECTORS <= PANEL_VECTORS) };
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match rows {
                // SAFETY: the caller's promise.
                $($n if $n <= D::ROWS => unsafe {
                    fixed::<D, VECTORS, $n>(a, b, c, c_stride, groups, fresh);
                },)*
                _ => {}
            }
        };
    }
    by_rows!(14 13 12 11 10 9 8 7 6 5 4 3 2 1);
}

/// [`tile`] for a number of rows that the compiler knows, so that the sums are registers.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn fixed<D: Dot, const VECTORS: usize, const ROWS: usize>(
    a: *const u8,
    b: *const u8,
    c: *mut i32,
    c_stride: usize,
    groups: usize,
    fresh: bool,
) {
    // SAFETY: every pointer stays within what the caller of `tile` promised.
    unsafe {
        let mut sums = [[D::zero(); VECTORS]; ROWS];
        if !fresh {
            for (r, row) in sums.iter_mut().enumerate() {
                for (v, sum) in row.iter_mut().enumerate() {
                    *sum = D::load(c.add(r * c_stride + v * D::LANES));
                }
            }
        }
        let mut b = b;
        for k in 0..groups {
            let right: [D::Weights; VECTORS] =
                std::array::from_fn(|v| D::weights(b.add(4 * v * D::LANES)));
            b = b.add(4 * VECTORS * D::LANES);
            for (r, row) in sums.iter_mut().enumerate() {
                let four = a.add(r * ROW_STRIDE + 4 * k).cast::<[u8; 4]>().read_unaligned();
                let left = D::left(four);
                for (sum, right) in row.iter_mut().zip(right) {
                    *sum = D::add(*sum, left, right);
                }
            }
        }
        for (r, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                D::store(c.add(r * c_stride + v * D::LANES), *sum);
            }
        }
    }
}
