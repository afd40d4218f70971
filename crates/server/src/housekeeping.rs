//! What the server does by itself, now and then: counts what waits, removes what is outdated.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use diffusion_jobs::backup::try_lock;
use diffusion_jobs::{Artifacts, Database, keep};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::telemetry::Metrics;

/// How often what waits is counted.
const COUNT: Duration = Duration::from_secs(5);

/// How often outdated jobs and files are removed.
const CLEAN: Duration = Duration::from_secs(600);

/// Keeps house until `stop`.
pub(crate) async fn keep(
    database: Database,
    artifacts: Artifacts,
    config: Config,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(COUNT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cleaned: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        match database.depth().await {
            Ok(depth) => metrics.queue.observe(&depth, Utc::now()),
            Err(error) => tracing::warn!(%error, "what waits was not counted"),
        }
        if cleaned.is_none_or(|cleaned| cleaned.elapsed() > CLEAN) {
            cleaned = Some(Instant::now());
            if let Err(error) = clean(&database, &artifacts, &config, &metrics).await {
                tracing::warn!(%error, "outdated jobs and files were not removed");
            }
        }
    }
}

async fn clean(
    database: &Database,
    artifacts: &Artifacts,
    config: &Config,
    metrics: &Metrics,
) -> diffusion_jobs::Result<()> {
    let now = Utc::now();
    let days = config.storage.retention_days;
    let end = days.map(|days| now - TimeDelta::days(days.get().into()));
    let expired = database.expire(end).await?;
    // While a backup is made, no file is removed.
    let Some(_held) = try_lock(&config.storage.artifacts())? else { return Ok(()) };
    let quota = config.storage.quota.map(|quota| quota.0);
    let cleaned = keep::clean(database, artifacts, quota, now).await?;
    metrics.queue.stored(cleaned.bytes);
    if expired + cleaned.jobs + cleaned.files > 0 {
        let (jobs, files) = (expired + cleaned.jobs, cleaned.files);
        tracing::info!(jobs, files, bytes = cleaned.bytes, "outdated jobs and files removed");
    }
    Ok(())
}
