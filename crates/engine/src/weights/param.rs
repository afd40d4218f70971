//! One stored tensor, widened to `f32` when it is used.

use std::borrow::Cow;

use diffusion_kernels::{Stored, taps_last_to_channels_last, widen};
use safetensors::tensor::Dtype;

use super::{Bytes, Entry};

/// A tensor in its file: `f32`, `f16` or `bf16`.
#[derive(Debug, Clone)]
pub struct Param {
    bytes: Bytes,
    start: usize,
    end: usize,
    stored: Stored,
}

impl Param {
    pub(super) fn new(entry: &Entry) -> Result<Self, String> {
        let stored = match entry.dtype {
            Dtype::F32 => Stored::F32,
            Dtype::F16 => Stored::F16,
            Dtype::BF16 => Stored::Bf16,
            other => {
                return Err(format!("is stored as {other:?}; F32, F16 and BF16 are supported"));
            }
        };
        Ok(Self { bytes: entry.bytes.clone(), start: entry.start, end: entry.end, stored })
    }

    fn stored_bytes(&self) -> &[u8] {
        &self.bytes.as_slice()[self.start..self.end]
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        (self.end - self.start) / self.stored.bytes()
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The values as `f32`, in the order of the file.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.len()];
        widen(self.stored, self.stored_bytes(), &mut out);
        out
    }

    /// The values as `f32`, borrowed from the file where it stores them so.
    pub fn as_f32(&self) -> Cow<'_, [f32]> {
        match self.in_place() {
            Some(values) => Cow::Borrowed(values),
            None => Cow::Owned(self.to_f32()),
        }
    }

    /// The file's own memory, where it can serve as `f32` values.
    pub fn in_place(&self) -> Option<&[f32]> {
        if self.stored != Stored::F32 || cfg!(target_endian = "big") {
            return None;
        }
        bytemuck::try_cast_slice(self.stored_bytes()).ok()
    }

    /// A convolution's `[out, in, taps]` as `f32` in the order `[out, taps, in]`.
    pub fn to_channels_last(&self, in_channels: usize, taps: usize) -> Vec<f32> {
        let mut out = vec![0.0; self.len()];
        taps_last_to_channels_last(self.stored, self.stored_bytes(), &mut out, in_channels, taps);
        out
    }

    /// One row of a `[rows, width]` table, as `f32`.
    pub fn row(&self, index: usize, width: usize) -> Vec<f32> {
        let size = width * self.stored.bytes();
        let mut out = vec![0.0; width];
        widen(self.stored, &self.stored_bytes()[index * size..(index + 1) * size], &mut out);
        out
    }
}
