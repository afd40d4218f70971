//! Quantised weights in the order in which the product reads them.

use std::ops::Range;

use rayon::prelude::*;

use super::level::Level;
use super::quantise::{SMALLEST, nearest};
use crate::gemm::{Panels, gate_order, packed_columns, packed_len};
use crate::scratch::{Buffer, Prepared};
use crate::widen::{Stored, widen_values};

/// The longest inner dimension whose sums cannot overflow: `255 · 127 · 2^16 < 2^31`.
pub const MAX_DEPTH: usize = 1 << 16;

/// The right operand of an 8-bit product, `[depth, columns]`, cut into panels of a few columns.
/// Within a panel, groups of four rows follow one another; a group holds four weights of each
/// column. Columns are padded with zeros to whole vectors, rows to a multiple of four.
#[derive(Debug)]
pub struct Packed {
    depth: usize,
    columns: usize,
    level: Level,
    /// `i8`, four to a value.
    values: Buffer,
    /// For each column.
    columns_of: Vec<Column>,
}

/// What a column's integers stand for, and their sum.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(super) struct Column {
    pub(super) scale: f32,
    pub(super) sum: i32,
}

// SAFETY: two numbers of four bytes, of which zeros are valid ones.
#[allow(unsafe_code)]
unsafe impl bytemuck::Zeroable for Column {}

// SAFETY: no bytes between them, and all bits are valid.
#[allow(unsafe_code)]
unsafe impl bytemuck::Pod for Column {}

/// What an integer of a column stands for, and the inverse.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) scale: f32,
    pub(super) inverse: f32,
}

impl Scale {
    /// For values whose largest magnitude has these bits. Where that is not finite, the scale is
    /// not a number, so that it shows in every result, as it would in `f32`.
    pub(super) fn of_largest(bits: u32) -> Self {
        let scale = f32::from_bits(bits) / 127.0;
        if !scale.is_finite() {
            return Self { scale: f32::NAN, inverse: 0.0 };
        }
        Self { scale, inverse: if scale > SMALLEST { 1.0 / scale } else { 0.0 } }
    }
}

impl Prepared for Packed {
    fn bytes(&self) -> usize {
        self.values.bytes() + size_of_val(&*self.columns_of)
    }

    fn trim(&mut self) {
        self.values.trim();
    }
}

impl Packed {
    /// Quantises the weight of a linear layer, `[outputs, inputs]` in its file.
    pub fn linear(stored: Stored, bytes: &[u8], outputs: usize, inputs: usize) -> Self {
        Self::convolution_at(Level::best(), stored, bytes, outputs, inputs, 1)
    }

    /// Quantises the weight of a convolution, `[outputs, inputs, taps]` in its file: columns are
    /// outputs, and the depth is `[taps, inputs]`.
    pub(super) fn convolution_at(
        level: Level,
        stored: Stored,
        bytes: &[u8],
        outputs: usize,
        inputs: usize,
        taps: usize,
    ) -> Self {
        Self::ordered(level, stored, bytes, (outputs, inputs, taps), |column| column)
    }

    fn ordered(
        level: Level,
        stored: Stored,
        bytes: &[u8],
        (outputs, inputs, taps): (usize, usize, usize),
        order: impl Fn(usize) -> usize + Sync,
    ) -> Self {
        let depth = inputs * taps;
        assert!(depth > 0 && depth <= MAX_DEPTH && outputs > 0, "a layer of no size, or too deep");
        assert_eq!(bytes.len(), outputs * depth * stored.bytes(), "weight length");
        let groups = depth.div_ceil(4);
        let mut values = Buffer::reused(packed_len(level, groups, outputs));
        let mut columns_of = vec![Column::default(); outputs];
        let panel = packed_columns(level);
        let pack_panel =
            |(filter, integers): &mut (Vec<f32>, Vec<[i8; 4]>),
             (index, (out, of)): (usize, (&mut [f32], &mut [Column]))| {
                let out: &mut [[i8; 4]] = bytemuck::cast_slice_mut(out);
                filter.resize(depth, 0.0);
                integers.resize(groups, [0; 4]);
                fill_panel(out, integers, |column, integers| match of.get_mut(column) {
                    Some(of) => {
                        let from = order(index * panel + column) * depth * stored.bytes();
                        widen_values(stored, &bytes[from..][..depth * stored.bytes()], filter);
                        *of = quantise(integers, filter, taps);
                    }
                    None => integers.fill(0),
                });
            };
        values
            .par_chunks_mut(groups * panel)
            .zip(columns_of.par_chunks_mut(panel))
            .enumerate()
            .for_each_init(Default::default, pack_panel);
        Self { depth, columns: outputs, level, values, columns_of }
    }

    /// Bytes that a packed matrix of this shape takes.
    pub fn bytes_for(outputs: usize, depth: usize) -> usize {
        let values = packed_len(Level::best(), depth.div_ceil(4), outputs);
        4 * values + outputs * size_of::<Column>()
    }

    /// Rows of the matrix: the inner dimension of the product.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the matrix: those of the product.
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn view(&self) -> Panels<'_, Level> {
        Panels::new(self.level, self.depth.div_ceil(4), self.columns, &self.values)
    }

    pub(super) fn columns_of(&self, columns: Range<usize>) -> &[Column] {
        &self.columns_of[columns]
    }
}

/// Writes a panel column by column, each as `fill` leaves it in `integers`.
pub(super) fn fill_panel(
    out: &mut [[i8; 4]],
    integers: &mut [[i8; 4]],
    mut fill: impl FnMut(usize, &mut [i8]),
) {
    let width = out.len() / integers.len();
    for column in 0..width {
        fill(column, integers.as_flattened_mut());
        for (out, four) in out[column..].iter_mut().step_by(width).zip(&*integers) {
            *out = *four;
        }
    }
}

/// The filter `[inputs, taps]` of one column as integers `[taps, inputs]`, then zeros.
pub(super) fn quantise(out: &mut [i8], filter: &[f32], taps: usize) -> Column {
    let largest = filter.iter().fold(0, |a, v| (v.to_bits() & 0x7fff_ffff).max(a));
    let Scale { scale, inverse } = Scale::of_largest(largest);
    let inputs = filter.len() / taps;
    let mut sum = 0;
    for (input, filter) in filter.chunks_exact(taps).enumerate() {
        for (tap, value) in filter.iter().enumerate() {
            let integer = nearest(value * inverse) as i8;
            sum += i32::from(integer);
            out[tap * inputs + input] = integer;
        }
    }
    out[filter.len()..].fill(0);
    Column { scale, sum }
}

/// As [`crate::Gated`]: values and their gates side by side.
#[derive(Debug)]
pub struct Gated {
    pub(super) weight: Packed,
    pub(super) bias: Vec<f32>,
    pub(super) outputs: usize,
}

impl Prepared for Gated {
    fn bytes(&self) -> usize {
        self.weight.bytes()
    }

    fn trim(&mut self) {
        self.weight.trim();
    }
}

impl Gated {
    /// Quantises the weight `[2 · outputs, inputs]` and takes the bias `[2 · outputs]` of a file.
    pub fn new(stored: Stored, bytes: &[u8], bias: &[f32], outputs: usize, inputs: usize) -> Self {
        Self::new_at(Level::best(), stored, bytes, bias, outputs, inputs)
    }

    pub(super) fn new_at(
        level: Level,
        stored: Stored,
        bytes: &[u8],
        bias: &[f32],
        outputs: usize,
        inputs: usize,
    ) -> Self {
        assert_eq!(bias.len(), 2 * outputs, "bias length");
        let order = |column: usize| gate_order(column, outputs);
        let weight = Packed::ordered(level, stored, bytes, (2 * outputs, inputs, 1), order);
        let bias = (0..2 * outputs).map(|column| bias[order(column)]).collect();
        Self { weight, bias, outputs }
    }
}
