//! Convolution over channels-last images, as matrix products over shifted views.
//!
//! In a padded channels-last image the `kernel · channels` values under one row of a filter are
//! contiguous, so each filter row is one matrix product whose left operand is the image itself,
//! read with overlapping rows: nothing is gathered. Rows of the product that start in the padding
//! columns are computed and dropped.

use crate::matmul::{MatMut, MatRef, TileWriter, matmul};
use crate::parallel::for_each_tile;

/// The shape of one convolution over one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Height and width of the image as stored.
    pub source: (usize, usize),
    /// Height and width that the filter sees: `source`, or a size to which it is enlarged by
    /// nearest neighbour while it is read.
    pub input: (usize, usize),
    /// Channels of the image.
    pub in_channels: usize,
    /// Channels of the result.
    pub out_channels: usize,
    /// Side of the square filter.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Zero rows and columns before the image (top, left) and after it (bottom, right).
    pub padding: (usize, usize),
}

/// Rows of a matrix product that one tile aims at, and the most columns it takes.
const TILE_ROWS: usize = 512;
const TILE_COLS: usize = 256;

impl ConvShape {
    /// Height and width of the result.
    pub fn output(&self) -> (usize, usize) {
        let side = |n: usize| (n + self.padding.0 + self.padding.1 - self.kernel) / self.stride + 1;
        (side(self.input.0), side(self.input.1))
    }

    fn padded_width(&self) -> usize {
        self.input.1 + self.padding.0 + self.padding.1
    }

    /// Output rows and output channels of one tile.
    fn tile(&self) -> (usize, usize) {
        let rows = (TILE_ROWS / self.padded_width()).clamp(1, self.output().0);
        let col_tiles = self.out_channels.div_ceil(TILE_COLS);
        (rows, self.out_channels.div_ceil(col_tiles).next_multiple_of(16).min(self.out_channels))
    }

    fn tile_input_rows(&self, rows: usize) -> usize {
        (rows - 1) * self.stride + self.kernel
    }
}

/// Bytes of scratch that one thread takes for [`conv2d`].
pub fn conv2d_scratch(shape: &ConvShape) -> usize {
    let (rows, cols) = shape.tile();
    let width = shape.padded_width();
    4 * width * (shape.tile_input_rows(rows) * shape.in_channels + rows * cols)
}

/// `out[height, width, out_channels]` of one image `x[height, width, in_channels]`.
///
/// `weight` is `[out_channels, kernel · kernel, in_channels]`, `bias` `[out_channels]`.
pub fn conv2d(out: &mut [f32], x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: &ConvShape) {
    let (channels, filters, kernel) = (shape.in_channels, shape.out_channels, shape.kernel);
    let padding = shape.padding.0 + shape.padding.1;
    assert!(channels > 0 && filters > 0 && kernel > 0 && shape.stride > 0, "a layer of no size");
    assert!(shape.source.0 > 0 && shape.source.1 > 0, "an image of no size");
    assert!(
        shape.input.0 + padding >= kernel && shape.input.1 + padding >= kernel,
        "the filter is larger than the padded image"
    );
    let (out_height, out_width) = shape.output();
    assert_eq!(x.len(), shape.source.0 * shape.source.1 * channels, "input length");
    assert_eq!(out.len(), out_height * out_width * filters, "output length");
    assert_eq!(weight.len(), filters * kernel * kernel * channels, "weight length");
    assert!(bias.is_none_or(|b| b.len() == filters), "bias length");

    let width = shape.padded_width();
    let (tile_rows, tile_cols) = shape.tile();
    let col_tiles = filters.div_ceil(tile_cols);
    let tiles = out_height.div_ceil(tile_rows) * col_tiles;
    let work = out.len() * kernel * kernel * channels;
    let writer = TileWriter::new(out);
    for_each_tile(
        tiles,
        work,
        || (Vec::new(), Vec::new()),
        |(window, tile), index| {
            let first = index / col_tiles * tile_rows;
            let rows = tile_rows.min(out_height - first);
            let col = index % col_tiles * tile_cols;
            let cols = tile_cols.min(filters - col);
            read_window(window, x, shape, first * shape.stride, shape.tile_input_rows(rows));

            // Output pixel (y, x) is row y · width + x of the product.
            let products = (rows - 1) * width + out_width;
            tile.resize(products * cols, 0.0);
            for tap_row in 0..kernel {
                matmul(
                    MatMut { data: tile, rows: products, cols, row_stride: cols },
                    MatRef {
                        data: &window[tap_row * width * channels..],
                        rows: products,
                        cols: kernel * channels,
                        row_stride: shape.stride * channels,
                        col_stride: 1,
                    },
                    MatRef {
                        data: &weight[(col * kernel + tap_row) * kernel * channels..],
                        rows: kernel * channels,
                        cols,
                        row_stride: 1,
                        col_stride: kernel * kernel * channels,
                    },
                    1.0,
                    tap_row > 0,
                );
            }
            for y in 0..rows {
                for x in 0..out_width {
                    let at = ((first + y) * out_width + x) * filters + col;
                    // SAFETY: tiles are disjoint by construction, and `out` outlives the loop.
                    #[allow(unsafe_code)]
                    let target = unsafe { writer.row(at, cols) };
                    let values = &tile[(y * width + x) * cols..][..cols];
                    match bias {
                        Some(bias) => {
                            for ((t, v), b) in target.iter_mut().zip(values).zip(&bias[col..]) {
                                *t = v + b;
                            }
                        }
                        None => target.copy_from_slice(values),
                    }
                }
            }
        },
    );
}

/// Copies padded input rows `first..first + rows` into `window`, enlarging on the way.
fn read_window(window: &mut Vec<f32>, x: &[f32], shape: &ConvShape, first: usize, rows: usize) {
    let channels = shape.in_channels;
    let width = shape.padded_width();
    let (source_height, source_width) = shape.source;
    let (height, image_width) = shape.input;
    let before = shape.padding.0;
    window.clear();
    window.resize(rows * width * channels, 0.0);
    for row in 0..rows {
        let Some(y) = (first + row).checked_sub(before).filter(|&y| y < height) else { continue };
        let y = nearest(y, source_height, height);
        let line = &x[y * source_width * channels..][..source_width * channels];
        let target = &mut window[(row * width + before) * channels..][..image_width * channels];
        if image_width == source_width {
            target.copy_from_slice(line);
        } else {
            for (column, pixel) in target.chunks_exact_mut(channels).enumerate() {
                let from = nearest(column, source_width, image_width);
                pixel.copy_from_slice(&line[from * channels..][..channels]);
            }
        }
    }
}

/// The source index that nearest-neighbour enlargement reads, as PyTorch's `nearest` computes it.
fn nearest(index: usize, source: usize, size: usize) -> usize {
    let scale = source as f32 / size as f32;
    ((index as f32 * scale) as usize).min(source - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in f64.
    fn reference(x: &[f32], weight: &[f32], bias: &[f32], s: &ConvShape) -> Vec<f32> {
        let (oh, ow) = s.output();
        let mut out = Vec::new();
        for y in 0..oh {
            for xx in 0..ow {
                for (o, b) in bias.iter().enumerate() {
                    let mut sum = f64::from(*b);
                    for ky in 0..s.kernel {
                        for kx in 0..s.kernel {
                            let iy = (y * s.stride + ky).wrapping_sub(s.padding.0);
                            let ix = (xx * s.stride + kx).wrapping_sub(s.padding.0);
                            if iy >= s.input.0 || ix >= s.input.1 {
                                continue;
                            }
                            let sy = iy * s.source.0 / s.input.0;
                            let sx = ix * s.source.1 / s.input.1;
                            for c in 0..s.in_channels {
                                let v = x[(sy * s.source.1 + sx) * s.in_channels + c];
                                let tap = (o * s.kernel + ky) * s.kernel + kx;
                                sum += f64::from(v) * f64::from(weight[tap * s.in_channels + c]);
                            }
                        }
                    }
                    out.push(sum as f32);
                }
            }
        }
        out
    }

    fn values(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect()
    }

    #[test]
    fn matches_the_definition() {
        let base = ConvShape {
            source: (5, 7),
            input: (5, 7),
            in_channels: 3,
            out_channels: 18,
            kernel: 3,
            stride: 1,
            padding: (1, 1),
        };
        for shape in [
            base,
            ConvShape { stride: 2, ..base },
            ConvShape { stride: 2, padding: (0, 1), ..base },
            ConvShape { input: (10, 14), ..base },
            ConvShape { input: (9, 13), ..base },
            ConvShape { kernel: 1, padding: (0, 0), ..base },
            ConvShape { source: (70, 40), input: (70, 40), out_channels: 300, ..base },
            ConvShape { source: (2, 600), input: (2, 600), ..base },
            ConvShape { source: (1, 1), input: (1, 1), ..base },
        ] {
            let x = values(shape.source.0 * shape.source.1 * shape.in_channels, 1);
            let weight = values(shape.out_channels * shape.kernel.pow(2) * shape.in_channels, 2);
            let bias = values(shape.out_channels, 3);
            let want = reference(&x, &weight, &bias, &shape);
            let mut got = vec![f32::NAN; want.len()];
            conv2d(&mut got, &x, &weight, Some(&bias), &shape);
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() < 1e-5, "{shape:?}: {g} for {w}");
            }
        }
    }
}
