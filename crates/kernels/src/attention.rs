//! Scaled dot-product attention that holds the scores of a few queries and keys at a time.
//!
//! Keys are taken in blocks; each query keeps the largest score so far and the sum of the
//! exponentials, and rescales what it has gathered when a larger score comes (the online softmax
//! of Milakov and Gimelshein, 2018). The result is the exact softmax, in `f32`.

use std::ops::Range;

use crate::gemm::{
    Chunked, ChunkedProduct, MAX_DEPTH, Panels, Product, ROW_STRIDE, chunked_len, chunked_place,
    multiply, packed_columns, packed_len, runs,
};
use crate::parallel::{Disjoint, for_each_tile, volume};
use crate::scratch::{with_rows, with_scores, with_shared, with_tile};
use crate::simd::{Level, Simd, Task};

/// The shape of one attention over one batch row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionShape {
    /// Queries.
    pub queries: usize,
    /// Keys, and as many values.
    pub keys: usize,
    /// Heads; they lie side by side in a row.
    pub heads: usize,
    /// Channels of one head.
    pub head_dim: usize,
    /// A query sees only the keys at its own position and before.
    pub causal: bool,
}

/// Register tiles of queries that one block holds: the more, the less often keys and values are read.
const QUERY_TILES: usize = 8;

/// Keys of one block.
const KEYS: usize = MAX_DEPTH;

/// The queries, keys or values of one head.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    /// Of all heads, `[rows, heads · head_dim]`.
    rows: &'a [f32],
    head: usize,
    shape: &'a AttentionShape,
}

impl<'a> Head<'a> {
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        &self.rows[self.shape.place(row, self.head)..][..self.shape.head_dim]
    }
}

/// The numbers in which queries are held against keys. Everything else is in `f32`.
pub(crate) trait Keys: Copy + Sync {
    /// Values that the keys of one head take.
    fn keys_len(self, shape: &AttentionShape) -> usize;
    /// Packs the keys of one head.
    fn pack(self, out: &mut [f32], k: Head<'_>, shape: &AttentionShape);
    /// Values that `rows` queries of one head take.
    fn queries_len(self, rows: usize, shape: &AttentionShape) -> usize;
    /// Scales some queries of one head by [`AttentionShape::scale`].
    fn prepare(self, out: &mut [f32], q: Head<'_>, rows: Range<usize>, shape: &AttentionShape);
    /// The scores `[tile, ROW_STRIDE]` of a tile of queries, for the keys `some`, which begin at a
    /// multiple of [`KEYS`].
    ///
    /// # Safety
    /// The processor has the instruction set `S`.
    #[allow(unsafe_code)]
    unsafe fn score<S: Simd>(
        self,
        scores: &mut [f32],
        tile: Range<usize>,
        of: Packed<'_>,
        some: Range<usize>,
    );
}

/// Queries and keys of one head as [`Keys`] packed them.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub(crate) queries: &'a [f32],
    /// How many.
    pub(crate) rows: usize,
    pub(crate) keys: &'a [f32],
    pub(crate) shape: &'a AttentionShape,
}

impl Keys for Level {
    fn keys_len(self, shape: &AttentionShape) -> usize {
        packed_len(self, shape.head_dim, shape.keys)
    }

    fn pack(self, out: &mut [f32], k: Head<'_>, shape: &AttentionShape) {
        pack(self, out, shape.head_dim, shape.keys, |row, column| k.row(column)[row]);
    }

    fn queries_len(self, rows: usize, shape: &AttentionShape) -> usize {
        chunked_len(rows, shape.head_dim)
    }

    #[inline(always)]
    fn prepare(self, out: &mut [f32], q: Head<'_>, rows: Range<usize>, shape: &AttentionShape) {
        let scale = shape.scale();
        let count = rows.len();
        for (i, row) in rows.enumerate() {
            for run in runs(shape.head_dim) {
                let to = &mut out[chunked_place(count, shape.head_dim, i, run.start)..];
                for (to, from) in to.iter_mut().zip(&q.row(row)[run]) {
                    *to = from * scale;
                }
            }
        }
    }

    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn score<S: Simd>(
        self,
        scores: &mut [f32],
        tile: Range<usize>,
        of: Packed<'_>,
        some: Range<usize>,
    ) {
        let Packed { queries, rows, keys, shape } = of;
        let product = ChunkedProduct {
            a: Chunked::new(queries, rows),
            rows: tile,
            b: Panels::new(self, shape.head_dim, shape.keys, keys),
            columns: some,
            sums: scores,
            stride: ROW_STRIDE,
            add: false,
        };
        // SAFETY: the caller's promise.
        unsafe { product.run::<S>() };
    }
}

impl AttentionShape {
    /// Where the channels of a head start in a row of queries, keys or values.
    fn place(&self, row: usize, head: usize) -> usize {
        (row * self.heads + head) * self.head_dim
    }

    /// What scores are multiplied with: powers of two are shorter to compute than those of e.
    pub(crate) fn scale(&self) -> f32 {
        std::f32::consts::LOG2_E / (self.head_dim as f32).sqrt()
    }

    /// Queries of one block: fewer where the threads would not all have some.
    fn block_rows(&self, level: Level) -> usize {
        let mut tiles = QUERY_TILES;
        let blocks = |tiles: usize| self.heads * self.queries.div_ceil(tiles * level.rows());
        while blocks(tiles) < 3 * rayon::current_num_threads() && tiles > 2 {
            tiles /= 2;
        }
        tiles * level.rows()
    }
}

/// Bytes of working memory that [`attention`] takes, beside that of the threads.
pub fn attention_scratch(shape: &AttentionShape) -> usize {
    scratch(Level::best(), Level::best(), shape)
}

pub(crate) fn scratch(level: Level, kind: impl Keys, shape: &AttentionShape) -> usize {
    4 * shape.heads * (kind.keys_len(shape) + packed_len(level, shape.keys, shape.head_dim))
}

/// `softmax(q · kᵀ / sqrt(head_dim)) · v` for each head.
///
/// `q` and `out` are `[queries, heads · head_dim]`, `k` and `v` `[keys, heads · head_dim]`.
pub fn attention(out: &mut [f32], q: &[f32], k: &[f32], v: &[f32], shape: &AttentionShape) {
    attend(Level::best(), Level::best(), out, q, k, v, shape);
}

pub(crate) fn attend(
    level: Level,
    kind: impl Keys,
    out: &mut [f32],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    shape: &AttentionShape,
) {
    let AttentionShape { queries, keys, heads, head_dim, .. } = *shape;
    let channels = volume(&[heads, head_dim]);
    assert_eq!(q.len(), volume(&[queries, channels]), "query length");
    assert_eq!(k.len(), volume(&[keys, channels]), "key length");
    assert_eq!(v.len(), volume(&[keys, channels]), "value length");
    assert_eq!(out.len(), q.len(), "output length");
    assert!(queries > 0 && keys > 0 && channels > 0, "no queries, keys or channels");

    let (key_len, value_len) = (kind.keys_len(shape), packed_len(level, keys, head_dim));
    let each = key_len + value_len;
    with_shared(heads * each, |packed| {
        let parts = Disjoint::new(packed);
        for_each_tile(heads, keys * channels * 16, |head| {
            // SAFETY: each head has a part of its own.
            #[allow(unsafe_code)]
            let part = unsafe { parts.part(head * each, each) };
            let (packed_keys, packed_values) = part.split_at_mut(key_len);
            kind.pack(packed_keys, Head { rows: k, head, shape }, shape);
            let v = Head { rows: v, head, shape };
            pack(level, packed_values, keys, head_dim, |row, column| v.row(row)[column]);
        });
        let packed = &*packed;
        let rows = shape.block_rows(level);
        let blocks = queries.div_ceil(rows);
        let out = Disjoint::new(out);
        for_each_tile(heads * blocks, 2 * queries * keys * channels, |index| {
            let head = index / blocks;
            let first = index % blocks * rows;
            let part = &packed[head * each..][..each];
            let rows = first..(first + rows).min(queries);
            let count = rows.len();
            with_rows(kind.queries_len(count, shape), |queries| {
                with_scores(level.rows() * ROW_STRIDE, |scores| {
                    with_tile(count * head_dim.next_multiple_of(level.lanes()), |sums| {
                        level.run(Queries {
                            q,
                            shape,
                            head,
                            rows,
                            kind,
                            keys: &part[..key_len],
                            values: Panels::new(level, keys, head_dim, &part[key_len..]),
                            out: &out,
                            queries,
                            scores,
                            sums,
                        });
                    });
                });
            });
        });
    });
}

/// Packs the matrix `[depth, columns]` of the values `at(row, column)`.
fn pack(
    level: Level,
    out: &mut [f32],
    depth: usize,
    columns: usize,
    at: impl Fn(usize, usize) -> f32,
) {
    let panel = packed_columns(level);
    for (index, out) in out.chunks_mut(depth * panel).enumerate() {
        let (first, width) = (index * panel, out.len() / depth);
        let filled = width.min(columns - first);
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let (values, padding) = out.split_at_mut(filled);
            for (column, value) in values.iter_mut().enumerate() {
                *value = at(row, first + column);
            }
            padding.fill(0.0);
        }
    }
}

/// A block of queries of one head.
struct Queries<'a, K> {
    q: &'a [f32],
    shape: &'a AttentionShape,
    head: usize,
    rows: Range<usize>,
    kind: K,
    keys: &'a [f32],
    values: Panels<'a, Level>,
    out: &'a Disjoint<'a>,
    /// Room for the scaled queries.
    queries: &'a mut [f32],
    /// Room for the scores of a tile of queries and a block of keys, `[tile, ROW_STRIDE]`.
    scores: &'a mut [f32],
    /// Room for the weighted values, `[rows, head_dim rounded up to whole vectors]`.
    sums: &'a mut [f32],
}

/// What a query knows of the keys so far.
#[derive(Clone, Copy)]
struct Seen {
    largest: f32,
    /// The sum of `2^(score - largest)`.
    total: f32,
}

impl<K: Keys> Task for Queries<'_, K> {
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { queries, scores, sums, .. } = self;
        let AttentionShape { keys, head_dim, causal, .. } = *self.shape;
        let stride = head_dim.next_multiple_of(S::LANES);
        let count = self.rows.len();
        let q = Head { rows: self.q, head: self.head, shape: self.shape };
        self.kind.prepare(queries, q, self.rows.clone(), self.shape);
        let of = Packed { queries, rows: count, keys: self.keys, shape: self.shape };
        let mut seen =
            [Seen { largest: f32::NEG_INFINITY, total: 0.0 }; QUERY_TILES * crate::simd::MAX_ROWS];
        let last = if causal { self.rows.end.min(keys) } else { keys };
        for first in (0..last).step_by(KEYS) {
            let block = first..(first + KEYS).min(keys);
            // A tile after the other, so that its scores stay in the first-level cache, and the
            // block of keys and values for all of them in the second.
            for start in (0..count).step_by(S::ROWS) {
                let tile = start..(start + S::ROWS).min(count);
                let sums = &mut sums[start * stride..];
                // SAFETY: the instruction set is the caller's promise.
                unsafe {
                    self.kind.score::<S>(scores, tile.clone(), of, block.clone());
                }
                for (i, seen) in seen[tile.clone()].iter_mut().enumerate() {
                    let row = self.rows.start + start + i;
                    let line = &mut scores[i * ROW_STRIDE..][..ROW_STRIDE];
                    let visible =
                        if causal { (row + 1).saturating_sub(first) } else { block.len() };
                    let visible = visible.min(block.len());
                    // SAFETY: as above.
                    let rescale = unsafe { seen.add::<S>(line, visible) };
                    line[visible..block.len()].fill(0.0);
                    if rescale != 1.0 && first > 0 {
                        sums[i * stride..][..head_dim].iter_mut().for_each(|v| *v *= rescale);
                    }
                }
                // SAFETY: as above.
                unsafe {
                    let values = self.values;
                    let (rows, columns) = (tile.len(), 0..head_dim);
                    multiply::<Level, S>(
                        scores,
                        rows,
                        values,
                        columns,
                        block.clone(),
                        (sums, stride),
                        first == 0,
                    );
                }
            }
        }
        for (i, row) in self.rows.clone().enumerate() {
            // SAFETY: blocks of queries and heads are disjoint.
            let out = unsafe { self.out.part(self.shape.place(row, self.head), head_dim) };
            let inverse = 1.0 / seen[i].total;
            for (o, v) in out.iter_mut().zip(&sums[i * stride..]) {
                *o = v * inverse;
            }
        }
    }
}

impl Seen {
    /// Turns the first `count` scores into `2^(score - largest)` and counts them; returns what
    /// earlier ones are to be multiplied with. The scores up to a whole vector are overwritten.
    ///
    /// # Safety
    /// The processor has the instruction set `S`.
    #[allow(unsafe_code)]
    #[inline(always)]
    unsafe fn add<S: Simd>(&mut self, scores: &mut [f32], count: usize) -> f32 {
        let scores = &mut scores[..count.next_multiple_of(S::LANES)];
        scores[count..].fill(f32::NEG_INFINITY);
        let mut lanes = [0.0_f32; 16];
        // SAFETY: whole vectors of `scores`; `lanes` holds one.
        unsafe {
            let mut most = S::splat(self.largest);
            for vector in scores.chunks_exact(S::LANES) {
                most = S::max(most, S::load(vector.as_ptr()));
            }
            S::store(lanes.as_mut_ptr(), most);
            let largest = fold::<S>(lanes, |a, b| if a > b { a } else { b });
            let (shift, mut total) = (S::splat(largest), S::splat(0.0));
            for vector in scores.chunks_exact_mut(S::LANES) {
                let value = exp2::<S>(S::sub(S::load(vector.as_ptr()), shift));
                total = S::add(total, value);
                S::store(vector.as_mut_ptr(), value);
            }
            S::store(lanes.as_mut_ptr(), total);
            let same = self.largest == largest;
            let rescale = if same { 1.0 } else { (self.largest - largest).exp2() };
            self.total = self.total * rescale + fold::<S>(lanes, |a, b| a + b);
            self.largest = largest;
            rescale
        }
    }
}

/// Folds the values of one vector, halves with halves. A largest value may miss a NaN; sums never do.
#[inline(always)]
fn fold<S: Simd>(mut lanes: [f32; 16], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = S::LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = f(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// `2^x` for `x ≤ 0`, within about 2e-7 relative; below −126 it is about 1e-38.
///
/// `2^n · 2^r`, `n` the nearest integer, and for `2^r` the polynomial of degree 5 whose largest
/// relative error on −½…½ is the least, 9e-8.
///
/// # Safety
/// The processor has the instruction set `S`.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn exp2<S: Simd>(x: S::V) -> S::V {
    // None of them is ln 2, though one is close.
    #[allow(clippy::approx_constant)]
    const COEFFICIENTS: [f32; 5] = [0.009_671_513, 0.055_507_34, 0.240_222_42, 0.693_147, 1.0];
    // SAFETY: arithmetic alone.
    unsafe {
        let x = S::max(S::splat(-126.0), x);
        let n = S::round(x);
        let r = S::sub(x, S::value(n));
        let mut p = S::splat(0.001_326_472_6);
        for c in COEFFICIENTS {
            p = S::mul_add(p, r, S::splat(c));
        }
        S::scale(p, n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, values};

    fn reference(q: &[f32], k: &[f32], v: &[f32], s: &AttentionShape) -> Vec<f32> {
        let channels = s.heads * s.head_dim;
        let mut out = vec![0.0; q.len()];
        for head in 0..s.heads {
            for i in 0..s.queries {
                let seen = if s.causal { i + 1 } else { s.keys };
                let weights: Vec<f64> = (0..seen)
                    .map(|j| {
                        let dot: f64 = (0..s.head_dim)
                            .map(|d| {
                                let c = head * s.head_dim + d;
                                f64::from(q[i * channels + c]) * f64::from(k[j * channels + c])
                            })
                            .sum();
                        (dot / (s.head_dim as f64).sqrt()).exp()
                    })
                    .collect();
                let total: f64 = weights.iter().sum();
                for d in 0..s.head_dim {
                    let c = head * s.head_dim + d;
                    let sum: f64 = weights
                        .iter()
                        .enumerate()
                        .map(|(j, w)| w * f64::from(v[j * channels + c]))
                        .sum();
                    out[i * channels + c] = (sum / total) as f32;
                }
            }
        }
        out
    }

    /// Replaces numbers by their powers of two.
    struct Powers<'a>(&'a mut [f32]);

    impl Task for Powers<'_> {
        #[allow(unsafe_code)]
        unsafe fn run<S: Simd>(self) {
            for vector in self.0.chunks_exact_mut(S::LANES) {
                // SAFETY: whole vectors; the instruction set is the caller's promise.
                unsafe { S::store(vector.as_mut_ptr(), exp2::<S>(S::load(vector.as_ptr()))) };
            }
        }
    }

    #[test]
    fn powers_of_two_are_close_to_the_exact_ones_on_every_instruction_set() {
        let step = if cfg!(miri) { 0.73 } else { 0.0137 };
        let count = (126.0 / step) as usize / 16 * 16;
        let x: Vec<f32> = (0..count).map(|i| -(i as f32) * step).collect();
        for level in Level::available() {
            let mut got = x.clone();
            level.run(Powers(&mut got));
            for (x, got) in x.iter().zip(&got) {
                let exact = f64::from(*x).exp2();
                let error = (f64::from(*got) - exact).abs() / exact;
                assert!(error < 2e-7, "{level:?}: 2^{x} is off by {error:e}");
            }
            let mut ends = [f32::NEG_INFINITY, -1e30, -200.0, f32::NAN].repeat(4);
            level.run(Powers(&mut ends));
            for some in ends.chunks_exact(4) {
                assert!(some[..3].iter().all(|v| (0.0..1e-37).contains(v)), "{level:?}: {some:?}");
                assert!(some[3].is_nan(), "{level:?}: {some:?}");
            }
        }
    }

    #[test]
    fn matches_the_definition() {
        let shapes = [
            (20, 20, 3, 5, true),
            (1, 5, 1, 8, false),
            (300, 77, 3, 40, false),
            (300, 300, 2, 5, true),
            (130, 530, 1, 300, false),
        ];
        let shapes = if cfg!(miri) { &shapes[..2] } else { &shapes[..] };
        for level in Level::available() {
            for &(queries, keys, heads, head_dim, causal) in shapes {
                let shape = AttentionShape { queries, keys, heads, head_dim, causal };
                let fill = |n: usize, seed| -> Vec<f32> {
                    values(n * heads * head_dim, seed).iter().map(|v| 4.0 * v).collect()
                };
                let (q, k, v) = (fill(queries, 1), fill(keys, 2), fill(keys, 3));
                let want = reference(&q, &k, &v, &shape);
                let mut got = vec![f32::NAN; q.len()];
                attend(level, level, &mut got, &q, &k, &v, &shape);
                close(&got, &want, 5e-6, &(level, shape));
            }
        }
    }
}
