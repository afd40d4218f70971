//! What the device does next: pure decisions, with neither threads nor models nor clocks.
//!
//! A task *waits* until it is admitted; then it is *active*: it is begun, stepped and finished.
//! Beginning (texts, VAE encoder) and finishing (VAE decoder) are actions of one sample, steps of
//! many. [`Schedule::next`] chooses, in this order,
//!
//! 1. which models to load and to drop (`residency.rs`),
//! 2. which tasks become active (`admit.rs`), within the memory,
//! 3. which sample is served (`choose.rs`): of the owner that has had least of the device
//!    (`shares.rs`), by priority, of the model and size that had least of that owner's time, the
//!    one that was served longest ago; and who shares its batch, as large as pays (`costs.rs`).

mod admit;
mod choose;
mod costs;
mod residency;
mod shares;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use uuid::Uuid;

use self::costs::Costs;
use self::residency::Residency;
use self::shares::Shares;
use super::task::TaskId;

/// A model, as a short name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ModelId(pub(super) u32);

/// Samples that can share a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) model: ModelId,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What is to be known of a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) owner: Option<Uuid>,
    pub(super) priority: u8,
    pub(super) age: u64,
    pub(super) group: Group,
    /// Rows that the sample takes of a batch.
    pub(super) rows: usize,
}

/// What is to be done with an active task next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Begin,
    Step,
    Finish,
}

/// One piece of work for the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Begin(TaskId),
    /// Samples of one group, as one batch.
    Step(Vec<TaskId>),
    Finish(TaskId),
}

impl Action {
    /// The tasks that it serves.
    pub(super) fn ids(&self) -> &[TaskId] {
        match self {
            Self::Begin(id) | Self::Finish(id) => std::slice::from_ref(id),
            Self::Step(ids) => ids,
        }
    }
}

/// What to do now, in the order of the fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// Models whose size is to be found out.
    pub(super) measure: Vec<ModelId>,
    /// Models to drop.
    pub(super) evict: Vec<ModelId>,
    /// Models to load, meanwhile.
    pub(super) load: Vec<ModelId>,
    pub(super) action: Option<Action>,
}

/// What the schedule may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Samples in one batch.
    pub(super) batch: usize,
    /// Bytes of weights and activations together.
    pub(super) memory: Option<u64>,
    /// Bytes of weights.
    pub(super) weights: Option<u64>,
    /// Rows of a batch, whatever was measured.
    #[cfg(test)]
    pub(super) rows: Option<usize>,
}

/// What samples take beside the weights, in bytes, as the models plan it.
pub(super) trait Sizes {
    /// Kept for each sample in flight.
    fn held(&self, group: Group) -> u64;
    /// On top while a sample is begun or finished.
    fn solo(&self, group: Group) -> u64;
    /// On top while a batch of `samples` steps.
    fn step(&self, group: Group, samples: usize) -> u64;
    /// What threads keep for themselves.
    fn threads(&self) -> u64;
}

/// A task in the schedule.
#[derive(Debug)]
struct Entry {
    facts: Facts,
    /// Waiting where there is none.
    stage: Option<Stage>,
    /// When it was admitted or served last, as a count.
    served: u64,
    /// Whether it shares no batch any more.
    alone: bool,
}

/// All tasks, and what is known of owners, groups and models.
#[derive(Debug)]
pub(super) struct Schedule {
    limits: Limits,
    tasks: BTreeMap<TaskId, Entry>,
    owners: Shares<Option<Uuid>>,
    /// The groups of each owner.
    turns: Shares<(Option<Uuid>, Group)>,
    costs: Costs,
    models: Residency,
    /// Bytes of work beside tasks.
    beside: u64,
    /// Counts services.
    clock: u64,
    /// Whether no task becomes active any more.
    closed: bool,
}

impl Schedule {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            tasks: BTreeMap::new(),
            owners: Shares::default(),
            turns: Shares::default(),
            costs: Costs::default(),
            models: Residency::default(),
            beside: 0,
            clock: 0,
            closed: false,
        }
    }

    /// A task comes and waits.
    pub(super) fn add(&mut self, id: TaskId, facts: Facts) {
        self.owners.enter(&facts.owner);
        self.turns.enter(&(facts.owner, facts.group));
        self.models.waiting(facts.group.model, true);
        self.tasks.insert(id, Entry { facts, stage: None, served: 0, alone: false });
    }

    /// A task goes, however it ended.
    pub(super) fn remove(&mut self, id: TaskId) {
        let Some(Entry { facts, stage, .. }) = self.tasks.remove(&id) else { return };
        self.owners.leave(&facts.owner);
        self.turns.leave(&(facts.owner, facts.group));
        match stage {
            Some(_) => self.models.active(facts.group.model, false),
            None => self.models.waiting(facts.group.model, false),
        }
    }

    /// What is next for an active task.
    pub(super) fn set_stage(&mut self, id: TaskId, stage: Stage) {
        if let Some(entry) = self.tasks.get_mut(&id).filter(|entry| entry.stage.is_some()) {
            entry.stage = Some(stage);
        }
    }

    /// Tasks that are active, and that wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        let active = self.active().count();
        (active, self.tasks.len() - active)
    }

    /// Lets no more tasks become active, and no more models be loaded.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// The size of a model is known.
    pub(super) fn measured(&mut self, model: ModelId, bytes: u64) {
        self.models.measured(model, bytes);
    }

    /// A model is in memory since `now`, after `nanos` of loading.
    pub(super) fn loaded(&mut self, model: ModelId, bytes: u64, now: u64, nanos: u64) {
        self.models.loaded(model, bytes, now, nanos);
    }

    /// A task shares no batch any more: one that it was in broke down.
    pub(super) fn set_alone(&mut self, id: TaskId) {
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.alone = true;
        }
    }

    /// A model was dropped after a panic. Its samples in flight bring it back.
    pub(super) fn dropped(&mut self, model: ModelId) {
        self.models.evict(model);
    }

    /// Takes `bytes` for work with a model beside its tasks, until they are released; `false` where
    /// there is no room.
    pub(super) fn hold(&mut self, model: ModelId, bytes: u64, sizes: &dyn Sizes) -> bool {
        let used = self.models.weights() + self.held(sizes) + self.work(sizes) + bytes;
        if self.limits.memory.is_some_and(|limit| used > limit) {
            return false;
        }
        self.beside += bytes;
        self.models.active(model, true);
        true
    }

    /// The end of what began with [`Schedule::hold`].
    pub(super) fn release(&mut self, model: ModelId, bytes: u64) {
        self.beside -= bytes;
        self.models.active(model, false);
    }

    /// A model could not be loaded.
    pub(super) fn lost(&mut self, model: ModelId) {
        self.models.lost(model);
    }

    /// What to do at `now`, in nanoseconds.
    pub(super) fn next(&mut self, now: u64, sizes: &dyn Sizes) -> Decision {
        let mut decision = Decision::default();
        if !self.closed {
            self.admit(now, sizes, &mut decision);
        }
        decision.action = self.choose(sizes);
        decision
    }

    /// Nanoseconds that an action will take, where it is known from others.
    pub(super) fn estimate(&self, action: &Action) -> Option<u64> {
        let Action::Step(ids) = action else { return None };
        let entries = || ids.iter().filter_map(|id| self.tasks.get(id));
        let group = entries().next()?.facts.group;
        self.costs.estimate(group, entries().map(|entry| entry.facts.rows).sum())
    }

    /// An action took `nanos`; gives each task's part of them.
    pub(super) fn ran(&mut self, action: &Action, nanos: u64) -> Vec<(TaskId, u64)> {
        let mut all = Vec::new();
        for id in action.ids() {
            if let Some(entry) = self.tasks.get_mut(id) {
                self.clock += 1;
                entry.served = self.clock;
                all.push((*id, entry.facts));
            }
        }
        let rows: usize = all.iter().map(|(_, facts)| facts.rows).sum();
        if let (Action::Step(_), Some((_, facts))) = (action, all.first()) {
            self.costs.observe(facts.group, rows, nanos);
        }
        let part = |facts: &Facts| nanos / rows.max(1) as u64 * facts.rows as u64;
        self.owners.charge(nanos, all.iter().map(|(_, facts)| (facts.owner, part(facts))));
        let turn = |facts: &Facts| (facts.owner, facts.group);
        self.turns.charge(nanos, all.iter().map(|(_, facts)| (turn(facts), part(facts))));
        all.iter().map(|(id, facts)| (*id, part(facts))).collect()
    }

    /// Rows that a batch of a group should have.
    fn target(&self, group: Group) -> usize {
        #[cfg(test)]
        if let Some(rows) = self.limits.rows {
            return rows;
        }
        self.costs.target(group)
    }

    fn active(&self) -> impl Iterator<Item = (&TaskId, &Entry)> {
        self.tasks.iter().filter(|(_, entry)| entry.stage.is_some())
    }
}
