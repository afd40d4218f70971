//! Normalisation layers.

use diffusion_kernels as kernels;

use super::Tensor;
use crate::Result;
use crate::weights::Weights;

/// Group normalisation with weight and bias per channel.
#[derive(Debug)]
pub struct GroupNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    groups: usize,
    epsilon: f32,
}

impl GroupNorm {
    /// Loads `{name}.weight` and `{name}.bias`; `channels` must be a multiple of `groups`.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(
        weights: &Weights,
        name: &str,
        channels: usize,
        groups: usize,
        epsilon: f32,
    ) -> Result<Self> {
        Ok(Self {
            weight: weights.vector(&format!("{name}.weight"), &[channels])?,
            bias: weights.vector(&format!("{name}.bias"), &[channels])?,
            groups,
            epsilon,
        })
    }
}

/// Normalises every image over groups of channels.
pub fn group_norm(x: &Tensor, norm: &GroupNorm) -> Tensor {
    group_normalised(x, norm, false)
}

/// Normalises every image over groups of channels, then applies SiLU.
pub fn group_norm_silu(x: &Tensor, norm: &GroupNorm) -> Tensor {
    group_normalised(x, norm, true)
}

fn group_normalised(x: &Tensor, norm: &GroupNorm, silu: bool) -> Tensor {
    assert_eq!(x.shape().channels, norm.weight.len(), "channels of a group norm's input");
    let mut out = Tensor::empty(x.shape(), x.meter());
    if !x.is_planned() {
        let GroupNorm { weight, bias, groups, epsilon } = norm;
        for i in 0..x.shape().batch {
            let row = out.row_mut(i);
            kernels::group_norm(row, x.row(i), weight, bias, *groups, *epsilon, silu);
        }
    }
    out
}

/// Layer normalisation over channels, with weight and bias.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl LayerNorm {
    /// Loads `{name}.weight` and `{name}.bias`.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(weights: &Weights, name: &str, channels: usize, epsilon: f32) -> Result<Self> {
        Ok(Self {
            weight: weights.vector(&format!("{name}.weight"), &[channels])?,
            bias: weights.vector(&format!("{name}.bias"), &[channels])?,
            epsilon,
        })
    }
}

/// Normalises every token.
pub fn layer_norm(x: &Tensor, norm: &LayerNorm) -> Tensor {
    assert_eq!(x.shape().channels, norm.weight.len(), "channels of a layer norm's input");
    let mut out = Tensor::empty(x.shape(), x.meter());
    if !x.is_planned() {
        let values = out.values_mut();
        kernels::layer_norm(values, x.values(), &norm.weight, &norm.bias, norm.epsilon);
    }
    out
}
