//! Winograd's F(4×4, 3×3) and F(2×2, 3×3): 36 products where the definition has 144, or 16 where it
//! has 36.
//!
//! `out = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` for each patch `d` of the image, which overlap by two, each
//! tile of the result and each filter `g` (Lavin and Gray, "Fast algorithms for convolutional neural
//! networks", 2015). The products of one point, over all tiles and channels, are one matrix product,
//! of any kind of numbers.

mod transform;
mod untransformed;

use std::marker::PhantomData;
use std::ops::Range;

use super::{ConvShape, sources};
use crate::epilogue::{Epilogue, Target};
use crate::gemm::{
    Arithmetic, Chunked, Panels, TURN, Weight, chunked_len, chunked_place, gemms, packed_columns,
    packed_len,
};
use crate::parallel::{Disjoint, for_each_tile};
use crate::scratch::{Buffer, Prepared, with_shared, with_tile};
use crate::simd::Level;
use crate::widen::Stored;
use transform::TileTransform;
pub(crate) use transform::{Four, Line, Patch, Two, transform_filters};
pub(super) use untransformed::Untransformed;
pub(crate) use untransformed::thread_values;

/// Transformed filters of one kind of numbers, and how patches become that and their products
/// values again.
pub(crate) trait Filters: Sync {
    type Level: Arithmetic;
    type Line: Line;
    /// Values that are noted beside each row of a left operand.
    const NOTED: usize;

    /// Inputs and outputs.
    fn channels(&self) -> (usize, usize);
    /// The instruction set of the transforms.
    fn level(&self) -> Level;
    /// Columns of a panel of [`Products`].
    fn panel(&self) -> usize;
    /// Multiplies the patches with the filters, for each point.
    fn multiply(&self, patches: &Patches<'_, Self::Level>, products: &mut [f32]);
    /// Transforms a patch into row `row` of the left operands.
    fn enter(&self, patch: &Patch<'_>, operands: &Operands<'_>, row: usize);
    /// Turns the sums of a row of a point's product into values, in their place.
    fn leave(&self, sums: &mut [f32], point: usize, noted: &[f32]);
}

/// The left operands of the products of all points while threads write them, a row for each patch.
pub(crate) struct Operands<'a> {
    numbers: Disjoint<'a>,
    noted: Disjoint<'a>,
    rows: usize,
    depth: usize,
}

impl Operands<'_> {
    /// Where the number `column` of row `row` of the first point goes.
    #[inline(always)]
    fn place(&self, row: usize, column: usize) -> usize {
        chunked_place(self.rows, self.depth, row, column)
    }

    /// Numbers from point to point.
    fn plane(&self) -> usize {
        apart(chunked_len(self.rows, self.depth))
    }

    /// The numbers of a row of a point's operand from `column` on, within one run.
    ///
    /// # Safety
    /// No two threads may hold parts of the same row.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    pub(crate) unsafe fn part(
        &self,
        point: usize,
        row: usize,
        column: usize,
        len: usize,
    ) -> &mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { self.numbers.part(point * self.plane() + self.place(row, column), len) }
    }

    /// What is noted of a row of a point's operand.
    ///
    /// # Safety
    /// As above.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    pub(crate) unsafe fn noted(&self, point: usize, row: usize, len: usize) -> &mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { self.noted.part((point * self.rows + row) * len, len) }
    }
}

/// What the products of all points read on the left, once it is written.
pub(crate) struct Patches<'a, A: Arithmetic> {
    numbers: &'a [A::Left],
    /// Numbers from point to point.
    plane: usize,
    /// Rows that there is room for.
    room: usize,
    /// Rows that are written.
    pub(crate) rows: usize,
}

impl<'a, A: Arithmetic> Patches<'a, A> {
    /// The left operand of a point's product.
    pub(crate) fn point(&self, point: usize) -> Chunked<'a, A::Left> {
        Chunked::new(&self.numbers[point * self.plane..][..self.plane], self.room)
    }

    /// Multiplies them with packed filters for each point; the products are one panel.
    pub(crate) fn multiply<'b>(
        &'b self,
        points: usize,
        filters: impl Fn(usize) -> Panels<'b, A> + Sync,
        products: &mut [f32],
    ) {
        let stride = padded(filters(0).columns());
        let plane = apart(self.rows * stride);
        gemms(points, |point| self.point(point), self.rows, filters, products, (stride, plane));
    }
}

/// Where the products lie: `[panels, points, rows, panel]`, of channels rounded up to whole vectors.
#[derive(Clone, Copy)]
struct Products {
    rows: usize,
    points: usize,
    panel: usize,
    channels: usize,
}

impl Products {
    /// Where the first point has the channel `channel` of row `row`, and the values from point to
    /// point.
    #[inline(always)]
    fn place(self, row: usize, channel: usize) -> (usize, usize) {
        let Self { rows, points, panel, channels } = self;
        let first = channel / panel * panel;
        let width = panel.min(channels - first);
        let before = first / panel * points * apart(rows * panel);
        (before + row * width + channel - first, apart(rows * width))
    }
}

/// Filters as the products read them: for each point, packed weights `[in_channels, out_channels]`.
#[derive(Debug)]
pub(crate) struct Transformed<L> {
    level: Level,
    inputs: usize,
    outputs: usize,
    values: Buffer,
    line: PhantomData<L>,
}

impl<L: Line> Transformed<L> {
    /// Transforms the weight `[outputs, inputs, 9]` of a file.
    pub(super) fn new(
        level: Level,
        stored: Stored,
        bytes: &[u8],
        outputs: usize,
        inputs: usize,
    ) -> Self {
        let weight = Weight::new(stored, bytes, (outputs, inputs, 9));
        let plane = apart(packed_len(level, inputs, outputs));
        let mut values = Buffer::reused(L::POINTS * plane);
        let panel = packed_columns(level);
        let out = Disjoint::new(&mut values);
        let work = outputs * inputs * L::POINTS * 4;
        for_each_tile(outputs.div_ceil(panel), work, |index| {
            let first = index * panel;
            let width = panel.min(outputs.next_multiple_of(level.lanes()) - first);
            let output = |column| Some(first + column).filter(|&c| c < outputs);
            each_input(weight, width, 0..inputs, output, |input, taps| {
                let at = (first * inputs) + input * width;
                transform_filters::<L>(level, taps, width, &out, (at, plane));
            });
        });
        Self { level, inputs, outputs, values, line: PhantomData }
    }

    /// Bytes that [`Transformed::new`] allocates.
    pub(super) fn bytes_for(outputs: usize, inputs: usize) -> usize {
        4 * L::POINTS * apart(packed_len(Level::best(), inputs, outputs))
    }
}

impl<L> Prepared for Transformed<L> {
    fn bytes(&self) -> usize {
        self.values.bytes()
    }

    fn trim(&mut self) {
        self.values.trim();
    }
}

/// Hands `take` the taps `[some, 9, width]` of the filters of some of these inputs to the outputs
/// `output(0..width)`, zeros where there is none, and the first of these inputs.
pub(crate) fn each_input(
    weight: Weight<'_>,
    width: usize,
    inputs: Range<usize>,
    output: impl Fn(usize) -> Option<usize>,
    mut take: impl FnMut(usize, &[f32]),
) {
    const { assert!(TURN.is_multiple_of(9)) };
    weight.transposed(width, inputs, output, |first, taps| take(first / 9, taps));
}

impl<L: Line> Filters for Transformed<L> {
    type Level = Level;
    type Line = L;
    const NOTED: usize = 0;

    fn channels(&self) -> (usize, usize) {
        (self.inputs, self.outputs)
    }

    fn level(&self) -> Level {
        self.level
    }

    fn panel(&self) -> usize {
        padded(self.outputs)
    }

    fn multiply(&self, patches: &Patches<'_, Level>, products: &mut [f32]) {
        let len = packed_len(self.level, self.inputs, self.outputs);
        let filters = |point| {
            let values = &self.values[point * apart(len)..][..len];
            Panels::new(self.level, self.inputs, self.outputs, values)
        };
        patches.multiply(L::POINTS, filters, products);
    }

    fn enter(&self, patch: &Patch<'_>, operands: &Operands<'_>, row: usize) {
        let place = |channel| operands.place(row, channel);
        patch.transform::<L>(self.level, &operands.numbers, place, operands.plane());
    }

    fn leave(&self, _: &mut [f32], _: usize, _: &[f32]) {}
}

/// The tiles of a batch of results.
#[derive(Clone, Copy)]
struct Tiles {
    side: usize,
    across: usize,
    each: usize,
    all: usize,
}

impl Tiles {
    fn new<L: Line>(shape: &ConvShape, batch: usize) -> Self {
        let (height, width) = shape.output();
        let (down, across) = (height.div_ceil(L::TILE), width.div_ceil(L::TILE));
        Self { side: L::TILE, across, each: down * across, all: batch * down * across }
    }

    /// The row and column of the first pixel of a tile of one image.
    fn corner(self, tile: usize) -> (usize, usize) {
        (tile / self.across * self.side, tile % self.across * self.side)
    }
}

/// Values from the plane of one point, of `len` values, to that of the next: an odd number of cache
/// lines, or all points of a patch would compete for the same places of the caches.
pub(crate) fn apart(len: usize) -> usize {
    (len.div_ceil(16) | 1) * 16
}

/// Channels rounded up to whole vectors of any instruction set.
pub(crate) fn padded(channels: usize) -> usize {
    channels.next_multiple_of(16)
}

/// How much is computed at a time, and the memory that it takes.
struct Room {
    tiles: Tiles,
    /// Tiles that are transformed at a time: as many as the third-level cache can be hoped to
    /// hold, in whole register tiles.
    step: usize,
    /// Values of the left operands, of what is noted of them, and of their products.
    lens: [usize; 3],
}

impl Room {
    fn new<F: Filters>(shape: &ConvShape, batch: usize, panel: usize) -> Self {
        const VALUES: usize = 4 << 20;
        let tiles = Tiles::new::<F::Line>(shape, batch);
        let panels = padded(shape.out_channels).div_ceil(panel);
        let lens = |rows| {
            let numbers = apart(chunked_len(rows, depth::<F>(shape)));
            [numbers, rows * F::NOTED, panels * apart(rows * panel)]
                .map(|len| F::Line::POINTS * len)
        };
        let row = chunked_len(1, depth::<F>(shape)) + F::NOTED + padded(shape.out_channels);
        let most = VALUES / (F::Line::POINTS * row);
        let passes = tiles.all.div_ceil(most.max(56)).max(1);
        let step = tiles.all.div_ceil(passes).next_multiple_of(Level::best().rows()).min(tiles.all);
        Self { tiles, step, lens: lens(step) }
    }
}

/// Numbers of the products' inner dimension.
fn depth<F: Filters>(shape: &ConvShape) -> usize {
    shape.in_channels.div_ceil(F::Level::GROUP)
}

/// Bytes of working memory that [`conv2d`] takes, beside that of the threads.
pub(crate) fn scratch<F: Filters>(shape: &ConvShape, batch: usize) -> usize {
    let panels = [padded(shape.out_channels), packed_columns(Level::best())];
    let lens = panels.map(|panel| Room::new::<F>(shape, batch, panel).lens.iter().sum::<usize>());
    4 * lens[0].max(lens[1])
}

/// Whether filters are best transformed while they are used: once each, since all tiles are computed
/// at a time, and with panels enough for all threads.
pub(super) fn pays_untransformed<L: Line>(shape: &ConvShape, batch: usize) -> bool {
    let panel = packed_columns(Level::best());
    let room = Room::new::<Untransformed<'_, L>>(shape, batch, panel);
    let panels = padded(shape.out_channels).div_ceil(panel);
    room.step == room.tiles.all && panels >= 2 * rayon::current_num_threads()
}

/// The convolution of images whose lengths have been checked.
pub(crate) fn conv2d<F: Filters>(
    out: &mut [f32],
    x: &[f32],
    filters: &F,
    shape: &ConvShape,
    epilogue: &Epilogue<'_>,
) {
    assert!(shape.fits_winograd(), "a shape that Winograd's transform does not fit");
    let side = F::Line::TILE;
    assert_eq!(filters.channels(), (shape.in_channels, shape.out_channels), "weights");
    let (height, width) = shape.output();
    let batch = out.len() / (height * width * shape.out_channels);
    let Room { tiles, step, lens } = Room::new::<F>(shape, batch, filters.panel());
    let (inputs, outputs) = (padded(shape.in_channels), padded(shape.out_channels));
    let rows = sources(shape.source.0, shape.input.0, (1, side));
    let columns = sources(shape.source.1, shape.input.1, (1, side));
    let target = Target::new(out, shape.out_channels, epilogue);
    let depth = depth::<F>(shape);
    with_shared(lens.iter().sum(), |buffer| {
        let (numbers, rest) = buffer.split_at_mut(lens[0]);
        let (noted, products) = rest.split_at_mut(lens[1]);
        for first in (0..tiles.all).step_by(step) {
            let count = step.min(tiles.all - first);
            let operands = Operands {
                numbers: Disjoint::new(numbers),
                noted: Disjoint::new(noted),
                rows: step,
                depth,
            };
            let plane = operands.plane();
            for_each_tile(count, count * inputs * 200, |row| {
                let (tile, rows, columns) = (first + row, &rows, &columns);
                filters.enter(&Patch { x, shape, tiles, tile, rows, columns }, &operands, row);
            });
            let (numbers, noted) = (&*numbers, &*noted);
            let numbers = bytemuck::cast_slice(numbers);
            let patches = Patches { numbers, plane, room: step, rows: count };
            filters.multiply(&patches, products);
            let (points, panel) = (F::Line::POINTS, filters.panel());
            let places = Products { rows: count, points, panel, channels: outputs };
            let products = Disjoint::new(products);
            for_each_tile(count, count * outputs * 200, |row| {
                for point in (0..points).filter(|_| F::NOTED > 0) {
                    let (at, plane) = places.place(row, 0);
                    // SAFETY: rows are disjoint.
                    #[allow(unsafe_code)]
                    let sums = unsafe { products.part(point * plane + at, outputs) };
                    let noted = &noted[(point * step + row) * F::NOTED..][..F::NOTED];
                    filters.leave(sums, point, noted);
                }
                with_tile(side * side * outputs, |values| {
                    filters.level().run(TileTransform {
                        products: &products,
                        place: |channel| places.place(row, channel),
                        channels: outputs,
                        out: values,
                        line: PhantomData::<F::Line>,
                    });
                    let tile = first + row;
                    let (image, tile) = (tile / tiles.each, tile % tiles.each);
                    let (top, left) = tiles.corner(tile);
                    for y in 0..side.min(height - top) {
                        for x in 0..side.min(width - left) {
                            let row = (image * height + top + y) * width + left + x;
                            let values = &values[(y * side + x) * outputs..][..shape.out_channels];
                            // SAFETY: tiles are disjoint.
                            #[allow(unsafe_code)]
                            unsafe {
                                target.finish(row, image, 0..shape.out_channels, values);
                            }
                        }
                    }
                });
            });
        }
    });
}
