//! Fully connected layers.

use std::borrow::Cow;

use diffusion_kernels as kernels;

use super::{Residency, Shape, Tensor};
use crate::Result;
use crate::weights::{Param, Weights};

/// A fully connected layer, `[out_features, in_features]`.
#[derive(Debug)]
pub struct Linear {
    weight: Matrix,
    bias: Option<Vec<f32>>,
    in_features: usize,
    out_features: usize,
}

/// A weight as the residency has it.
#[derive(Debug)]
enum Matrix {
    Stored(Param),
    Widened(Vec<f32>),
}

impl Linear {
    /// Loads `{name}.weight` and, where `bias` is set, `{name}.bias`.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(
        weights: &Weights,
        name: &str,
        (in_features, out_features): (usize, usize),
        bias: bool,
        residency: Residency,
    ) -> Result<Self> {
        let weight = weights.get(&format!("{name}.weight"), &[out_features, in_features])?;
        let bias =
            bias.then(|| weights.vector(&format!("{name}.bias"), &[out_features])).transpose()?;
        let weight = match residency {
            Residency::Widened => Matrix::Widened(weight.to_f32()),
            Residency::Stored => Matrix::Stored(weight),
        };
        Ok(Self { weight, bias, in_features, out_features })
    }

    fn widened(&self) -> Cow<'_, [f32]> {
        match &self.weight {
            Matrix::Stored(param) => param.as_f32(),
            Matrix::Widened(values) => Cow::Borrowed(values),
        }
    }

    /// Bytes that [`Linear::widened`] allocates for the time of one op.
    fn scratch(&self) -> usize {
        match &self.weight {
            Matrix::Stored(param) if param.in_place().is_none() => 4 * param.len(),
            _ => 0,
        }
    }
}

/// `x · weightᵀ + bias` for every token of every batch row.
pub fn linear(x: &Tensor, layer: &Linear) -> Tensor {
    let shape = x.shape();
    assert_eq!(shape.channels, layer.in_features, "channels of a linear layer's input");
    let mut out = Tensor::zeros(Shape { channels: layer.out_features, ..shape }, x.meter());
    let tiles = kernels::linear_scratch(shape.tokens(), layer.out_features);
    let _scratch = x.meter().take(layer.scratch() + rayon::current_num_threads() * tiles);
    if !x.is_planned() {
        let weight = layer.widened();
        for i in 0..shape.batch {
            kernels::linear(
                out.row_mut(i),
                x.row(i),
                &weight,
                layer.bias.as_deref(),
                layer.in_features,
                layer.out_features,
            );
        }
    }
    out
}

/// The layer applied to one plain vector, such as a timestep embedding.
pub fn linear_vector(x: &[f32], layer: &Linear) -> Vec<f32> {
    let mut out = vec![0.0; layer.out_features];
    let bias = layer.bias.as_deref();
    kernels::linear(&mut out, x, &layer.widened(), bias, layer.in_features, layer.out_features);
    out
}
