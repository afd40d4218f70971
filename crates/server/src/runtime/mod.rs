//! The device: which models are in memory, and which samples step together.
//!
//! [`Runtime::submit`] gives an image to the device thread (`device.rs`), which steps many samples
//! at once: of different steps, schedulers, guidance and prompts. What it does next is decided in
//! `schedule/`, without threads or models. Models are read on a thread of their own (`loader.rs`).
//!
//! Nothing is kept here: a task that this process does not end is submitted again by the next,
//! with the last checkpoint that it was given.

mod actions;
mod breakpoints;
mod device;
mod events;
mod flight;
mod loader;
mod observer;
mod palette;
mod schedule;
mod shelf;
mod task;
#[cfg(test)]
mod tests;
mod unwind;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use self::breakpoints::Breakpoints;
use self::device::{Command, Device};
pub(crate) use self::events::Events;
pub(crate) use self::observer::Observer;
pub(crate) use self::task::{Event, Failure, FailureKind, ModelRef, Outcome, Task, TaskId};

/// What the device may do.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The engine; its memory limit bounds weights and activations together.
    pub(crate) engine: diffusion_engine::Runtime,
    /// Samples that step as one batch, at the most; twice as many are in flight at the most.
    pub(crate) max_batch: usize,
    /// Weights that are kept in memory, in bytes; a single model may be larger.
    pub(crate) models_limit: Option<u64>,
    /// How often the state of a sample is written out, at the most.
    pub(crate) checkpoint_every: Duration,
    /// How often an unfinished image is shown to those who want it, at the most.
    pub(crate) preview_every: Duration,
}

/// The way to the device thread, which ends with the last of its clones: what is in flight then is
/// suspended after the action at hand.
#[derive(Debug, Clone)]
pub(crate) struct Runtime(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    commands: mpsc::Sender<Command>,
}

impl Runtime {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system gives no threads.
    pub(crate) fn start(settings: Settings, observer: Arc<dyn Observer>) -> anyhow::Result<Self> {
        Self::start_with(settings, Breakpoints::default(), observer)
    }

    fn start_with(
        settings: Settings,
        breakpoints: Breakpoints,
        observer: Arc<dyn Observer>,
    ) -> anyhow::Result<Self> {
        let (commands, received) = mpsc::channel();
        let (work, working) = mpsc::channel();
        let (engine, answers) = (settings.engine.clone(), commands.clone());
        let loader = move || loader::run(&engine, &working, &answers);
        let device = move || Device::new(settings, breakpoints, observer, work).run(&received);
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            // What is caught inside costs only its tasks. Whatever gets here leaves nobody who
            // could answer: another process must take over.
            let run = || {
                if std::panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
                    std::process::abort();
                }
            };
            let started = thread::Builder::new().name(name.to_owned()).spawn(run);
            started.map(drop).with_context(|| format!("cannot start the {name} thread"))
        };
        start("loader", Box::new(loader))?;
        start("device", Box::new(device))?;
        Ok(Self(Arc::new(Inner { commands })))
    }

    /// Hands over an image to be made; never blocks. Dropping its events ends it at the next step. A task whose id is in use takes the place of
    /// the earlier one, which ends cancelled.
    pub(crate) fn submit(&self, task: Task) -> Events {
        let (sender, events) = events::channel();
        // Without a device thread the sender is dropped, which suspends the task.
        let _ = self.0.commands.send(Command::Submit(Box::new(task), sender));
        events
    }

    /// Begins nothing any more: tasks that were not begun, and those to come, are suspended at
    /// once, those in flight when `grace` is over. An action that is not known to end in time is
    /// still begun, and ends late by its own length at the most.
    pub(crate) fn drain(&self, grace: Duration) {
        let now = Instant::now();
        let end = now.checked_add(grace).unwrap_or(now);
        let _ = self.0.commands.send(Command::Drain(end));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
    }
}
