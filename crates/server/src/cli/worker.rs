//! `diffusion-server worker`: the process that `serve` starts to compute.

use std::process::ExitCode;

use clap::Args;

use crate::config::ConfigArgs;
use crate::{telemetry, worker};

/// Compute images for the server that started this process
#[derive(Debug, Args)]
pub(super) struct Worker {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Worker {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let config = self.config.load()?.config;
        let telemetry = telemetry::begin(&config.telemetry)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let status = runtime.block_on(worker::run(config));
        // What still waits for a message of the server, or for a thread, is not waited for.
        runtime.shutdown_background();
        telemetry.end();
        status
    }
}
