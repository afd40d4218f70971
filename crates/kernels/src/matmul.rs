//! Single-threaded matrix product over strided views; the parallel kernels call it on tiles.

use std::marker::PhantomData;

/// A read-only matrix view: element `(r, c)` is `data[r * row_stride + c * col_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct MatRef<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

/// A row-major matrix to be written, `row_stride` values from row to row.
pub(crate) struct MatMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
}

impl MatRef<'_> {
    fn last(&self) -> usize {
        (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride
    }
}

/// `out = scale · a · b`, or `out += scale · a · b` where `accumulate` is set.
#[allow(unsafe_code)]
pub(crate) fn matmul(out: MatMut<'_>, a: MatRef<'_>, b: MatRef<'_>, scale: f32, accumulate: bool) {
    assert!(a.rows == out.rows && a.cols == b.rows && b.cols == out.cols, "matrix shapes differ");
    if out.rows == 0 || out.cols == 0 {
        return;
    }
    assert!(a.cols > 0, "a product over no values");
    assert!(out.row_stride >= out.cols, "rows of the result overlap");
    assert!((out.rows - 1) * out.row_stride + out.cols <= out.data.len(), "result too short");
    assert!(a.last() < a.data.len() && b.last() < b.data.len(), "operand too short");
    // SAFETY: the last element of each view was just checked to lie within its slice, strides are
    // not negative, and the result is borrowed mutably, with rows that do not overlap.
    unsafe {
        gemm::gemm(
            out.rows,
            out.cols,
            a.cols,
            out.data.as_mut_ptr(),
            1,
            out.row_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Hands out disjoint tiles of one output buffer to the threads of a parallel loop.
///
/// Tiles of a row-major matrix interleave in memory, so they cannot be plain sub-slices; each
/// thread computes its tile in its own scratch and copies the rows over through this.
pub(crate) struct TileWriter<'a> {
    start: *mut f32,
    len: usize,
    out: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is only written through `row`, whose callers write disjoint ranges.
#[allow(unsafe_code)]
unsafe impl Sync for TileWriter<'_> {}

impl<'a> TileWriter<'a> {
    pub(crate) fn new(out: &'a mut [f32]) -> Self {
        Self { start: out.as_mut_ptr(), len: out.len(), out: PhantomData }
    }

    /// The range `at..at + len` of the output.
    ///
    /// # Safety
    /// No two threads may hold overlapping ranges.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    pub(crate) unsafe fn row(&self, at: usize, len: usize) -> &mut [f32] {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "tile out of range");
        // SAFETY: in range by the assertion; disjointness is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}
