//! Convolutions over channels-last images.

use super::gemm::gemm;
use super::level::Level;
use super::pack::Packed;
use super::quantise::{self, Quantum};
use super::winograd::{MAX_INPUTS, Transformed};
use crate::conv::direct::{Patches, depth, finish};
use crate::conv::{ConvShape, winograd};
use crate::epilogue::Epilogue;
use crate::gemm::Rows;
use crate::scratch::{Prepared, with_shared};
use crate::widen::Stored;

/// The quantised weights of one convolution, for images of one size.
#[derive(Debug)]
pub struct ConvWeights(Form);

#[derive(Debug)]
enum Form {
    /// For one matrix product.
    Direct(Packed),
    /// Transformed for F(2×2, 3×3): nearly twice as many values.
    Winograd(Transformed),
}

impl Prepared for ConvWeights {
    fn bytes(&self) -> usize {
        match &self.0 {
            Form::Direct(packed) => packed.bytes(),
            Form::Winograd(transformed) => transformed.bytes(),
        }
    }

    fn trim(&mut self) {
        match &mut self.0 {
            Form::Direct(packed) => packed.trim(),
            Form::Winograd(transformed) => transformed.trim(),
        }
    }
}

impl ConvWeights {
    /// Quantises the weight `[out_channels, in_channels, kernel · kernel]` of a file.
    pub fn pack(stored: Stored, bytes: &[u8], shape: &ConvShape) -> Self {
        Self::pack_at(Level::best(), stored, bytes, shape)
    }

    fn pack_at(level: Level, stored: Stored, bytes: &[u8], shape: &ConvShape) -> Self {
        shape.check();
        let (outputs, inputs) = (shape.out_channels, shape.in_channels);
        Self(if by_winograd(shape) {
            Form::Winograd(Transformed::new(level, stored, bytes, outputs, inputs))
        } else {
            let taps = shape.kernel * shape.kernel;
            Form::Direct(Packed::convolution_at(level, stored, bytes, outputs, inputs, taps))
        })
    }

    /// Whether they serve images of this shape.
    pub fn fits(&self, shape: &ConvShape) -> bool {
        matches!(self.0, Form::Winograd(_)) == by_winograd(shape)
    }

    /// The most bytes that [`ConvWeights::pack`] allocates for any size of image.
    pub fn most_bytes(outputs: usize, inputs: usize, kernel: usize) -> usize {
        if kernel == 3 && worth_transforming(outputs, inputs) {
            Transformed::bytes_for(outputs, inputs)
        } else {
            Packed::bytes_for(outputs, kernel * kernel * inputs)
        }
    }
}

/// Winograd's transform where it saves a third of the products at least, and its filters, twice as
/// large, cost little: a few tiles do not pay for reading them.
fn by_winograd(shape: &ConvShape) -> bool {
    let (height, width) = shape.output();
    let tiles = height.div_ceil(2) * width.div_ceil(2);
    shape.fits_winograd()
        && tiles >= MIN_TILES
        && 16 * 3 * tiles <= 9 * 2 * height * width
        && worth_transforming(shape.out_channels, shape.in_channels)
}

fn worth_transforming(outputs: usize, inputs: usize) -> bool {
    inputs.min(outputs) >= MIN_CHANNELS
        && inputs <= MAX_INPUTS
        && inputs.saturating_mul(outputs) <= MAX_FILTERS
}

/// Tiles of an image and channels below which direct products are as fast.
const MIN_TILES: usize = 64;
const MIN_CHANNELS: usize = 32;

/// Filters of one input and one output above which the direct form is kept, for its size.
const MAX_FILTERS: usize = 1280 * 960;

/// Bytes of working memory that [`conv2d`] takes for `batch` images, beside that of the threads.
pub fn conv2d_scratch(shape: &ConvShape, batch: usize) -> usize {
    if by_winograd(shape) {
        winograd::scratch::<Transformed>(shape, batch)
    } else {
        let values = batch * shape.source.0 * shape.source.1 * shape.in_channels;
        values.next_multiple_of(4) + batch * size_of::<Quantum>()
    }
}

/// As [`crate::conv2d`].
pub fn conv2d(
    out: &mut [f32],
    x: &[f32],
    weights: &ConvWeights,
    shape: &ConvShape,
    epilogue: &Epilogue<'_>,
) {
    let batch = shape.check_images(out, x, epilogue);
    match &weights.0 {
        _ if batch == 0 => {}
        Form::Direct(packed) => direct(out, x, packed, shape, batch, epilogue),
        Form::Winograd(filters) => winograd::conv2d(out, x, filters, shape, epilogue),
    }
}

fn direct(
    out: &mut [f32],
    x: &[f32],
    weights: &Packed,
    shape: &ConvShape,
    batch: usize,
    epilogue: &Epilogue<'_>,
) {
    let quantum_len = size_of::<Quantum>() / 4;
    with_shared(batch * quantum_len + x.len().div_ceil(4), |buffer| {
        let (quanta, bytes) = buffer.split_at_mut(batch * quantum_len);
        let quanta: &mut [Quantum] = bytemuck::cast_slice_mut(quanta);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(bytes);
        let each = x.len() / batch;
        let images = bytes.chunks_exact_mut(each).zip(x.chunks_exact(each));
        for (quantum, (bytes, x)) in quanta.iter_mut().zip(images) {
            *quantum = quantise::whole(bytes, x);
        }
        let zero = |image: usize| quanta[image].zero as u8;
        let patches = Bytes { patches: Patches::new(bytes, shape, zero), depth: depth(shape) };
        let quantum = |row| quanta[patches.patches.image(row)];
        finish(out, shape, epilogue, (weights.depth(), weights.columns()), |rows, finish| {
            gemm(&patches, quantum, rows, weights, finish);
        });
    });
}

/// Patches of bytes, as the groups in which they are multiplied.
struct Bytes<'a, P> {
    patches: Patches<'a, u8, P>,
    depth: usize,
}

impl<P: Fn(usize) -> u8 + Sync> Rows<[u8; 4]> for Bytes<'_, P> {
    #[inline(always)]
    fn copy(&self, row: usize, from: usize, out: &mut [[u8; 4]]) {
        let bytes = out.as_flattened_mut();
        // What the last group lacks meets weights of zero.
        let len = bytes.len().min(self.depth - 4 * from);
        self.patches.gather(row, 4 * from, &mut bytes[..len]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::tests::{reference, shapes};
    use crate::epilogue::Then;
    use crate::testing::values;

    fn all_shapes() -> Vec<ConvShape> {
        let mut all = shapes();
        let wide = ConvShape {
            source: (33, 30),
            input: (33, 30),
            in_channels: 70,
            out_channels: 101,
            kernel: 3,
            stride: 1,
            padding: (1, 1),
        };
        if !cfg!(miri) {
            all.extend([wide, ConvShape { source: (17, 20), input: (33, 40), ..wide }]);
            assert!(all[all.len() - 2..].iter().all(by_winograd));
        }
        all
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn int8_convolutions_match_the_definition_on_every_instruction_set() {
        for shape in all_shapes() {
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
        for shape in all_shapes() {
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
