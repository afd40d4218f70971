//! Convolution over channels-last images.
//!
//! A 3×3 convolution that keeps the size goes through Winograd's transform where that saves
//! enough ([`ConvShape::by_winograd`]); everything else is one matrix product whose left operand
//! is gathered from the image while it is read.

pub(crate) mod direct;
mod weights;
pub(crate) mod winograd;

pub use weights::ConvWeights;

use self::weights::Form;
use self::winograd::{Four, Transformed, Two, Untransformed};
use crate::epilogue::Epilogue;
use crate::parallel::volume;
use crate::simd::Level;
use crate::widen::Stored;

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

impl ConvShape {
    /// Height and width of the result.
    pub fn output(&self) -> (usize, usize) {
        let side = |n: usize| (n + self.padding.0 + self.padding.1 - self.kernel) / self.stride + 1;
        (side(self.input.0), side(self.input.1))
    }

    /// How it is computed: by the transform that leaves the fewest products, where it at least
    /// halves them and has so many tiles that its filters, larger than the weights, are worth
    /// reading. The shape of one image decides, so that bytes do not follow the batch.
    pub(crate) fn method(&self) -> Method {
        let (height, width) = self.output();
        let pays = |side: usize| {
            let tiles = height.div_ceil(side) * width.div_ceil(side);
            let points = (side + 2) * (side + 2);
            tiles >= MIN_TILES && 2 * points * tiles <= 9 * height * width
        };
        if !self.fits_winograd() || self.in_channels.min(self.out_channels) < MIN_CHANNELS {
            Method::Direct
        } else if pays(4) {
            Method::Four
        } else if pays(2) {
            Method::Two
        } else {
            Method::Direct
        }
    }

    /// Whether Winograd's transform is used.
    pub fn by_winograd(&self) -> bool {
        self.method() != Method::Direct
    }

    /// Whether [`conv2d_stored`] takes less time on the threads of this pool, for `batch` images, than
    /// packing the weights and [`conv2d`]: where the filters are transformed for all tiles at a time.
    pub fn pays_unpacked(&self, batch: usize) -> bool {
        match self.method() {
            Method::Direct => false,
            Method::Two => winograd::pays_untransformed::<Two>(self, batch),
            Method::Four => winograd::pays_untransformed::<Four>(self, batch),
        }
    }

    /// A 3×3 filter that keeps the size.
    pub(crate) fn fits_winograd(&self) -> bool {
        self.kernel == 3 && self.stride == 1 && self.padding == (1, 1)
    }

    pub(crate) fn check(&self) {
        assert!(
            self.in_channels > 0 && self.out_channels > 0 && self.kernel > 0 && self.stride > 0,
            "a layer of no size"
        );
        assert!(self.source.0 > 0 && self.source.1 > 0, "an image of no size");
        let padding = self.padding.0.checked_add(self.padding.1);
        for side in [self.input.0, self.input.1] {
            let padded = padding.and_then(|padding| padding.checked_add(side));
            let padded = padded.expect("a shape beyond all memory");
            assert!(padded >= self.kernel, "the filter is larger than the padded image");
        }
    }

    /// Checks the lengths of a convolution; returns the number of its images.
    pub(crate) fn check_images(&self, out: &[f32], x: &[f32], epilogue: &Epilogue<'_>) -> usize {
        self.check();
        let (height, width) = self.output();
        let image = volume(&[self.source.0, self.source.1, self.in_channels]);
        let batch = x.len() / image;
        assert_eq!(x.len(), batch * image, "input is not a whole number of images");
        let out_len = volume(&[batch, height, width, self.out_channels]);
        assert_eq!(out.len(), out_len, "output length");
        epilogue.check(out.len(), self.out_channels, batch);
        batch
    }
}

/// A way to compute a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// As one matrix product.
    Direct,
    /// By Winograd's F(2×2, 3×3).
    Two,
    /// By Winograd's F(4×4, 3×3).
    Four,
}

/// Channels and tiles of an image below which the transforms cost what they save.
const MIN_CHANNELS: usize = 16;
const MIN_TILES: usize = 16;

/// The source index that nearest-neighbour enlargement reads, as PyTorch's `nearest` computes it.
fn nearest(index: usize, source: usize, size: usize) -> usize {
    let scale = source as f32 / size as f32;
    ((index as f32 * scale) as usize).min(source - 1)
}

/// For each row (or column) of the padded input the row of the source, or none in the padding.
fn sources(source: usize, input: usize, padding: (usize, usize)) -> Vec<Option<usize>> {
    (0..padding.0 + input + padding.1)
        .map(|i| i.checked_sub(padding.0).filter(|&i| i < input).map(|i| nearest(i, source, input)))
        .collect()
}

/// Bytes of working memory that [`conv2d`] or [`conv2d_stored`] takes for `batch` images, beside that of the threads.
pub fn conv2d_scratch(shape: &ConvShape, batch: usize) -> usize {
    match shape.method() {
        Method::Direct => 0,
        Method::Two => winograd::scratch::<Transformed<Two>>(shape, batch),
        Method::Four => winograd::scratch::<Transformed<Four>>(shape, batch),
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
    if shape.check_images(out, x, epilogue) == 0 {
        return;
    }
    assert!(weights.fits(shape), "weights for images of another size");
    match &weights.0 {
        Form::Direct(packed) => direct::conv2d(out, x, packed, shape, epilogue),
        Form::Two(filters) => winograd::conv2d(out, x, filters, shape, epilogue),
        Form::Four(filters) => winograd::conv2d(out, x, filters, shape, epilogue),
    }
}

/// [`conv2d`] for weights `[out_channels, in_channels, 9]` as a file stores them, which are transformed
/// while they are used. The result has the same bytes.
///
/// Panics where the shape has no transform ([`ConvShape::by_winograd`]).
pub fn conv2d_stored(
    out: &mut [f32],
    x: &[f32],
    (stored, bytes): (Stored, &[u8]),
    shape: &ConvShape,
    epilogue: &Epilogue<'_>,
) {
    conv2d_stored_at(Level::best(), out, x, (stored, bytes), shape, epilogue);
}

pub(crate) fn conv2d_stored_at(
    level: Level,
    out: &mut [f32],
    x: &[f32],
    (stored, bytes): (Stored, &[u8]),
    shape: &ConvShape,
    epilogue: &Epilogue<'_>,
) {
    let batch = shape.check_images(out, x, epilogue);
    let (outputs, inputs) = (shape.out_channels, shape.in_channels);
    match shape.method() {
        Method::Direct => panic!("a convolution without a transform"),
        Method::Two => {
            let filters = Untransformed::<Two>::new(level, stored, bytes, outputs, inputs);
            if batch > 0 {
                winograd::conv2d(out, x, &filters, shape, epilogue);
            }
        }
        Method::Four => {
            let filters = Untransformed::<Four>::new(level, stored, bytes, outputs, inputs);
            if batch > 0 {
                winograd::conv2d(out, x, &filters, shape, epilogue);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::epilogue::Then;
    use crate::testing::{close, values};

    /// The definition, in f64. `weight` is `[out, in, taps]`.
    pub(crate) fn reference(x: &[f32], weight: &[f32], bias: &[f32], s: &ConvShape) -> Vec<f32> {
        let (oh, ow) = s.output();
        let mut out = Vec::new();
        let taps = s.kernel * s.kernel;
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
                                let tap = ky * s.kernel + kx;
                                let w = weight[(o * s.in_channels + c) * taps + tap];
                                sum += f64::from(v) * f64::from(w);
                            }
                        }
                    }
                    out.push(sum as f32);
                }
            }
        }
        out
    }

    pub(crate) fn shapes() -> Vec<ConvShape> {
        let base = ConvShape {
            source: (5, 7),
            input: (5, 7),
            in_channels: 3,
            out_channels: 18,
            kernel: 3,
            stride: 1,
            padding: (1, 1),
        };
        let wide = ConvShape { in_channels: 19, out_channels: 37, ..base };
        let all = vec![
            base,
            ConvShape { stride: 2, ..base },
            ConvShape { stride: 2, padding: (0, 1), ..base },
            ConvShape { input: (10, 14), ..base },
            ConvShape { input: (9, 13), ..base },
            ConvShape { kernel: 1, padding: (0, 0), ..base },
            ConvShape { source: (1, 1), input: (1, 1), ..base },
            ConvShape { source: (16, 17), input: (16, 17), ..wide },
            ConvShape { source: (8, 9), input: (16, 18), ..wide },
            ConvShape { source: (8, 9), input: (15, 17), ..wide },
            ConvShape { source: (2, 600), input: (2, 600), ..base },
            ConvShape { source: (33, 30), input: (33, 30), in_channels: 130, ..wide },
            ConvShape { source: (8, 9), input: (8, 9), ..wide },
            // Of several runs.
            ConvShape { source: (8, 8), input: (8, 8), in_channels: 530, ..wide },
            ConvShape { source: (16, 13), input: (16, 13), in_channels: 270, ..wide },
        ];
        // Interpreted, a few small ones must do, and the smallest of Winograd's transform.
        let few = [
            ConvShape { stride: 2, padding: (0, 1), out_channels: 5, ..base },
            ConvShape { source: (2, 3), input: (3, 5), out_channels: 9, ..base },
            ConvShape { source: (2, 3), input: (2, 3), kernel: 1, padding: (0, 0), ..base },
            ConvShape { source: (13, 14), input: (13, 14), in_channels: 16, ..base },
            ConvShape { source: (8, 8), input: (8, 8), in_channels: 16, ..base },
        ];
        if cfg!(miri) { few.to_vec() } else { all }
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn every_method_is_tested() {
        for method in [Method::Direct, Method::Two, Method::Four] {
            assert!(shapes().iter().any(|shape| shape.method() == method), "{method:?}");
        }
    }

    #[test]
    fn matches_the_definition_on_every_instruction_set() {
        for level in Level::available() {
            for shape in shapes() {
                let x = values(shape.source.0 * shape.source.1 * shape.in_channels, 1);
                let weight =
                    values(shape.out_channels * shape.kernel.pow(2) * shape.in_channels, 2);
                let bias = values(shape.out_channels, 3);
                let want = reference(&x, &weight, &bias, &shape);
                let weights = ConvWeights::pack_at(level, Stored::F32, &bytes(&weight), &shape);
                let mut got = vec![f32::NAN; want.len()];
                let epilogue = Epilogue { bias: Some(&bias), then: Then::Store };
                conv2d(&mut got, &x, &weights, &shape, &epilogue);
                close(&got, &want, 2e-5, &(level, shape));
                if shape.by_winograd() {
                    let (mut unpacked, stored) = (vec![f32::NAN; want.len()], bytes(&weight));
                    let stored = (Stored::F32, &*stored);
                    conv2d_stored_at(level, &mut unpacked, &x, stored, &shape, &epilogue);
                    assert_eq!(unpacked, got, "{level:?} {shape:?}");
                }
            }
        }
    }

    #[test]
    fn weights_stay_unpacked_where_all_tiles_are_computed_at_a_time() {
        let shape = |side, channels| ConvShape {
            source: (side, side),
            input: (side, side),
            in_channels: channels,
            out_channels: channels,
            kernel: 3,
            stride: 1,
            padding: (1, 1),
        };
        let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        on(2).install(|| {
            assert!(shape(16, 1280).pays_unpacked(2) && shape(8, 1280).pays_unpacked(2));
            assert!(!shape(64, 320).pays_unpacked(2) && !shape(512, 128).pays_unpacked(1));
            assert!(!shape(4, 1280).pays_unpacked(2), "a direct one");
        });
        // Not where there are too few panels for all threads.
        assert!(!on(100).install(|| shape(8, 1280).pays_unpacked(2)));
    }

    #[test]
    fn a_batch_gives_the_bytes_of_its_images() {
        let batch = if cfg!(miri) { 2 } else { 3 };
        // Interpreted, one run of Winograd's transform (in the test above) is all that there is time for.
        for shape in shapes().into_iter().filter(|shape| !cfg!(miri) || !shape.by_winograd()) {
            let size = shape.source.0 * shape.source.1 * shape.in_channels;
            let x = values(batch * size, 5);
            let weight = values(shape.out_channels * shape.kernel.pow(2) * shape.in_channels, 2);
            let weights = ConvWeights::pack(Stored::F32, &bytes(&weight), &shape);
            let (height, width) = shape.output();
            let out_size = height * width * shape.out_channels;
            let before = values(batch * out_size, 9);
            let bias = values(batch * shape.out_channels, 7);
            let run = |batch: std::ops::Range<usize>, threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut out = before[batch.start * out_size..batch.end * out_size].to_vec();
                let epilogue = Epilogue {
                    bias: Some(
                        &bias[batch.start * shape.out_channels..batch.end * shape.out_channels],
                    ),
                    then: Then::AddToOut,
                };
                pool.install(|| {
                    conv2d(
                        &mut out,
                        &x[batch.start * size..batch.end * size],
                        &weights,
                        &shape,
                        &epilogue,
                    );
                });
                out
            };
            let all = run(0..batch, batch);
            for i in 0..batch {
                assert_eq!(run(i..i + 1, 1), all[i * out_size..(i + 1) * out_size], "{shape:?}");
            }
        }
    }
}
