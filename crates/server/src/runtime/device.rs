//! The device thread: takes commands in between two actions, and does what the schedule says.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use diffusion_engine::{Error, Model, Plan};

use super::breakpoints::Breakpoints;
use super::events;
use super::flight::Flight;
use super::loader::Work;
use super::palette::Palette;
use super::schedule::{Action, Decision, Facts, Group, Limits, ModelId, Schedule};
use super::shelf::Shelf;
use super::task::{Failure, FailureKind, Outcome, Task, TaskId};
use super::unwind::caught;
use super::{Observer, Settings};

/// What the device thread is told.
#[derive(Debug)]
pub(super) enum Command {
    Submit(Box<Task>, events::Sender),
    /// With the end of the grace period.
    Drain(Instant),
    Measured(ModelId, Result<u64, Failure>),
    Loaded(ModelId, Result<Arc<Model>, Failure>, Duration),
    Fitted(ModelId, Result<Palette, Failure>, u64),
    Stop,
}

/// Everything that the device thread owns.
pub(super) struct Device {
    pub(super) settings: Settings,
    pub(super) breakpoints: Breakpoints,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) loader: Sender<Work>,
    pub(super) schedule: Schedule,
    pub(super) shelf: Shelf,
    pub(super) flights: HashMap<TaskId, Flight>,
    started: Instant,
    /// The end of the grace period, once there is one.
    draining: Option<Instant>,
    stopped: bool,
}

impl Device {
    pub(super) fn new(
        settings: Settings,
        breakpoints: Breakpoints,
        observer: Arc<dyn Observer>,
        loader: Sender<Work>,
    ) -> Self {
        let limits = Limits {
            batch: settings.max_batch.max(1),
            memory: settings.engine.options().memory_limit,
            weights: settings.models_limit,
            #[cfg(test)]
            rows: breakpoints.rows,
        };
        Self {
            settings,
            breakpoints,
            observer,
            loader,
            schedule: Schedule::new(limits),
            shelf: Shelf::default(),
            flights: HashMap::new(),
            started: Instant::now(),
            draining: None,
            stopped: false,
        }
    }

    /// Works until it is stopped; then suspends what is in flight.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            while let Ok(command) = commands.try_recv() {
                self.take(command);
            }
            if self.stopped {
                break;
            }
            self.let_go();
            let now = self.started.elapsed().as_nanos() as u64;
            let decision = self.schedule.next(now, &self.shelf);
            let action = self.apply(decision);
            self.report();
            if let Some(action) = action {
                if self.is_in_time(&action) {
                    self.act(&action);
                } else {
                    action.ids().iter().for_each(|id| self.suspend(*id));
                }
                continue;
            }
            if self.draining.is_some() {
                // What is left waits for a model, and none are loaded any more.
                self.suspend_all(|_| true);
            }
            match commands.recv() {
                Ok(command) => self.take(command),
                Err(_) => break,
            }
        }
        self.suspend_all(|_| true);
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Submit(task, events) => self.submit(*task, events),
            Command::Drain(end) => {
                self.draining = Some(self.draining.map_or(end, |earlier| earlier.min(end)));
                self.schedule.close();
                self.suspend_all(|flight| flight.sample.is_none());
            }
            Command::Measured(id, Ok(bytes)) => self.schedule.measured(id, bytes),
            Command::Measured(id, Err(failure)) => self.load_failed(id, &failure),
            Command::Loaded(id, Ok(model), took) => self.loaded(id, model, took),
            Command::Loaded(id, Err(failure), _) => self.load_failed(id, &failure),
            Command::Fitted(id, palette, bytes) => self.fitted(id, palette, bytes),
            Command::Stop => self.stopped = true,
        }
    }

    fn submit(&mut self, task: Task, events: events::Sender) {
        if self.draining.is_some() {
            return events.finish(Outcome::Suspended(None));
        }
        let id = task.id;
        self.end(id, Outcome::Cancelled);
        let Plan { width, height, .. } = task.plan;
        let group = Group { model: self.shelf.id(&task.model), width, height };
        let model = self.shelf.loaded(group.model);
        let facts = Facts {
            owner: task.owner,
            priority: task.priority,
            age: task.age,
            group,
            rows: if task.plan.is_guided() { 2 } else { 1 },
        };
        if self.flights.values().all(|flight| flight.group != group) {
            self.shelf.shorten(group);
        }
        self.flights.insert(id, Flight::new(task, group, events));
        self.schedule.add(id, facts);
        if let Some(model) = model {
            self.check(id, &model);
        }
    }

    /// Fails a task that its model can never carry out, and sees how long its prompts are. What it needs of the memory is another
    /// matter, which the schedule waits for.
    fn check(&mut self, id: TaskId, model: &Model) {
        let Some(flight) = self.flights.get(&id) else { return };
        let (plan, group) = (&flight.task.plan, flight.group);
        let checked = caught(|| match model.check(plan) {
            Err(Error::Memory { .. }) | Ok(()) => model.text_size(plan),
            Err(error) => Err(error),
        });
        match checked {
            Ok(size) => self.shelf.lengthen(group, size),
            Err(failure) => self.end(id, Outcome::Failed(failure)),
        }
    }

    /// Those for whom nobody waits any more.
    fn let_go(&mut self) {
        let abandoned = self.flights.iter().filter(|(_, flight)| flight.is_abandoned());
        for id in abandoned.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end(id, Outcome::Cancelled);
        }
    }

    /// Ends a task between two actions.
    pub(super) fn end(&mut self, id: TaskId, outcome: Outcome) {
        self.schedule.remove(id);
        if let Some(flight) = self.flights.remove(&id) {
            flight.finish(outcome);
        }
    }

    fn suspend(&mut self, id: TaskId) {
        self.schedule.remove(id);
        if let Some(flight) = self.flights.remove(&id) {
            flight.suspend();
        }
    }

    fn suspend_all(&mut self, which: impl Fn(&Flight) -> bool) {
        let ids = self.flights.iter().filter(|(_, flight)| which(flight)).map(|(id, _)| *id);
        for id in ids.collect::<Vec<_>>() {
            self.suspend(id);
        }
    }

    /// Whether an action ends within the grace period, as far as is known.
    fn is_in_time(&self, action: &Action) -> bool {
        let length = Duration::from_nanos(self.schedule.estimate(action).unwrap_or(0));
        self.draining.is_none_or(|end| Instant::now() + length < end)
    }

    /// Drops and asks for models as decided.
    fn apply(&mut self, decision: Decision) -> Option<Action> {
        for id in decision.evict {
            self.shelf.put(id, None);
            self.observer.evicted(self.shelf.name(id));
        }
        let source = |id: ModelId| self.shelf.reference(id).source.clone();
        let measure = decision.measure.into_iter().map(|id| Work::Measure(id, source(id)));
        let load = decision.load.into_iter().map(|id| Work::Load(id, source(id)));
        for work in measure.chain(load) {
            // The loader ends after this thread.
            let _ = self.loader.send(work);
        }
        decision.action
    }

    fn report(&self) {
        let engine = &self.settings.engine;
        let used = engine.weights().live() + engine.meter().live();
        self.observer.memory(used, engine.options().memory_limit);
        let (in_flight, waiting) = self.schedule.counts();
        self.observer.tasks(in_flight, waiting);
    }

    fn of_model(&self, id: ModelId) -> Vec<TaskId> {
        let flights = self.flights.iter().filter(|(_, flight)| flight.group.model == id);
        flights.map(|(id, _)| *id).collect()
    }

    fn loaded(&mut self, id: ModelId, model: Arc<Model>, took: Duration) {
        let now = self.started.elapsed().as_nanos() as u64;
        self.schedule.loaded(id, model.weight_bytes(), now, took.as_nanos() as u64);
        let (name, bytes) = (self.shelf.name(id), model.weight_bytes());
        tracing::info!(model = name, bytes, seconds = took.as_secs_f64(), "model loaded");
        self.observer.loaded(name, bytes, took.as_secs_f64());
        self.shelf.put(id, Some(model.clone()));
        self.of_model(id).into_iter().for_each(|task| self.check(task, &model));
    }

    /// Fails the tasks that wait for a model; later ones try again.
    fn load_failed(&mut self, id: ModelId, failure: &Failure) {
        let name = self.shelf.name(id);
        tracing::warn!(model = name, reason = failure.message, "a model cannot be loaded");
        self.observer.load_failed(name);
        self.schedule.lost(id);
        let message = format!("model {name}: {}", failure.message);
        for task in self.of_model(id) {
            let failure = Failure { kind: FailureKind::Load, message: message.clone() };
            self.end(task, Outcome::Failed(failure));
        }
    }
}
