//! Weights that hold nothing and note what they are asked for.

use std::sync::{Arc, Mutex, PoisonError};

use safetensors::tensor::Dtype;

use super::{Bytes, Entry};

/// A tensor's name, and its shape.
pub type NamedShape = (String, Vec<usize>);

/// The tensors that were asked of [`super::Weights::listing`], in order.
#[derive(Debug, Clone, Default)]
pub struct Listing(Arc<Mutex<Vec<NamedShape>>>);

impl Listing {
    /// Takes the list out.
    pub fn take(&self) -> Vec<NamedShape> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a tensor, and gives zeros for it, which take no memory.
    pub(super) fn ask(&self, name: &str, shape: &[usize]) -> std::io::Result<Entry> {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.push((name.to_owned(), shape.to_vec()));
        let end = shape.iter().product::<usize>() * size_of::<u16>();
        let bytes = Bytes::zeros(end)?;
        Ok(Entry { shape: shape.to_vec(), dtype: Dtype::F16, bytes, start: 0, end })
    }
}
