//! Attention whose scores are 8-bit products.
//!
//! From every key the mean of all is taken, which shifts all scores of a query alike and so changes
//! no weight, but leaves the keys small (Zhang et al., "SageAttention: accurate 8-bit attention for
//! plug-and-play inference acceleration", 2024). Then each key and each query has a scale of its own.

use std::ops::Range;

use super::gemm::widen;
use super::level::Level;
use super::pack::{self, Column, fill_panel};
use super::quantise::{Quantum, quantise};
use crate::attention::{AttentionShape, Head, Keys, Packed, attend, scratch};
use crate::gemm::{
    Arithmetic, Chunked, ChunkedProduct, Panels, ROW_STRIDE, chunked_len, chunked_place,
    packed_columns, packed_len, runs,
};
use crate::simd::{self, Simd};

/// Bytes of working memory that [`attention`] takes, beside that of the threads.
pub fn attention_scratch(shape: &AttentionShape) -> usize {
    scratch(simd::Level::best(), Level::best(), shape)
}

/// As [`crate::attention`].
pub fn attention(out: &mut [f32], q: &[f32], k: &[f32], v: &[f32], shape: &AttentionShape) {
    attend(simd::Level::best(), Level::best(), out, q, k, v, shape);
}

/// Groups of channels of a head.
fn depth(shape: &AttentionShape) -> usize {
    shape.head_dim.div_ceil(Level::GROUP)
}

/// Values of what is known of a key or a query.
const NOTED: usize = size_of::<Column>() / 4;

impl Keys for Level {
    fn keys_len(self, shape: &AttentionShape) -> usize {
        packed_len(self, depth(shape), shape.keys) + shape.keys * NOTED
    }

    fn pack(self, out: &mut [f32], k: Head<'_>, shape: &AttentionShape) {
        let AttentionShape { keys, head_dim, .. } = *shape;
        let depth = depth(shape);
        let (numbers, columns) = out.split_at_mut(packed_len(self, depth, keys));
        let numbers: &mut [[i8; 4]] = bytemuck::cast_slice_mut(numbers);
        let columns: &mut [Column] = bytemuck::cast_slice_mut(columns);
        let mut mean = vec![0.0; head_dim];
        for column in 0..keys {
            mean.iter_mut().zip(k.row(column)).for_each(|(mean, value)| *mean += value);
        }
        mean.iter_mut().for_each(|mean| *mean /= keys as f32);
        let panel = packed_columns(self);
        let (mut centred, mut integers) = (vec![0.0; head_dim], vec![[0; 4]; depth]);
        for (index, numbers) in numbers.chunks_mut(depth * panel).enumerate() {
            fill_panel(numbers, &mut integers, |place, integers| {
                let column = index * panel + place;
                if column < keys {
                    for ((to, value), mean) in centred.iter_mut().zip(k.row(column)).zip(&mean) {
                        *to = value - mean;
                    }
                    columns[column] = pack::quantise(integers, &centred, 1);
                } else {
                    integers.fill(0);
                }
            });
        }
    }

    fn queries_len(self, rows: usize, shape: &AttentionShape) -> usize {
        chunked_len(rows, depth(shape)) + rows * NOTED
    }

    fn prepare(self, out: &mut [f32], q: Head<'_>, rows: Range<usize>, shape: &AttentionShape) {
        let (count, depth) = (rows.len(), depth(shape));
        let (numbers, quanta) = out.split_at_mut(chunked_len(count, depth));
        let quanta: &mut [Quantum] = bytemuck::cast_slice_mut(quanta);
        for ((i, row), noted) in rows.enumerate().zip(quanta) {
            let query = q.row(row);
            let quantum = Quantum::of(query);
            *noted = Quantum { scale: quantum.scale * shape.scale(), ..quantum };
            for run in runs(depth) {
                let numbers =
                    &mut numbers[chunked_place(count, depth, i, run.start)..][..run.len()];
                let some = &query[4 * run.start..shape.head_dim.min(4 * run.end)];
                // What the last group lacks meets zeros of the keys.
                quantise(bytemuck::cast_slice_mut(numbers), some, quantum);
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
        let depth = depth(shape);
        let (numbers, quanta) = queries.split_at(chunked_len(rows, depth));
        let (keys, columns) = keys.split_at(packed_len(self, depth, shape.keys));
        self.compute(ChunkedProduct {
            a: Chunked::new(bytemuck::cast_slice(numbers), rows),
            rows: tile.clone(),
            b: Panels::new(self, depth, shape.keys, keys),
            columns: some.clone(),
            sums: bytemuck::cast_slice_mut(scores),
            stride: ROW_STRIDE,
            add: false,
        });
        let columns: &[Column] = bytemuck::cast_slice(columns);
        let quanta: &[Quantum] = bytemuck::cast_slice(quanta);
        for (scores, quantum) in scores.chunks_exact_mut(ROW_STRIDE).zip(&quanta[tile]) {
            widen(self, scores, &columns[some.clone()], *quantum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;

    #[test]
    fn int8_attention_is_close_to_that_in_f32() {
        let shapes = [
            (20, 20, 3, 5, true),
            (1, 5, 1, 8, false),
            (300, 277, 3, 40, false),
            (130, 530, 1, 300, false),
            (70, 70, 1, 1100, true),
        ];
        for (queries, keys, heads, head_dim, causal) in &shapes[..if cfg!(miri) { 2 } else { 5 }] {
            let (queries, keys, heads, head_dim) = (*queries, *keys, *heads, *head_dim);
            let shape = AttentionShape { queries, keys, heads, head_dim, causal: *causal };
            let fill = |n: usize, seed, shift: f32| -> Vec<f32> {
                let values = values(n * heads * head_dim, seed);
                values.iter().map(|v| 4.0 * v + shift).collect()
            };
            // Far from zero, as keys often are.
            let (q, k, v) = (fill(queries, 1, 0.0), fill(keys, 2, 3.0), fill(keys, 3, 0.0));
            let mut want = vec![f32::NAN; q.len()];
            crate::attention(&mut want, &q, &k, &v, &shape);
            let mut first: Option<Vec<f32>> = None;
            for level in Level::available() {
                let run = |threads| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                    let mut got = vec![f32::NAN; q.len()];
                    pool.build().unwrap().install(|| {
                        attend(simd::Level::best(), level, &mut got, &q, &k, &v, &shape);
                    });
                    got
                };
                let got = run(3);
                let squares = |x: &mut dyn Iterator<Item = f32>| x.map(|v| v * v).sum::<f32>();
                let off = squares(&mut got.iter().zip(&want).map(|(g, w)| g - w));
                let error = (off / squares(&mut want.iter().copied())).sqrt();
                assert!(error < 0.02, "{level:?} {shape:?}: {error}");
                assert_eq!(run(1), got, "{level:?} {shape:?}");
                assert_eq!(first.get_or_insert_with(|| got.clone()), &got, "{level:?} {shape:?}");
            }
        }
    }

    #[test]
    fn int8_attention_shows_what_is_no_number() {
        let shape = AttentionShape { queries: 2, keys: 3, heads: 1, head_dim: 4, causal: false };
        let (mut q, k) = (values(8, 1), values(12, 2));
        q[0] = f32::NAN;
        let mut out = [0.0; 8];
        attention(&mut out, &q, &k, &k, &shape);
        assert!(out[..4].iter().all(|v| v.is_nan()) && out[4..].iter().all(|v| v.is_finite()));
    }
}
