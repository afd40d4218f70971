//! Counting the memory of activations, for real and in advance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes that tensors and scratch take at a time, and their peak.
///
/// A *planning* meter makes tensors that have a shape but no values, and operations on them do
/// nothing but count: the model code itself, walked with such tensors, tells what a run will
/// take before anything is allocated.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    planning: bool,
    live: AtomicU64,
    peak: AtomicU64,
}

impl Meter {
    /// A meter for real tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// A meter for tensors without values.
    pub fn planning() -> Self {
        Self(Arc::new(Counts { planning: true, ..Counts::default() }))
    }

    /// Whether tensors of this meter have no values.
    pub fn is_planning(&self) -> bool {
        self.0.planning
    }

    /// The most bytes that were alive at a time so far.
    pub fn peak(&self) -> u64 {
        self.0.peak.load(Ordering::Relaxed)
    }

    /// The bytes alive now.
    pub fn live(&self) -> u64 {
        self.0.live.load(Ordering::Relaxed)
    }

    /// Counts `bytes` until the guard is dropped.
    pub fn take(&self, bytes: usize) -> Taken {
        let live = self.0.live.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        self.0.peak.fetch_max(live, Ordering::Relaxed);
        Taken { meter: self.clone(), bytes: bytes as u64 }
    }
}

/// Bytes that are counted as alive while this exists.
#[derive(Debug)]
pub struct Taken {
    meter: Meter,
    bytes: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.meter.0.live.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
