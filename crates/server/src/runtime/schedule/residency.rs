//! Which models are in memory, which come, and which go for them.

use std::collections::HashMap;

use super::ModelId;

/// All models that were ever asked for.
#[derive(Debug, Default)]
pub(super) struct Residency {
    slots: HashMap<ModelId, Slot>,
    /// Counts uses, to tell the latest.
    uses: u64,
}

/// One model.
#[derive(Debug, Default)]
struct Slot {
    state: State,
    /// What its weights take at the most, once that is known.
    bytes: Option<u64>,
    /// Tasks that have not begun.
    waiting: usize,
    /// Samples in flight, and other uses.
    active: usize,
    last_used: u64,
    /// Until then it is not dropped while tasks wait for it, in nanoseconds.
    stays_until: u64,
}

/// Where a model is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not in memory.
    #[default]
    Absent,
    /// Its size is being found out.
    Measuring,
    /// Being loaded; its memory is taken.
    Loading,
    /// In memory.
    Resident,
}

/// A model stays for this many times as long as loading it took, while there is work for it: so
/// that two models with room for one spend a tenth of their time on changing places.
const STAY: u64 = 10;
/// Or for this long, if that is longer, in nanoseconds.
const LEAST_STAY: u64 = 2_000_000_000;

impl Residency {
    fn slot(&mut self, model: ModelId) -> &mut Slot {
        self.slots.entry(model).or_default()
    }

    pub(super) fn state(&self, model: ModelId) -> State {
        self.slots.get(&model).map_or(State::Absent, |slot| slot.state)
    }

    pub(super) fn bytes(&self, model: ModelId) -> Option<u64> {
        self.slots.get(&model)?.bytes
    }

    pub(super) fn is_resident(&self, model: ModelId) -> bool {
        self.state(model) == State::Resident
    }

    /// Counts tasks in and out.
    pub(super) fn waiting(&mut self, model: ModelId, come: bool) {
        let waiting = &mut self.slot(model).waiting;
        *waiting = if come { *waiting + 1 } else { waiting.saturating_sub(1) };
    }

    /// Counts samples in flight in and out.
    pub(super) fn active(&mut self, model: ModelId, come: bool) {
        self.uses += 1;
        let uses = self.uses;
        let slot = self.slot(model);
        slot.active = if come { slot.active + 1 } else { slot.active.saturating_sub(1) };
        slot.last_used = uses;
    }

    pub(super) fn measure(&mut self, model: ModelId) {
        self.slot(model).state = State::Measuring;
    }

    pub(super) fn measured(&mut self, model: ModelId, bytes: u64) {
        let slot = self.slot(model);
        slot.state = State::Absent;
        slot.bytes = Some(bytes);
    }

    pub(super) fn load(&mut self, model: ModelId) {
        self.slot(model).state = State::Loading;
    }

    /// It is in memory, after `nanos` of loading.
    pub(super) fn loaded(&mut self, model: ModelId, bytes: u64, now: u64, nanos: u64) {
        self.uses += 1;
        let uses = self.uses;
        let slot = self.slot(model);
        slot.state = State::Resident;
        slot.bytes = Some(bytes);
        slot.last_used = uses;
        slot.stays_until = now.saturating_add(nanos.saturating_mul(STAY).max(LEAST_STAY));
    }

    /// It is not in memory (any more), and what was known of it may be wrong.
    pub(super) fn lost(&mut self, model: ModelId) {
        let slot = self.slot(model);
        slot.state = State::Absent;
        slot.bytes = None;
    }

    /// It was dropped.
    pub(super) fn evict(&mut self, model: ModelId) {
        self.slot(model).state = State::Absent;
    }

    /// Bytes of all weights that are in memory or on their way.
    pub(super) fn weights(&self) -> u64 {
        let taken = |slot: &&Slot| matches!(slot.state, State::Loading | State::Resident);
        self.slots.values().filter(taken).filter_map(|slot| slot.bytes).sum()
    }

    /// The models to drop so that `shortage` bytes become free, least recently used first; `None`
    /// where those that nobody uses are not enough. `keep` is never among them.
    pub(super) fn evictions(&self, shortage: u64, keep: ModelId, now: u64) -> Option<Vec<ModelId>> {
        let mut idle: Vec<(&ModelId, &Slot)> = self
            .slots
            .iter()
            .filter(|(model, slot)| **model != keep && slot.is_evictable(now))
            .collect();
        idle.sort_by_key(|(model, slot)| (slot.waiting > 0, slot.last_used, **model));
        let mut freed = 0;
        let mut evicted = Vec::new();
        for (model, slot) in idle {
            if freed >= shortage {
                break;
            }
            freed += slot.bytes.unwrap_or(0);
            evicted.push(*model);
        }
        (freed >= shortage).then_some(evicted)
    }

    /// Whether another model than `model` has work and a right to stay.
    pub(super) fn is_anyone_staying(&self, model: ModelId, now: u64) -> bool {
        self.slots.iter().any(|(other, slot)| {
            *other != model
                && slot.state == State::Resident
                && slot.waiting + slot.active > 0
                && now < slot.stays_until
        })
    }

    /// Whether any model is in use or on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.slots.values().any(|slot| slot.active > 0 || slot.state == State::Loading)
    }

    /// All models that nobody uses, but for `keep`.
    pub(super) fn unused(&self, keep: ModelId) -> Vec<ModelId> {
        let unused = self.slots.iter().filter(|(model, slot)| {
            **model != keep && slot.state == State::Resident && slot.active == 0
        });
        unused.map(|(model, _)| *model).collect()
    }
}

impl Slot {
    fn is_evictable(&self, now: u64) -> bool {
        let wanted = self.waiting > 0 && now < self.stays_until;
        self.state == State::Resident && self.active == 0 && !wanted
    }
}
