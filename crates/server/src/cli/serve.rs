//! `diffusion-server serve`: the server.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use diffusion_jobs::Database;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::http::{self, AppState, Hosts, Parts};
use crate::telemetry::{self, Metrics};

/// Serve images over HTTP
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  diffusion-server serve
  diffusion-server serve --bind 0.0.0.0:8000 --data /var/lib/diffusion-server
  diffusion-server serve --database postgres://diffusion:PASSWORD@localhost/diffusion")]
pub(super) struct Serve {
    /// Where to listen [default: 127.0.0.1:8000]
    #[arg(long, value_name = "HOST:PORT")]
    bind: Option<String>,

    /// Folder for everything that is kept [default: ~/.local/share/diffusion-server]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// The database, sqlite://PATH or postgres://USER:PASSWORD@HOST:PORT/NAME [default: server.db in the data folder]
    #[arg(long, value_name = "URL")]
    database: Option<String>,

    /// Let everyone who can reach the server beyond this machine use it, without API keys
    #[arg(long)]
    allow_anonymous_beyond_loopback: bool,
}

impl Serve {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let config = self.config();
        telemetry::log();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(run(config))?;
        Ok(ExitCode::SUCCESS)
    }

    fn config(self) -> Config {
        let mut config = Config::default();
        config.server.bind = self.bind.unwrap_or(config.server.bind);
        config.storage.data = self.data.unwrap_or(config.storage.data);
        config.storage.database = self.database.or(config.storage.database);
        config.server.allow_anonymous_beyond_loopback |= self.allow_anonymous_beyond_loopback;
        config
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    std::fs::create_dir_all(&config.storage.data)
        .with_context(|| config.storage.data.display().to_string())?;
    let location = config.storage.database()?;
    let database = Database::open(&location).await.with_context(|| location.shown())?;
    let listener = TcpListener::bind(&config.server.bind)
        .await
        .with_context(|| format!("cannot listen at {}", config.server.bind))?;
    let bound = listener.local_addr()?;
    let keys_demanded = config.server.demands_keys(bound);

    let stopping = CancellationToken::new();
    let grace = Duration::from_secs(30);
    let limits = config.server.limits.clone();
    let hosts = match keys_demanded {
        true => Hosts::Any,
        false => Hosts::known(bound, &config.server.hosts),
    };
    let state = AppState::new(Parts {
        database,
        config,
        metrics: Metrics::new(),
        hosts,
        keys_demanded,
        stopping: stopping.clone(),
    });
    println!("listening on http://{bound}");
    tokio::spawn(stop_on_signal(stopping.clone()));
    http::serve(listener, http::router(state), &limits, stopping, grace).await;
    Ok(())
}

/// Cancels on SIGINT and SIGTERM; a second one ends the process at once.
async fn stop_on_signal(stopping: CancellationToken) {
    signal().await;
    tracing::info!("stopping; once more to stop at once");
    stopping.cancel();
    signal().await;
    std::process::exit(130);
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
