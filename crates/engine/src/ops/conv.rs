//! Convolutions.

use std::borrow::Cow;

use diffusion_kernels as kernels;
use diffusion_kernels::ConvShape;

use super::{Residency, Shape, Tensor};
use crate::Result;
use crate::weights::{Param, Weights};

/// A square convolution, `[out_channels, in_channels, kernel, kernel]` in its file.
#[derive(Debug)]
pub struct Conv2d {
    weight: Filters,
    bias: Vec<f32>,
    in_channels: usize,
    out_channels: usize,
    kernel: usize,
    stride: usize,
    padding: (usize, usize),
}

/// A weight as the residency has it.
#[derive(Debug)]
enum Filters {
    Stored(Param),
    ChannelsLast(Vec<f32>),
}

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
        residency: Residency,
    ) -> Result<Self> {
        let shape = [out_channels, in_channels, kernel, kernel];
        let weight = weights.get(&format!("{name}.weight"), &shape)?;
        let weight = match residency {
            Residency::Widened => {
                Filters::ChannelsLast(weight.to_channels_last(in_channels, kernel * kernel))
            }
            Residency::Stored => Filters::Stored(weight),
        };
        let bias = weights.vector(&format!("{name}.bias"), &[out_channels])?;
        let padding = (kernel / 2, kernel / 2);
        Ok(Self { weight, bias, in_channels, out_channels, kernel, stride: 1, padding })
    }

    /// With stride 2, and `before` zero rows and columns at the top and left, one at the bottom
    /// and right.
    pub fn halving(self, before: usize) -> Self {
        Self { stride: 2, padding: (before, 1), ..self }
    }

    /// Channels of the result.
    pub fn out_channels(&self) -> usize {
        self.out_channels
    }

    fn channels_last(&self) -> Cow<'_, [f32]> {
        match &self.weight {
            Filters::ChannelsLast(values) => Cow::Borrowed(values),
            Filters::Stored(param) if self.kernel == 1 => param.as_f32(),
            Filters::Stored(param) => {
                Cow::Owned(param.to_channels_last(self.in_channels, self.kernel * self.kernel))
            }
        }
    }

    /// Bytes that [`Conv2d::channels_last`] allocates for the time of one op.
    fn scratch(&self) -> usize {
        match &self.weight {
            Filters::Stored(param) if self.kernel > 1 || param.in_place().is_none() => {
                4 * param.len()
            }
            _ => 0,
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
    let Shape { batch, height, width, channels } = x.shape();
    assert_eq!(channels, layer.in_channels, "channels of a convolution's input");
    let shape = ConvShape {
        source: (height, width),
        input,
        in_channels: layer.in_channels,
        out_channels: layer.out_channels,
        kernel: layer.kernel,
        stride: layer.stride,
        padding: layer.padding,
    };
    let (out_height, out_width) = shape.output();
    let mut out = Tensor::zeros(
        Shape { batch, height: out_height, width: out_width, channels: layer.out_channels },
        x.meter(),
    );
    let threads = rayon::current_num_threads();
    let _scratch = x.meter().take(layer.scratch() + threads * kernels::conv2d_scratch(&shape));
    if !x.is_planned() {
        let weight = layer.channels_last();
        for i in 0..batch {
            kernels::conv2d(out.row_mut(i), x.row(i), &weight, Some(&layer.bias), &shape);
        }
    }
    out
}
