//! The weights of a convolution in the form that its shape calls for.

use super::{ConvShape, winograd};
use crate::gemm::Packed;
use crate::simd::Level;
use crate::widen::Stored;

/// The weights of one convolution, for images of one size.
#[derive(Debug)]
pub enum ConvWeights {
    /// For one matrix product.
    Direct(Packed),
    /// Transformed for F(4×4, 3×3): four times as many values.
    Winograd(winograd::Transformed),
}

impl ConvWeights {
    /// Packs the weight `[out_channels, in_channels, kernel · kernel]` of a file.
    pub fn pack(stored: Stored, bytes: &[u8], shape: &ConvShape) -> Self {
        Self::pack_at(Level::best(), stored, bytes, shape)
    }

    pub(crate) fn pack_at(level: Level, stored: Stored, bytes: &[u8], shape: &ConvShape) -> Self {
        shape.check();
        let (outputs, inputs) = (shape.out_channels, shape.in_channels);
        if shape.by_winograd() {
            Self::Winograd(winograd::Transformed::new(level, stored, bytes, outputs, inputs))
        } else {
            let taps = shape.kernel * shape.kernel;
            Self::Direct(Packed::convolution_at(level, stored, bytes, outputs, inputs, taps))
        }
    }

    /// Whether they serve images of this shape.
    pub fn fits(&self, shape: &ConvShape) -> bool {
        matches!(self, Self::Winograd(_)) == shape.by_winograd()
    }

    /// The most bytes that [`ConvWeights::pack`] allocates for any size of image.
    pub fn most_bytes(outputs: usize, inputs: usize, kernel: usize) -> usize {
        let values = if kernel == 3 { winograd::POINTS } else { kernel * kernel };
        Packed::bytes_for(outputs, values * inputs)
    }

    /// Bytes that [`ConvWeights::pack`] allocates.
    pub fn bytes_for(shape: &ConvShape) -> usize {
        if shape.by_winograd() {
            winograd::POINTS * Packed::bytes_for(shape.out_channels, shape.in_channels)
        } else {
            Packed::bytes_for(shape.out_channels, shape.kernel * shape.kernel * shape.in_channels)
        }
    }
}
