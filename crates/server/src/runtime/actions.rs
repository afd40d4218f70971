//! What the device does with samples: begin one, step a batch, finish one.

use std::sync::Arc;
use std::time::Instant;

use diffusion_engine::{Model, Sample};

use super::device::Device;
use super::flight::Flight;
use super::loader::Work;
use super::palette::{self, Palette};
use super::schedule::{Action, Group, ModelId, Sizes, Stage};
use super::shelf::Colors;
use super::task::{Failure, FailureKind, Outcome, TaskId};
use super::unwind::caught;

impl Device {
    /// Does one action, to its end.
    pub(super) fn act(&mut self, action: &Action) {
        let Some(first) = action.ids().first().and_then(|id| self.flights.get(id)) else { return };
        let id = first.group.model;
        let Some(model) = self.shelf.loaded(id) else { return };
        self.observer.acting(action.ids());
        let done = match action {
            Action::Begin(task) => self.begin(*task, action, &model),
            Action::Step(_) => self.step(action, id, &model),
            Action::Finish(task) => self.finish(*task, action, &model),
        };
        if let Err(failure) = done {
            self.fail(action, id, &failure);
        }
    }

    fn begin(&mut self, id: TaskId, action: &Action, model: &Model) -> Result<(), Failure> {
        let Some(flight) = self.flights.get(&id) else { return Ok(()) };
        let started = Instant::now();
        let sample = self.breakpoints.before(action).and_then(|()| flight.begin(model))?;
        let name = self.shelf.name(flight.group.model);
        self.observer.begin(name, started.elapsed().as_secs_f64());
        self.ran(action, started);
        self.keep(id, sample, Flight::begun);
        Ok(())
    }

    fn step(&mut self, action: &Action, id: ModelId, model: &Arc<Model>) -> Result<(), Failure> {
        let mut samples = self.samples(action);
        // After a panic each goes on alone from where it was, and nobody is blamed for another.
        let before = (samples.len() > 1).then(|| samples.clone());
        let started = Instant::now();
        let stepped =
            self.breakpoints.before(action).and_then(|()| caught(|| model.step(&mut samples)));
        if let (Err(Failure { kind: FailureKind::Panicked, message }), Some(before)) =
            (&stepped, before)
        {
            self.panicked(action, id, message);
            for (id, sample) in action.ids().iter().zip(before) {
                self.schedule.set_alone(*id);
                self.keep(*id, sample, Flight::keep);
            }
            return Ok(());
        }
        stepped?;
        let seconds = started.elapsed().as_secs_f64();
        self.observer.step(self.shelf.name(id), samples.len(), seconds);
        self.ran(action, started);
        let every = self.settings.checkpoint_every;
        for (id, sample) in action.ids().iter().zip(samples) {
            self.keep(*id, sample, |flight, sample| flight.stepped(sample, every));
        }
        self.show(action, id, model);
        Ok(())
    }

    fn finish(&mut self, id: TaskId, action: &Action, model: &Model) -> Result<(), Failure> {
        let Some(sample) = self.samples(action).pop() else { return Ok(()) };
        let started = Instant::now();
        let image =
            self.breakpoints.before(action).and_then(|()| caught(|| model.finish(sample)))?;
        self.ran(action, started);
        let Some(flight) = self.flights.get(&id) else { return Ok(()) };
        let name = self.shelf.name(flight.group.model);
        self.observer.finish(name, started.elapsed().as_secs_f64());
        let seconds = flight.seconds();
        self.end(id, Outcome::Image { image, seconds });
        Ok(())
    }

    /// The samples of an action, taken from their flights.
    fn samples(&mut self, action: &Action) -> Vec<Sample> {
        let ids = action.ids().iter();
        ids.filter_map(|id| self.flights.get_mut(id)?.sample.take()).collect()
    }

    /// Gives a sample back to its flight, which tells what is next.
    fn keep(&mut self, id: TaskId, sample: Sample, tell: impl Fn(&mut Flight, Sample) -> Stage) {
        if let Some(flight) = self.flights.get_mut(&id) {
            self.schedule.set_stage(id, tell(flight, sample));
        }
    }

    /// Has everyone in an action pay for it.
    fn ran(&mut self, action: &Action, started: Instant) {
        let nanos = started.elapsed().as_nanos() as u64;
        for (id, part) in self.schedule.ran(action, nanos) {
            if let Some(flight) = self.flights.get_mut(&id) {
                flight.pay(part);
            }
        }
    }

    /// After a panic the model is read anew: what it keeps of its weights may be half made.
    fn panicked(&mut self, action: &Action, id: ModelId, reason: &str) {
        let (name, batch) = (self.shelf.name(id), action.ids().len());
        tracing::error!(model = name, batch, reason, "the engine panicked");
        self.observer.panicked(name, batch);
        self.shelf.put(id, None);
        self.schedule.dropped(id);
    }

    /// Fails the tasks of an action.
    fn fail(&mut self, action: &Action, id: ModelId, failure: &Failure) {
        if failure.kind == FailureKind::Panicked {
            self.panicked(action, id, &failure.message);
        }
        for id in action.ids() {
            self.end(*id, Outcome::Failed(failure.clone()));
        }
    }

    /// Shows the images of a batch to those who want to see them, once the model's colours are
    /// known. They are found out meanwhile.
    fn show(&mut self, action: &Action, id: ModelId, model: &Arc<Model>) {
        let every = self.settings.preview_every;
        let scale = model.info().vae.scale() as u32;
        for task in action.ids() {
            let Some(flight) = self.flights.get_mut(task) else { continue };
            if !flight.wants_preview(every) {
                continue;
            }
            match self.shelf.colors(id) {
                Colors::Known(palette) => flight.show(&palette, scale),
                Colors::Missing => {}
                Colors::Unknown => {
                    let bytes = self.fitting(id, model);
                    if self.schedule.hold(id, bytes, &self.shelf) {
                        self.shelf.set_colors(id, Colors::Missing);
                        let _ = self.loader.send(Work::Fit(id, model.clone(), bytes));
                    }
                }
            }
        }
    }

    /// Bytes that finding out a model's colours takes at the most.
    fn fitting(&self, id: ModelId, model: &Model) -> u64 {
        let side = palette::side(model);
        self.shelf.solo(Group { model: id, width: side, height: side })
    }

    /// The colours of a model are known, or there are none.
    pub(super) fn fitted(&mut self, id: ModelId, palette: Result<Palette, Failure>, bytes: u64) {
        self.schedule.release(id, bytes);
        match palette {
            Ok(palette) => self.shelf.set_colors(id, Colors::Known(Arc::new(palette))),
            Err(failure) => {
                let model = self.shelf.name(id);
                tracing::warn!(model, reason = failure.message, "a model has no previews");
            }
        }
    }
}
