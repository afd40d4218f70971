//! One task on the device: its sample, and what was told of it.

use std::time::{Duration, Instant};

use diffusion_engine::{Model, Sample};

use super::events::Sender;
use super::palette::Palette;
use super::schedule::{Group, Stage};
use super::task::{Event, Failure, Outcome, Task};
use super::unwind::caught;

/// A task from its submission to its end.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) task: Task,
    pub(super) group: Group,
    /// From `begin` on, but for the time of an action.
    pub(super) sample: Option<Sample>,
    events: Sender,
    /// Its part of the device's time.
    nanos: u64,
    saved: Instant,
    shown: Option<Instant>,
}

impl Flight {
    pub(super) fn new(task: Task, group: Group, events: Sender) -> Self {
        Self { task, group, sample: None, events, nanos: 0, saved: Instant::now(), shown: None }
    }

    /// The sample, continued where there is a stored one that fits.
    ///
    /// # Errors
    /// The engine refuses the plan, or panics.
    pub(super) fn begin(&self, model: &Model) -> Result<Sample, Failure> {
        let Task { id, plan, initial, resume, .. } = &self.task;
        if let Some(bytes) = resume {
            match caught(|| Sample::restore(model, bytes)) {
                Ok(sample) if sample.plan() == plan => return Ok(sample),
                Ok(_) => {
                    tracing::warn!(job = %id.job, index = id.index, "the stored sample is of another plan: the image begins anew");
                }
                Err(failure) => {
                    tracing::warn!(job = %id.job, index = id.index, reason = failure.message, "the stored sample cannot be continued: the image begins anew");
                }
            }
        }
        caught(|| model.begin(plan, initial.as_ref()))
    }

    /// The sample exists. Gives what is next.
    pub(super) fn begun(&mut self, sample: Sample) -> Stage {
        let (done, total) = sample.progress();
        let warnings = sample.warnings().to_vec();
        self.events.send(Event::Begun { done, total, warnings });
        // They are not needed again, and pictures are large.
        self.task.initial = None;
        self.task.resume = None;
        self.saved = Instant::now();
        self.keep(sample)
    }

    /// The sample was stepped. Gives what is next.
    pub(super) fn stepped(&mut self, sample: Sample, checkpoint_every: Duration) -> Stage {
        let (done, total) = sample.progress();
        self.events.send(Event::Step { done, total, seconds: self.seconds() });
        if self.saved.elapsed() >= checkpoint_every {
            self.saved = Instant::now();
            match sample.save() {
                Ok(bytes) => self.events.send(Event::Checkpoint { step: done, bytes }),
                Err(error) => tracing::warn!(%error, "a sample cannot be written out"),
            }
        }
        self.keep(sample)
    }

    /// Takes the sample back. Gives what is next.
    pub(super) fn keep(&mut self, sample: Sample) -> Stage {
        let stage = if sample.is_done() { Stage::Finish } else { Stage::Step };
        self.sample = Some(sample);
        stage
    }

    /// Whether a preview is wanted and due.
    pub(super) fn wants_preview(&self, every: Duration) -> bool {
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= every);
        self.task.previews && due && self.sample.is_some()
    }

    /// Shows the image as it stands.
    pub(super) fn show(&mut self, palette: &Palette, scale: u32) {
        let Some(sample) = &self.sample else { return };
        let (width, height) = (self.group.width / scale, self.group.height / scale);
        if let Some(picture) = palette.paint(&sample.clean_latent(), width, height) {
            self.events.send(Event::Preview(picture));
            self.shown = Some(Instant::now());
        }
    }

    /// Counts its part of an action.
    pub(super) fn pay(&mut self, nanos: u64) {
        self.nanos = self.nanos.saturating_add(nanos);
    }

    pub(super) fn seconds(&self) -> f64 {
        self.nanos as f64 / 1e9
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.events.is_abandoned()
    }

    /// Ends the task.
    pub(super) fn finish(self, outcome: Outcome) {
        self.events.finish(outcome);
    }

    /// Ends the task, with its state for another process.
    pub(super) fn suspend(self) {
        let state = self.sample.as_ref().and_then(|sample| {
            let saved = sample.save();
            let saved = saved.inspect_err(|error| {
                tracing::warn!(%error, "a sample cannot be written out");
            });
            Some((sample.progress().0, saved.ok()?))
        });
        self.finish(Outcome::Suspended(state));
    }
}
