//! Properties of the schedule, on a device that only counts.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::residency::State;
use super::*;

/// A device: what its models and groups cost, and what is in its memory.
#[derive(Debug, Clone)]
struct World {
    /// Bytes of weights of each model.
    weights: Vec<u64>,
    /// Models that cannot be loaded.
    broken: Vec<bool>,
    /// Nanoseconds of a row, by model; a pixel counts.
    row: Vec<u64>,
}

impl Sizes for World {
    fn held(&self, group: Group) -> u64 {
        u64::from(group.width)
    }
    fn solo(&self, group: Group) -> u64 {
        20 * u64::from(group.width)
    }
    fn step(&self, group: Group, samples: usize) -> u64 {
        u64::from(group.width) * (5 + 10 * samples as u64)
    }
    fn threads(&self) -> u64 {
        7
    }
}

impl World {
    fn nanos(&self, group: Group, rows: usize) -> u64 {
        self.row[group.model.0 as usize] * u64::from(group.width) * (1 + rows as u64)
    }

    /// What an action takes beside the weights and what is held.
    fn taken(&self, action: &Action, group: Group) -> u64 {
        match action {
            Action::Step(ids) => self.step(group, ids.len()),
            Action::Begin(_) | Action::Finish(_) => self.solo(group),
        }
    }
}

/// A task and when it comes, in actions.
#[derive(Debug, Clone)]
struct Coming {
    facts: Facts,
    steps: usize,
    at: usize,
    /// When it is cancelled, in actions.
    cancelled: Option<usize>,
}

const MODELS: u32 = 3;

fn coming() -> impl Strategy<Value = Coming> {
    let group = (0..MODELS, 1u32..4).prop_map(|(model, width)| Group {
        model: ModelId(model),
        width,
        height: 1,
    });
    let facts = (prop::option::of(0u128..4), 0u8..3, 0u64..100, group, 1usize..3);
    let cancelled = prop::option::weighted(0.1, 0usize..200);
    (facts, 1usize..6, 0usize..60, cancelled).prop_map(
        |((owner, priority, age, group, rows), steps, at, cancelled)| Coming {
            facts: Facts { owner: owner.map(Uuid::from_u128), priority, age, group, rows },
            steps,
            at,
            cancelled,
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let weights = prop::collection::vec(100u64..1000, MODELS as usize);
    let broken = prop::collection::vec(prop::bool::weighted(0.15), MODELS as usize);
    let row = prop::collection::vec(1u64..200, MODELS as usize);
    (weights, broken, row).prop_map(|(weights, broken, row)| World { weights, broken, row })
}

fn id(index: usize) -> TaskId {
    TaskId { job: Uuid::nil(), index: index as u32 }
}

/// A run of the device over the tasks that come.
struct Run<'a> {
    world: &'a World,
    schedule: Schedule,
    limits: Limits,
    tasks: &'a [Coming],
    /// Steps left of the samples that were begun.
    left: BTreeMap<TaskId, usize>,
    ended: BTreeSet<TaskId>,
    resident: BTreeSet<ModelId>,
    /// Measurements and loads under way.
    pending: Vec<(ModelId, bool)>,
    now: u64,
    /// Longest action so far.
    longest: u64,
    /// When each owner was last served, or had come.
    served: BTreeMap<Option<Uuid>, u64>,
}

impl<'a> Run<'a> {
    fn new(world: &'a World, limits: Limits, tasks: &'a [Coming]) -> Self {
        Self {
            world,
            schedule: Schedule::new(limits),
            limits,
            tasks,
            left: BTreeMap::new(),
            ended: BTreeSet::new(),
            resident: BTreeSet::new(),
            pending: Vec::new(),
            now: 0,
            longest: 0,
            served: BTreeMap::new(),
        }
    }

    fn facts(&self, id: TaskId) -> Facts {
        self.tasks[id.index as usize].facts
    }

    fn end(&mut self, id: TaskId) {
        self.left.remove(&id);
        self.schedule.remove(id);
        assert!(self.ended.insert(id), "{id:?} ends twice");
        let owner = self.facts(id).owner;
        if !self.schedule.tasks.values().any(|entry| entry.facts.owner == owner) {
            self.served.remove(&owner);
        }
    }

    /// Until all have ended. Returns the number of actions.
    fn go(&mut self) -> usize {
        let mut round = 0;
        while self.ended.len() < self.tasks.len() {
            assert!(round < 20_000, "no end: {:#?}", self.schedule);
            for (i, task) in self.tasks.iter().enumerate() {
                if task.at == round {
                    self.schedule.add(id(i), task.facts);
                    self.served.entry(task.facts.owner).or_insert(self.now);
                }
                let here = self.schedule.tasks.contains_key(&id(i));
                if here && task.cancelled.is_some_and(|at| at <= round) {
                    self.end(id(i));
                }
            }
            let decision = self.schedule.next(self.now, self.world);
            let idle = decision.action.is_none();
            self.apply(decision);
            if idle || round % 3 == 0 {
                self.answer();
            }
            round += 1;
        }
        round
    }

    fn apply(&mut self, decision: Decision) {
        for model in decision.evict {
            assert!(self.resident.remove(&model), "{model:?} is dropped and was not there");
            let used = self.schedule.active().any(|(_, e)| e.facts.group.model == model);
            assert!(!used, "{model:?} is in use");
        }
        self.pending.extend(decision.measure.into_iter().map(|model| (model, true)));
        self.pending.extend(decision.load.into_iter().map(|model| (model, false)));
        self.check_weights();
        if let Some(action) = decision.action {
            self.act(&action);
        }
    }

    fn check_weights(&self) {
        let loading = |model: &ModelId| self.schedule.models.state(*model) == State::Loading;
        let there: Vec<ModelId> = (0..MODELS)
            .map(ModelId)
            .filter(|model| self.resident.contains(model) || loading(model))
            .collect();
        let weights: u64 = there.iter().map(|model| self.world.weights[model.0 as usize]).sum();
        if let Some(limit) = self.limits.weights.filter(|_| there.len() > 1) {
            assert!(weights <= limit, "{weights} bytes of weights, {limit} allowed");
        }
    }

    fn act(&mut self, action: &Action) {
        let ids = action.ids();
        let group = self.facts(ids[0]).group;
        assert!(self.resident.contains(&group.model), "{group:?} is not in memory");
        assert!(ids.len() <= self.limits.batch);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        assert!(ids.iter().all(|id| self.facts(*id).group == group));
        if let Some(limit) = self.limits.memory {
            let held = self.schedule.held(self.world);
            let used = self.schedule.models.weights() + held + self.world.taken(action, group);
            // What does not even fit alone is tried alone, for the engine to refuse.
            let alone = self.schedule.active().count() == 1 && self.resident.len() == 1;
            assert!(used <= limit || alone, "{used} bytes, {limit} allowed");
        }
        let rows = ids.iter().map(|id| self.facts(*id).rows).sum();
        let nanos = self.world.nanos(group, rows);
        self.now += nanos;
        self.longest = self.longest.max(nanos);
        let parts = self.schedule.ran(action, nanos);
        assert_eq!(parts.len(), ids.len());
        assert!(parts.iter().map(|(_, part)| part).sum::<u64>() <= nanos);
        for id in ids.iter().copied() {
            let owner = self.facts(id).owner;
            self.served.insert(owner, self.now);
            match action {
                Action::Begin(_) => {
                    let steps = self.tasks[id.index as usize].steps;
                    assert!(self.left.insert(id, steps).is_none(), "begun twice");
                    self.schedule.set_stage(id, Stage::Step);
                }
                Action::Step(_) => {
                    let left = self.left.get_mut(&id).unwrap();
                    *left -= 1;
                    if *left == 0 {
                        self.schedule.set_stage(id, Stage::Finish);
                    }
                }
                Action::Finish(_) => {
                    assert_eq!(self.left[&id], 0);
                    self.end(id);
                }
            }
        }
    }

    /// One measurement or load is over.
    fn answer(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let (model, measured) = self.pending.remove(0);
        let index = model.0 as usize;
        if self.world.broken[index] {
            self.schedule.lost(model);
            let tasks = self.schedule.tasks.iter();
            let of_model = tasks.filter(|(_, entry)| entry.facts.group.model == model);
            for id in of_model.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.end(id);
            }
        } else if measured {
            self.schedule.measured(model, self.world.weights[index]);
        } else {
            self.schedule.loaded(model, self.world.weights[index], self.now, 100);
            self.resident.insert(model);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_task_ends_once_and_no_limit_is_passed(
        world in world(),
        tasks in prop::collection::vec(coming(), 1..40),
        batch in 1usize..9,
        memory in prop::option::of(100u64..3000),
        weights in prop::option::of(100u64..3000),
    ) {
        let limits = Limits { batch, memory, weights, rows: None };
        Run::new(&world, limits, &tasks).go();
    }

    #[test]
    fn no_owner_waits_long(
        world in world(),
        tasks in prop::collection::vec(coming(), 1..60),
        batch in 3usize..9,
    ) {
        let world = World { broken: vec![false; MODELS as usize], ..world };
        let limits = Limits { batch, memory: None, weights: None, rows: None };
        let mut run = Run::new(&world, limits, &tasks);
        for model in 0..MODELS {
            run.schedule.loaded(ModelId(model), 1, 0, 0);
            run.resident.insert(ModelId(model));
        }
        let mut round = 0;
        while run.ended.len() < tasks.len() {
            for (i, task) in tasks.iter().enumerate().filter(|(_, task)| task.at == round) {
                run.schedule.add(id(i), task.facts);
                let now = run.now;
                run.served.entry(task.facts.owner).or_insert(now);
            }
            let decision = run.schedule.next(run.now, &world);
            run.apply(decision);
            // Five owners; each can have two of the longest actions less than another, and one more.
            for (owner, served) in &run.served {
                let waited = run.now - served;
                prop_assert!(waited <= 15 * run.longest, "{owner:?} waits for {waited}");
            }
            round += 1;
        }
    }
}

fn facts(owner: u128, priority: u8, model: u32) -> Facts {
    let group = Group { model: ModelId(model), width: 1, height: 1 };
    Facts { owner: Some(Uuid::from_u128(owner)), priority, age: 0, group, rows: 1 }
}

fn long(facts: Facts, at: usize, steps: usize) -> Coming {
    Coming { facts, steps, at, cancelled: None }
}

/// Which tasks end, in order, on a device with all models in memory.
fn order(row: Vec<u64>, tasks: &[Coming]) -> Vec<u32> {
    let world = World { weights: vec![1; 3], broken: vec![false; 3], row };
    let limits = Limits { batch: 8, memory: None, weights: None, rows: None };
    let mut run = Run::new(&world, limits, tasks);
    let mut ends = Vec::new();
    let mut before = BTreeSet::new();
    for model in 0..MODELS {
        run.schedule.loaded(ModelId(model), 1, 0, 0);
        run.resident.insert(ModelId(model));
    }
    for round in 0..10_000 {
        if ends.len() == tasks.len() {
            break;
        }
        for (i, task) in tasks.iter().enumerate().filter(|(_, task)| task.at == round) {
            run.schedule.add(id(i), task.facts);
        }
        let decision = run.schedule.next(run.now, &world);
        run.apply(decision);
        ends.extend(run.ended.difference(&before).map(|id| id.index));
        before = run.ended.clone();
    }
    assert_eq!(ends.len(), tasks.len());
    ends
}

#[test]
fn one_job_does_not_wait_behind_anothers_hundred() {
    let mut tasks: Vec<Coming> = (0..100).map(|_| long(facts(1, 1, 0), 0, 10)).collect();
    tasks.push(long(facts(2, 1, 0), 100, 10));
    let ends = order(vec![1, 1, 1], &tasks);
    let place = ends.iter().position(|index| *index == 100).unwrap();
    assert!(place < 40, "it ends as number {place}");
}

#[test]
fn the_urgent_of_one_owner_overtake_the_others() {
    let mut tasks: Vec<Coming> = (0..50).map(|_| long(facts(1, 1, 0), 0, 10)).collect();
    tasks.push(long(facts(1, 0, 1), 30, 10));
    let ends = order(vec![1, 1, 1], &tasks);
    let place = ends.iter().position(|index| *index == 50).unwrap();
    assert!(place < 16, "it ends as number {place}");
}

#[test]
fn a_small_model_has_as_much_of_the_time_as_a_big_one() {
    let mut tasks: Vec<Coming> = (0..4).map(|_| long(facts(1, 1, 0), 0, 50)).collect();
    tasks.extend((0..4).map(|_| long(facts(1, 1, 1), 0, 50)));
    let ends = order(vec![1000, 1, 1], &tasks);
    assert_eq!(ends[..4].iter().filter(|index| **index >= 4).count(), 4, "{ends:?}");
}

#[test]
fn samples_of_one_size_step_together_once_it_pays() {
    let tasks: Vec<Coming> = (0..8).map(|i| long(facts(i, 1, 0), 0, 30)).collect();
    let world = World { weights: vec![1; 3], broken: vec![false; 3], row: vec![100; 3] };
    let limits = Limits { batch: 8, memory: None, weights: None, rows: None };
    // One row costs as two, so that eight together cost nine.
    let rounds = Run::new(&world, limits, &tasks).go();
    assert!(rounds < 8 * 32 / 2, "{rounds} actions");
}
