//! What operators see: logs and metrics.

mod metrics;

pub(crate) use metrics::Metrics;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Begins to log to stderr: text on a terminal, JSON otherwise.
pub(crate) fn log() {
    let filter = EnvFilter::new("info");
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.init();
    } else {
        log.json().init();
    }
}
