//! Working memory that starts on a cache line, kept by each thread from call to call.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

/// Sixteen values on a cache line of their own.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Lines that a thread copies at a time.
const PART: usize = 1 << 14;

/// A buffer of `f32` that starts on a cache line.
#[derive(Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

/// The largest buffer given up so far. Weights that are packed each time they are used follow one
/// another through it, so that the operating system is not asked for fresh pages each time.
static SPARE: Mutex<Vec<Line>> = Mutex::new(Vec::new());

impl Buffer {
    /// A buffer of `len` values of any content, in memory that was used before where that suffices.
    pub(crate) fn reused(len: usize) -> Self {
        let mut buffer = Self::default();
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() * 16 >= len {
            buffer.lines = std::mem::take(&mut spare);
        }
        drop(spare);
        buffer.take(len);
        buffer
    }

    /// `len` values of any content; memory is only taken when it is the most so far.
    ///
    /// In this crate's tests it is always taken, no more than asked for and full of NaN: so a
    /// sanitizer sees a step beyond it, and a result shows that what was never written was read.
    pub(crate) fn take(&mut self, len: usize) -> &mut [f32] {
        if self.lines.len() * 16 < len || cfg!(test) {
            // Nothing is copied over. If there is no such memory, an empty buffer is left.
            self.len = 0;
            self.lines = Vec::new();
            let content = if cfg!(test) { f32::NAN } else { 0.0 };
            self.lines = vec![Line([content; 16]); len.div_ceil(16)];
        }
        self.len = len;
        self
    }

    /// Bytes that its values take.
    pub(crate) fn bytes(&self) -> usize {
        self.len.div_ceil(16) * size_of::<Line>()
    }

    /// Gives up what its values do not need, if that is anything.
    pub(crate) fn trim(&mut self) {
        let lines = self.len.div_ceil(16);
        if self.lines.len() > lines {
            // Over all threads, for fresh pages cost most of the time.
            let own = self.lines[..lines].par_iter().with_min_len(PART).copied();
            *self = Self { lines: own.collect(), len: self.len };
        }
    }
}

/// Weights in the form in which a kernel reads them.
pub trait Prepared {
    /// Bytes that they take, once trimmed.
    fn bytes(&self) -> usize;
    /// Gives up memory that only weights of a moment may have: what was in it before was larger.
    fn trim(&mut self);
}

/// Of two weights that were packed for a moment the larger memory is kept for the next.
impl Drop for Buffer {
    fn drop(&mut self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lines.len() > spare.len() {
            std::mem::swap(&mut *spare, &mut self.lines);
        }
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];

    #[allow(unsafe_code)]
    fn deref(&self) -> &[f32] {
        // SAFETY: the lines are `16 · lines.len() ≥ len` initialised values without gaps.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl std::ops::DerefMut for Buffer {
    #[allow(unsafe_code)]
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} values)", self.len)
    }
}

/// Defines a function that lends this thread's buffer of that name. A body may not ask for it again:
/// it would get an empty buffer, correct but allocated anew.
macro_rules! thread_buffer {
    ($name:ident) => {
        pub(crate) fn $name<T>(len: usize, body: impl FnOnce(&mut [f32]) -> T) -> T {
            thread_local!(static KEPT: Cell<Buffer> = Cell::default());
            let mut buffer = KEPT.take();
            let result = body(buffer.take(len));
            KEPT.set(buffer);
            result
        }
    };
}

thread_buffer!(with_rows);
thread_buffer!(with_tile);
thread_buffer!(with_scores);
thread_buffer!(with_filters);
thread_buffer!(with_shared);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trimmed_buffer_keeps_its_values_and_no_more_memory() {
        let lines: Vec<Line> = (0..9).map(|line| Line([line as f32; 16])).collect();
        let mut buffer = Buffer { lines, len: 20 };
        let before = buffer.to_vec();
        buffer.trim();
        assert_eq!((buffer.lines.len(), buffer.bytes()), (2, 128));
        assert_eq!(*buffer, before);
        buffer.trim();
        assert_eq!(buffer.lines.len(), 2);
    }
}
