//! Convolution as one matrix product: a row of the left operand is what the filter sees at one
//! pixel, `[taps, in_channels]`, gathered when a block needs it.

use super::{ConvShape, sources};
use crate::epilogue::{Epilogue, Target};
use crate::gemm::{Packed, Rows, gemm};

pub(super) fn conv2d(
    out: &mut [f32],
    x: &[f32],
    weights: &Packed,
    shape: &ConvShape,
    epilogue: &Epilogue<'_>,
) {
    let depth = shape.kernel * shape.kernel * shape.in_channels;
    assert_eq!((weights.depth(), weights.columns()), (depth, shape.out_channels), "weights");
    let (height, width) = shape.output();
    let pixels = height * width;
    let patches = Patches {
        x,
        shape: *shape,
        rows: sources(shape.source.0, shape.input.0, shape.padding),
        columns: sources(shape.source.1, shape.input.1, shape.padding),
        pixels,
        width,
    };
    let rows = out.len() / shape.out_channels;
    let target = Target::new(out, shape.out_channels, epilogue);
    gemm(&patches, rows, weights.view(), |block| {
        for row in block.rows.clone() {
            // SAFETY: blocks are disjoint.
            #[allow(unsafe_code)]
            unsafe {
                target.finish(row, row / pixels, block.columns.clone(), block.row(row));
            }
        }
    });
}

/// What the filter sees at each pixel of each image.
struct Patches<'a> {
    x: &'a [f32],
    shape: ConvShape,
    /// The source row of each padded row, and the source column of each padded column.
    rows: Vec<Option<usize>>,
    columns: Vec<Option<usize>>,
    pixels: usize,
    width: usize,
}

impl Rows for Patches<'_> {
    #[inline(always)]
    fn copy(&self, row: usize, from: usize, mut out: &mut [f32]) {
        let ConvShape { source, in_channels, kernel, stride, .. } = self.shape;
        let (image, pixel) = (row / self.pixels, row % self.pixels);
        let (y, x) = (pixel / self.width * stride, pixel % self.width * stride);
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
                _ => now.fill(0.0),
            }
            at += now.len();
            out = rest;
        }
    }
}
