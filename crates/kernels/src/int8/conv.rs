//! Convolutions over channels-last images.

use super::gemm::{Rows, gemm};
use super::level::Level;
use super::linear::{linear, linear_scratch};
use super::pack::Packed;
use super::quantise::{self, Quantum};
use crate::conv::{ConvShape, sources};
use crate::epilogue::{Epilogue, Target};
use crate::scratch::with_shared;
use crate::widen::Stored;

/// The quantised weights of one convolution.
#[derive(Debug)]
pub struct ConvWeights(Packed);

impl ConvWeights {
    /// Quantises the weight `[out_channels, in_channels, kernel · kernel]` of a file.
    pub fn pack(stored: Stored, bytes: &[u8], shape: &ConvShape) -> Self {
        Self::pack_at(Level::best(), stored, bytes, shape)
    }

    fn pack_at(level: Level, stored: Stored, bytes: &[u8], shape: &ConvShape) -> Self {
        let taps = shape.kernel * shape.kernel;
        let (outputs, inputs) = (shape.out_channels, shape.in_channels);
        Self(Packed::convolution_at(level, stored, bytes, outputs, inputs, taps))
    }

    /// Whether they serve images of this shape.
    pub fn fits(&self, _shape: &ConvShape) -> bool {
        true
    }

    /// The most bytes that [`ConvWeights::pack`] allocates for any size of image.
    pub fn most_bytes(outputs: usize, inputs: usize, kernel: usize) -> usize {
        Packed::bytes_for(outputs, kernel * kernel * inputs)
    }

    /// Bytes that [`ConvWeights::pack`] allocates.
    pub fn bytes_for(outputs: usize, inputs: usize, kernel: usize) -> usize {
        Packed::bytes_for(outputs, kernel * kernel * inputs)
    }
}

fn depth(shape: &ConvShape) -> usize {
    shape.kernel * shape.kernel * shape.in_channels
}

/// Every output pixel sees one input pixel, the one in its own place.
fn is_pointwise(shape: &ConvShape) -> bool {
    shape.kernel == 1 && shape.stride == 1 && shape.padding == (0, 0) && shape.source == shape.input
}

/// Bytes of working memory that [`conv2d`] takes for `batch` images, beside that of the threads.
pub fn conv2d_scratch(shape: &ConvShape, batch: usize) -> usize {
    let pixels = shape.source.0 * shape.source.1;
    if is_pointwise(shape) {
        linear_scratch(batch * pixels, shape.in_channels)
    } else {
        (batch * pixels * shape.in_channels).next_multiple_of(4) + batch * size_of::<Quantum>()
    }
}

/// `out[batch, height, width, out_channels]` of the images `x[batch, height, width, in_channels]`.
pub fn conv2d(
    out: &mut [f32],
    x: &[f32],
    weights: &ConvWeights,
    shape: &ConvShape,
    epilogue: &Epilogue<'_>,
) {
    shape.check();
    let (height, width) = shape.output();
    let image = shape.source.0 * shape.source.1 * shape.in_channels;
    let batch = x.len() / image;
    let weights = &weights.0;
    assert_eq!(x.len(), batch * image, "input is not a whole number of images");
    assert_eq!(out.len(), batch * height * width * shape.out_channels, "output length");
    assert_eq!((weights.depth(), weights.columns()), (depth(shape), shape.out_channels), "weights");
    if batch == 0 {
        return;
    }
    if is_pointwise(shape) {
        return linear(out, x, weights, batch, epilogue);
    }
    epilogue.check(out.len(), shape.out_channels, batch);
    let rows = batch * height * width;
    let target = Target::new(out, shape.out_channels, epilogue);
    with_shared(conv2d_scratch(shape, batch) / 4, |buffer| {
        let (quanta, bytes) = buffer.split_at_mut(batch * size_of::<Quantum>() / 4);
        let quanta: &mut [Quantum] = bytemuck::cast_slice_mut(quanta);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(bytes);
        let images = bytes.chunks_exact_mut(image).zip(x.chunks_exact(image));
        for (quantum, (bytes, x)) in quanta.iter_mut().zip(images) {
            *quantum = quantise::whole(bytes, x);
        }
        let patches = Patches {
            bytes,
            quanta,
            shape: *shape,
            rows: sources(shape.source.0, shape.input.0, shape.padding),
            columns: sources(shape.source.1, shape.input.1, shape.padding),
            pixels: height * width,
            width,
        };
        gemm(&patches, rows, weights.view(), |block| {
            for row in block.rows.clone() {
                let image = row / (height * width);
                // SAFETY: blocks are disjoint.
                #[allow(unsafe_code)]
                unsafe {
                    target.finish(row, image, block.columns.clone(), block.row(row));
                }
            }
        });
    });
}

/// What the filter sees at each pixel of each quantised image, `[taps, in_channels]`.
struct Patches<'a> {
    bytes: &'a [u8],
    /// For each image.
    quanta: &'a [Quantum],
    shape: ConvShape,
    /// The source row of each padded row, and the source column of each padded column.
    rows: Vec<Option<usize>>,
    columns: Vec<Option<usize>>,
    pixels: usize,
    width: usize,
}

impl Rows for Patches<'_> {
    #[inline(always)]
    fn copy(&self, row: usize, from: usize, out: &mut [u8]) {
        let ConvShape { source, in_channels, kernel, stride, .. } = self.shape;
        let (image, pixel) = (row / self.pixels, row % self.pixels);
        let (y, x) = (pixel / self.width * stride, pixel % self.width * stride);
        let zero = self.quanta[image].zero as u8;
        let image = &self.bytes[image * source.0 * source.1 * in_channels..];
        // Inside a picture that is not enlarged, one row of the filter lies in one piece.
        let inside = self.shape.input.1 == source.1
            && self.columns[x].is_some()
            && self.columns[x + kernel - 1].is_some();
        let piece = if inside { kernel * in_channels } else { in_channels };
        let end = (from + out.len()).min(depth(&self.shape));
        let mut out = &mut out[..end - from];
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
                _ => now.fill(zero),
            }
            at += now.len();
            out = rest;
        }
    }

    #[inline(always)]
    fn quantum(&self, row: usize) -> Quantum {
        self.quanta[row / self.pixels]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::tests::{reference, shapes};
    use crate::epilogue::Then;
    use crate::testing::values;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn int8_convolutions_match_the_definition_on_every_instruction_set() {
        for shape in shapes() {
            let x = values(shape.source.0 * shape.source.1 * shape.in_channels, 1);
            let weight = values(shape.out_channels * shape.kernel.pow(2) * shape.in_channels, 2);
            let bias = values(shape.out_channels, 3);
            let want = reference(&x, &weight, &bias, &shape);
            let mut first: Option<Vec<f32>> = None;
            for level in Level::available() {
                let weights = ConvWeights::pack_at(level, Stored::F32, &bytes(&weight), &shape);
                let mut got = vec![f32::NAN; want.len()];
                let epilogue = Epilogue { bias: Some(&bias), then: Then::Store };
                conv2d(&mut got, &x, &weights, &shape, &epilogue);
                let error: f32 = got.iter().zip(&want).map(|(g, w)| (g - w).powi(2)).sum();
                let error = (error / want.iter().map(|w| w * w).sum::<f32>()).sqrt();
                assert!(error < 0.02, "{level:?} {shape:?}: {error}");
                let first = first.get_or_insert_with(|| got.clone());
                assert_eq!(&got, first, "{level:?} {shape:?}");
            }
        }
    }

    #[test]
    fn int8_images_of_a_batch_are_as_if_alone() {
        for shape in shapes() {
            let size = shape.source.0 * shape.source.1 * shape.in_channels;
            let mut x = values(2 * size, 5);
            // Their scales are far apart.
            x[size..].iter_mut().for_each(|v| *v *= 100.0);
            let weight = values(shape.out_channels * shape.kernel.pow(2) * shape.in_channels, 2);
            let weights = ConvWeights::pack(Stored::F32, &bytes(&weight), &shape);
            let (height, width) = shape.output();
            let out_size = height * width * shape.out_channels;
            let run = |x: &[f32], threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut out = vec![f32::NAN; x.len() / size * out_size];
                pool.install(|| conv2d(&mut out, x, &weights, &shape, &Epilogue::default()));
                out
            };
            let both = run(&x, 3);
            assert_eq!(run(&x[..size], 1), both[..out_size], "{shape:?}");
            assert_eq!(run(&x[size..], 1), both[out_size..], "{shape:?}");
        }
    }
}
