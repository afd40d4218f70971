//! What operators see: logs, traces and metrics.

mod log;
mod metrics;

pub(crate) use log::log;
pub(crate) use metrics::Metrics;
