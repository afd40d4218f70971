//! A job as a stream of server-sent events.
//!
//! Each `job` event is the whole job, under the version of its record as id: whoever has missed
//! some is brought up to date by the next, so nothing is kept for listeners, however many there
//! are and however slow. `progress` and `preview` have no id: they are never sent again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
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

/// How far the images of a job are
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ProgressEvent {
    images: Vec<ImageProgress>,
}

/// How far an image is
#[derive(Debug, Serialize, ToSchema)]
struct ImageProgress {
    /// Its place in the job
    index: i32,
    /// UNet evaluations done
    done: usize,
    /// UNet evaluations in all
    total: usize,
    /// Time that the device spent on it
    seconds: f64,
}

/// Follow a job
///
/// Server-sent events: `job` with the whole job whenever its record changes, `progress` with the
/// evaluations done of each image in flight, `preview` with an unfinished image (`{index, png}`, in
/// base64). The stream ends when the job has ended. `Last-Event-ID` leaves out what is known.
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/events",
    operation_id = "follow_job",
    tag = "jobs",
    params(
        ("id" = Uuid, Path, description = "The job"),
        ("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event that came")
    ),
    responses(
        (status = 200, description = "Events", content_type = "text/event-stream", body = ProgressEvent),
        Problems
    )
)]
pub(in crate::http) async fn events(
    State(state): State<AppState>,
    Read(identity): Read,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    visible(&state, identity, id).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let news = state.live.follow(id);
    let listener = Listener {
        state,
        identity,
        id,
        news,
        version: last,
        changes: None,
        looked: None,
        done: BTreeMap::new(),
        waiting: Vec::new(),
        told: None,
        ended: false,
    };
    let events = unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Listener {
    state: AppState,
    identity: Identity,
    id: Uuid,
    news: watch::Receiver<View>,
    /// The version of the record that was told last.
    version: Option<i64>,
    /// The changes of which the record was looked at.
    changes: Option<u64>,
    /// When that was.
    looked: Option<Instant>,
    /// What was told of each image: evaluations, and where its preview lies.
    done: BTreeMap<i32, (usize, usize)>,
    waiting: Vec<Event>,
    told: Option<Instant>,
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
                sleep_until(told + PAUSE).await;
                tokio::select! {
                    _ = timeout(LOOK, self.news.changed()) => {}
                    () = self.state.stopping.cancelled() => return None,
                }
            }
            self.told = Some(Instant::now());
            self.look().await;
        }
    }

    /// Collects what is new, the newest last in `waiting`.
    async fn look(&mut self) {
        let view = self.news.borrow_and_update().clone();
        // Progress is no news of the record: a thousand listeners would ask the database at each
        // step. But another process may have changed it.
        let is_due = self.looked.is_none_or(|at| at.elapsed() >= LOOK);
        if !is_due && self.changes == Some(view.changes) {
            self.waiting = self.progress(&view);
            self.waiting.reverse();
            return;
        }
        let mut events = Vec::new();
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
        if self.version != Some(version) || self.changes != Some(view.changes) && is_final {
            let Ok(whole) = JobView::load(&self.state, job).await else { return };
            let event = Event::default().event("job").id(version.to_string()).json_data(&whole);
            events.extend(event.ok());
        }
        self.version = Some(version);
        self.changes = Some(view.changes);
        self.looked = Some(Instant::now());
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
