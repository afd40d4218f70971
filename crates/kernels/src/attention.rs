//! Scaled dot-product attention that holds the scores of a few queries at a time.

use crate::dispatch::dispatch;
use crate::math;
use crate::matmul::{MatMut, MatRef, TileWriter, matmul};
use crate::parallel::for_each_tile;

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

/// Queries of one tile.
const TILE: usize = 256;

/// Bytes of scratch that one thread takes for [`attention`].
pub fn attention_scratch(shape: &AttentionShape) -> usize {
    4 * TILE.min(shape.queries) * (shape.keys + shape.head_dim)
}

/// `softmax(q · kᵀ / sqrt(head_dim)) · v` for each head.
///
/// `q` and `out` are `[queries, heads · head_dim]`, `k` and `v` `[keys, heads · head_dim]`.
pub fn attention(out: &mut [f32], q: &[f32], k: &[f32], v: &[f32], shape: &AttentionShape) {
    let AttentionShape { queries, keys, heads, head_dim, causal } = *shape;
    let channels = heads * head_dim;
    assert_eq!(q.len(), queries * channels, "query length");
    assert_eq!(k.len(), keys * channels, "key length");
    assert_eq!(v.len(), keys * channels, "value length");
    assert_eq!(out.len(), q.len(), "output length");
    assert!(queries > 0 && keys > 0 && channels > 0, "no queries, keys or channels");

    let scale = 1.0 / (head_dim as f32).sqrt();
    let row_tiles = queries.div_ceil(TILE);
    let writer = TileWriter::new(out);
    for_each_tile(
        heads * row_tiles,
        2 * queries * keys * channels,
        || (Vec::new(), Vec::new()),
        |(scores, tile), index| {
            let head = index / row_tiles * head_dim;
            let first = index % row_tiles * TILE;
            let rows = TILE.min(queries - first);
            scores.resize(rows * keys, 0.0);
            tile.resize(rows * head_dim, 0.0);
            matmul(
                MatMut { data: scores, rows, cols: keys, row_stride: keys },
                MatRef {
                    data: &q[first * channels + head..],
                    rows,
                    cols: head_dim,
                    row_stride: channels,
                    col_stride: 1,
                },
                MatRef {
                    data: &k[head..],
                    rows: head_dim,
                    cols: keys,
                    row_stride: 1,
                    col_stride: channels,
                },
                scale,
                false,
            );
            for (r, row) in scores.chunks_exact_mut(keys).enumerate() {
                let seen = if causal { (first + r + 1).min(keys) } else { keys };
                let (row, unseen) = row.split_at_mut(seen);
                softmax(row);
                unseen.fill(0.0);
            }
            matmul(
                MatMut { data: tile, rows, cols: head_dim, row_stride: head_dim },
                MatRef { data: scores, rows, cols: keys, row_stride: keys, col_stride: 1 },
                MatRef {
                    data: &v[head..],
                    rows: keys,
                    cols: head_dim,
                    row_stride: channels,
                    col_stride: 1,
                },
                1.0,
                false,
            );
            for (r, values) in tile.chunks_exact(head_dim).enumerate() {
                // SAFETY: tiles are disjoint by construction, and `out` outlives the loop.
                #[allow(unsafe_code)]
                let target = unsafe { writer.row((first + r) * channels + head, head_dim) };
                target.copy_from_slice(values);
            }
        },
    );
}

dispatch! {
    fn softmax(row: &mut [f32]) {
        let max = math::fold(row, f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
        for v in row.iter_mut() {
            *v = math::exp(*v - max);
        }
        let inverse = 1.0 / math::fold(row, 0.0, |a, b| a + b);
        for v in row.iter_mut() {
            *v *= inverse;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn matches_the_definition() {
        for (queries, keys, causal) in [(300, 77, false), (20, 20, true), (1, 5, false)] {
            let shape = AttentionShape { queries, keys, heads: 3, head_dim: 5, causal };
            let fill = |n: usize, f: f32| (0..n * 15).map(|i| (i as f32 * f).sin()).collect();
            let (q, k, v): (Vec<f32>, Vec<f32>, Vec<f32>) =
                (fill(queries, 0.7), fill(keys, 1.3), fill(keys, 0.11));
            let want = reference(&q, &k, &v, &shape);
            let mut got = vec![f32::NAN; q.len()];
            attention(&mut got, &q, &k, &v, &shape);
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() < 2e-6, "{shape:?}: {g} for {w}");
            }
        }
    }
}
