//! Whether the server works, and `/metrics`.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::auth::Read;
use super::extract::Json;
use super::{AppState, Problem, Problems, Result};
use crate::catalogue::Catalogue;

/// The server's health
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`
    #[schema(example = "ok")]
    health: &'static str,
}

/// Whether the database answers
#[utoipa::path(
    get,
    path = "/health_check",
    tag = "health",
    security(()),
    responses((status = 200, description = "It does", body = Health), Problems)
)]
pub(super) async fn health_check(State(state): State<AppState>) -> Result<Json<Health>> {
    state.database.ping().await?;
    Ok(Json(Health { health: "ok" }))
}

/// Whether the process answers at all
#[utoipa::path(
    get,
    path = "/livez",
    tag = "health",
    security(()),
    responses((status = 200, description = "It does", body = Health))
)]
pub(super) async fn livez() -> Json<Health> {
    Json(Health { health: "ok" })
}

/// What `/readyz` looked at
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether all of it is well
    ready: bool,
    /// Each check: `ok`, or what is wrong
    checks: Checks,
}

/// The checks of `/readyz`
#[derive(Debug, Serialize, ToSchema)]
struct Checks {
    /// The database answers
    #[schema(example = "ok")]
    database: String,
    /// Artifacts can be stored
    #[schema(example = "ok")]
    storage: String,
    /// There is a model to draw with
    #[schema(example = "ok")]
    models: String,
    /// A worker makes images; without one, jobs are taken and wait
    #[schema(example = "ok")]
    worker: String,
    /// The server is not about to stop
    #[schema(example = "ok")]
    running: String,
}

/// Whether jobs can be taken: for load balancers
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "Ready", body = Readiness),
        (status = 503, description = "Not ready", body = Readiness),
    )
)]
pub(super) async fn readyz(State(state): State<AppState>) -> Response {
    let well = |failure: Option<&str>| failure.unwrap_or("ok").to_owned();
    let database = state.database.ping().await.inspect_err(|error| {
        tracing::warn!(%error, "not ready: database");
    });
    let disks = match timeout(PATIENCE, state.disks.get(Disks::look(state.clone()))).await {
        Ok(Ok(disks)) => disks,
        Ok(Err(_)) => Disks { storage: Err(UNKNOWN), models: Err(UNKNOWN) },
        Err(_) => Disks { storage: Err(SILENT), models: Err(SILENT) },
    };
    let stopping = state.stopping.is_cancelled();
    let worker = state.supervisor.is_ready();
    let ready = database.is_ok() && disks.storage.is_ok() && disks.models.is_ok() && !stopping;
    let checks = Checks {
        database: well(database.is_err().then_some("does not answer; the log says more")),
        storage: well(disks.storage.err()),
        models: well(disks.models.err()),
        worker: well((!worker).then_some("is not running; the log says more")),
        running: well(stopping.then_some("the server is stopping")),
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, checks })).into_response()
}

/// How long an answer waits for the disks.
const PATIENCE: Duration = Duration::from_secs(5);

const SILENT: &str = "the disk does not answer";
const UNKNOWN: &str = "cannot be told; the log says more";

/// Whether what lies on disks is there, or what is wrong.
#[derive(Clone, Copy)]
pub(crate) struct Disks {
    storage: Result<(), &'static str>,
    models: Result<(), &'static str>,
}

impl Disks {
    async fn look(state: AppState) -> Self {
        let storage = state.artifacts.check().await.map_err(|error| {
            tracing::warn!(%error, "not ready: storage");
            "cannot be written to; the log says more"
        });
        let look = move || match Catalogue::discover(state.config.storage.models.as_deref()) {
            Ok(models) if models.all().is_empty() => Err("there is no model"),
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "not ready: models");
                Err("their folder cannot be read; the log says more")
            }
        };
        let models = tokio::task::spawn_blocking(look).await.unwrap_or(Err(UNKNOWN));
        Self { storage, models }
    }
}

/// Metrics in the text format of Prometheus (OpenMetrics)
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses(
        (status = 200, description = "All metrics", content_type = "application/openmetrics-text",
            body = String),
        Problems
    )
)]
pub(super) async fn metrics(State(state): State<AppState>, _: Read) -> Result<Response> {
    let text = state.metrics.encode().map_err(Problem::internal)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}
