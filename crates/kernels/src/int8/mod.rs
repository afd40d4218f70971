//! Linear layers and convolutions in 8-bit integers.
//!
//! Weights are quantised once, symmetrically, with a scale for each output: `w ≈ scale · i8`.
//! Activations are quantised when a layer runs, with a scale and a zero point for each row of the
//! product: `x ≈ scale · (u8 − zero)`. A row is a token, a pixel, or a patch of a convolution; only
//! convolutions that gather pixels share one scale over the whole image. So no value depends on what
//! else is in the batch.
//!
//! Sums are exact 32-bit integers, so all instruction sets give the same bytes; biases, functions
//! and residuals are applied in `f32` (Jacob et al., "Quantization and training of neural networks
//! for efficient integer-arithmetic-only inference", 2018, section 2.3).

mod attention;
mod conv;
mod gemm;
mod level;
mod linear;
mod pack;
mod quantise;
mod winograd;

pub use attention::{attention, attention_scratch};
pub use conv::{ConvWeights, conv2d, conv2d_scratch};
pub use linear::{linear, linear_gated, linear_scratch};
pub use pack::{Gated, MAX_DEPTH, Packed};
