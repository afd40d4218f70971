//! The few operations that all models are written over.
//!
//! Layers own their weights as stored ([`crate::weights::Param`]) and hand kernels a packed form,
//! made when an op needs it and kept where there is room (see [`Packing`]). Today every op
//! runs on the CPU over `diffusion-kernels`; a second implementation (GPU) will stand behind the
//! same functions.

mod attention;
mod conv;
mod linear;
mod meter;
mod norm;
mod packing;
mod pointwise;
mod tensor;
mod tokens;

pub use attention::{KeyValue, attention, causal_attention, cross_attention};
pub use conv::{Conv2d, conv2d, conv2d_plus, conv2d_shifted, upsample_conv2d};
pub use diffusion_kernels::Activation;
pub use linear::{
    GatedLinear, Linear, geglu, linear, linear_activated, linear_plus, linear_vector,
};
pub use meter::{Meter, Taken};
pub use norm::{GroupNorm, LayerNorm, group_norm, group_norm_silu, layer_norm};
pub use packing::{Packing, Precision};
pub use pointwise::{concat_channels, repeat_rows, silu_vector};
pub use tensor::{Shape, Tensor};
pub use tokens::{concat_tokens, scale_tokens, sum};
