//! Metrics of the worker and its device.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::worker::link::DeviceEvent;

/// What the worker tells of its device.
#[derive(Clone)]
pub(crate) struct Device {
    step: Family<Batch, Histogram>,
    begin: Family<OfModel, Histogram>,
    finish: Family<OfModel, Histogram>,
    load: Family<OfModel, Histogram>,
    load_failures: Family<OfModel, Counter>,
    evictions: Family<OfModel, Counter>,
    panics: Family<OfModel, Counter>,
    model_bytes: Family<OfModel, Gauge<u64, AtomicU64>>,
    memory_used: Gauge<u64, AtomicU64>,
    memory_limit: Gauge<u64, AtomicU64>,
    in_flight: Gauge<u64, AtomicU64>,
    waiting: Gauge<u64, AtomicU64>,
    started: Histogram,
    deaths: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Batch {
    model: String,
    batch: u64,
}

/// From a step of a demo model to one of a large batch.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl Device {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let by_model = || Family::<OfModel, _>::new_with_constructor(seconds as fn() -> Histogram);
        let device = Self {
            step: Family::new_with_constructor(seconds as fn() -> Histogram),
            begin: by_model(),
            finish: by_model(),
            load: by_model(),
            load_failures: Family::default(),
            evictions: Family::default(),
            panics: Family::default(),
            model_bytes: Family::default(),
            memory_used: Gauge::default(),
            memory_limit: Gauge::default(),
            in_flight: Gauge::default(),
            waiting: Gauge::default(),
            started: seconds(),
            deaths: Counter::default(),
        };
        let d = device.clone();
        registry.register("step_seconds", "Time of one UNet evaluation, by samples in it", d.step);
        registry.register("begin_seconds", "Time to encode texts and initial images", d.begin);
        registry.register("decode_seconds", "Time to decode an image", d.finish);
        registry.register("model_load_seconds", "Time to load a model", d.load);
        registry.register("model_load_failures", "Models that could not be loaded", d.load_failures);
        registry.register("model_evictions", "Models dropped for others", d.evictions);
        registry.register("device_panics", "Batches over which the engine broke down", d.panics);
        registry.register("model_bytes", "Weights of the models in memory", d.model_bytes);
        registry.register("memory_used_bytes", "Weights and activations", d.memory_used);
        registry.register("memory_limit_bytes", "What may be used; 0 without a limit", d.memory_limit);
        registry.register("samples_in_flight", "Images that step", d.in_flight);
        registry.register("samples_waiting", "Claimed images that have not begun", d.waiting);
        let help = "Time from the acceptance of a job to the first step of an image";
        registry.register("accept_to_start_seconds", help, d.started);
        registry.register("worker_deaths", "Workers that ended unasked", d.deaths);
        device
    }

    /// A worker ended unasked.
    pub(crate) fn worker_died(&self) {
        self.deaths.inc();
        self.in_flight.set(0);
        self.waiting.set(0);
        self.memory_used.set(0);
        self.model_bytes.clear();
    }

    /// Counts what the worker tells.
    pub(crate) fn observe(&self, event: &DeviceEvent) {
        let of = |model: &String| OfModel { model: model.clone() };
        match event {
            DeviceEvent::Step { model, batch, seconds } => {
                let label = Batch { model: model.clone(), batch: *batch as u64 };
                self.step.get_or_create(&label).observe(*seconds);
            }
            DeviceEvent::Begin { model, seconds } => {
                self.begin.get_or_create(&of(model)).observe(*seconds);
            }
            DeviceEvent::Finish { model, seconds } => {
                self.finish.get_or_create(&of(model)).observe(*seconds);
            }
            DeviceEvent::Loaded { model, bytes, seconds } => {
                self.load.get_or_create(&of(model)).observe(*seconds);
                self.model_bytes.get_or_create(&of(model)).set(*bytes);
            }
            DeviceEvent::Evicted { model } => {
                self.evictions.get_or_create(&of(model)).inc();
                self.model_bytes.remove(&of(model));
            }
            DeviceEvent::LoadFailed { model } => {
                self.load_failures.get_or_create(&of(model)).inc();
            }
            DeviceEvent::Panicked { model, .. } => {
                self.panics.get_or_create(&of(model)).inc();
            }
            DeviceEvent::Memory { used, limit } => {
                self.memory_used.set(*used);
                self.memory_limit.set(limit.unwrap_or(0));
            }
            DeviceEvent::Tasks { in_flight, waiting } => {
                self.in_flight.set(*in_flight as u64);
                self.waiting.set(*waiting as u64);
            }
            DeviceEvent::Started { seconds } => self.started.observe(*seconds),
        }
    }
}
