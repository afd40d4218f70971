//! Fully connected layers.

use diffusion_kernels as kernels;
use diffusion_kernels::{Activation, Epilogue, Packed, Then, int8};

use super::packing::{Form, Packing, Size};
use super::{Shape, Tensor};
use crate::Result;
use crate::weights::{Param, Weights};

/// A fully connected layer, `[out_features, in_features]`.
#[derive(Debug)]
pub struct Linear {
    weight: Param,
    packed: Form<Packed, int8::Packed>,
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
        let packed = packing.place(
            in_features,
            Size::Of(Packed::bytes_for(out_features, in_features)),
            || int8::Packed::bytes_for(out_features, in_features),
        );
        Ok(Self { weight, packed, bias, in_features, out_features })
    }

    /// Bytes that the layer takes for the time of one op over `rows` rows.
    fn scratch(&self, rows: usize) -> usize {
        let Self { in_features, out_features, .. } = *self;
        match &self.packed {
            Form::F32(place) if place.keeps() => 0,
            Form::F32(_) => Packed::bytes_for(out_features, in_features),
            Form::Int8(_) => int8::linear_scratch(rows, in_features),
        }
    }

    /// The layer over rows that make up `batch` batch rows.
    fn compute(&self, out: &mut [f32], x: &[f32], batch: usize, then: Then<'_>) {
        let Self { in_features, out_features, .. } = *self;
        let (stored, bytes) = self.weight.stored();
        let epilogue = Epilogue { bias: self.bias.as_deref(), then };
        match &self.packed {
            Form::F32(place) => {
                let pack = || Packed::linear(stored, bytes, out_features, in_features);
                kernels::linear(out, x, &place.get(|_| true, pack), batch, &epilogue);
            }
            Form::Int8(place) => {
                let pack = || int8::Packed::linear(stored, bytes, out_features, in_features);
                int8::linear(out, x, &place.get(|_| true, pack), batch, &epilogue);
            }
        }
    }

    /// The layer into `out`, which has the batch rows of `x`.
    fn apply(&self, out: &mut Tensor, x: &Tensor, then: Then<'_>) {
        let shape = x.shape();
        assert_eq!(shape.channels, self.in_features, "channels of a linear layer's input");
        assert_eq!(out.shape(), Shape { channels: self.out_features, ..shape }, "output shape");
        let _scratch = x.meter().take(self.scratch(shape.batch * shape.tokens()));
        if !x.is_planned() {
            self.compute(out.values_mut(), x.values(), shape.batch, then);
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
    layer.compute(&mut out, x, 1, Then::Store);
    out
}

/// A linear layer whose outputs are values and as many gates (diffusers' `GEGLU`).
#[derive(Debug)]
pub struct GatedLinear {
    weight: Param,
    packed: Form<kernels::Gated, int8::Gated>,
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
        let packed = packing.place(
            in_features,
            Size::Of(Packed::bytes_for(2 * out_features, in_features)),
            || int8::Packed::bytes_for(2 * out_features, in_features),
        );
        Ok(Self { weight, packed, bias, in_features, out_features })
    }
}

/// GEGLU: `value · gelu(gate)`, where the layer gives the values, then the gates.
pub fn geglu(x: &Tensor, layer: &GatedLinear) -> Tensor {
    let (outputs, inputs) = (layer.out_features, layer.in_features);
    assert_eq!(x.shape().channels, inputs, "channels of a linear layer's input");
    let mut out = Tensor::empty(Shape { channels: outputs, ..x.shape() }, x.meter());
    let rows = x.shape().batch * x.shape().tokens();
    let _scratch = x.meter().take(match &layer.packed {
        Form::F32(place) if place.keeps() => 0,
        Form::F32(_) => Packed::bytes_for(2 * outputs, inputs),
        Form::Int8(_) => int8::linear_scratch(rows, inputs),
    });
    if x.is_planned() {
        return out;
    }
    let (stored, bytes) = layer.weight.stored();
    match &layer.packed {
        Form::F32(place) => {
            let pack = || kernels::Gated::new(stored, bytes, &layer.bias, outputs, inputs);
            kernels::linear_gated(out.values_mut(), x.values(), &place.get(|_| true, pack));
        }
        Form::Int8(place) => {
            let pack = || int8::Gated::new(stored, bytes, &layer.bias, outputs, inputs);
            int8::linear_gated(out.values_mut(), x.values(), &place.get(|_| true, pack));
        }
    }
    out
}
