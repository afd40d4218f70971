//! Threads and memory that models share.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::ops::{Meter, Precision};
use crate::{Error, Result};

/// How much of the machine the engine may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that compute; all processors that this process may use, by default.
    pub threads: Option<NonZeroUsize>,
    /// The most bytes that weights and activations may take together; unlimited by default.
    pub memory_limit: Option<u64>,
    /// Bytes of packed `f32` weights that each model keeps at the most, and where memory is limited
    /// less; what goes beyond is packed, or transformed, each time that it is used.
    pub keep_packed: u64,
    /// In which numbers the UNet computes, which takes most of the time.
    pub precision: Precision,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: None, memory_limit: None, keep_packed: 2 << 30, precision: Precision::F32 }
    }
}

/// The most threads that may be asked for: many more would keep each other busy for minutes.
pub const MAX_THREADS: usize = 1024;

/// The threads that compute and the meter that counts what they allocate.
#[derive(Debug, Clone)]
pub struct Runtime(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: Options,
    pool: rayon::ThreadPool,
    meter: Meter,
    weights: Meter,
}

impl Runtime {
    /// Starts the threads.
    ///
    /// # Errors
    /// More threads than [`MAX_THREADS`] are asked for; the operating system gives none.
    pub fn new(options: Options) -> Result<Self> {
        let threads = options.threads.map_or(0, NonZeroUsize::get);
        if threads > MAX_THREADS {
            return Err(Error::Invalid(format!(
                "{threads} threads: at most {MAX_THREADS} are possible, and more than the machine \
                 has processors only cost time"
            )));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("engine-{i}"))
            .build()
            .map_err(|e| Error::Invalid(format!("cannot start {threads} threads: {e}")))?;
        Ok(Self(Arc::new(Inner { options, pool, meter: Meter::new(), weights: Meter::new() })))
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Counts the activations of all models.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Counts the weights of all models that are loaded.
    pub fn weights(&self) -> &Meter {
        &self.0.weights
    }

    /// Runs `work` on the engine's threads.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.pool.install(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_a_limit() {
        let ask = |threads| {
            let options = Options { threads: NonZeroUsize::new(threads), ..Options::default() };
            Runtime::new(options)
        };
        ask(3).unwrap();
        let error = ask(MAX_THREADS + 1).unwrap_err().to_string();
        assert!(error.contains("1025 threads"), "{error}");
    }
}
