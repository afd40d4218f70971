//! Which sample is served next, and with whom.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::super::task::TaskId;
use super::{Action, Entry, Group, Schedule, Sizes, Stage};

impl Schedule {
    /// The next action, if any active task's model is in memory.
    pub(super) fn choose(&self, sizes: &dyn Sizes) -> Option<Action> {
        let ready = self.active().filter(|(_, e)| self.models.is_resident(e.facts.group.model));
        let (&id, leader) = ready.min_by_key(|(id, entry)| {
            let facts = &entry.facts;
            (
                self.owners.served(&facts.owner),
                facts.priority,
                self.turns.served(&(facts.owner, facts.group)),
                entry.served,
                **id,
            )
        })?;
        Some(match leader.stage? {
            Stage::Begin => Action::Begin(id),
            Stage::Finish => Action::Finish(id),
            Stage::Step if leader.alone => Action::Step(vec![id]),
            Stage::Step => Action::Step(self.batch(id, leader, sizes)),
        })
    }

    /// The leader and those that step with it: in turn from each owner, by what they would have
    /// had of the device then.
    fn batch(&self, leader: TaskId, entry: &Entry, sizes: &dyn Sizes) -> Vec<TaskId> {
        let group = entry.facts.group;
        let most_rows = self.target(group);
        // For each owner, those served longest ago come last, to be popped.
        let mut others: BTreeMap<Option<Uuid>, Vec<(TaskId, &Entry)>> = BTreeMap::new();
        for (id, entry) in self.active() {
            let fits = entry.facts.group == group && entry.stage == Some(Stage::Step);
            if fits && *id != leader && !entry.alone {
                others.entry(entry.facts.owner).or_default().push((*id, entry));
            }
        }
        for tasks in others.values_mut() {
            tasks.sort_by_key(|(id, e)| std::cmp::Reverse((e.facts.priority, e.served, *id)));
        }
        let mut batch = vec![leader];
        let mut rows = entry.facts.rows;
        // What a row costs; any guess will do where nothing is known.
        let row = self.costs.estimate(group, 1).unwrap_or(1);
        let mut given: HashMap<Option<Uuid>, u64> = HashMap::new();
        given.insert(entry.facts.owner, row * entry.facts.rows as u64);
        while batch.len() < self.limits.batch && rows < most_rows {
            let next = others.keys().min_by_key(|owner| {
                let given = given.get(owner).copied().unwrap_or(0);
                (self.owners.served(owner).saturating_add(given), **owner)
            });
            let Some(owner) = next.copied() else { break };
            let Some(tasks) = others.get_mut(&owner) else { break };
            let Some((id, entry)) = tasks.pop() else {
                others.remove(&owner);
                continue;
            };
            let more = rows + entry.facts.rows;
            if more > most_rows || !self.may_step(group, batch.len() + 1, sizes) {
                break;
            }
            rows = more;
            batch.push(id);
            *given.entry(owner).or_default() += row * entry.facts.rows as u64;
        }
        batch
    }

    /// Whether a batch of so many samples stays within the memory.
    fn may_step(&self, group: Group, samples: usize, sizes: &dyn Sizes) -> bool {
        let Some(limit) = self.limits.memory else { return true };
        self.models.weights() + self.held(sizes) + sizes.step(group, samples) <= limit
    }

    /// What all active samples, the threads and work beside them keep, in bytes.
    pub(super) fn held(&self, sizes: &dyn Sizes) -> u64 {
        let held = self.active().map(|(_, entry)| sizes.held(entry.facts.group));
        self.beside + sizes.threads() + held.sum::<u64>()
    }
}
