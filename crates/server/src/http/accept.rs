//! Taking a job in and waiting for its end: the same in all dialects.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use diffusion_jobs::artifacts::sha256;
use diffusion_jobs::idempotency::{Idempotency, Once};
use diffusion_jobs::queue::Accepted;
use diffusion_jobs::{Error, Job, NewJob, State};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{AppState, Problem, Result};

/// How often the cancel of a client that has gone is tried while the database does not answer.
const CANCELS: usize = 100;

/// The kind of a problem of a client that waits no longer for a job that is not at its end.
pub(super) const GOES_ON: &str = "goes-on";

/// How often a job is looked at of which no news comes: another process may have changed it.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// Stores a job, and wakes the worker. Once this returns, the job survives any crash. If this is
/// dropped before, as it is when the client goes away, a job without an `Idempotency-Key` is
/// cancelled: nobody can ask for it.
///
/// # Errors
/// 429 where too much waits already, or where what waits takes too long, with the time after which
/// it may be tried again; 409 where the `Idempotency-Key` was used for something else; 503 where
/// the database does not answer.
pub(super) async fn accept(
    state: &AppState,
    job: &NewJob,
    key: Option<&Idempotency>,
) -> Result<Uuid> {
    let images = i64::try_from(job.images.len()).unwrap_or(i64::MAX);
    in_time(state, job.owner, images).await?;
    let backlog = state.config.queue.backlog_for(job.owner);
    let stored = match key {
        Some(key) => state.queue.enqueue(job, Some(key), backlog).await,
        None => {
            let (server, job) = (state.clone(), job.clone());
            let work = async move { server.queue.enqueue(&job, None, backlog).await };
            let server = state.clone();
            to_its_end(work.in_current_span(), move |stored| {
                if let Ok(Accepted { id, .. }) = stored {
                    cancel_for_sure(server, id);
                }
            })
            .await?
        }
    };
    let accepted = stored.map_err(|error| refused(state, images, error))?;
    tracing::Span::current().record("job", tracing::field::display(accepted.id));
    if accepted.is_new {
        state.supervisor.wake();
        tracing::info!(job = %accepted.id, images = job.images.len(), "job accepted");
    }
    Ok(accepted.id)
}

/// Puts what failed or was cancelled of a job back into the queue, where as much of a new job
/// would be taken in, and wakes the worker.
///
/// # Errors
/// 409 where there is nothing to retry, or the key was used for something else; 429 and 503 as of
/// [`accept`].
pub(super) async fn retry(
    state: &AppState,
    job: &Job,
    asked_by: Option<Uuid>,
    key: Option<&Idempotency>,
) -> Result<()> {
    if remembered(state, asked_by, key).await?.is_some() {
        return Ok(());
    }
    let counts = state.database.image_counts(&[job.id]).await?;
    let again = [State::Failed, State::Cancelled];
    let images = counts.get(&job.id).map_or(0, |counts| again.map(|s| counts.of(s)).iter().sum());
    // Otherwise there is nothing to wait for: the queue says so.
    if job.state.is_final() && images > 0 {
        in_time(state, job.owner, images).await?;
    }
    let backlog = state.config.queue.backlog_for(job.owner);
    let queued = state.queue.retry(job.id, asked_by, key, backlog).await;
    queued.map_err(|error| refused(state, images, error))?;
    state.supervisor.wake();
    state.live.changed(job.id);
    tracing::info!(job = %job.id, images, "job is tried again");
    Ok(())
}

/// Why so many images were not taken in, and when they may be.
fn refused(state: &AppState, images: i64, error: Error) -> Problem {
    match error {
        Error::Backlog { waiting, limit } => {
            let over = waiting.saturating_add(images).saturating_sub(limit);
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "backlog", error.to_string())
                .retry_after(state.pace.time_for(over))
                .with("waiting", waiting)
                .with("limit", limit)
        }
        error => error.into(),
    }
}

/// Refuses images that would not be made within `queue.longest_wait_seconds`, as far as is known.
async fn in_time(state: &AppState, owner: Option<Uuid>, images: i64) -> Result<()> {
    let Some(limit) = state.config.queue.longest_wait() else { return Ok(()) };
    let before = state.queue.served_before(owner, images).await?;
    let expected = state.pace.expected(before.saturating_add(images));
    let Some(expected) = expected.filter(|expected| *expected > limit) else { return Ok(()) };
    let seconds = |time: Duration| time.as_secs_f64().round() as u64;
    let (expected_s, limit_s) = (seconds(expected), seconds(limit));
    let text = format!(
        "this would be done in about {expected_s} s, after {before} images that wait, and more \
         than {limit_s} s are refused here (longest_wait_seconds of [queue]): ask for fewer \
         images, or later"
    );
    Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "wait", text)
        .retry_after(expected - limit)
        .with("expected_seconds", expected_s)
        .with("limit_seconds", limit_s)
        .with("waiting", before))
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
    let Some(before) = state.database.remembered(owner, key).await? else { return Ok(None) };
    let id = before.made;
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
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, GOES_ON, text);
                let problem = problem.retry_after(Duration::from_secs(5));
                break Err(problem.with("job", id.to_string()));
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
    cancel_once(state, id, None).await
}

/// As [`cancel`], once under one `Idempotency-Key`.
///
/// # Errors
/// As [`cancel`]; 409 where the key was used for another request.
pub(super) async fn cancel_once(state: &AppState, id: Uuid, once: Option<Once<'_>>) -> Result<()> {
    if !state.queue.cancel_once(id, once).await? {
        return Ok(());
    }
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
        if !self.over {
            cancel_for_sure(self.state.clone(), self.id);
        }
    }
}

/// Cancels a job whose client has gone, as soon as the database answers.
fn cancel_for_sure(state: AppState, id: Uuid) {
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

/// Does `work` to its end, whether or not this is dropped meanwhile. What comes of it then goes to
/// `untaken`.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
    untaken: impl FnOnce(T) + Send + 'static,
) -> Result<T> {
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        // Dropped with what it holds where nobody is there to take it, now or a moment later.
        let _ = tell.send(Untaken(Some((work.await, untaken))));
    });
    let mut done = told.await.map_err(Problem::internal)?;
    match done.0.take() {
        Some((done, _)) => Ok(done),
        None => Err(Problem::internal("what was done was taken already")),
    }
}

/// Hands what nobody took to whoever is to undo it.
struct Untaken<T, U: FnOnce(T)>(Option<(T, U)>);

impl<T, U: FnOnce(T)> Drop for Untaken<T, U> {
    fn drop(&mut self) {
        if let Some((done, untaken)) = self.0.take() {
            untaken(done);
        }
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

    #[tokio::test]
    async fn what_nobody_waits_for_is_done_and_handed_back() {
        let (back, mut handed_back) = tokio::sync::mpsc::unbounded_channel();
        let (go, wait) = oneshot::channel::<()>();
        let work = async move { wait.await.map_or(0, |()| 7) };
        let tell = back.clone();
        let mut waits = Box::pin(to_its_end(work, move |done| tell.send(done).unwrap()));
        assert!(futures_util::poll!(&mut waits).is_pending());
        drop(waits);
        go.send(()).unwrap();
        assert_eq!(handed_back.recv().await, Some(7), "it was done all the same");

        let tell = back.clone();
        let done = to_its_end(async { 8 }, move |done| tell.send(done).unwrap()).await.unwrap();
        drop(back);
        assert_eq!((done, handed_back.recv().await), (8, None), "what was taken stays");
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
