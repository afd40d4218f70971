//! When weights take the form in which kernels read them.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use diffusion_kernels::{Prepared, int8};

use crate::Error;

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
///
/// Weights lie in their file as stored: mapped, so that `f16` costs two bytes a value. What is packed
/// is kept as far as there is room, and otherwise made, or transformed while it is used, each time that
/// an op needs it. Layers whose
/// form never changes have their room from the start; 3×3 convolutions, whose form and size follow
/// the image, share what is left, in the order in which they first run.
#[derive(Debug, Clone)]
pub struct Packing {
    precision: Precision,
    budget: Arc<Budget>,
}

#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes that may be kept in `f32`.
    all: u64,
    /// Those that no layer has for good.
    room: AtomicU64,
    /// Those that layers which share the room would take at the most.
    wanted: AtomicU64,
    /// Those of the room that are taken.
    taken: AtomicU64,
    /// Bytes that are kept in integers.
    int8: AtomicU64,
}

impl Budget {
    /// Takes bytes for good.
    fn reserve(&self, bytes: u64) -> bool {
        let reserve = |room: u64| room.checked_sub(bytes);
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve).is_ok()
    }

    /// Takes bytes of what is shared.
    fn take(&self, bytes: u64) -> bool {
        let room = self.room.load(Ordering::Relaxed);
        let take = |taken: u64| taken.checked_add(bytes).filter(|&taken| taken <= room);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Whether so many bytes of what is shared are left.
    fn has(&self, bytes: u64) -> bool {
        let [room, taken] = [&self.room, &self.taken].map(|of| of.load(Ordering::Relaxed));
        bytes <= room.saturating_sub(taken)
    }

    fn give_back(&self, bytes: u64) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Of what may be kept and of what is wanted of it, the bytes for those who share.
    fn shared(&self) -> [u64; 2] {
        [&self.room, &self.wanted].map(|bytes| bytes.load(Ordering::Relaxed))
    }
}

impl Packing {
    /// Keeps at most this many bytes of packed `f32` weights. Quantised weights are kept in any
    /// case: they are a quarter of `f32`, and quantising costs as much as some layers take to
    /// compute.
    pub fn new(keep: u64, precision: Precision) -> Self {
        let none = AtomicU64::default;
        let room = AtomicU64::new(keep);
        let budget = Budget { all: keep, room, wanted: none(), taken: none(), int8: none() };
        Self { precision, budget: Arc::new(budget) }
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
        let [room, wanted] = self.budget.shared();
        self.budget.all - room + wanted.min(room) + self.budget.int8.load(Ordering::Relaxed)
    }

    /// A place for a layer's packed weights, of this size in `f32`, or of `int8_bytes` at the most
    /// where the layer is to be quantised and its inner dimension is not too long.
    pub(super) fn place<F, Q>(
        &self,
        depth: usize,
        size: Size,
        int8_bytes: impl FnOnce() -> usize,
    ) -> Form<F, Q> {
        let budget = &self.budget;
        if self.precision == Precision::Int8 && depth <= int8::MAX_DEPTH {
            budget.int8.fetch_add(int8_bytes() as u64, Ordering::Relaxed);
            return Form::Int8(Place::Kept(Mutex::default()));
        }
        Form::F32(match size {
            Size::Of(bytes) if budget.reserve(bytes as u64) => Place::Kept(Mutex::default()),
            Size::Of(_) => Place::Made,
            Size::AtMost(bytes) => {
                budget.wanted.fetch_add(bytes as u64, Ordering::Relaxed);
                Place::Shared(Mutex::default(), budget.clone())
            }
        })
    }
}

/// Bytes of a layer's packed weights.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// Always.
    Of(usize),
    /// For any size of image.
    AtMost(usize),
}

/// The two forms of a layer's weights.
#[derive(Debug)]
pub(super) enum Form<F, Q> {
    F32(Place<F>),
    Int8(Place<Q>),
}

type Slot<T> = Mutex<Option<Arc<T>>>;

/// Where a layer keeps its packed weights.
#[derive(Debug)]
pub(super) enum Place<T> {
    /// Nowhere: they are made each time.
    Made,
    Kept(Slot<T>),
    /// Where there is room.
    Shared(Slot<T>, Arc<Budget>),
}

impl<T: Prepared> Place<T> {
    /// Whether weights of any size are kept.
    pub(super) fn keeps(&self) -> bool {
        match self {
            Self::Made => false,
            Self::Kept(_) => true,
            Self::Shared(_, budget) => {
                let [room, wanted] = budget.shared();
                wanted <= room
            }
        }
    }

    /// What is kept, where it `fits`; otherwise what `pack` makes, which has these bytes, if there is
    /// room to keep it from then on (unless somebody takes that room meanwhile).
    pub(super) fn kept(
        &self,
        fits: impl Fn(&T) -> bool,
        bytes: usize,
        pack: impl FnOnce() -> T,
    ) -> Option<Arc<T>> {
        let may = match self {
            Self::Made => false,
            Self::Kept(_) => true,
            Self::Shared(slot, budget) => {
                let mut kept = slot.lock().unwrap_or_else(PoisonError::into_inner);
                let fit = kept.as_ref().is_some_and(|weights| fits(weights));
                if !fit && let Some(old) = kept.take() {
                    budget.give_back(old.bytes() as u64);
                }
                fit || budget.has(bytes as u64)
            }
        };
        may.then(|| self.get(fits, pack))
    }

    /// What is kept, where it `fits`; otherwise what `pack` makes, which may be kept from then on.
    pub(super) fn get(&self, fits: impl Fn(&T) -> bool, pack: impl FnOnce() -> T) -> Arc<T> {
        let (slot, budget) = match self {
            Self::Made => return Arc::new(pack()),
            Self::Kept(slot) => (slot, None),
            Self::Shared(slot, budget) => (slot, Some(budget)),
        };
        let lock = || slot.lock().unwrap_or_else(PoisonError::into_inner);
        let give_back = |old: Option<Arc<T>>| {
            if let (Some(old), Some(budget)) = (old, budget) {
                budget.give_back(old.bytes() as u64);
            }
        };
        let mut kept = lock();
        if let Some(weights) = kept.as_ref().filter(|weights| fits(weights)) {
            return weights.clone();
        }
        give_back(kept.take());
        drop(kept);
        // Without the lock: while the threads pack, this one may be given another task that asks
        // for the same weights.
        let mut weights = pack();
        let mut kept = lock();
        give_back(kept.take());
        if budget.is_none_or(|budget| budget.take(weights.bytes() as u64)) {
            weights.trim();
            let weights = Arc::new(weights);
            *kept = Some(weights.clone());
            return weights;
        }
        Arc::new(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights of as many bytes.
    struct Of(usize);

    impl Prepared for Of {
        fn bytes(&self) -> usize {
            self.0
        }

        fn trim(&mut self) {}
    }

    fn place(packing: &Packing, size: Size) -> Place<Of> {
        match packing.place::<Of, Of>(1, size, || 7) {
            Form::F32(place) | Form::Int8(place) => place,
        }
    }

    /// Whether `place` packs again what it has just been asked for.
    fn packs_again(place: &Place<Of>, bytes: usize) -> bool {
        let mut again = false;
        place.get(|kept| kept.0 == bytes, || Of(bytes));
        place.get(
            |kept| kept.0 == bytes,
            || {
                again = true;
                Of(bytes)
            },
        );
        again
    }

    #[test]
    fn what_has_one_size_has_its_room_first_and_the_rest_is_shared() {
        let packing = Packing::new(100, Precision::F32);
        let first = place(&packing, Size::AtMost(90));
        let (fixed, large) = (place(&packing, Size::Of(40)), place(&packing, Size::Of(61)));
        let second = place(&packing, Size::AtMost(30));
        assert_eq!(packing.bytes(), 100);
        assert!(fixed.keeps() && !first.keeps() && !large.keeps());
        assert!(!packs_again(&fixed, 40) && packs_again(&large, 61));

        assert!(!packs_again(&first, 50));
        assert!(packs_again(&second, 11), "ten bytes are left");
        // Another size of image takes the place of the first.
        assert!(!packs_again(&first, 20));
        assert!(!packs_again(&second, 30));
        assert!(packs_again(&first, 31));
        assert!(!packs_again(&first, 30));
        // Asked for only if it is kept, nothing is packed in vain.
        let kept = |bytes| first.kept(|kept| kept.0 == bytes, bytes, || Of(bytes)).map(|w| w.0);
        assert_eq!([kept(30), kept(31), kept(29)], [Some(30), None, Some(29)]);
        // What no longer fits gives its room to others.
        assert_eq!(kept(31), None);
        assert!(!packs_again(&second, 60));
    }

    #[test]
    fn what_surely_fits_is_said_to_be_kept() {
        let packing = Packing::new(100, Precision::F32);
        let places = [place(&packing, Size::AtMost(50)), place(&packing, Size::Of(20))];
        assert!(places.iter().all(Place::keeps));
        assert_eq!(packing.bytes(), 70);
        let more = place(&packing, Size::AtMost(31));
        assert!(!more.keeps() && !places[0].keeps() && places[1].keeps());
        assert_eq!(packing.bytes(), 100);
    }

    #[test]
    fn integers_are_kept_beside() {
        let packing = Packing::new(0, Precision::Int8);
        assert!(place(&packing, Size::Of(40)).keeps());
        assert_eq!(packing.bytes(), 7);
        assert!(!place(&packing.in_f32(), Size::Of(40)).keeps());
    }
}
