//! Linear layers, convolutions and the scores of attention in 8-bit integers.
//!
//! Weights are quantised once, symmetrically, with a scale for each output: `w ≈ scale · i8`.
//! Activations are quantised when a layer runs, with a scale and a zero point for each row of the
//! product: `x ≈ scale · (u8 − zero)`. A row is a token, or one of the points that Winograd's
//! transform makes of a patch; only convolutions that gather pixels share one scale over the whole
//! image. So no value depends on what else is in the batch.
//!
//! Sums are exact 32-bit integers, so every instruction set of `level.rs` gives the same bytes; biases,
//! functions and residuals are applied in `f32` (Jacob et al., "Quantization and training of neural
//! networks for efficient integer-arithmetic-only inference", 2018, section 2.3), and so are Winograd's
//! transforms and the softmax. The products themselves are those of `gemm/`.

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
