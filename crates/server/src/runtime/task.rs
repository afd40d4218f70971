//! What is asked of the runtime, and what it answers.

use diffusion_engine::images::RgbImage;
use diffusion_engine::{Initial, Plan, Source};
use uuid::Uuid;

/// One image of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskId {
    pub(crate) job: Uuid,
    /// The image's place in its job.
    pub(crate) index: u32,
}

/// A model and where it lies. Two references with one name and one place are one model: a folder
/// whose files change is to be told under another name (its revision, say).
#[derive(Debug, Clone)]
pub(crate) struct ModelRef {
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// One image to be made.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) model: ModelRef,
    pub(crate) plan: Plan,
    /// For image-to-image, a picture of the plan's size; for inpainting, with its mask.
    pub(crate) initial: Option<Initial>,
    /// An earlier [`Event::Checkpoint`] of the same image. One that does not fit is left aside.
    pub(crate) resume: Option<Vec<u8>>,
    /// Who shares the device: each owner gets an equal part of its time.
    pub(crate) owner: Option<Uuid>,
    /// Among one owner's tasks, lower ones go first.
    pub(crate) priority: u8,
    /// Among tasks of equal priority, lower ones go first (the time of acceptance, say).
    pub(crate) age: u64,
    /// Whether pictures of the unfinished image are wanted.
    pub(crate) previews: bool,
}

/// What happens to a task. Events that nobody has read yet give way to newer ones of their kind;
/// [`Event::Finished`] comes exactly once, and last.
#[derive(Debug)]
pub(crate) enum Event {
    /// The sample exists, begun anew or restored with `done` evaluations behind it.
    Begun { done: usize, total: usize, warnings: Vec<String> },
    /// A UNet evaluation is done; `seconds` as in [`Outcome::Image`], so far.
    Step { done: usize, total: usize, seconds: f64 },
    /// The image as it forms, at the size of its latent.
    Preview(RgbImage),
    /// The sample as it was after evaluation `step`, for [`Task::resume`].
    Checkpoint { step: usize, bytes: Vec<u8> },
    /// The end of the task.
    Finished(Outcome),
}

/// How a task ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The image, and its part of the device's time: a batch is paid for by those in it.
    Image { image: RgbImage, seconds: f64 },
    /// There will be no image.
    Failed(Failure),
    /// It was cancelled, or nobody waited for it any more.
    Cancelled,
    /// The runtime was drained; with the evaluations done and the sample, where it was begun.
    Suspended(Option<(usize, Vec<u8>)>),
}

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// For the user: what, where, what to do.
    pub(crate) message: String,
}

/// What a failure says of another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The model cannot be loaded; it may be when its files have changed.
    Load,
    /// The model cannot carry out this plan, now or later.
    Refused,
    /// The engine broke down over this image, which was alone.
    Panicked,
}
