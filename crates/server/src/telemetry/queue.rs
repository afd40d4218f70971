//! Metrics of what waits and of what is stored.

use std::sync::atomic::AtomicU64;

use chrono::{DateTime, Utc};
use diffusion_jobs::keep::Depth;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the database says of the queue, a few seconds ago at the most.
#[derive(Clone, Default)]
pub(crate) struct Queue {
    queued: Gauge<u64, AtomicU64>,
    running: Gauge<u64, AtomicU64>,
    age: Gauge<f64, AtomicU64>,
    artifact_bytes: Gauge<u64, AtomicU64>,
}

impl Queue {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let queue = Self::default();
        let q = queue.clone();
        registry.register("queue_images", "Images that wait", q.queued);
        registry.register("running_images", "Images that a worker has", q.running);
        registry.register("queue_age_seconds", "Age of the oldest job that waits", q.age);
        registry.register(
            "artifact_bytes",
            "Files of jobs, as of the last clean-up",
            q.artifact_bytes,
        );
        queue
    }

    pub(crate) fn observe(&self, depth: &Depth, now: DateTime<Utc>) {
        self.queued.set(depth.queued.unsigned_abs());
        self.running.set(depth.running.unsigned_abs());
        let age = depth.oldest.map_or(0.0, |oldest| (now - oldest).as_seconds_f64().max(0.0));
        self.age.set(age);
    }

    pub(crate) fn stored(&self, bytes: u64) {
        self.artifact_bytes.set(bytes);
    }
}
