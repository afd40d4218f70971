//! CPU kernels for diffusion models, as safe functions over plain slices.
//!
//! Activations are `f32`, channels last: an image is `[height, width, channels]`, a sequence
//! `[tokens, channels]`, and every function works on one batch row at a time or on rows that do
//! not see each other. Work is split over the current rayon pool along boundaries that follow
//! the shape of one row alone, so the bytes of a result depend neither on the number of threads
//! nor on what else is in the batch.
//!
//! Lengths are checked with assertions: a wrong one is a mistake of the caller, never of its data.

mod activation;
mod attention;
mod conv;
mod dispatch;
mod linear;
mod math;
mod matmul;
mod norm;
mod parallel;
mod widen;

pub use activation::{add, add_to_channels, geglu, gelu, quick_gelu, silu};
pub use attention::{AttentionShape, attention, attention_scratch};
pub use conv::{ConvShape, conv2d, conv2d_scratch};
pub use dispatch::instruction_set;
pub use linear::{linear, linear_scratch};
pub use norm::{group_norm, layer_norm};
pub use widen::{Stored, taps_last_to_channels_last, widen};
