//! When weights take the form in which kernels read them.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use diffusion_kernels::int8;

use crate::Error;

/// In which form the weights of a model stay in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residency {
    /// As stored in the file (mapped, so that `f16` costs two bytes a value), packed each time an
    /// op uses them.
    Stored,
    /// Packed when an op first uses them, and kept so: faster for small models, and more memory.
    Packed,
}

/// In which numbers the large layers of a model compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// `f32`.
    #[default]
    F32,
    /// 8-bit integers, with weights quantised per output and activations as they come. Faster and
    /// close, not equal: embeddings, norms, attention but for its scores, 1×1 and narrow
    /// convolutions, and the first and last convolutions stay in `f32`.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        })
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::F32, Self::Int8].into_iter().find(|known| known.to_string() == text).ok_or_else(
            || Error::Invalid(format!("{text:?} is no precision; there are f32 and int8")),
        )
    }
}

/// How the layers of a component keep their weights, and what packing them all takes.
#[derive(Debug, Clone)]
pub struct Packing {
    residency: Residency,
    precision: Precision,
    bytes: Rc<Cell<u64>>,
}

impl From<Residency> for Packing {
    fn from(residency: Residency) -> Self {
        Self::new(residency, Precision::F32)
    }
}

impl Packing {
    /// With nothing counted yet. Quantised weights are kept whatever the residency: they are a
    /// quarter of `f32`, and quantising costs as much as some layers take to compute.
    pub fn new(residency: Residency, precision: Precision) -> Self {
        Self { residency, precision, bytes: Rc::default() }
    }

    /// The same, for layers that stay in `f32`.
    pub fn in_f32(&self) -> Self {
        Self { precision: Precision::F32, ..self.clone() }
    }

    /// In which numbers the layers compute.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes that the layers which were loaded with this keep at the most, beside their files.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// A place for a layer's packed weights, of at most `bytes` in `f32`, or `int8_bytes` where the
    /// layer is to be quantised and its inner dimension is not too long.
    pub(super) fn place<F, Q>(
        &self,
        depth: usize,
        bytes: impl FnOnce() -> usize,
        int8_bytes: impl FnOnce() -> usize,
    ) -> Form<F, Q> {
        let kept = |bytes: usize| self.bytes.set(self.bytes.get() + bytes as u64);
        if self.precision == Precision::Int8 && depth <= int8::MAX_DEPTH {
            kept(int8_bytes());
            return Form::Int8(Place::keeping());
        }
        Form::F32(match self.residency {
            Residency::Stored => Place(None),
            Residency::Packed => {
                kept(bytes());
                Place::keeping()
            }
        })
    }
}

/// The two forms of a layer's weights.
#[derive(Debug)]
pub(super) enum Form<F, Q> {
    F32(Place<F>),
    Int8(Place<Q>),
}

/// Where a layer keeps its packed weights, if it does.
#[derive(Debug)]
pub(super) struct Place<T>(Option<Mutex<Option<Arc<T>>>>);

impl<T> Place<T> {
    fn keeping() -> Self {
        Self(Some(Mutex::new(None)))
    }

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
