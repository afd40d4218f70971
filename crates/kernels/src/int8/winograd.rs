//! Winograd's F(2×2, 3×3) over 8-bit products.
//!
//! Patches are transformed in `f32` and quantised afterwards, so that each of the 16 points of each
//! patch has a scale of its own; so has each point of each filter. The way back is in `f32` again.
//! What rounding costs comes out as large as with direct products (1.6 % of the values where those
//! have 1.3 %); F(4×4, 3×3) would need fewer products, and triple it.

use super::gemm::widen;
use super::level::Level;
use super::pack::{Column, Scale};
use super::quantise::{Quantum, nearest, quantise};
use crate::conv::winograd::{
    Filters, Line, Operands, Patch, Patches, Two, each_input, padded, transform_filters,
};
use crate::dispatch::dispatch;
use crate::gemm::{Arithmetic, Panels, Weight, packed_columns, packed_len, runs};
use crate::parallel::{Disjoint, for_each_tile};
use crate::scratch::{Buffer, Prepared, with_tile};
use crate::simd::{self, PANEL_VECTORS};
use crate::widen::Stored;

/// The most inputs: those of a patch's points fit what each thread keeps.
pub(super) const MAX_INPUTS: usize = 4096;

/// Points of the transform.
const POINTS: usize = Two::POINTS;

/// Quantised filters: for each point, packed weights `[in_channels, out_channels]`.
#[derive(Debug)]
pub(super) struct Transformed {
    level: Level,
    inputs: usize,
    outputs: usize,
    /// `i8`, four to a value: for each point the panels that [`super::Packed`] has.
    values: Buffer,
    /// `[points, outputs]`.
    columns_of: Vec<Column>,
}

/// Filters of a panel, rounded up to whole vectors of every instruction set.
const WIDTH: usize = 16 * PANEL_VECTORS;

impl Prepared for Transformed {
    fn bytes(&self) -> usize {
        self.values.bytes() + size_of_val(&*self.columns_of)
    }

    fn trim(&mut self) {
        self.values.trim();
    }
}

impl Transformed {
    /// Transforms and quantises the weight `[outputs, inputs, 9]` of a file.
    pub(super) fn new(
        level: Level,
        stored: Stored,
        bytes: &[u8],
        outputs: usize,
        inputs: usize,
    ) -> Self {
        let weight = Weight::new(stored, bytes, (outputs, inputs, 9));
        let groups = inputs.div_ceil(4);
        let plane = packed_len(level, groups, outputs);
        let mut values = Buffer::reused(POINTS * plane);
        let mut columns_of = vec![Column::default(); POINTS * outputs];
        let panel = packed_columns(level);
        let out = Disjoint::new(&mut values);
        let columns_out = Disjoint::new(bytemuck::cast_slice_mut(&mut columns_of));
        for_each_tile(outputs.div_ceil(panel), outputs * inputs * POINTS * 4, |index| {
            let first = index * panel;
            let width = panel.min(outputs.next_multiple_of(level.lanes()) - first);
            let count = width.min(outputs - first);
            let (mut largest, mut sums) = ([0; POINTS * WIDTH], [0; POINTS * WIDTH]);
            let mut integers = [0; POINTS * WIDTH];
            each_point(weight, first, count, |_, values| enlarge(&mut largest, values));
            let scales = largest.map(Scale::of_largest);
            let inverses = scales.map(|scale| scale.inverse);
            each_point(weight, first, count, |input, values| {
                quantise_points(&mut integers, &mut sums, values, &inverses);
                for (point, integers) in integers.chunks_exact(WIDTH).enumerate() {
                    let at = point * plane + first * groups + input / 4 * width;
                    // SAFETY: panels are disjoint.
                    #[allow(unsafe_code)]
                    let numbers = unsafe { out.part(at, width) };
                    let numbers: &mut [[i8; 4]] = bytemuck::cast_slice_mut(numbers);
                    for (number, integer) in numbers.iter_mut().zip(integers) {
                        match input % 4 {
                            0 => *number = [*integer, 0, 0, 0],
                            place => number[place] = *integer,
                        }
                    }
                }
            });
            for point in 0..POINTS {
                let len = size_of::<Column>() / 4;
                // SAFETY: as above.
                #[allow(unsafe_code)]
                let columns =
                    unsafe { columns_out.part((point * outputs + first) * len, count * len) };
                let columns: &mut [Column] = bytemuck::cast_slice_mut(columns);
                for (column, place) in columns.iter_mut().zip(point * WIDTH..) {
                    *column = Column { scale: scales[place].scale, sum: sums[place] };
                }
            }
        });
        Self { level, inputs, outputs, values, columns_of }
    }

    /// Bytes that [`Transformed::new`] allocates.
    pub(super) fn bytes_for(outputs: usize, inputs: usize) -> usize {
        POINTS * super::Packed::bytes_for(outputs, inputs)
    }
}

/// Hands `take` for each input the points `[16, WIDTH]` of its filters to the `count` outputs from
/// `first` on, then zeros.
fn each_point(
    weight: Weight<'_>,
    first: usize,
    count: usize,
    mut take: impl FnMut(usize, &[f32; POINTS * WIDTH]),
) {
    let output = |column| (column < count).then_some(first + column);
    let mut values = [0.0; POINTS * WIDTH];
    each_input(weight, WIDTH, 0..weight.inputs(), output, |first, taps| {
        for (input, taps) in (first..).zip(taps.chunks_exact(9 * WIDTH)) {
            let out = &Disjoint::new(&mut values);
            transform_filters::<Two>(simd::Level::best(), taps, WIDTH, out, (0, WIDTH));
            take(input, &values);
        }
    });
}

dispatch! {
    /// The bits of the largest magnitudes so far.
    fn enlarge(largest: &mut [u32; POINTS * WIDTH], values: &[f32; POINTS * WIDTH]) {
        for (largest, value) in largest.iter_mut().zip(values) {
            *largest = (value.to_bits() & 0x7fff_ffff).max(*largest);
        }
    }
}

dispatch! {
    fn quantise_points(
        out: &mut [i8; POINTS * WIDTH],
        sums: &mut [i32; POINTS * WIDTH],
        values: &[f32; POINTS * WIDTH],
        inverses: &[f32; POINTS * WIDTH],
    ) {
        for i in 0..POINTS * WIDTH {
            out[i] = nearest(values[i] * inverses[i]) as i8;
            sums[i] += i32::from(out[i]);
        }
    }
}

impl Filters for Transformed {
    type Level = Level;
    type Line = Two;
    const NOTED: usize = size_of::<Quantum>() / 4;

    fn channels(&self) -> (usize, usize) {
        (self.inputs, self.outputs)
    }

    fn level(&self) -> simd::Level {
        simd::Level::best()
    }

    fn panel(&self) -> usize {
        padded(self.outputs)
    }

    fn multiply(&self, patches: &Patches<'_, Level>, products: &mut [f32]) {
        let Self { level, inputs, outputs, .. } = *self;
        let depth = inputs.div_ceil(4);
        let len = packed_len(level, depth, outputs);
        let filters =
            |point| Panels::new(level, depth, outputs, &self.values[point * len..][..len]);
        patches.multiply(POINTS, filters, products);
    }

    fn enter(&self, patch: &Patch<'_>, operands: &Operands<'_>, row: usize) {
        let inputs = padded(self.inputs);
        with_tile(POINTS * inputs, |values| {
            patch.transform::<Two>(self.level(), &Disjoint::new(values), |channel| channel, inputs);
            for (point, values) in values.chunks_exact(inputs).enumerate() {
                let quantum = Quantum::of(values);
                // SAFETY: rows are disjoint.
                #[allow(unsafe_code)]
                let noted = unsafe { operands.noted(point, row, Self::NOTED) };
                noted.copy_from_slice(bytemuck::cast_slice(&[quantum]));
                for run in runs(self.inputs.div_ceil(4)) {
                    // SAFETY: as above.
                    #[allow(unsafe_code)]
                    let numbers = unsafe { operands.part(point, row, run.start, run.len()) };
                    let values = &values[4 * run.start..4 * run.end];
                    quantise(bytemuck::cast_slice_mut(numbers), values, quantum);
                }
            }
        });
    }

    fn leave(&self, sums: &mut [f32], point: usize, noted: &[f32]) {
        let of = &self.columns_of[point * self.outputs..][..self.outputs];
        let [quantum] = bytemuck::cast_slice(noted) else { return };
        widen(self.level, sums, of, *quantum);
    }
}
