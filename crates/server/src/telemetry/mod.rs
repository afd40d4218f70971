//! What operators see: logs, traces and metrics.

mod device;
mod log;
mod metrics;
mod queue;
mod traces;

pub(crate) use log::begin;
pub(crate) use metrics::Metrics;
pub(crate) use traces::follow;
