//! When weights take the form in which kernels read them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

/// In which form the weights of a model stay in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residency {
    /// As stored in the file (mapped, so that `f16` costs two bytes a value), packed each time an
    /// op uses them.
    Stored,
    /// Packed when an op first uses them, and kept so: faster for small models, and more memory.
    Packed,
}

/// The residency of a component's weights, and what packing them all takes.
#[derive(Debug, Clone)]
pub struct Packing {
    residency: Residency,
    bytes: Rc<Cell<u64>>,
}

impl Packing {
    /// With nothing counted yet.
    pub fn new(residency: Residency) -> Self {
        Self { residency, bytes: Rc::default() }
    }

    /// Bytes that the layers which were loaded with this keep at the most, beside their files.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// A place for a layer's packed weights of at most `bytes`.
    pub(super) fn place<T>(&self, bytes: usize) -> Place<T> {
        match self.residency {
            Residency::Stored => Place(None),
            Residency::Packed => {
                self.bytes.set(self.bytes.get() + bytes as u64);
                Place(Some(Mutex::new(None)))
            }
        }
    }
}

/// Where a layer keeps its packed weights, if it does.
#[derive(Debug)]
pub(super) struct Place<T>(Option<Mutex<Option<Arc<T>>>>);

impl<T> Place<T> {
    pub(super) fn keeps(&self) -> bool {
        self.0.is_some()
    }

    /// What is kept, where it `fits`; otherwise what `pack` makes, which is kept from then on.
    pub(super) fn get(&self, fits: impl Fn(&T) -> bool, pack: impl FnOnce() -> T) -> Arc<T> {
        let Some(place) = &self.0 else { return Arc::new(pack()) };
        let mut kept = place.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(weights) if fits(weights) => weights.clone(),
            _ => {
                let weights = Arc::new(pack());
                *kept = Some(weights.clone());
                weights
            }
        }
    }
}
