//! Elementwise operations.

use diffusion_kernels as kernels;

use super::{Shape, Tensor};

/// An activation that a configuration can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(x)`.
    Silu,
    /// `x · Φ(x)`, with the error function.
    Gelu,
    /// `x · sigmoid(1.702 x)`.
    QuickGelu,
}

/// Applies an activation.
pub fn activate(mut x: Tensor, activation: Activation) -> Tensor {
    if !x.is_planned() {
        match activation {
            Activation::Silu => kernels::silu(x.values_mut()),
            Activation::Gelu => kernels::gelu(x.values_mut()),
            Activation::QuickGelu => kernels::quick_gelu(x.values_mut()),
        }
    }
    x
}

/// SiLU of a plain vector.
pub fn silu_vector(mut x: Vec<f32>) -> Vec<f32> {
    kernels::silu(&mut x);
    x
}

/// `x + y`.
pub fn add(mut x: Tensor, y: &Tensor) -> Tensor {
    assert_eq!(x.shape(), y.shape(), "shapes of a sum");
    if !x.is_planned() {
        kernels::add(x.values_mut(), y.values());
    }
    x
}

/// Adds one vector of `channels` values to every pixel of each batch row.
pub fn add_to_channels(mut x: Tensor, rows: &[Vec<f32>]) -> Tensor {
    assert_eq!(x.shape().batch, rows.len(), "batch rows");
    if !x.is_planned() {
        for (i, row) in rows.iter().enumerate() {
            kernels::add_to_channels(x.row_mut(i), row);
        }
    }
    x
}

/// GEGLU: the first half of the channels times the GELU of the second half.
pub fn geglu(x: &Tensor) -> Tensor {
    let channels = x.shape().channels / 2;
    let mut out = Tensor::zeros(Shape { channels, ..x.shape() }, x.meter());
    if !x.is_planned() {
        kernels::geglu(out.values_mut(), x.values(), channels);
    }
    out
}

/// The channels of `x`, then those of `y`.
pub fn concat_channels(x: &Tensor, y: &Tensor) -> Tensor {
    let (a, b) = (x.shape().channels, y.shape().channels);
    assert_eq!(x.shape(), Shape { channels: a, ..y.shape() }, "shapes of a concatenation");
    let mut out = Tensor::zeros(Shape { channels: a + b, ..x.shape() }, x.meter());
    if !x.is_planned() {
        let pixels = out.values_mut().chunks_exact_mut(a + b);
        for ((out, x), y) in pixels.zip(x.values().chunks_exact(a)).zip(y.values().chunks_exact(b))
        {
            out[..a].copy_from_slice(x);
            out[a..].copy_from_slice(y);
        }
    }
    out
}
