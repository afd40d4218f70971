//! Which tasks become active, and which models come and go for them.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::super::task::TaskId;
use super::residency::State;
use super::{Decision, Entry, Facts, Group, ModelId, Schedule, Sizes, Stage};

/// Whether something fits into the memory.
enum Room {
    /// Yes, once these models are dropped.
    After(Vec<ModelId>),
    /// Not while others are in use.
    None,
}

impl Schedule {
    /// Admits what may begin, and asks for the models that are missing.
    pub(super) fn admit(&mut self, now: u64, sizes: &dyn Sizes, decision: &mut Decision) {
        self.bring_back(decision);
        while let Some(id) = self.admissible(now, sizes, decision) {
            self.clock += 1;
            if let Some(entry) = self.tasks.get_mut(&id) {
                entry.stage = Some(Stage::Begin);
                entry.served = self.clock;
                self.models.waiting(entry.facts.group.model, false);
                self.models.active(entry.facts.group.model, true);
            }
        }
    }

    /// Samples in flight whose model was lost need it again, whatever it takes.
    fn bring_back(&mut self, decision: &mut Decision) {
        let needed = self.active().map(|(_, entry)| entry.facts.group.model);
        let needed: BTreeSet<ModelId> = needed.collect();
        for model in needed {
            if self.models.state(model) == State::Absent {
                self.models.load(model);
                decision.load.push(model);
            }
        }
    }

    /// The first task that may become active now. Owners with the fewest samples in flight come
    /// first, then those that have had least of the device, then priority and age.
    fn admissible(
        &mut self,
        now: u64,
        sizes: &dyn Sizes,
        decision: &mut Decision,
    ) -> Option<TaskId> {
        let mut in_flight: HashMap<Option<Uuid>, usize> = HashMap::new();
        for (_, entry) in self.active() {
            *in_flight.entry(entry.facts.owner).or_default() += 1;
        }
        let active: usize = in_flight.values().sum();
        let order = |(id, entry): &(TaskId, &Entry)| {
            let facts = &entry.facts;
            let own = in_flight.get(&facts.owner).copied().unwrap_or(0);
            (own, self.owners.served(&facts.owner), facts.priority, facts.age, *id)
        };
        let waiting = self.tasks.iter().filter(|(_, entry)| entry.stage.is_none());
        let mut waiting: Vec<(TaskId, &Entry)> = waiting.map(|(id, e)| (*id, e)).collect();
        waiting.sort_by_key(order);
        let waiting: Vec<(TaskId, Facts)> = waiting.iter().map(|(id, e)| (*id, e.facts)).collect();
        for (id, facts) in waiting {
            if !self.has_turn(&facts, active) {
                continue;
            }
            let model = facts.group.model;
            let room = match self.models.state(model) {
                State::Measuring | State::Loading => continue,
                State::Resident => self.room_for_sample(&facts, now, sizes),
                State::Absent if self.models.bytes(model).is_none() && self.is_limited() => {
                    self.models.measure(model);
                    decision.measure.push(model);
                    continue;
                }
                State::Absent => self.room_for_model(model, now, sizes),
            };
            match room {
                Room::After(evicted) => {
                    evicted.iter().for_each(|model| self.models.evict(*model));
                    decision.evict.extend(evicted);
                    if self.models.is_resident(model) {
                        return Some(id);
                    }
                    self.models.load(model);
                    decision.load.push(model);
                }
                Room::None if self.models.is_anyone_staying(model, now) => {}
                // Nobody who comes later may take what this one waits for.
                Room::None => return None,
            }
        }
        None
    }

    /// Whether a task may be active beside the `active` ones, as far as memory allows: while its
    /// group wants more for its batches, and where its owner has nothing as urgent in flight.
    fn has_turn(&self, facts: &Facts, active: usize) -> bool {
        let of_group = self.active().filter(|(_, entry)| entry.facts.group == facts.group);
        let rows: usize = of_group.map(|(_, entry)| entry.facts.rows).sum();
        let wanted = rows < self.target(facts.group) && active < self.limits.batch;
        let served = |entry: &Entry| {
            entry.facts.owner == facts.owner && entry.facts.priority <= facts.priority
        };
        let entitled = active < 2 * self.limits.batch && !self.active().any(|(_, e)| served(e));
        wanted || entitled
    }

    fn is_limited(&self) -> bool {
        self.limits.memory.is_some() || self.limits.weights.is_some()
    }

    /// Room for another sample of a model in memory.
    fn room_for_sample(&self, facts: &Facts, now: u64, sizes: &dyn Sizes) -> Room {
        let Some(limit) = self.limits.memory else { return Room::After(Vec::new()) };
        let needed = self.models.weights()
            + self.held(sizes)
            + sizes.held(facts.group)
            + self.work(sizes).max(work(facts.group, sizes));
        let model = facts.group.model;
        match self.models.evictions(needed.saturating_sub(limit), model, now) {
            Some(evicted) => Room::After(evicted),
            // What does not even fit alone is refused by the engine, with the numbers.
            None if !self.models.is_busy() => Room::After(self.models.unused(model)),
            None => Room::None,
        }
    }

    /// Room for the weights of another model.
    fn room_for_model(&self, model: ModelId, now: u64, sizes: &dyn Sizes) -> Room {
        let weights = self.models.weights() + self.models.bytes(model).unwrap_or(0);
        let over =
            |limit: Option<u64>, needed: u64| limit.map_or(0, |limit| needed.saturating_sub(limit));
        let needed = weights + self.held(sizes) + self.work(sizes);
        let shortage = over(self.limits.weights, weights).max(over(self.limits.memory, needed));
        match self.models.evictions(shortage, model, now) {
            Some(evicted) => Room::After(evicted),
            None if !self.models.is_busy() => Room::After(self.models.unused(model)),
            None => Room::None,
        }
    }

    /// The most that an action of one of the active samples takes on top of what is kept.
    pub(super) fn work(&self, sizes: &dyn Sizes) -> u64 {
        let groups: BTreeSet<Group> = self.active().map(|(_, entry)| entry.facts.group).collect();
        groups.into_iter().map(|group| work(group, sizes)).max().unwrap_or(0)
    }
}

/// The most that an action of one sample takes on top of what is kept.
fn work(group: Group, sizes: &dyn Sizes) -> u64 {
    sizes.solo(group).max(sizes.step(group, 1))
}
