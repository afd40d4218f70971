//! What operators see: logs, traces and metrics.

mod log;
mod device;
mod metrics;
mod traces;

pub(crate) use log::begin;
pub(crate) use metrics::Metrics;
pub(crate) use traces::follow;
