//! The log, on stderr, and where it is joined by traces.

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::Context;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::traces;
use crate::config::{self, LogFormat};

/// What was begun, to be ended before the process does.
#[must_use]
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Begins to log, as text on a terminal and as JSON otherwise, unless configured; and to send
/// traces, if configured.
///
/// # Errors
/// The level or the address for traces is not one.
pub(crate) fn begin(config: &config::Telemetry) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(&config.log_level)
        .with_context(|| format!("telemetry.log_level: {:?}", config.log_level))?;
    let text = match config.log_format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let log = match text {
        true => log.with_ansi(io::stderr().is_terminal()).boxed(),
        false => log.json().with_current_span(false).boxed(),
    };
    let endpoint = config.otlp_endpoint.as_ref();
    let traces = endpoint.map(traces::provider).transpose()?;
    tracing_subscriber::registry()
        .with(traces.as_ref().map(traces::layer))
        .with(log.with_filter(filter))
        .try_init()?;
    Ok(Telemetry { traces })
}

impl Telemetry {
    /// Sends the traces that are still waiting, within a few seconds.
    pub(crate) fn end(self) {
        let Some(traces) = self.traces else { return };
        if let Err(error) = traces.shutdown_with_timeout(Duration::from_secs(5)) {
            tracing::warn!(%error, "traces are lost");
        }
    }
}
