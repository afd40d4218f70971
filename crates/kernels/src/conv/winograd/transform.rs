//! Winograd's transforms of filters of three taps.
//!
//! Along one line of an image, a tile of `TILE` results comes of a patch of `TILE + 2` values and of
//! as many points; a square goes through the transform of its columns, then of its rows.

use std::marker::PhantomData;

use super::{Tiles, padded};
use crate::conv::ConvShape;
use crate::parallel::Disjoint;
use crate::simd::{Level, Simd, Task};

/// Values of a patch or points along a line, at the most.
const SIDE: usize = 6;

/// The transform along one line. Of the arrays only as many values count as the tile asks for.
#[allow(unsafe_code)]
pub(crate) trait Line: Sync + 'static {
    /// Values of a tile.
    const TILE: usize;
    /// Values of a patch, and points.
    const PATCH: usize = Self::TILE + 2;
    /// Points of a square.
    const POINTS: usize = Self::PATCH * Self::PATCH;

    /// `G g`.
    ///
    /// # Safety
    /// The processor has the instruction set; so for the following.
    unsafe fn filter_points<S: Simd>(g: [S::V; 3]) -> [S::V; SIDE];
    /// `Bᵀ d`.
    #[allow(clippy::missing_safety_doc)]
    unsafe fn patch_points<S: Simd>(d: [S::V; SIDE]) -> [S::V; SIDE];
    /// `Aᵀ m`.
    #[allow(clippy::missing_safety_doc)]
    unsafe fn tile_values<S: Simd>(m: [S::V; SIDE]) -> [S::V; SIDE];
}

/// Tiles of two at the points 0, ±1 and infinity: nothing but sums, which enlarge rounding little.
#[derive(Debug)]
pub(crate) struct Two;

#[allow(unsafe_code)]
impl Line for Two {
    const TILE: usize = 2;

    #[inline(always)]
    unsafe fn filter_points<S: Simd>(g: [S::V; 3]) -> [S::V; SIDE] {
        // SAFETY: arithmetic alone; the instruction set is the caller's promise.
        unsafe {
            let half = S::splat(0.5);
            let (even, odd) = (S::mul(S::add(g[0], g[2]), half), S::mul(g[1], half));
            let zero = S::splat(0.0);
            [g[0], S::add(even, odd), S::sub(even, odd), g[2], zero, zero]
        }
    }

    #[inline(always)]
    unsafe fn patch_points<S: Simd>(d: [S::V; SIDE]) -> [S::V; SIDE] {
        // SAFETY: as above.
        unsafe {
            let zero = S::splat(0.0);
            let (near, far) = (S::add(d[1], d[2]), S::sub(d[2], d[1]));
            [S::sub(d[0], d[2]), near, far, S::sub(d[3], d[1]), zero, zero]
        }
    }

    #[inline(always)]
    unsafe fn tile_values<S: Simd>(m: [S::V; SIDE]) -> [S::V; SIDE] {
        // SAFETY: as above.
        unsafe {
            let zero = S::splat(0.0);
            let even = S::add(S::add(m[0], m[1]), m[2]);
            [even, S::add(S::sub(m[1], m[2]), m[3]), zero, zero, zero, zero]
        }
    }
}

/// Tiles of four at the points 0, ±√½, ±√2 and infinity, which enlarge rounding a third to half as
/// much as the usual 0, ±1, ±2 (Alam et al., "Winograd convolution for deep neural networks:
/// efficient point selection", 2022).
#[derive(Debug)]
pub(crate) struct Four;

/// The interpolation points but for 0 and infinity; their negatives are points too.
const NEAR: f32 = std::f32::consts::FRAC_1_SQRT_2;
const FAR: f32 = std::f32::consts::SQRT_2;

#[allow(unsafe_code)]
impl Line for Four {
    const TILE: usize = 4;

    #[inline(always)]
    unsafe fn filter_points<S: Simd>(g: [S::V; 3]) -> [S::V; SIDE] {
        // SAFETY: arithmetic alone; the instruction set is the caller's promise.
        unsafe {
            let [third, sixth] = [1.0 / 3.0, 1.0 / 6.0].map(|v| S::splat(v));
            // -2/3 · (g0 ± NEAR · g1 + 1/2 · g2), and 1/6 · (g0 ± FAR · g1 + 2 · g2).
            let minus_two_thirds = S::splat(-2.0 / 3.0);
            let even = S::sub(S::mul(g[0], minus_two_thirds), S::mul(g[2], third));
            let odd = S::mul(g[1], S::splat(2.0 / 3.0 * NEAR));
            let far_even = S::mul_add(g[2], third, S::mul(g[0], sixth));
            let far_odd = S::mul(g[1], S::splat(FAR / 6.0));
            [
                g[0],
                S::sub(even, odd),
                S::add(even, odd),
                S::add(far_even, far_odd),
                S::sub(far_even, far_odd),
                g[2],
            ]
        }
    }

    #[inline(always)]
    unsafe fn patch_points<S: Simd>(d: [S::V; SIDE]) -> [S::V; SIDE] {
        // SAFETY: as above.
        unsafe {
            let [minus_half, minus_two, middle] = [-0.5, -2.0, -2.5].map(|v| S::splat(v));
            let even = S::mul_add(d[2], minus_two, d[4]);
            let odd = S::mul(S::mul_add(d[1], minus_two, d[3]), S::splat(NEAR));
            let far_even = S::mul_add(d[2], minus_half, d[4]);
            let far_odd = S::mul(S::mul_add(d[1], minus_half, d[3]), S::splat(FAR));
            [
                S::mul_add(d[2], middle, S::add(d[0], d[4])),
                S::add(even, odd),
                S::sub(even, odd),
                S::add(far_even, far_odd),
                S::sub(far_even, far_odd),
                S::mul_add(d[3], middle, S::add(d[1], d[5])),
            ]
        }
    }

    #[inline(always)]
    unsafe fn tile_values<S: Simd>(m: [S::V; SIDE]) -> [S::V; SIDE] {
        // SAFETY: as above.
        unsafe {
            let [half, two] = [0.5, 2.0].map(|v| S::splat(v));
            let near = S::add(m[1], m[2]);
            let near_odd = S::mul(S::sub(m[1], m[2]), S::splat(NEAR));
            let far = S::add(m[3], m[4]);
            let far_odd = S::mul(S::sub(m[3], m[4]), S::splat(FAR));
            [
                S::add(S::add(m[0], near), far),
                S::add(far_odd, near_odd),
                S::mul_add(far, two, S::mul(near, half)),
                S::mul_add(far_odd, two, S::mul_add(near_odd, half, m[5])),
                S::splat(0.0),
                S::splat(0.0),
            ]
        }
    }
}

/// The transform of some inputs' filters to the outputs of a panel.
struct FilterTransform<'a, L> {
    /// `[inputs, 9, width]`.
    taps: &'a [f32],
    width: usize,
    out: &'a Disjoint<'a>,
    /// Where the first point's values go.
    at: usize,
    /// Values from point to point.
    plane: usize,
    line: PhantomData<L>,
}

/// Transforms the taps `[inputs, 9, width]` of some inputs' filters to the outputs of a panel: the
/// first point's values `[inputs, width]` go to `at`, those of the others `plane` values further
/// each.
pub(crate) fn transform_filters<L: Line>(
    level: Level,
    taps: &[f32],
    width: usize,
    out: &Disjoint<'_>,
    (at, plane): (usize, usize),
) {
    level.run(FilterTransform { taps, width, out, at, plane, line: PhantomData::<L> });
}

impl<L: Line> Task for FilterTransform<'_, L> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { taps, width, out, at, plane, line: _ } = self;
        let inputs = taps.chunks_exact(9 * width).enumerate();
        for (at, taps, lane) in inputs.flat_map(|(input, taps)| {
            (0..width).step_by(S::LANES).map(move |lane| (at + input * width, taps, lane))
        }) {
            let tap = |index: usize| taps[index * width + lane..][..S::LANES].as_ptr();
            // SAFETY: the instruction set is the caller's promise; `tap` is a whole vector; panels
            // of different threads do not overlap.
            unsafe {
                // Not by closures: these were calls, not compiled for the instruction set.
                let mut g = [[S::splat(0.0); 3]; 3];
                for (y, row) in g.iter_mut().enumerate() {
                    for (x, value) in row.iter_mut().enumerate() {
                        *value = S::load(tap(y * 3 + x));
                    }
                }
                // Columns, then rows.
                let mut half = [[S::splat(0.0); 3]; SIDE];
                for x in 0..3 {
                    let column = L::filter_points::<S>([g[0][x], g[1][x], g[2][x]]);
                    for (row, value) in half.iter_mut().zip(column) {
                        row[x] = value;
                    }
                }
                for (y, row) in half.into_iter().enumerate().take(L::PATCH) {
                    let values = L::filter_points::<S>(row);
                    for (x, value) in values.into_iter().enumerate().take(L::PATCH) {
                        let part = out.part((y * L::PATCH + x) * plane + at + lane, S::LANES);
                        S::store(part.as_mut_ptr(), value);
                    }
                }
            }
        }
    }
}

/// One patch of an image.
pub(crate) struct Patch<'a> {
    pub(super) x: &'a [f32],
    pub(super) shape: &'a ConvShape,
    pub(super) tiles: Tiles,
    pub(super) tile: usize,
    /// The source row of each padded row, and the source column of each padded column.
    pub(super) rows: &'a [Option<usize>],
    pub(super) columns: &'a [Option<usize>],
}

impl Patch<'_> {
    /// Writes its points for all channels, those rounded up to whole vectors as zeros: vectors of
    /// the first point's values to where `place(channel)` says, those of the others `plane` values
    /// further each.
    pub(crate) fn transform<L: Line>(
        &self,
        level: Level,
        out: &Disjoint<'_>,
        place: impl Fn(usize) -> usize,
        plane: usize,
    ) {
        level.run(PatchTransform { patch: self, out, place, plane, line: PhantomData::<L> });
    }
}

/// The transform of one patch of the image, for all channels.
struct PatchTransform<'a, P, L> {
    patch: &'a Patch<'a>,
    out: &'a Disjoint<'a>,
    /// Where the first point's values from this channel on go.
    place: P,
    /// Values from point to point.
    plane: usize,
    line: PhantomData<L>,
}

impl<P: Fn(usize) -> usize, L: Line> Task for PatchTransform<'_, P, L> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { patch, out, place, plane, line: _ } = self;
        let Patch { x, shape, tiles, tile, rows, columns } = *patch;
        let channels = shape.in_channels;
        let (image, tile) = (tile / tiles.each, tile % tiles.each);
        let (top, left) = tiles.corner(tile);
        let image = &x[image * shape.source.0 * shape.source.1 * channels..];
        let image = &image[..shape.source.0 * shape.source.1 * channels];
        // Where each of the pixels lies; the padding reads zeros.
        let mut starts = [[None; SIDE]; SIDE];
        for (y, starts) in starts.iter_mut().enumerate().take(L::PATCH) {
            for (x, start) in starts.iter_mut().enumerate().take(L::PATCH) {
                let row = rows.get(top + y).copied().flatten();
                let column = columns.get(left + x).copied().flatten();
                *start = row.zip(column).map(|(y, x)| (y * shape.source.1 + x) * channels);
            }
        }
        // Outside the loop, which would fill it each time.
        let mut half = [[[0.0_f32; 16]; SIDE]; SIDE];
        for channel in (0..padded(channels)).step_by(S::LANES) {
            let whole = channel + S::LANES <= channels;
            let at = place(channel);
            // SAFETY: the instruction set is the caller's promise; vectors are read inside
            // `image` (checked by the slice) or a buffer of one vector at least, and patches of
            // different threads do not overlap.
            unsafe {
                // Columns, then rows.
                for x in 0..L::PATCH {
                    let d = std::array::from_fn(|y| match starts[y][x] {
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
                    let values = L::patch_points::<S>(d);
                    for (y, value) in values.into_iter().enumerate().take(L::PATCH) {
                        S::store(half[y][x].as_mut_ptr(), value);
                    }
                }
                for (y, row) in half.iter().enumerate().take(L::PATCH) {
                    let d = std::array::from_fn(|x| S::load(row[x].as_ptr()));
                    let values = L::patch_points::<S>(d);
                    for (x, value) in values.into_iter().enumerate().take(L::PATCH) {
                        let part = out.part((y * L::PATCH + x) * plane + at, S::LANES);
                        S::store(part.as_mut_ptr(), value);
                    }
                }
            }
        }
    }
}

/// The way back for one tile of the result, for all channels.
pub(super) struct TileTransform<'a, P, L> {
    pub(super) products: &'a Disjoint<'a>,
    /// Where the first point's values from this channel on are, and the values from point to point.
    pub(super) place: P,
    pub(super) channels: usize,
    /// `[tile, tile, channels]`.
    pub(super) out: &'a mut [f32],
    pub(super) line: PhantomData<L>,
}

impl<P: Fn(usize) -> (usize, usize), L: Line> Task for TileTransform<'_, P, L> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { products, place, channels, out, line: _ } = self;
        assert!(out.len() >= L::TILE * L::TILE * channels && channels.is_multiple_of(S::LANES));
        for channel in (0..channels).step_by(S::LANES) {
            let (at, plane) = place(channel);
            // SAFETY: the instruction set is the caller's promise, every vector is read from and
            // written to a slice of its length, and threads read different tiles.
            unsafe {
                let mut half = [[S::splat(0.0); SIDE]; SIDE];
                for x in 0..L::PATCH {
                    let mut m = [S::splat(0.0); SIDE];
                    for (y, m) in m.iter_mut().enumerate().take(L::PATCH) {
                        let point = y * L::PATCH + x;
                        let part = products.part(point * plane + at, S::LANES);
                        *m = S::load(part.as_ptr());
                    }
                    for (row, value) in half.iter_mut().zip(L::tile_values::<S>(m)) {
                        row[x] = value;
                    }
                }
                for (y, row) in half.into_iter().enumerate().take(L::TILE) {
                    let values = L::tile_values::<S>(row);
                    for (x, value) in values.into_iter().enumerate().take(L::TILE) {
                        let part = &mut out[(y * L::TILE + x) * channels + channel..][..S::LANES];
                        S::store(part.as_mut_ptr(), value);
                    }
                }
            }
        }
    }
}
