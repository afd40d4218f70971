//! Weights in the order in which the product reads them.

use std::ops::Range;

use rayon::prelude::*;

use super::arithmetic::Arithmetic;
use crate::parallel::volume;
use crate::scratch::{Buffer, Prepared, with_rows};
use crate::simd::{Level, PANEL_VECTORS, Simd, Task};
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
        Self::ordered(level, stored, bytes, (outputs, inputs, taps), |column| column)
    }

    /// Packs with the output `order(column)` in each column.
    fn ordered(
        level: Level,
        stored: Stored,
        bytes: &[u8],
        (outputs, inputs, taps): (usize, usize, usize),
        order: impl Fn(usize) -> usize + Sync,
    ) -> Self {
        let depth = volume(&[inputs, taps]);
        assert!(depth > 0 && outputs > 0, "a layer of no size");
        let weight = Weight::new(stored, bytes, (outputs, inputs, taps));
        let mut values = Buffer::reused(packed_len(level, depth, outputs));
        let panel_columns = packed_columns(level);
        let panels = values.par_chunks_mut(depth * panel_columns).enumerate();
        panels.for_each(|(panel, out)| {
            let (first, width) = (panel * panel_columns, out.len() / depth);
            let output = |column| Some(first + column).filter(|&c| c < outputs).map(&order);
            weight.transposed(width, 0..inputs, output, |first, rows| {
                if taps == 1 {
                    out[first * width..][..rows.len()].copy_from_slice(rows);
                    return;
                }
                for (place, row) in (first..).zip(rows.chunks_exact(width)) {
                    let (input, tap) = (place / taps, place % taps);
                    out[(tap * inputs + input) * width..][..width].copy_from_slice(row);
                }
            });
        });
        Self { depth, columns: outputs, level, values }
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

    pub(crate) fn view(&self) -> Panels<'_, Level> {
        Panels::new(self.level, self.depth, self.columns, &self.values)
    }
}

impl Prepared for Packed {
    fn bytes(&self) -> usize {
        self.values.bytes()
    }

    fn trim(&mut self) {
        self.values.trim();
    }
}

/// A weight `[outputs, inputs, taps]` in its file.
#[derive(Clone, Copy)]
pub(crate) struct Weight<'a> {
    stored: Stored,
    bytes: &'a [u8],
    inputs: usize,
    taps: usize,
}

impl<'a> Weight<'a> {
    /// The weight of these sizes, whose bytes must be as many.
    pub(crate) fn new(
        stored: Stored,
        bytes: &'a [u8],
        (outputs, inputs, taps): (usize, usize, usize),
    ) -> Self {
        let stored_len = volume(&[outputs, inputs, taps, stored.bytes()]);
        assert_eq!(bytes.len(), stored_len, "weight length");
        Self { stored, bytes, inputs, taps }
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Hands `take` rows `[some, width]` of the values of the outputs `output(0..width)`, zero where
    /// there is none, and the place of the first one in a filter: its input times the taps, plus its
    /// tap. Those of these inputs follow one another, [`TURN`] at a time, up to the end of a piece
    /// of whole inputs. `width` is that of a panel at the most.
    pub(crate) fn transposed(
        &self,
        width: usize,
        inputs: Range<usize>,
        output: impl Fn(usize) -> Option<usize>,
        mut take: impl FnMut(usize, &[f32]),
    ) {
        // Long enough a piece of each output that memory is read ahead, and of all together that
        // the second-level cache holds them.
        const PIECE: usize = 1024;
        // Beyond a piece, so that those of all outputs do not fall on the same places of the cache,
        // and that the last values can be transposed with what follows them.
        const APART: usize = TURN + 16;
        let Self { stored, bytes, inputs: all, taps } = *self;
        let depth = all * taps;
        let step = (PIECE / taps).clamp(1, all);
        let stride = step * taps + APART;
        with_rows(width * (stride + TURN), |buffer| {
            let (rows, block) = buffer.split_at_mut(width * TURN);
            for first in inputs.clone().step_by(step) {
                let len = step.min(inputs.end - first) * taps;
                for (column, values) in block.chunks_exact_mut(stride).enumerate() {
                    let values = &mut values[..len];
                    match output(column) {
                        Some(output) => {
                            let from = (output * depth + first * taps) * stored.bytes();
                            let bytes = &bytes[from..][..len * stored.bytes()];
                            widen_values(stored, bytes, values);
                        }
                        None => values.fill(0.0),
                    }
                }
                for from in (0..len).step_by(TURN) {
                    Level::best().run(Transpose { block: &block[from..], stride, rows, width });
                    take(first * taps + from, &rows[..TURN.min(len - from) * width]);
                }
            }
        });
    }
}

/// Values of each output that are transposed at a time: whole vectors, and whole filters of nine.
pub(crate) const TURN: usize = 72;

/// Makes rows of columns: [`TURN`] values of each of `width` columns, `stride` apart.
struct Transpose<'a> {
    block: &'a [f32],
    stride: usize,
    /// `[TURN, width]`.
    rows: &'a mut [f32],
    width: usize,
}

impl Task for Transpose<'_> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { block, stride, rows, width } = self;
        assert!(block.len() >= (width - 1) * stride + TURN && rows.len() == TURN * width);
        let whole = width / 8 * 8;
        for at in (0..TURN).step_by(8) {
            for column in (0..whole).step_by(8) {
                let (from, to) = (column * stride + at, at * width + column);
                // SAFETY: the instruction set is the caller's promise; eight values of eight columns
                // lie in `block`, and of eight rows in `rows`, by the assertion.
                unsafe {
                    S::transpose(block[from..].as_ptr(), stride, rows[to..].as_mut_ptr(), width);
                }
            }
        }
        for (at, row) in rows.chunks_exact_mut(width).enumerate() {
            for (column, value) in row.iter_mut().enumerate().skip(whole) {
                *value = block[column * stride + at];
            }
        }
    }
}

/// Values and gates lie side by side in groups of this many columns.
pub(crate) const GATE_GROUP: usize = 16;

/// The output that stands in column `column`, of `outputs` values, then as many gates.
pub(crate) fn gate_order(column: usize, outputs: usize) -> usize {
    let (group, place) = (column / (2 * GATE_GROUP), column % (2 * GATE_GROUP));
    let first = group * GATE_GROUP;
    let size = GATE_GROUP.min(outputs - first);
    if place < size { first + place } else { outputs + first + place - size }
}

/// The weight and bias of a linear layer whose outputs are `outputs` values, then as many gates,
/// packed so that a value and its gate are computed together.
#[derive(Debug)]
pub struct Gated {
    pub(crate) weight: Packed,
    pub(crate) bias: Vec<f32>,
    pub(crate) outputs: usize,
}

impl Gated {
    /// Packs the weight `[2 · outputs, inputs]` and the bias `[2 · outputs]` of a file.
    pub fn new(stored: Stored, bytes: &[u8], bias: &[f32], outputs: usize, inputs: usize) -> Self {
        Self::new_at(Level::best(), stored, bytes, bias, outputs, inputs)
    }

    pub(crate) fn new_at(
        level: Level,
        stored: Stored,
        bytes: &[u8],
        bias: &[f32],
        outputs: usize,
        inputs: usize,
    ) -> Self {
        assert_eq!(bias.len(), volume(&[2, outputs]), "bias length");
        let order = |column: usize| gate_order(column, outputs);
        let weight = Packed::ordered(level, stored, bytes, (2 * outputs, inputs, 1), order);
        let bias = (0..2 * outputs).map(|column| bias[order(column)]).collect();
        Self { weight, bias, outputs }
    }
}

impl Prepared for Gated {
    fn bytes(&self) -> usize {
        self.weight.bytes()
    }

    fn trim(&mut self) {
        self.weight.trim();
    }
}

/// Columns of a full panel.
pub(crate) fn packed_columns(level: impl Arithmetic) -> usize {
    const { assert!(GATE_GROUP.is_power_of_two()) };
    PANEL_VECTORS * level.lanes()
}

/// Numbers of a packed matrix: its columns rounded up to whole vectors.
pub(crate) fn packed_len(level: impl Arithmetic, depth: usize, columns: usize) -> usize {
    depth * columns.next_multiple_of(level.lanes())
}

/// A packed matrix whose memory is somebody else's.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a, A: Arithmetic> {
    depth: usize,
    columns: usize,
    level: A,
    numbers: &'a [A::Right],
}

impl<'a, A: Arithmetic> Panels<'a, A> {
    /// `numbers`, four bytes each, are those of the right operand.
    pub(crate) fn new(level: A, depth: usize, columns: usize, numbers: &'a [f32]) -> Self {
        assert_eq!(numbers.len(), packed_len(level, depth, columns), "packed length");
        Self { depth, columns, level, numbers: bytemuck::cast_slice(numbers) }
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn level(&self) -> A {
        self.level
    }

    pub(crate) fn numbers(&self) -> &'a [A::Right] {
        self.numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;

    #[test]
    fn blocks_are_transposed_on_every_instruction_set() {
        for level in Level::available() {
            for (width, stride) in [(16, 80), (32, 161), (12, TURN), (4, 100)] {
                let block = values((width - 1) * stride + TURN, 1);
                let mut rows = vec![f32::NAN; TURN * width];
                level.run(Transpose { block: &block, stride, rows: &mut rows, width });
                for (at, row) in rows.chunks_exact(width).enumerate() {
                    let column = (0..width).map(|column| block[column * stride + at]);
                    assert!(column.eq(row.iter().copied()), "{level:?} {width} {stride}: {at}");
                }
            }
        }
    }

    #[test]
    fn some_inputs_of_a_weight_come_in_their_order() {
        let (outputs, inputs, taps) = (5, 301, 9);
        let weight: Vec<f32> = (0..outputs * inputs * taps).map(|i| i as f32).collect();
        let bytes: Vec<u8> = weight.iter().flat_map(|v| v.to_le_bytes()).collect();
        let weight_of = Weight::new(Stored::F32, &bytes, (outputs, inputs, taps));
        let (width, some, mut next) = (8, 7..290, 7 * taps);
        weight_of.transposed(
            width,
            some.clone(),
            |column| Some(column).filter(|&c| c < outputs),
            |first, rows| {
                assert_eq!(first, next);
                for row in rows.chunks_exact(width) {
                    for (column, &value) in row.iter().enumerate() {
                        let want = weight.get(column * inputs * taps + next);
                        let want = want.filter(|_| column < outputs).copied().unwrap_or(0.0);
                        assert_eq!(value, want);
                    }
                    next += 1;
                }
            },
        );
        assert_eq!(next, some.end * taps);
    }
}
