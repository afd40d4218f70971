//! What metrics are made of.

use super::task::TaskId;

/// Told what the device does. Called on the device thread: implementations only count.
pub(crate) trait Observer: Send + Sync + 'static {
    /// The device is about to work on these; if that ends the process, one of them may be to blame.
    fn acting(&self, _ids: &[TaskId]) {}
    /// One UNet evaluation of `batch` samples.
    fn step(&self, _model: &str, _batch: usize, _seconds: f64) {}
    /// A sample was made from its plan: texts, and the initial image where there is one.
    fn begin(&self, _model: &str, _seconds: f64) {}
    /// An image was decoded.
    fn finish(&self, _model: &str, _seconds: f64) {}
    /// A model was loaded; `bytes` are what its weights take at the most.
    fn loaded(&self, _model: &str, _bytes: u64, _seconds: f64) {}
    /// A model was dropped for another one's sake, or after a panic.
    fn evicted(&self, _model: &str) {}
    /// A model could not be loaded.
    fn load_failed(&self, _model: &str) {}
    /// The engine panicked over `batch` samples.
    fn panicked(&self, _model: &str, _batch: usize) {}
    /// Bytes of weights and activations now, of those allowed.
    fn memory(&self, _used: u64, _limit: Option<u64>) {}
    /// Samples in flight, and tasks that wait to begin.
    fn tasks(&self, _in_flight: usize, _waiting: usize) {}
}

/// Looks away.
impl Observer for () {}
