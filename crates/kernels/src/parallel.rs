//! When and how work is split over the threads of the current rayon pool.

use std::marker::PhantomData;

use rayon::prelude::*;

/// The product of the sizes of a shape. A wrapped one could pass for the length of a short slice.
pub(crate) fn volume(sizes: &[usize]) -> usize {
    let product = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    product.expect("a shape beyond all memory")
}

/// Values that one task of an elementwise kernel takes at least.
pub(crate) const CHUNK: usize = 32 * 1024;

/// Multiply-adds below which waking another thread costs more than it saves. Under Miri all
/// work is split, so that it sees threads share a buffer.
const WORTH_SPLITTING: usize = if cfg!(miri) { 0 } else { 1 << 20 };

/// Pieces of a loop for each thread at the least, where it has so many tiles: rayon halves, and so
/// makes up to twice as many.
const PIECES: usize = 16;

/// Rows of `width` values that one task takes: a chunk's worth. It follows the shape alone, so
/// that sums over chunks do not depend on the number of threads.
pub(crate) fn rows_per_chunk(width: usize) -> usize {
    (CHUNK / width.max(1)).max(1)
}

/// Calls `body` with every tile's index; in parallel where the whole work, in multiply-adds, is
/// worth it.
pub(crate) fn for_each_tile(tiles: usize, work: usize, body: impl Fn(usize) + Send + Sync) {
    if tiles < 2 || work < WORTH_SPLITTING {
        (0..tiles).for_each(body);
    } else {
        // Of its own, rayon would leave runs of tiles whole that a thread with nothing left to do
        // could take over.
        let piece = (tiles / (PIECES * rayon::current_num_threads())).max(1);
        (0..tiles).into_par_iter().with_max_len(piece).for_each(body);
    }
}

/// A buffer into which the threads of a parallel loop write disjoint parts that interleave, so
/// that they cannot be plain sub-slices.
pub(crate) struct Disjoint<'a> {
    start: *mut f32,
    len: usize,
    values: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is only used through `part`, whose callers write disjoint parts.
#[allow(unsafe_code)]
unsafe impl Sync for Disjoint<'_> {}

impl<'a> Disjoint<'a> {
    pub(crate) fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), values: PhantomData }
    }

    /// The part `at..at + len`.
    ///
    /// # Safety
    /// No two parts that overlap may be alive at a time.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn part(&self, at: usize, len: usize) -> &mut [f32] {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "part out of range");
        // SAFETY: in range by the assertion; disjointness is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }
}
