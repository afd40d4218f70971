//! Weights in the order in which the product reads them.

use rayon::prelude::*;

use crate::scratch::Buffer;
use crate::simd::{Level, PANEL_VECTORS};
use crate::widen::{Stored, widen_values};

/// The right operand of a product, `[depth, columns]`, cut into panels of a few columns; within a
/// panel the rows follow one another. The last panel is padded with zeros to whole vectors.
///
/// A panel is as wide as the instruction set likes it, so packed weights belong to one process.
#[derive(Debug)]
pub struct Packed {
    depth: usize,
    columns: usize,
    level: Level,
    values: Buffer,
}

impl Packed {
    /// Packs the weight of a linear layer, `[outputs, inputs]` in its file: columns are outputs.
    pub fn linear(stored: Stored, bytes: &[u8], outputs: usize, inputs: usize) -> Self {
        Self::convolution(stored, bytes, outputs, inputs, 1)
    }

    /// Packs the weight of a convolution, `[outputs, inputs, taps]` in its file: columns are
    /// outputs, and the depth is `[taps, inputs]`.
    pub fn convolution(
        stored: Stored,
        bytes: &[u8],
        outputs: usize,
        inputs: usize,
        taps: usize,
    ) -> Self {
        Self::convolution_at(Level::best(), stored, bytes, outputs, inputs, taps)
    }

    pub(crate) fn convolution_at(
        level: Level,
        stored: Stored,
        bytes: &[u8],
        outputs: usize,
        inputs: usize,
        taps: usize,
    ) -> Self {
        let depth = inputs * taps;
        assert_eq!(bytes.len(), outputs * depth * stored.bytes(), "weight length");
        let mut packed = Self::empty(level, depth, outputs);
        let width = packed.panel_columns();
        packed.values.par_chunks_mut(depth * width).enumerate().for_each_init(
            Vec::new,
            |filter, (panel, out)| {
                let width = out.len() / depth;
                for column in 0..width.min(outputs - panel * packed_columns(level)) {
                    let output = panel * packed_columns(level) + column;
                    let from = output * depth * stored.bytes();
                    filter.resize(depth, 0.0);
                    widen_values(stored, &bytes[from..][..depth * stored.bytes()], filter);
                    if taps == 1 {
                        for (k, &value) in filter.iter().enumerate() {
                            out[k * width + column] = value;
                        }
                    } else {
                        for (input, filter) in filter.chunks_exact(taps).enumerate() {
                            for (tap, &value) in filter.iter().enumerate() {
                                out[(tap * inputs + input) * width + column] = value;
                            }
                        }
                    }
                }
            },
        );
        packed
    }

    /// Room for a matrix of `[depth, columns]`, all zeros.
    pub(crate) fn empty(level: Level, depth: usize, columns: usize) -> Self {
        assert!(depth > 0 && columns > 0, "a layer of no size");
        let values = Buffer::zeros(packed_len(level, depth, columns));
        Self { depth, columns, level, values }
    }

    /// Bytes that a packed matrix of this shape takes.
    pub fn bytes_for(outputs: usize, depth: usize) -> usize {
        4 * packed_len(Level::best(), depth, outputs)
    }

    /// Rows of the matrix: the inner dimension of the product.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the matrix: those of the product.
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn view(&self) -> Panels<'_> {
        let Self { depth, columns, level, values } = self;
        Panels { depth: *depth, columns: *columns, level: *level, values }
    }

    /// Columns of every panel but the last.
    fn panel_columns(&self) -> usize {
        packed_columns(self.level)
    }
}

/// Columns of a full panel.
pub(crate) fn packed_columns(level: Level) -> usize {
    PANEL_VECTORS * level.lanes()
}

/// Values of a packed matrix: its columns rounded up to whole vectors.
pub(crate) fn packed_len(level: Level, depth: usize, columns: usize) -> usize {
    depth * columns.next_multiple_of(level.lanes())
}

/// A packed matrix whose memory is somebody else's.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    depth: usize,
    columns: usize,
    level: Level,
    values: &'a [f32],
}

impl<'a> Panels<'a> {
    pub(crate) fn new(level: Level, depth: usize, columns: usize, values: &'a [f32]) -> Self {
        assert_eq!(values.len(), packed_len(level, depth, columns), "packed length");
        Self { depth, columns, level, values }
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    pub(crate) fn values(&self) -> &'a [f32] {
        self.values
    }
}
