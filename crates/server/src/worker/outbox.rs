//! The worker's messages to its server.

use std::io::Write;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use super::blame::Blame;
use super::link::{DeviceEvent, FromWorker};
use crate::runtime::{Observer, TaskId};

/// Messages that wait to be written, at the most: a server that reads slowly misses progress.
const WAITING: usize = 1024;

/// Sends messages without ever waiting for the server to read them.
#[derive(Debug, Clone)]
pub(super) struct Outbox(SyncSender<FromWorker>);

impl Outbox {
    /// Starts the thread that writes to standard output. It ends the process when the server no
    /// longer reads: nothing would be told of anything any more, and the server's end of the other
    /// pipe says so as well.
    pub(super) fn start() -> std::io::Result<Self> {
        let (sender, messages) = sync_channel::<FromWorker>(WAITING);
        thread::Builder::new().name("outbox".into()).spawn(move || {
            let mut out = std::io::stdout().lock();
            for message in messages {
                let Ok(mut line) = serde_json::to_vec(&message) else { continue };
                line.push(b'\n');
                if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self(sender))
    }

    pub(super) fn send(&self, message: FromWorker) {
        if let Err(TrySendError::Full(message)) = self.0.try_send(message) {
            tracing::debug!(?message, "a message to the server was left out");
        }
    }

    fn device(&self, event: DeviceEvent) {
        self.send(FromWorker::Device(event));
    }
}

/// Tells the server what the device does, and whoever comes after what it was working on.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) outbox: Outbox,
    pub(super) blame: Blame,
}

impl Observer for Watcher {
    fn acting(&self, ids: &[TaskId]) {
        self.blame.on(ids);
    }

    fn step(&self, model: &str, batch: usize, seconds: f64) {
        self.outbox.device(DeviceEvent::Step { model: model.into(), batch, seconds });
    }

    fn begin(&self, model: &str, seconds: f64) {
        self.outbox.device(DeviceEvent::Begin { model: model.into(), seconds });
    }

    fn finish(&self, model: &str, seconds: f64) {
        self.outbox.device(DeviceEvent::Finish { model: model.into(), seconds });
    }

    fn loaded(&self, model: &str, bytes: u64, seconds: f64) {
        self.outbox.device(DeviceEvent::Loaded { model: model.into(), bytes, seconds });
    }

    fn evicted(&self, model: &str) {
        self.outbox.device(DeviceEvent::Evicted { model: model.into() });
    }

    fn load_failed(&self, model: &str) {
        self.outbox.device(DeviceEvent::LoadFailed { model: model.into() });
    }

    fn panicked(&self, model: &str, batch: usize) {
        self.outbox.device(DeviceEvent::Panicked { model: model.into(), batch });
    }

    fn memory(&self, used: u64, limit: Option<u64>) {
        self.outbox.device(DeviceEvent::Memory { used, limit });
    }

    fn tasks(&self, in_flight: usize, waiting: usize) {
        self.outbox.device(DeviceEvent::Tasks { in_flight, waiting });
    }
}
