//! The log, on stderr.

use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, Telemetry};

/// Begins to log: text on a terminal, JSON otherwise, unless configured.
///
/// # Errors
/// The level is not one.
pub(crate) fn log(config: &Telemetry) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_level)
        .with_context(|| format!("telemetry.log_level: {:?}", config.log_level))?;
    let text = match config.log_format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match text {
        true => registry.with(layer.with_ansi(io::stderr().is_terminal())).try_init()?,
        false => registry.with(layer.json().with_current_span(false)).try_init()?,
    }
    Ok(())
}
