//! One stored tensor, widened to `f32` when it is used.

use diffusion_kernels::{Stored, widen};
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

    /// How it is stored, and its bytes.
    pub(crate) fn stored(&self) -> (Stored, &[u8]) {
        (self.stored, self.stored_bytes())
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

    /// One row of a `[rows, width]` table, as `f32`.
    pub fn row(&self, index: usize, width: usize) -> Vec<f32> {
        let size = width * self.stored.bytes();
        let mut out = vec![0.0; width];
        widen(self.stored, &self.stored_bytes()[index * size..(index + 1) * size], &mut out);
        out
    }
}
