//! Convolution as one matrix product: a row of the left operand is what the filter sees at one
//! pixel, `[taps, in_channels]`, gathered when a block needs it.

use super::{ConvShape, sources};
use crate::epilogue::{Epilogue, Target};
use crate::gemm::{Block, Packed, Rows, gemm};

pub(super) fn conv2d(
    out: &mut [f32],
    x: &[f32],
    weights: &Packed,
    shape: &ConvShape,
    epilogue: &Epilogue<'_>,
) {
    let patches = Patches::new(x, shape, |_| 0.0);
    finish(out, shape, epilogue, (weights.depth(), weights.columns()), |rows, finish| {
        gemm(&patches, rows, weights.view(), finish);
    });
}

/// Hands every block of `product`, of weights of this depth and of these columns, to the epilogue.
pub(crate) fn finish(
    out: &mut [f32],
    shape: &ConvShape,
    epilogue: &Epilogue<'_>,
    weights: (usize, usize),
    product: impl FnOnce(usize, &(dyn Fn(Block<'_, f32>) + Sync)),
) {
    assert_eq!(weights, (depth(shape), shape.out_channels), "weights");
    let (height, width) = shape.output();
    let rows = out.len() / shape.out_channels;
    let target = Target::new(out, shape.out_channels, epilogue);
    product(rows, &|block| target.finish_block(&block, height * width));
}

/// What a filter of the shape sees.
pub(crate) fn depth(shape: &ConvShape) -> usize {
    shape.kernel * shape.kernel * shape.in_channels
}

/// What the filter sees at each pixel of each image.
pub(crate) struct Patches<'a, T, P> {
    x: &'a [T],
    shape: ConvShape,
    /// What each image is padded with.
    padding: P,
    /// The source row of each padded row, and the source column of each padded column.
    rows: Vec<Option<usize>>,
    columns: Vec<Option<usize>>,
    pixels: usize,
    width: usize,
}

impl<'a, T: Copy, P: Fn(usize) -> T> Patches<'a, T, P> {
    pub(crate) fn new(x: &'a [T], shape: &ConvShape, padding: P) -> Self {
        let (height, width) = shape.output();
        Self {
            x,
            shape: *shape,
            padding,
            rows: sources(shape.source.0, shape.input.0, shape.padding),
            columns: sources(shape.source.1, shape.input.1, shape.padding),
            pixels: height * width,
            width,
        }
    }

    /// The image that a row of the product belongs to.
    #[inline(always)]
    pub(crate) fn image(&self, row: usize) -> usize {
        row / self.pixels
    }

    /// Copies the values `from..from + out.len()` of row `row`.
    #[inline(always)]
    pub(crate) fn gather(&self, row: usize, from: usize, mut out: &mut [T]) {
        let ConvShape { source, in_channels, kernel, stride, .. } = self.shape;
        let (image, pixel) = (self.image(row), row % self.pixels);
        let (y, x) = (pixel / self.width * stride, pixel % self.width * stride);
        let padding = (self.padding)(image);
        let image = &self.x[image * source.0 * source.1 * in_channels..];
        // Inside a picture that is not enlarged, one row of the filter lies in one piece.
        let inside = self.shape.input.1 == source.1
            && self.columns[x].is_some()
            && self.columns[x + kernel - 1].is_some();
        let piece = if inside { kernel * in_channels } else { in_channels };
        let mut at = from;
        while !out.is_empty() {
            let skip = at % piece;
            let (now, rest) = out.split_at_mut((piece - skip).min(out.len()));
            let tap = at / in_channels;
            let (row, column) = (tap / kernel, if inside { 0 } else { tap % kernel });
            match (self.rows[y + row], self.columns[x + column]) {
                (Some(y), Some(x)) => {
                    let start = (y * source.1 + x) * in_channels + skip;
                    now.copy_from_slice(&image[start..][..now.len()]);
                }
                _ => now.fill(padding),
            }
            at += now.len();
            out = rest;
        }
    }
}

impl<P: Fn(usize) -> f32 + Sync> Rows<f32> for Patches<'_, f32, P> {
    #[inline(always)]
    fn copy(&self, row: usize, from: usize, out: &mut [f32]) {
        self.gather(row, from, out);
    }
}
