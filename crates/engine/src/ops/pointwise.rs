//! Elementwise operations.

use diffusion_kernels as kernels;

use super::{Activation, Shape, Tensor};

/// SiLU of a plain vector.
pub fn silu_vector(mut x: Vec<f32>) -> Vec<f32> {
    kernels::activate(&mut x, Activation::Silu);
    x
}

/// The channels of `x`, then those of `y`.
pub fn concat_channels(x: &Tensor, y: &Tensor) -> Tensor {
    let (a, b) = (x.shape().channels, y.shape().channels);
    assert_eq!(x.shape(), Shape { channels: a, ..y.shape() }, "shapes of a concatenation");
    let mut out = Tensor::empty(Shape { channels: a + b, ..x.shape() }, x.meter());
    if !x.is_planned() {
        kernels::interleave(out.values_mut(), x.values(), y.values(), (a, b));
    }
    out
}

/// The batch rows `rows` of `x`, one after the other; each as often as it is named.
pub fn repeat_rows(x: &Tensor, rows: &[usize]) -> Tensor {
    let mut out = Tensor::empty(Shape { batch: rows.len(), ..x.shape() }, x.meter());
    if !out.is_planned() {
        for (to, &from) in rows.iter().enumerate() {
            out.row_mut(to).copy_from_slice(x.row(from));
        }
    }
    out
}
