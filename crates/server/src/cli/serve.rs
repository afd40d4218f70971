//! `diffusion-server serve`: the server.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use diffusion_jobs::{Artifacts, Database, Queue, keys};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigArgs};
use crate::dataset;
use crate::housekeeping;
use crate::http::{self, AppState, Hosts, Keyring, Links, Parts, Recent, Room};
use crate::live::Live;
use crate::output::say;
use crate::pace::Pace;
use crate::resolve::Resolver;
use crate::supervisor::{Listeners, Supervisor, WorkerCommand};
use crate::telemetry::{self, Metrics};

/// Serve images over HTTP
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  diffusion-server serve
  diffusion-server serve --bind 0.0.0.0:8000 --data /var/lib/diffusion-server
  diffusion-server serve --database postgres://diffusion:PASSWORD@localhost/diffusion")]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
}

/// What threads that are still at work get to finish it when all else has ended.
const LINGER: Duration = Duration::from_secs(2);

/// What answers get that are known only when the worker has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

impl Serve {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let config = self.config.load()?.config;
        let telemetry = telemetry::begin(&config.telemetry)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(run(config));
        // A thread that reads a long file must not hold up the end; what it does is lost.
        runtime.shutdown_timeout(LINGER);
        telemetry.end();
        served?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    std::fs::create_dir_all(&config.storage.data)
        .with_context(|| config.storage.data.display().to_string())?;
    let location = config.storage.database()?;
    let database = Database::open(&location).await.with_context(|| location.shown())?;
    dataset::seed(&database).await?;
    let listener = TcpListener::bind(&config.server.bind)
        .await
        .with_context(|| format!("cannot listen at {}", config.server.bind))?;
    let bound = listener.local_addr()?;
    let keys_demanded = config.server.demands_keys(bound);

    let stopping = CancellationToken::new();
    let grace = config.queue.grace();
    let limits = config.server.limits.clone();
    let artifacts = Artifacts::local(&config.storage.artifacts())?;
    let queue = Queue::open(&database, &location).await?;
    let resolver = Resolver::new(&config, &database, &artifacts)?;
    let metrics = Metrics::new();
    let live = Arc::new(Live::default());
    let pace = Arc::new(Pace::default());
    let links = Links::open(&database).await?;
    let hosts = match keys_demanded {
        true => Hosts::Any,
        false => Hosts::known(bound, &config.server.hosts),
    };
    if keys_demanded {
        first_key(&database, bound).await?;
    } else if !bound.ip().is_loopback() {
        tracing::warn!(%bound, "everyone who can reach this address may use the server: no API \
            keys are demanded");
    }
    let (supervisor, worker) = Supervisor::start(
        WorkerCommand { arguments: std::env::args_os().skip(2).collect() },
        Listeners { live: live.clone(), pace: pace.clone(), metrics: metrics.clone() },
        stopping.clone(),
        grace,
    );
    tokio::spawn(housekeeping::keep(
        database.clone(),
        artifacts.clone(),
        config.clone(),
        metrics.clone(),
        stopping.clone(),
    ));
    let state = AppState::new(Parts {
        database,
        queue,
        artifacts,
        resolver,
        supervisor: supervisor.clone(),
        live,
        fingerprints: Arc::default(),
        pace,
        disks: Recent::default(),
        config,
        metrics,
        hosts,
        keys_demanded,
        keyring: Keyring::new(limits.requests_per_minute),
        links,
        body_room: Room::new(limits.all_bodies_bytes.0),
        stopping: stopping.clone(),
    });
    // A server whose output nobody takes still serves.
    let _ = say!("listening on http://{bound}");
    tokio::spawn(stop_on_signal(stopping.clone()));
    let end = async move {
        // Those who wait for a job are told what became of it once the worker has ended.
        tokio::join!(sleep(grace), supervisor.ended());
        sleep(LAST_ANSWERS).await;
    };
    let cut = http::serve(listener, http::router(state), &limits, stopping, end).await;
    if cut > 0 {
        tracing::warn!(connections = cut, "connections are closed before their end");
    }
    worker.await.context("the supervisor broke down")
}

/// Makes the first key of a server that demands keys, and shows it. It goes to stderr rather than
/// into the log, which may be kept.
async fn first_key(database: &Database, bound: SocketAddr) -> anyhow::Result<()> {
    tracing::info!(%bound, "API keys are demanded");
    if let Some((_, secret)) = keys::create_first(database).await? {
        eprintln!(
            "The server demands API keys and had none. This first one may do everything, and is \
             shown this once:\n{}\nMore are made by `diffusion-server keys create`.",
            secret.expose()
        );
    }
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
