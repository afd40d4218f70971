//! Convolutions.

use diffusion_kernels as kernels;
use diffusion_kernels::{ConvShape, ConvWeights, Epilogue, Then, int8};

use super::packing::{Form, Packing, Size};
use super::{Shape, Tensor};
use crate::Result;
use crate::weights::{Param, Weights};

/// A square convolution, `[out_channels, in_channels, kernel, kernel]` in its file.
#[derive(Debug)]
pub struct Conv2d {
    weight: Param,
    packed: Form<ConvWeights, int8::ConvWeights>,
    bias: Vec<f32>,
    in_channels: usize,
    out_channels: usize,
    kernel: usize,
    stride: usize,
    padding: (usize, usize),
}

/// Channels below which a convolution is always in `f32`.
const NARROW: usize = 64;

impl Conv2d {
    /// Loads `{name}.weight` and `{name}.bias` as a convolution of stride 1 that keeps the size.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(
        weights: &Weights,
        name: &str,
        (in_channels, out_channels): (usize, usize),
        kernel: usize,
        packing: &Packing,
    ) -> Result<Self> {
        let shape = [out_channels, in_channels, kernel, kernel];
        let weight = weights.get(&format!("{name}.weight"), &shape)?;
        let bias = weights.vector(&format!("{name}.bias"), &[out_channels])?;
        // 1×1 convolutions carry what skips around the others: an error there stays, and they are
        // a small part of the work. Narrow ones, which only small models have, made images part.
        let exact = kernel == 1 || in_channels.min(out_channels) < NARROW;
        let packing = if exact { &packing.in_f32() } else { packing };
        let packed = packing.place(
            kernel * kernel * in_channels,
            match ConvWeights::most_bytes(out_channels, in_channels, kernel) {
                bytes if kernel == 3 => Size::AtMost(bytes),
                bytes => Size::Of(bytes),
            },
            || int8::ConvWeights::most_bytes(out_channels, in_channels, kernel),
        );
        let padding = (kernel / 2, kernel / 2);
        Ok(Self { weight, packed, bias, in_channels, out_channels, kernel, stride: 1, padding })
    }

    /// With stride 2, and `before` zero rows and columns at the top and left, one at the bottom
    /// and right.
    pub fn halving(self, before: usize) -> Self {
        Self { stride: 2, padding: (before, 1), ..self }
    }

    fn shape(&self, x: Shape, input: (usize, usize)) -> ConvShape {
        assert_eq!(x.channels, self.in_channels, "channels of a convolution's input");
        ConvShape {
            source: (x.height, x.width),
            input,
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
        }
    }

    /// Bytes that the layer takes for the time of one op.
    fn scratch(&self, shape: &ConvShape, batch: usize) -> usize {
        match &self.packed {
            Form::F32(place) => {
                let packs = !place.keeps() && !shape.pays_unpacked(batch);
                let packing = if packs { ConvWeights::bytes_for(shape) } else { 0 };
                packing + kernels::conv2d_scratch(shape, batch)
            }
            Form::Int8(_) => int8::conv2d_scratch(shape, batch),
        }
    }

    fn compute(
        &self,
        out: &mut [f32],
        x: &[f32],
        (shape, batch): (&ConvShape, usize),
        epilogue: &Epilogue<'_>,
    ) {
        let (stored, bytes) = self.weight.stored();
        match &self.packed {
            Form::F32(place) => {
                let fits = |kept: &ConvWeights| kept.fits(shape);
                let pack = || ConvWeights::pack(stored, bytes, shape);
                if !shape.pays_unpacked(batch) {
                    kernels::conv2d(out, x, &place.get(fits, pack), shape, epilogue);
                } else if let Some(kept) = place.kept(fits, ConvWeights::bytes_for(shape), pack) {
                    kernels::conv2d(out, x, &kept, shape, epilogue);
                } else {
                    kernels::conv2d_stored(out, x, (stored, bytes), shape, epilogue);
                }
            }
            Form::Int8(place) => {
                let pack = || int8::ConvWeights::pack(stored, bytes, shape);
                let weights = place.get(|kept| kept.fits(shape), pack);
                int8::conv2d(out, x, &weights, shape, epilogue);
            }
        }
    }
}

/// The convolution of every image of the batch.
pub fn conv2d(x: &Tensor, layer: &Conv2d) -> Tensor {
    let Shape { height, width, .. } = x.shape();
    upsample_conv2d(x, (height, width), layer)
}

/// The convolution of every image, enlarged to `(height, width)` by nearest neighbour first.
pub fn upsample_conv2d(x: &Tensor, input: (usize, usize), layer: &Conv2d) -> Tensor {
    convolve(x, input, layer, &layer.bias, Then::Store)
}

/// The convolution of every image, and to every pixel of a batch row that row's `shifts`.
pub fn conv2d_shifted(x: &Tensor, layer: &Conv2d, shifts: &[Vec<f32>]) -> Tensor {
    let Shape { batch, height, width, .. } = x.shape();
    assert_eq!(batch, shifts.len(), "batch rows");
    let bias: Vec<f32> =
        shifts.iter().flat_map(|row| row.iter().zip(&layer.bias).map(|(s, b)| s + b)).collect();
    convolve(x, (height, width), layer, &bias, Then::Store)
}

/// `y` and the convolution of every image.
pub fn conv2d_plus(x: &Tensor, layer: &Conv2d, y: &Tensor) -> Tensor {
    let Shape { height, width, .. } = x.shape();
    convolve(x, (height, width), layer, &layer.bias, Then::AddTo(y.values()))
}

fn convolve(
    x: &Tensor,
    input: (usize, usize),
    layer: &Conv2d,
    bias: &[f32],
    then: Then<'_>,
) -> Tensor {
    let shape = layer.shape(x.shape(), input);
    let (height, width) = shape.output();
    let batch = x.shape().batch;
    let mut out =
        Tensor::empty(Shape { batch, height, width, channels: layer.out_channels }, x.meter());
    let _scratch = x.meter().take(layer.scratch(&shape, batch));
    if !x.is_planned() {
        let epilogue = Epilogue { bias: Some(bias), then };
        layer.compute(out.values_mut(), x.values(), (&shape, batch), &epilogue);
    }
    out
}
