//! Taking a job in and waiting for its end: the same in all dialects.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use diffusion_jobs::artifacts::sha256;
use diffusion_jobs::queue::{Backlog, Idempotency};
use diffusion_jobs::{Error, NewJob, State};
use serde::Serialize;
use tokio::time::timeout;
use uuid::Uuid;

use super::{AppState, Problem, Result};

/// How often the cancel of a client that has gone is tried while the database does not answer.
const CANCELS: usize = 100;

/// How often a job is looked at of which no news comes: another process may have changed it.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// Stores a job, and wakes the worker. Once this returns, the job survives any crash.
///
/// # Errors
/// 429 where too much waits already, with the time after which it may be tried again; 409 where
/// the `Idempotency-Key` was used for something else; 503 where the database does not answer.
pub(super) async fn accept(
    state: &AppState,
    job: &NewJob,
    key: Option<&Idempotency>,
) -> Result<Uuid> {
    let total = i64::try_from(state.config.queue.backlog.get()).unwrap_or(i64::MAX);
    // One key may fill half of it while others want some.
    let each = if job.owner.is_some() { total / 2 + 1 } else { total };
    let stored = state.queue.enqueue(job, key, Backlog { total, each }).await;
    let accepted = stored.map_err(|error| match error {
        Error::Backlog { waiting, limit } => {
            let over = waiting + i64::try_from(job.images.len()).unwrap_or(i64::MAX) - limit;
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "backlog", error.to_string())
                .retry_after(state.pace.time_for(over))
                .with("waiting", waiting)
                .with("limit", limit)
        }
        error => error.into(),
    })?;
    tracing::Span::current().record("job", tracing::field::display(accepted.id));
    if accepted.is_new {
        state.supervisor.wake();
        tracing::info!(job = %accepted.id, images = job.images.len(), "job accepted");
    }
    Ok(accepted.id)
}

/// The job that an earlier request under the same `Idempotency-Key` was answered with.
///
/// # Errors
/// 409 where the key was used for another request, or its job is deleted.
pub(super) async fn remembered(
    state: &AppState,
    owner: Option<Uuid>,
    key: Option<&Idempotency>,
) -> Result<Option<Uuid>> {
    let Some(key) = key else { return Ok(None) };
    let Some(id) = state.queue.remembered(owner, key).await? else { return Ok(None) };
    match state.database.job(id).await {
        Ok(_) => Ok(Some(id)),
        Err(Error::NotFound { .. }) => {
            let text = format!("the job of this Idempotency-Key, {id}, was deleted");
            Err(Problem::new(StatusCode::CONFLICT, "conflict", text))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns when a job has ended. If this is dropped before, as it is when the client goes away, a
/// job that `ends_with_client` is cancelled.
///
/// # Errors
/// 503 where the server stops first: the job goes on with its next start.
pub(super) async fn wait(state: &AppState, id: Uuid, ends_with_client: bool) -> Result<State> {
    let mut guard = ends_with_client.then(|| Guard { state: state.clone(), id, over: false });
    let mut news = state.live.follow(id);
    let ended = loop {
        let mut changes = news.borrow_and_update().changes;
        match state.database.job(id).await {
            Ok(job) if job.state.is_final() => break Ok(job.state),
            Ok(_) => {}
            // Deleted meanwhile.
            Err(error @ Error::NotFound { .. }) => break Err(error.into()),
            // The job is stored: an outage is waited out.
            Err(error) => tracing::warn!(job = %id, %error, "a client waits for the database"),
        }
        let news = async {
            while news.changed().await.is_ok() {
                let now = news.borrow_and_update().changes;
                if std::mem::replace(&mut changes, now) != now {
                    break;
                }
            }
        };
        tokio::select! {
            _ = timeout(LOOK, news) => {}
            // When the server stops, its worker finishes what it can first.
            () = state.supervisor.ended() => {
                let text = format!("the server stops; job {id} goes on when it is started again");
                break Err(Problem::unavailable(text).with("job", id.to_string()));
            }
        }
    };
    if let Some(guard) = &mut guard {
        guard.over = true;
    }
    ended
}

/// Cancels a job, in the record and at the worker.
///
/// # Errors
/// There is no such job; the database.
pub(super) async fn cancel(state: &AppState, id: Uuid) -> Result<()> {
    state.queue.cancel(id).await?;
    state.supervisor.cancel(id);
    state.live.changed(id);
    Ok(())
}

/// Cancels one image of a job, likewise: the worker learns of it from the queue.
///
/// # Errors
/// There is no such job; the database.
pub(super) async fn cancel_image(state: &AppState, id: Uuid, index: i32) -> Result<()> {
    state.queue.cancel_image(id, index).await?;
    state.live.changed(id);
    Ok(())
}

/// Cancels a job whose client has gone.
struct Guard {
    state: AppState,
    id: Uuid,
    over: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (state, id) = (self.state.clone(), self.id);
        tokio::spawn(async move {
            tracing::info!(job = %id, "the client has gone: its job is cancelled");
            for _ in 0..CANCELS {
                match cancel(&state, id).await {
                    Ok(()) => return,
                    // Deleted.
                    Err(problem) if !problem.status().is_server_error() => return,
                    Err(problem) => tracing::warn!(job = %id, ?problem, "not cancelled yet"),
                }
                tokio::time::sleep(LOOK).await;
            }
        });
    }
}

/// Whether the client wants an answer at once (`Prefer: respond-async`, RFC 7240).
pub(super) fn prefers_async(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';']));
    preferences.any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// The `Idempotency-Key` of a request, with the hash of what it asks.
///
/// # Errors
/// 422: the key is empty or too long.
pub(super) fn idempotency(
    headers: &HeaderMap,
    route: &str,
    body: &impl Serialize,
) -> Result<Option<Idempotency>> {
    let Some(name) = headers.get("idempotency-key") else { return Ok(None) };
    let fit = |name: &&str| (1..=255).contains(&name.len());
    let Some(name) = name.to_str().ok().filter(fit) else {
        let text = "Idempotency-Key: 1 to 255 visible ASCII characters are needed";
        return Err(Problem::invalid(text).field("Idempotency-Key"));
    };
    let asked = serde_json::to_vec(&(route, body)).map_err(Problem::internal)?;
    Ok(Some(Idempotency { name: name.into(), body_sha256: sha256(&asked) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn preferences() {
        for yes in ["respond-async", "wait=10, Respond-Async", "respond-async; foo=bar"] {
            assert!(prefers_async(&headers("prefer", yes)), "{yes}");
        }
        for no in ["", "respond-asynchronously", "return=minimal"] {
            assert!(!prefers_async(&headers("prefer", no)), "{no}");
        }
    }

    #[test]
    fn keys_of_requests() {
        let of =
            |value: &str, body: &str| idempotency(&headers("idempotency-key", value), "/r", &body);
        let hash = |body| of("k", body).unwrap().unwrap().body_sha256;
        assert_eq!(hash("a"), hash("a"));
        assert_ne!(hash("a"), hash("b"));
        assert!(idempotency(&HeaderMap::new(), "/r", &"a").unwrap().is_none());
        assert!(of("", "a").is_err());
        assert!(of(&"k".repeat(256), "a").is_err());
    }
}
