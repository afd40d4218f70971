//! Counting the memory of activations, for real and in advance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Buffers given back, for tensors to come: a step asks for the same sizes as the last one,
    /// and fresh memory costs the operating system more than many ops take.
    spare: Mutex<Vec<Vec<f32>>>,
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

    /// A buffer of `count` values or somewhat more, of any content; none of them where the meter
    /// plans. What is alive and what is spare never exceed the peak together.
    pub(super) fn buffer(&self, count: usize) -> Vec<f32> {
        let bytes = 4 * count as u64;
        let live = self.count(bytes);
        if self.is_planning() {
            return Vec::new();
        }
        let mut spare = self.0.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Vec<f32>| buffer.len() >= count && buffer.len() <= count + count / 4;
        let best = (0..spare.len()).filter(|&i| fits(&spare[i])).min_by_key(|&i| spare[i].len());
        let mut buffer = match best {
            Some(index) => spare.remove(index),
            None => {
                let size = |spare: &[Vec<f32>]| -> u64 {
                    spare.iter().map(|buffer| 4 * buffer.len() as u64).sum()
                };
                // The oldest first: sizes that are no longer asked for.
                while !spare.is_empty() && live + size(&spare) > self.peak() {
                    spare.remove(0);
                }
                drop(spare);
                vec![0.0; count]
            }
        };
        if cfg!(debug_assertions) {
            // What an op forgets to write shall not go unnoticed.
            buffer.fill(f32::NAN);
        }
        buffer
    }

    /// Takes back a buffer of which `count` values were counted.
    pub(super) fn give_back(&self, buffer: Vec<f32>, count: usize) {
        self.0.live.fetch_sub(4 * count as u64, Ordering::Relaxed);
        if !buffer.is_empty() {
            self.0.spare.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        }
    }

    /// Frees the buffers that no tensor uses.
    pub fn trim(&self) {
        self.0.spare.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts `bytes` as alive; returns what is alive now.
    fn count(&self, bytes: u64) -> u64 {
        let live = self.0.live.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.0.peak.fetch_max(live, Ordering::Relaxed);
        live
    }

    /// Counts `bytes` until the guard is dropped.
    pub fn take(&self, bytes: usize) -> Taken {
        self.count(bytes as u64);
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
