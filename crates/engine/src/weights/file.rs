//! The header of a safetensors file.
//!
//! The `safetensors` crate checks the header (size, JSON, offsets that tile the file exactly,
//! lengths that match shapes); this keeps its result as ranges of the mapped file.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use super::Bytes;
use crate::{Error, Result};

/// One tensor of a file.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its shape, outermost first.
    pub shape: Vec<usize>,
    pub(super) dtype: Dtype,
    pub(super) bytes: Bytes,
    /// Where its values lie in the file.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Entry {
    /// Its first bytes, at most 16.
    pub(super) fn head(&self) -> &[u8] {
        &self.bytes.as_slice()[self.start..self.end.min(self.start + 16)]
    }
}

/// Reads the header and gives every tensor with its name.
///
/// # Errors
/// The header is truncated, oversized, inconsistent, or not a safetensors header.
pub(super) fn read_header(bytes: &Bytes, path: &Path) -> Result<Vec<(String, Entry)>> {
    let all = bytes.as_slice();
    let tensors = SafeTensors::deserialize(all)
        .map_err(|e| Error::malformed(path, format!("not a valid safetensors file: {e}")))?;
    let base = all.as_ptr().addr();
    Ok(tensors
        .iter()
        .map(|(name, view)| {
            let start = view.data().as_ptr().addr() - base;
            let entry = Entry {
                shape: view.shape().to_vec(),
                dtype: view.dtype(),
                bytes: bytes.clone(),
                start,
                end: start + view.data().len(),
            };
            (name.to_owned(), entry)
        })
        .collect())
}
