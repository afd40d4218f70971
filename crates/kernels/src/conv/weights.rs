//! The weights of a convolution in the form that its shape calls for.

use super::winograd::{Four, Transformed, Two};
use super::{ConvShape, Method};
use crate::gemm::Packed;
use crate::scratch::Prepared;
use crate::simd::Level;
use crate::widen::Stored;

/// The weights of one convolution, for images of one size.
#[derive(Debug)]
pub struct ConvWeights(pub(super) Form);

#[derive(Debug)]
pub(super) enum Form {
    /// For one matrix product.
    Direct(Packed),
    /// Transformed for F(2×2, 3×3): nearly twice as many values.
    Two(Transformed<Two>),
    /// Transformed for F(4×4, 3×3): four times as many values.
    Four(Transformed<Four>),
}

impl ConvWeights {
    /// Packs the weight `[out_channels, in_channels, kernel · kernel]` of a file.
    pub fn pack(stored: Stored, bytes: &[u8], shape: &ConvShape) -> Self {
        Self::pack_at(Level::best(), stored, bytes, shape)
    }

    pub(crate) fn pack_at(level: Level, stored: Stored, bytes: &[u8], shape: &ConvShape) -> Self {
        shape.check();
        let (outputs, inputs) = (shape.out_channels, shape.in_channels);
        Self(match shape.method() {
            Method::Direct => {
                let taps = shape.kernel * shape.kernel;
                Form::Direct(Packed::convolution_at(level, stored, bytes, outputs, inputs, taps))
            }
            Method::Two => Form::Two(Transformed::new(level, stored, bytes, outputs, inputs)),
            Method::Four => Form::Four(Transformed::new(level, stored, bytes, outputs, inputs)),
        })
    }

    fn method(&self) -> Method {
        match &self.0 {
            Form::Direct(_) => Method::Direct,
            Form::Two(_) => Method::Two,
            Form::Four(_) => Method::Four,
        }
    }

    /// Whether they serve images of this shape.
    pub fn fits(&self, shape: &ConvShape) -> bool {
        self.method() == shape.method()
    }

    /// The most bytes that [`ConvWeights::pack`] allocates for any size of image.
    pub fn most_bytes(outputs: usize, inputs: usize, kernel: usize) -> usize {
        if kernel == 3 {
            Transformed::<Four>::bytes_for(outputs, inputs)
        } else {
            Packed::bytes_for(outputs, kernel * kernel * inputs)
        }
    }

    /// Bytes that [`ConvWeights::pack`] allocates.
    pub fn bytes_for(shape: &ConvShape) -> usize {
        let (outputs, inputs) = (shape.out_channels, shape.in_channels);
        match shape.method() {
            Method::Direct => Packed::bytes_for(outputs, shape.kernel * shape.kernel * inputs),
            Method::Two => Transformed::<Two>::bytes_for(outputs, inputs),
            Method::Four => Transformed::<Four>::bytes_for(outputs, inputs),
        }
    }
}

impl Prepared for ConvWeights {
    fn bytes(&self) -> usize {
        match &self.0 {
            Form::Direct(packed) => packed.bytes(),
            Form::Two(filters) => filters.bytes(),
            Form::Four(filters) => filters.bytes(),
        }
    }

    fn trim(&mut self) {
        match &mut self.0 {
            Form::Direct(packed) => packed.trim(),
            Form::Two(filters) => filters.trim(),
            Form::Four(filters) => filters.trim(),
        }
    }
}
