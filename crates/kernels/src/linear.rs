//! Fully connected layers.

use crate::matmul::{MatMut, MatRef, TileWriter, matmul};
use crate::parallel::for_each_tile;

/// Rows and columns of one tile of the result. Fixed, so that bytes do not follow the threads.
const TILE_ROWS: usize = 256;
const TILE_COLS: usize = 256;

/// Bytes of scratch that one thread takes for [`linear`].
pub fn linear_scratch(rows: usize, out_features: usize) -> usize {
    4 * TILE_ROWS.min(rows) * TILE_COLS.min(out_features)
}

/// `out[rows, out_features] = x[rows, in_features] · weightᵀ + bias`.
///
/// `weight` is `[out_features, in_features]`, as PyTorch stores it. The rows of one call form one
/// batch row: their number decides the tiles.
pub fn linear(
    out: &mut [f32],
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    in_features: usize,
    out_features: usize,
) {
    assert!(in_features > 0 && out_features > 0, "a layer of no size");
    let rows = x.len() / in_features;
    assert_eq!(x.len(), rows * in_features, "input is not a whole number of rows");
    assert_eq!(out.len(), rows * out_features, "output length");
    assert_eq!(weight.len(), in_features * out_features, "weight length");
    assert!(bias.is_none_or(|b| b.len() == out_features), "bias length");

    let col_tiles = out_features.div_ceil(TILE_COLS);
    let tiles = rows.div_ceil(TILE_ROWS) * col_tiles;
    let writer = TileWriter::new(out);
    for_each_tile(tiles, x.len() * out_features, Vec::new, |tile, index| {
        let row = index / col_tiles * TILE_ROWS;
        let col = index % col_tiles * TILE_COLS;
        let height = TILE_ROWS.min(rows - row);
        let width = TILE_COLS.min(out_features - col);
        tile.resize(height * width, 0.0);
        matmul(
            MatMut { data: tile, rows: height, cols: width, row_stride: width },
            MatRef {
                data: &x[row * in_features..],
                rows: height,
                cols: in_features,
                row_stride: in_features,
                col_stride: 1,
            },
            MatRef {
                data: &weight[col * in_features..],
                rows: in_features,
                cols: width,
                row_stride: 1,
                col_stride: in_features,
            },
            1.0,
            false,
        );
        for (r, values) in tile.chunks_exact(width).enumerate() {
            // SAFETY: tiles are disjoint by construction, and `out` outlives the loop.
            #[allow(unsafe_code)]
            let target = unsafe { writer.row((row + r) * out_features + col, width) };
            match bias {
                Some(bias) => {
                    for ((t, v), b) in target.iter_mut().zip(values).zip(&bias[col..]) {
                        *t = v + b;
                    }
                }
                None => target.copy_from_slice(values),
            }
        }
    });
}
