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
mod epilogue;
mod gemm;
pub mod int8;
#[cfg(test)]
mod limits;
mod linear;
mod math;
mod norm;
mod parallel;
#[cfg(all(test, not(miri)))]
mod properties;
mod scratch;
mod simd;
#[cfg(test)]
mod testing;
mod widen;

pub use activation::{activate, interleave};
pub use attention::{AttentionShape, attention, attention_scratch};
pub use conv::{ConvShape, ConvWeights, conv2d, conv2d_scratch, conv2d_stored};
pub use epilogue::{Activation, Epilogue, Then};
pub use gemm::{Gated, Packed};
pub use linear::{linear, linear_gated};
pub use norm::{group_norm, layer_norm};
pub use scratch::Prepared;
pub use simd::instruction_set;
pub use widen::{Stored, widen};

/// Bytes of working memory that a thread keeps from call to call, at the most.
pub fn thread_scratch() -> usize {
    4 * (gemm::thread_values() + conv::winograd::thread_values(simd::Level::best()))
}
