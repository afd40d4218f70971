//! What happens to the sums of a product before they are stored.

use std::marker::PhantomData;
use std::ops::Range;

use crate::dispatch::dispatch;
use crate::gemm::Block;
use crate::math;

/// What happens to each value of a product: first the bias, then one thing more.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// A value for each column: `[columns]`, or `[batch, columns]` with others for each batch row.
    pub bias: Option<&'a [f32]>,
    /// What follows.
    pub then: Then<'a>,
}

/// How a biased product reaches the output.
#[derive(Debug, Clone, Copy, Default)]
pub enum Then<'a> {
    /// It is stored.
    #[default]
    Store,
    /// A function of it is stored.
    Activate(Activation),
    /// It is added to what the output holds.
    AddToOut,
    /// Its sum with these values, of the output's shape, is stored.
    AddTo(&'a [f32]),
}

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(x)`.
    Silu,
    /// `x · Φ(x)`, with the error function.
    Gelu,
    /// `x · sigmoid(1.702 x)`.
    QuickGelu,
}

impl Epilogue<'_> {
    /// Panics where lengths do not fit an output of `len` values in rows of `columns`.
    pub(crate) fn check(&self, len: usize, columns: usize, batch: usize) {
        if let Some(bias) = self.bias {
            let rows = bias.len() / columns;
            assert!(bias.len() == rows * columns && (rows == 1 || rows == batch), "bias length");
        }
        if let Then::AddTo(values) = self.then {
            assert_eq!(values.len(), len, "length of the other summand");
        }
    }
}

/// The output of a product, into which threads write disjoint parts of rows.
pub(crate) struct Target<'a> {
    start: *mut f32,
    len: usize,
    columns: usize,
    epilogue: Epilogue<'a>,
    out: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer is only used through `finish`, whose callers write disjoint parts.
#[allow(unsafe_code)]
unsafe impl Sync for Target<'_> {}

impl<'a> Target<'a> {
    /// `out` is `[rows, columns]`.
    pub(crate) fn new(out: &'a mut [f32], columns: usize, epilogue: &Epilogue<'a>) -> Self {
        let (start, len) = (out.as_mut_ptr(), out.len());
        Self { start, len, columns, epilogue: *epilogue, out: PhantomData }
    }

    /// Stores `sums` as the columns `columns` of row `row`, which belongs to batch row `batch`.
    ///
    /// # Safety
    /// No two threads may write overlapping parts.
    #[allow(unsafe_code)]
    #[inline(always)]
    pub(crate) unsafe fn finish(
        &self,
        row: usize,
        batch: usize,
        columns: Range<usize>,
        sums: &[f32],
    ) {
        let at = row * self.columns + columns.start;
        let count = columns.len();
        let inside = at.checked_add(count).is_some_and(|end| end <= self.len);
        assert!(inside && columns.end <= self.columns, "part out of range");
        // SAFETY: in range by the assertion; disjointness is the caller's promise.
        let out = unsafe { std::slice::from_raw_parts_mut(self.start.add(at), count) };
        let bias = self.epilogue.bias.map(|bias| {
            let first = if bias.len() == self.columns { 0 } else { batch * self.columns };
            &bias[first + columns.start..][..count]
        });
        match self.epilogue.then {
            Then::Store => store(out, sums, bias),
            Then::Activate(activation) => {
                store(out, sums, bias);
                activation.apply(out);
            }
            Then::AddToOut => add(out, sums, bias),
            Then::AddTo(values) => {
                out.copy_from_slice(&values[at..][..count]);
                add(out, sums, bias);
            }
        }
    }
}

impl Target<'_> {
    /// Stores a block of a product, of whose rows each `each` belong to a batch row.
    pub(crate) fn finish_block(&self, block: &Block<'_, f32>, each: usize) {
        for row in block.rows.clone() {
            // SAFETY: blocks are disjoint.
            #[allow(unsafe_code)]
            unsafe {
                self.finish(row, row / each, block.columns.clone(), block.row(row));
            }
        }
    }
}

impl Activation {
    /// Applies it to every value, on this thread.
    pub(crate) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Silu => silu(values),
            Self::Gelu => gelu(values),
            Self::QuickGelu => quick_gelu(values),
        }
    }
}

dispatch! {
    fn store(out: &mut [f32], sums: &[f32], bias: Option<&[f32]>) {
        match bias {
            Some(bias) => {
                for ((o, v), b) in out.iter_mut().zip(sums).zip(bias) {
                    *o = v + b;
                }
            }
            None => out.copy_from_slice(sums),
        }
    }
}

dispatch! {
    fn add(out: &mut [f32], sums: &[f32], bias: Option<&[f32]>) {
        match bias {
            Some(bias) => {
                for ((o, v), b) in out.iter_mut().zip(sums).zip(bias) {
                    *o += v + b;
                }
            }
            None => {
                for (o, v) in out.iter_mut().zip(sums) {
                    *o += v;
                }
            }
        }
    }
}

dispatch! {
    fn silu(values: &mut [f32]) {
        for v in values {
            *v *= math::sigmoid(*v);
        }
    }
}

dispatch! {
    fn gelu(values: &mut [f32]) {
        for v in values {
            *v = math::gelu(*v);
        }
    }
}

dispatch! {
    fn quick_gelu(values: &mut [f32]) {
        for v in values {
            *v *= math::sigmoid(1.702 * *v);
        }
    }
}
