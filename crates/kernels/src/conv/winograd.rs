//! Winograd's F(4×4, 3×3): 36 products where the definition has 144.
//!
//! `out = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` for each 6×6 patch `d` of the image, which overlap by two,
//! each 4×4 tile of the result and each filter `g` (Lavin and Gray, "Fast algorithms for
//! convolutional neural networks", 2015; interpolation points 0, ±1, ±2). The products of one of
//! the 36 points, over all tiles and channels, are one matrix product.

use super::{ConvShape, sources};
use crate::epilogue::{Epilogue, Target};
use crate::gemm::{Chunked, Panels, Weight, gemms, packed_columns, packed_len};
use crate::parallel::{Disjoint, for_each_tile, volume};
use crate::scratch::{Buffer, with_shared, with_tile};
use crate::simd::{Level, PANEL_VECTORS, Simd, Task};
use crate::widen::Stored;

/// Points of the transform: values of a transformed patch, tile or filter.
pub(super) const POINTS: usize = 36;

/// Filters as the products read them: for each point, packed weights `[in_channels, out_channels]`.
#[derive(Debug)]
pub struct Transformed {
    level: Level,
    inputs: usize,
    outputs: usize,
    values: Buffer,
}

impl Transformed {
    /// Transforms the weight `[outputs, inputs, 9]` of a file.
    pub(super) fn new(
        level: Level,
        stored: Stored,
        bytes: &[u8],
        outputs: usize,
        inputs: usize,
    ) -> Self {
        let stored_len = volume(&[outputs, inputs, 9, stored.bytes()]);
        assert_eq!(bytes.len(), stored_len, "weight length");
        let len = packed_len(level, inputs, outputs);
        let mut values = Buffer::reused(POINTS * len);
        let panel = packed_columns(level);
        let target = Disjoint::new(&mut values);
        let work = outputs * inputs * POINTS * 4;
        let weight = Weight { stored, bytes, inputs, taps: 9 };
        for_each_tile(
            outputs.div_ceil(panel),
            work,
            || (),
            |(), index| {
                let first = index * panel;
                let width = panel.min(outputs.next_multiple_of(level.lanes()) - first);
                let output = |column| Some(first + column).filter(|&c| c < outputs);
                let mut taps = [0.0; 9 * PANEL_VECTORS * 16];
                weight.transposed(width, output, |input, tap, row| {
                    taps[tap * width..][..width].copy_from_slice(row);
                    if tap == 8 {
                        let at = (first * inputs) + input * width;
                        level.run(Filters { taps: &taps[..9 * width], target: &target, at, len });
                    }
                });
            },
        );
        Self { level, inputs, outputs, values }
    }

    fn point(&self, point: usize) -> Panels<'_> {
        let len = packed_len(self.level, self.inputs, self.outputs);
        let values = &self.values[point * len..][..len];
        Panels::new(self.level, self.inputs, self.outputs, values)
    }
}

/// The transform of one input's filters to the outputs of a panel.
struct Filters<'a> {
    /// `[9, width]`.
    taps: &'a [f32],
    target: &'a Disjoint<'a>,
    /// Where the first point's values go.
    at: usize,
    /// Values of one point's matrix.
    len: usize,
}

impl Task for Filters<'_> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { taps, target, at, len } = self;
        let width = taps.len() / 9;
        for lane in (0..width).step_by(S::LANES) {
            let tap = |index: usize| taps[index * width + lane..][..S::LANES].as_ptr();
            // SAFETY: the instruction set is the caller's promise; `tap` is a whole vector; panels
            // of different threads do not overlap.
            unsafe {
                let g: [[S::V; 3]; 3] =
                    std::array::from_fn(|y| std::array::from_fn(|x| S::load(tap(y * 3 + x))));
                // Columns, then rows.
                let mut half = [[S::splat(0.0); 3]; 6];
                for x in 0..3 {
                    let column = filter_points::<S>([g[0][x], g[1][x], g[2][x]]);
                    for (row, value) in half.iter_mut().zip(column) {
                        row[x] = value;
                    }
                }
                for (y, row) in half.into_iter().enumerate() {
                    for (x, value) in filter_points::<S>(row).into_iter().enumerate() {
                        let out = target.part((y * 6 + x) * len + at + lane, S::LANES);
                        S::store(out.as_mut_ptr(), value);
                    }
                }
            }
        }
    }
}

/// `G g`.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn filter_points<S: Simd>(g: [S::V; 3]) -> [S::V; 6] {
    // SAFETY: arithmetic alone; the instruction set is the caller's promise.
    unsafe {
        let [sixth, twelfth, twenty_fourth] =
            [1.0 / 6.0, 1.0 / 12.0, 1.0 / 24.0].map(|v| S::splat(v));
        let even = S::mul(S::add(g[0], g[2]), S::splat(-1.0 / 6.0));
        let odd = S::mul(g[1], sixth);
        let far_even = S::mul_add(g[2], sixth, S::mul(g[0], twenty_fourth));
        let far_odd = S::mul(g[1], twelfth);
        [
            S::mul(g[0], S::splat(0.25)),
            S::sub(even, odd),
            S::add(even, odd),
            S::add(far_even, far_odd),
            S::sub(far_even, far_odd),
            g[2],
        ]
    }
}

/// `Bᵀ d`.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn patch_points<S: Simd>(d: [S::V; 6]) -> [S::V; 6] {
    // SAFETY: as above.
    unsafe {
        let [two, four, minus_four, minus_five] = [2.0, 4.0, -4.0, -5.0].map(|v| S::splat(v));
        let even = S::mul_add(d[2], minus_four, d[4]);
        let odd = S::mul_add(d[1], minus_four, d[3]);
        let far_even = S::sub(d[4], d[2]);
        let far_odd = S::mul(S::sub(d[3], d[1]), two);
        [
            S::mul_add(d[0], four, S::mul_add(d[2], minus_five, d[4])),
            S::add(even, odd),
            S::sub(even, odd),
            S::add(far_even, far_odd),
            S::sub(far_even, far_odd),
            S::mul_add(d[1], four, S::mul_add(d[3], minus_five, d[5])),
        ]
    }
}

/// `Aᵀ m`.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn tile_values<S: Simd>(m: [S::V; 6]) -> [S::V; 4] {
    // SAFETY: as above.
    unsafe {
        let [two, four, eight] = [2.0, 4.0, 8.0].map(|v| S::splat(v));
        let near = S::add(m[1], m[2]);
        let near_odd = S::sub(m[1], m[2]);
        let far = S::add(m[3], m[4]);
        let far_odd = S::sub(m[3], m[4]);
        [
            S::add(S::add(m[0], near), far),
            S::mul_add(far_odd, two, near_odd),
            S::mul_add(far, four, near),
            S::add(S::mul_add(far_odd, eight, near_odd), m[5]),
        ]
    }
}

/// The tiles of a batch of results.
#[derive(Clone, Copy)]
struct Tiles {
    across: usize,
    each: usize,
    all: usize,
}

impl Tiles {
    fn new(shape: &ConvShape, batch: usize) -> Self {
        let (height, width) = shape.output();
        let (down, across) = (height.div_ceil(4), width.div_ceil(4));
        Self { across, each: down * across, all: batch * down * across }
    }

    /// Tiles that are transformed at a time: as many as the third-level cache can be hoped to
    /// hold, in whole register tiles.
    fn at_a_time(self, shape: &ConvShape) -> usize {
        const VALUES: usize = 4 << 20;
        let each = Chunked::len(1, padded(shape.in_channels)) + padded(shape.out_channels);
        let most = VALUES / (POINTS * each);
        let passes = self.all.div_ceil(most.max(56)).max(1);
        self.all.div_ceil(passes).next_multiple_of(Level::best().rows()).min(self.all)
    }
}

/// Channels rounded up to whole vectors of any instruction set.
fn padded(channels: usize) -> usize {
    channels.next_multiple_of(16)
}

pub(super) fn scratch(shape: &ConvShape, batch: usize) -> usize {
    let tiles = Tiles::new(shape, batch).at_a_time(shape);
    4 * POINTS
        * (Chunked::len(tiles, padded(shape.in_channels)) + tiles * padded(shape.out_channels))
}

pub(super) fn conv2d(
    out: &mut [f32],
    x: &[f32],
    weights: &Transformed,
    shape: &ConvShape,
    epilogue: &Epilogue<'_>,
) {
    assert!(shape.by_winograd(), "a shape that Winograd's transform does not fit");
    assert_eq!((weights.inputs, weights.outputs), (shape.in_channels, shape.out_channels));
    let level = weights.level;
    let (height, width) = shape.output();
    let batch = out.len() / (height * width * shape.out_channels);
    let tiles = Tiles::new(shape, batch);
    let step = tiles.at_a_time(shape);
    let (inputs, outputs) = (padded(shape.in_channels), padded(shape.out_channels));
    let rows = sources(shape.source.0, shape.input.0, (1, 4));
    let columns = sources(shape.source.1, shape.input.1, (1, 4));
    let target = Target::new(out, shape.out_channels, epilogue);
    let plane = Chunked::len(step, shape.in_channels);
    with_shared(POINTS * (plane + step * outputs), |buffer| {
        let (patches, products) = buffer.split_at_mut(POINTS * plane);
        for first in (0..tiles.all).step_by(step) {
            let count = step.min(tiles.all - first);
            let points = Disjoint::new(patches);
            for_each_tile(
                count,
                count * inputs * 200,
                || (),
                |(), tile| {
                    level.run(Patch {
                        x,
                        shape,
                        tiles,
                        tile: first + tile,
                        rows: &rows,
                        columns: &columns,
                        out: &points,
                        place: (tile, step),
                        plane,
                    });
                },
            );
            let patches = &*patches;
            let chunk = |point| Chunked::new(&patches[point * plane..][..plane], step);
            let stride = outputs;
            gemms(POINTS, chunk, count, |point| weights.point(point), products, stride);
            let products = &*products;
            for_each_tile(
                count,
                count * outputs * 200,
                || (),
                |(), tile| {
                    with_tile(16 * outputs, |values| {
                        level.run(Tile {
                            products: &products[tile * outputs..],
                            plane: count * outputs,
                            channels: outputs,
                            out: values,
                        });
                        let tile = first + tile;
                        let (image, tile) = (tile / tiles.each, tile % tiles.each);
                        let (top, left) = (tile / tiles.across * 4, tile % tiles.across * 4);
                        for y in 0..4.min(height - top) {
                            for x in 0..4.min(width - left) {
                                let row = (image * height + top + y) * width + left + x;
                                let values = &values[(y * 4 + x) * outputs..][..shape.out_channels];
                                // SAFETY: tiles are disjoint.
                                #[allow(unsafe_code)]
                                unsafe {
                                    target.finish(row, image, 0..shape.out_channels, values);
                                }
                            }
                        }
                    });
                },
            );
        }
    });
}

/// The transform of one patch of the image, for all channels.
struct Patch<'a> {
    x: &'a [f32],
    shape: &'a ConvShape,
    tiles: Tiles,
    tile: usize,
    /// The source row of each padded row, and the source column of each padded column.
    rows: &'a [Option<usize>],
    columns: &'a [Option<usize>],
    out: &'a Disjoint<'a>,
    /// Which row of how many of each point's operand this patch becomes.
    place: (usize, usize),
    /// Values from point to point.
    plane: usize,
}

impl Task for Patch<'_> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, shape, tiles, tile, rows, columns, out, place, plane } = self;
        let channels = shape.in_channels;
        let (image, tile) = (tile / tiles.each, tile % tiles.each);
        let (top, left) = (tile / tiles.across * 4, tile % tiles.across * 4);
        let image = &x[image * shape.source.0 * shape.source.1 * channels..];
        let image = &image[..shape.source.0 * shape.source.1 * channels];
        // Where each of the 36 pixels lies; the padding reads zeros.
        let mut starts = [None; POINTS];
        for (y, starts) in starts.chunks_exact_mut(6).enumerate() {
            for (x, start) in starts.iter_mut().enumerate() {
                let row = rows.get(top + y).copied().flatten();
                let column = columns.get(left + x).copied().flatten();
                *start = row.zip(column).map(|(y, x)| (y * shape.source.1 + x) * channels);
            }
        }
        for channel in (0..padded(channels)).step_by(S::LANES) {
            let whole = channel + S::LANES <= channels;
            let at = Chunked::place(place.1, channels, place.0, channel);
            let mut half = [[[0.0_f32; 16]; 6]; 6];
            // SAFETY: the instruction set is the caller's promise; vectors are read inside
            // `image` (checked by the slice) or a buffer of one vector at least, and patches of
            // different threads do not overlap.
            unsafe {
                // Columns, then rows.
                for x in 0..6 {
                    let d = std::array::from_fn(|y| match starts[y * 6 + x] {
                        Some(start) if whole => {
                            S::load(image[start + channel..][..S::LANES].as_ptr())
                        }
                        Some(start) if channel < channels => {
                            let mut last = [0.0; 16];
                            let rest = &image[start + channel..start + channels];
                            last[..rest.len()].copy_from_slice(rest);
                            S::load(last.as_ptr())
                        }
                        _ => S::splat(0.0),
                    });
                    for (y, value) in patch_points::<S>(d).into_iter().enumerate() {
                        S::store(half[y][x].as_mut_ptr(), value);
                    }
                }
                for (y, row) in half.iter().enumerate() {
                    let d = std::array::from_fn(|x| S::load(row[x].as_ptr()));
                    for (x, value) in patch_points::<S>(d).into_iter().enumerate() {
                        let part = out.part((y * 6 + x) * plane + at, S::LANES);
                        S::store(part.as_mut_ptr(), value);
                    }
                }
            }
        }
    }
}

/// The way back for one tile of the result, for all channels.
struct Tile<'a> {
    /// The tile's products, `plane` values from point to point.
    products: &'a [f32],
    plane: usize,
    channels: usize,
    /// `[4 · 4, channels]`.
    out: &'a mut [f32],
}

impl Task for Tile<'_> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { products, plane, channels, out } = self;
        assert!(out.len() >= 16 * channels && channels.is_multiple_of(S::LANES));
        for channel in (0..channels).step_by(S::LANES) {
            // SAFETY: the instruction set is the caller's promise, and every vector is read from
            // and written to a slice of its length.
            unsafe {
                let mut half = [[S::splat(0.0); 6]; 4];
                for x in 0..6 {
                    let m = std::array::from_fn(|y| {
                        S::load(products[(y * 6 + x) * plane + channel..][..S::LANES].as_ptr())
                    });
                    for (row, value) in half.iter_mut().zip(tile_values::<S>(m)) {
                        row[x] = value;
                    }
                }
                for (y, row) in half.into_iter().enumerate() {
                    for (x, value) in tile_values::<S>(row).into_iter().enumerate() {
                        let part = &mut out[(y * 4 + x) * channels + channel..][..S::LANES];
                        S::store(part.as_mut_ptr(), value);
                    }
                }
            }
        }
    }
}
