//! The few operations that all models are written over.
//!
//! Layers own their weights as stored ([`crate::weights::Param`]); an op widens them when it needs them, or once
//! at load where the model is small (see [`Residency`]). Today every op runs on the CPU over
//! `diffusion-kernels`; a second implementation (GPU) will stand behind the same functions.

mod attention;
mod conv;
mod linear;
mod meter;
mod norm;
mod pointwise;
mod tensor;

pub use attention::{KeyValue, attention, causal_attention, cross_attention};
pub use conv::{Conv2d, conv2d, upsample_conv2d};
pub use linear::{Linear, linear, linear_vector};
pub use meter::{Meter, Taken};
pub use norm::{GroupNorm, LayerNorm, group_norm, group_norm_silu, layer_norm};
pub use pointwise::{
    Activation, activate, add, add_to_channels, concat_channels, geglu, silu_vector,
};
pub use tensor::{Shape, Tensor};

/// In which form the weights of a model stay in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residency {
    /// As stored in the file (mapped, so that `f16` costs two bytes a value), widened each time
    /// an op uses them.
    Stored,
    /// Widened to `f32` once, at load: faster for small models, and more memory.
    Widened,
}
