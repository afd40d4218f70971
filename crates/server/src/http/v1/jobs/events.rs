//! A job as a stream of server-sent events.
//!
//! The first `job` event of a connection is the whole job, and so is the last: whoever has missed
//! some is brought up to date, so nothing is kept for listeners, however many there are and however
//! slow. Those between leave out the images that stand where they stood: a job of a thousand
//! images changes two thousand times. The id is the version of the record. `progress` and
//! `preview` have no id: they are never sent again.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use utoipa::ToSchema;
use uuid::Uuid;

use super::view::JobView;
use super::visible;
use crate::http::accept::LOOK;
use crate::http::auth::{Identity, Read};
use crate::http::extract::Path;
use crate::http::{AppState, Problems, Result};
use crate::live::View;

/// How often a listener is told, at the most.
const PAUSE: Duration = Duration::from_millis(100);

/// How much longer than a look at the record takes a listener rests after it, at the least.
const REST: u32 = 4;

/// How far the images of a job are.
#[derive(Debug, Serialize)]
struct ProgressEvent {
    images: Vec<ImageProgress>,
}

/// How far an image is.
#[derive(Debug, Serialize)]
struct ImageProgress {
    /// Its place in the job.
    index: i32,
    /// UNet evaluations done.
    done: usize,
    /// UNet evaluations in all.
    total: usize,
    /// Time that the device spent on it.
    seconds: f64,
}

/// A server-sent event
#[derive(ToSchema)]
#[schema(as = JobEvent, example = json!({
    "event": "progress",
    "data": "{\"images\":[{\"index\":0,\"done\":7,\"total\":20,\"seconds\":0.4}]}"
}))]
#[allow(dead_code, reason = "only described: axum's type is sent")]
pub(in crate::http) struct Message {
    /// `job`, `progress` or `preview`
    event: String,
    /// Of a `job`: what `Last-Event-ID` takes
    id: Option<String>,
    /// JSON: a `Job`, between the first and the last with those images alone whose state is another
    /// than before; `{"images": [{index, done, total, seconds}]}`; `{"index", "png"}` in base64
    data: String,
}

/// Follow a job
///
/// Server-sent events: `job` with the job whenever its record changes, `progress` with the
/// evaluations done of each image in flight, `preview` with an unfinished image (`{index, png}`, in
/// base64). The first and the last `job` are whole; those between have in `images` only those whose
/// state has changed. The stream ends when the job has ended. `Last-Event-ID` leaves out what is
/// known; 204 tells a browser that comes back that there will be no more.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/events",
    operation_id = "follow_job",
    tag = "jobs",
    params(
        ("id" = Uuid, Path, description = "The job",
            example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90"),
        ("Last-Event-ID" = Option<String>, Header,
            description = "The id of the last event that came", example = "20")
    ),
    responses(
        (status = 200, description = "Events", content_type = "text/event-stream", body = Message),
        (status = 204, description = "The job has ended, and `Last-Event-ID` is its last event"),
        Problems
    )
)]
pub(in crate::http) async fn events(
    State(state): State<AppState>,
    Read(identity): Read,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response> {
    let job = visible(&state, identity, id).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    if job.state.is_final() && last == Some(job.version) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let news = state.live.follow(id);
    let listener = Listener {
        state,
        identity,
        id,
        news,
        version: last,
        states: HashMap::new(),
        done: BTreeMap::new(),
        pause: PAUSE,
        waiting: Vec::new(),
        told: None,
        looked: None,
        changes: None,
        ended: false,
    };
    let events = unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

struct Listener {
    state: AppState,
    identity: Identity,
    id: Uuid,
    news: watch::Receiver<View>,
    /// The version of the record that was told last.
    version: Option<i64>,
    /// The states that were told of each image.
    states: HashMap<i32, diffusion_jobs::State>,
    /// What was told of each image: evaluations, and where its preview lies.
    done: BTreeMap<i32, (usize, usize)>,
    pause: Duration,
    waiting: Vec<Event>,
    told: Option<Instant>,
    /// When the record was looked at, and after which of its changes.
    looked: Option<Instant>,
    changes: Option<u64>,
    ended: bool,
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop() {
                return Some(event);
            }
            if self.ended || self.state.stopping.is_cancelled() {
                return None;
            }
            if let Some(told) = self.told {
                tokio::select! {
                    () = sleep_until(told + self.pause) => {}
                    () = self.state.stopping.cancelled() => return None,
                }
                tokio::select! {
                    _ = timeout(LOOK, self.news.changed()) => {}
                    () = self.state.stopping.cancelled() => return None,
                }
            }
            let now = Instant::now();
            self.told = Some(now);
            self.look().await;
            self.pause = (now.elapsed() * REST).clamp(PAUSE, LOOK);
        }
    }

    /// Collects what is new, the newest last in `waiting`.
    async fn look(&mut self) {
        let view = self.news.borrow_and_update().clone();
        let mut events = Vec::new();
        // Without news, another process may have changed the record.
        let looked = self.looked.is_some_and(|looked| looked.elapsed() < LOOK);
        if looked && self.changes == Some(view.changes) {
            self.waiting = self.progress(&view);
            self.waiting.reverse();
            return;
        }
        self.looked = Some(Instant::now());
        self.changes = Some(view.changes);
        let job = match visible(&self.state, self.identity, self.id).await {
            Ok(job) => job,
            Err(problem) if problem.status().is_server_error() => return,
            // Deleted.
            Err(_) => {
                self.ended = true;
                return;
            }
        };
        let is_final = job.state.is_final();
        let version = job.version;
        if self.version != Some(version) {
            let loaded = match is_final {
                true => JobView::load(&self.state, job).await,
                false => JobView::load_changes(&self.state, job, &mut self.states).await,
            };
            let Ok(job) = loaded else { return };
            let event = Event::default().event("job").id(version.to_string()).json_data(&job);
            events.extend(event.ok());
        }
        self.version = Some(version);
        if !is_final {
            events.extend(self.progress(&view));
        }
        self.ended = is_final;
        events.reverse();
        self.waiting = events;
    }

    fn progress(&mut self, view: &View) -> Vec<Event> {
        let mut events = Vec::new();
        let mut images = Vec::new();
        for (&index, progress) in &view.images {
            let preview = progress.preview.as_deref().map_or(0, |png| png.as_ptr() as usize);
            let before = self.done.insert(index, (progress.done, preview)).unwrap_or_default();
            if before.0 != progress.done {
                let (done, total, seconds) = (progress.done, progress.total, progress.seconds);
                images.push(ImageProgress { index, done, total, seconds });
            }
            if let Some(png) = progress.preview.as_deref().filter(|_| before.1 != preview) {
                let preview = Event::default().event("preview");
                events.extend(preview.json_data(json!({ "index": index, "png": png })).ok());
            }
        }
        if !images.is_empty() {
            let progress = Event::default().event("progress").json_data(ProgressEvent { images });
            events.extend(progress.ok());
        }
        events
    }
}
