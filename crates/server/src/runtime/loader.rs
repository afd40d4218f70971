//! The thread on which models are read while the device steps others.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use diffusion_engine::{Model, Runtime, Source};

use super::device::Command;
use super::palette::Palette;
use super::schedule::ModelId;
use super::unwind::caught;

/// What to do beside the device thread. Each is answered by its [`Command`].
#[derive(Debug)]
pub(super) enum Work {
    Measure(ModelId, Source),
    Load(ModelId, Source),
    /// With the bytes that were taken for it.
    Fit(ModelId, Arc<Model>, u64),
}

/// Works until either end hangs up.
pub(super) fn run(engine: &Runtime, work: &Receiver<Work>, answers: &Sender<Command>) {
    for work in work {
        let answer = match work {
            Work::Measure(id, source) => {
                let bytes = caught(|| Model::weight_bytes_of(engine.options(), &source));
                Command::Measured(id, bytes)
            }
            Work::Load(id, source) => {
                let started = Instant::now();
                let model = caught(|| Model::open(engine, &source));
                // Otherwise the device would wait for the disk, and all others with it.
                if let Ok(model) = &model {
                    model.prefetch();
                }
                Command::Loaded(id, model.map(Arc::new), started.elapsed())
            }
            Work::Fit(id, model, bytes) => {
                let palette = caught(|| Palette::fit(&model));
                drop(model);
                Command::Fitted(id, palette, bytes)
            }
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}
