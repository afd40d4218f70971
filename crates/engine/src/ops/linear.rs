//! Fully connected layers.

use std::sync::Arc;

use diffusion_kernels as kernels;
use diffusion_kernels::{Activation, Epilogue, Packed, Then};

use super::packing::{Packing, Place};
use super::{Shape, Tensor};
use crate::Result;
use crate::weights::{Param, Weights};

/// A fully connected layer, `[out_features, in_features]`.
#[derive(Debug)]
pub struct Linear {
    weight: Param,
    packed: Place<Packed>,
    bias: Option<Vec<f32>>,
    in_features: usize,
    out_features: usize,
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
        packing: &Packing,
    ) -> Result<Self> {
        let weight = weights.get(&format!("{name}.weight"), &[out_features, in_features])?;
        let bias =
            bias.then(|| weights.vector(&format!("{name}.bias"), &[out_features])).transpose()?;
        let packed = packing.place(Packed::bytes_for(out_features, in_features));
        Ok(Self { weight, packed, bias, in_features, out_features })
    }

    fn weights(&self) -> Arc<Packed> {
        let (stored, bytes) = self.weight.stored();
        let pack = || Packed::linear(stored, bytes, self.out_features, self.in_features);
        self.packed.get(|_| true, pack)
    }

    /// Bytes that packing the weights takes for the time of one op.
    fn scratch(&self) -> usize {
        if self.packed.keeps() { 0 } else { Packed::bytes_for(self.out_features, self.in_features) }
    }

    /// The layer into `out`, which has the batch rows of `x`.
    fn apply(&self, out: &mut Tensor, x: &Tensor, then: Then<'_>) {
        let shape = x.shape();
        assert_eq!(shape.channels, self.in_features, "channels of a linear layer's input");
        assert_eq!(out.shape(), Shape { channels: self.out_features, ..shape }, "output shape");
        let _scratch = x.meter().take(self.scratch());
        if !x.is_planned() {
            let epilogue = Epilogue { bias: self.bias.as_deref(), then };
            let weights = self.weights();
            kernels::linear(out.values_mut(), x.values(), &weights, shape.batch, &epilogue);
        }
    }

    fn output(&self, x: &Tensor) -> Tensor {
        Tensor::empty(Shape { channels: self.out_features, ..x.shape() }, x.meter())
    }
}

/// `x · weightᵀ + bias` for every token of every batch row.
pub fn linear(x: &Tensor, layer: &Linear) -> Tensor {
    let mut out = layer.output(x);
    layer.apply(&mut out, x, Then::Store);
    out
}

/// A function of `x · weightᵀ + bias`.
pub fn linear_activated(x: &Tensor, layer: &Linear, activation: Activation) -> Tensor {
    let mut out = layer.output(x);
    layer.apply(&mut out, x, Then::Activate(activation));
    out
}

/// `y + x · weightᵀ + bias`, in the memory of `y`.
pub fn linear_plus(x: &Tensor, layer: &Linear, mut y: Tensor) -> Tensor {
    layer.apply(&mut y, x, Then::AddToOut);
    y
}

/// The layer applied to one plain vector, such as a timestep embedding.
pub fn linear_vector(x: &[f32], layer: &Linear) -> Vec<f32> {
    let mut out = vec![0.0; layer.out_features];
    let epilogue = Epilogue { bias: layer.bias.as_deref(), then: Then::Store };
    kernels::linear(&mut out, x, &layer.weights(), 1, &epilogue);
    out
}

/// A linear layer whose outputs are values and as many gates (diffusers' `GEGLU`).
#[derive(Debug)]
pub struct GatedLinear {
    weight: Param,
    packed: Place<kernels::Gated>,
    bias: Vec<f32>,
    in_features: usize,
    out_features: usize,
}

impl GatedLinear {
    /// Loads `{name}.weight`, `[2 · out_features, in_features]`, and `{name}.bias`.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(
        weights: &Weights,
        name: &str,
        (in_features, out_features): (usize, usize),
        packing: &Packing,
    ) -> Result<Self> {
        let weight = weights.get(&format!("{name}.weight"), &[2 * out_features, in_features])?;
        let bias = weights.vector(&format!("{name}.bias"), &[2 * out_features])?;
        let packed = packing.place(Packed::bytes_for(2 * out_features, in_features));
        Ok(Self { weight, packed, bias, in_features, out_features })
    }
}

/// GEGLU: `value · gelu(gate)`, where the layer gives the values, then the gates.
pub fn geglu(x: &Tensor, layer: &GatedLinear) -> Tensor {
    let (outputs, inputs) = (layer.out_features, layer.in_features);
    assert_eq!(x.shape().channels, inputs, "channels of a linear layer's input");
    let mut out = Tensor::empty(Shape { channels: outputs, ..x.shape() }, x.meter());
    let keeps = layer.packed.keeps();
    let scratch = if keeps { 0 } else { Packed::bytes_for(2 * outputs, inputs) };
    let _scratch = x.meter().take(scratch);
    if !x.is_planned() {
        let (stored, bytes) = layer.weight.stored();
        let pack = || kernels::Gated::new(stored, bytes, &layer.bias, outputs, inputs);
        let weights = layer.packed.get(|_| true, pack);
        kernels::linear_gated(out.values_mut(), x.values(), &weights);
    }
    out
}
