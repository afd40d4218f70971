//! Images as they form: server-sent events.
//!
//! Of each image the previews come that fall due as it forms, `partial_images` at the most, each
//! enlarged to the image's size; then every image, and the stream ends. An image that is made
//! quickly may have fewer previews. `image_index` is ours: without it the events of several images
//! could not be told apart. What goes wrong is an event `error`.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;
use diffusion_engine::images::{Limits, decode, resize};
use diffusion_jobs::State;
use futures_util::stream::unfold;
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::{Usage, size};
use super::error::{NOT_MADE, Refusal};
use super::fields::{Background, OutputFormat, Quality};
use super::files::read;
use super::job::{Asked, Way, outcome};
use crate::encode::encode;
use crate::http::accept::wait;
use crate::http::{AppState, Problem, Result};
use crate::live::{Progress, View};
use crate::plan::ImagePlan;

/// A server-sent event of a stream of images
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiImageEvent)]
pub(super) struct Forming {
    /// `image_generation.partial_image`, `image_generation.completed`, or of edits
    /// `image_edit.partial_image`, `image_edit.completed`
    #[serde(rename = "type")]
    kind: String,
    /// The file in base64
    b64_json: String,
    /// From 0; only of a partial image
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_image_index: Option<u32>,
    /// In seconds since 1970
    created_at: i64,
    /// The real size, `WIDTHxHEIGHT`
    size: String,
    quality: Quality,
    background: Background,
    output_format: OutputFormat,
    /// Only of a completed image
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    /// Extension: the image's place in the job
    image_index: i32,
}

/// What waits for the end of the job.
type Ending = Pin<Box<dyn Future<Output = Result<State>> + Send>>;

/// The stream of a job.
///
/// # Errors
/// The database.
pub(super) async fn respond(
    state: AppState,
    job: Uuid,
    ends_with_client: bool,
    asked: Asked,
) -> Result<Response> {
    let mut sizes = BTreeMap::new();
    for image in state.database.job_images(job).await? {
        let plan: ImagePlan = serde_json::from_value(image.plan.0).map_err(Problem::internal)?;
        sizes.insert(image.idx, (plan.plan.width, plan.plan.height));
    }
    let mut news = state.live.follow(job);
    // What is known already is news.
    news.mark_changed();
    let waiting = state.clone();
    let ending = async move { wait(&waiting, job, ends_with_client).await };
    let teller = Teller {
        state,
        job,
        asked: Arc::new(asked),
        sizes,
        news,
        ending: Box::pin(ending),
        shown: BTreeMap::new(),
        waiting: VecDeque::new(),
        over: false,
    };
    let events = unfold(teller, |mut teller| async {
        let event = teller.next().await?;
        Some((Ok::<_, Infallible>(event), teller))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

struct Teller {
    state: AppState,
    job: Uuid,
    asked: Arc<Asked>,
    sizes: BTreeMap<i32, (u32, u32)>,
    news: watch::Receiver<View>,
    /// Cancels the job when it is dropped before its end, unless the job outlives its client.
    ending: Ending,
    /// Of each image, its previews that were sent, and where the last one lay.
    shown: BTreeMap<i32, (u32, usize)>,
    waiting: VecDeque<Event>,
    over: bool,
}

impl Teller {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            tokio::select! {
                biased;
                end = &mut self.ending => {
                    self.over = true;
                    if let Err(problem) = self.finish(end).await {
                        self.waiting.push_back(failed(problem));
                    }
                }
                Ok(()) = self.news.changed() => self.look().await,
            }
        }
    }

    /// Collects the previews that are due.
    async fn look(&mut self) {
        let view = self.news.borrow_and_update().clone();
        for (&index, progress) in &view.images {
            let Some(preview) = &progress.preview else { continue };
            let place = preview.as_ptr() as usize;
            let (count, before) = self.shown.get(&index).copied().unwrap_or_default();
            if before == place || !is_due(progress, count, self.partial_images()) {
                continue;
            }
            self.shown.insert(index, (count + 1, place));
            match self.partial(index, count, preview.clone()).await {
                Ok(event) => self.waiting.push_back(event),
                // It costs the preview alone.
                Err(problem) => tracing::warn!(job = %self.job, index, ?problem, "no preview"),
            }
        }
    }

    fn partial_images(&self) -> u32 {
        self.asked.wanted.partial_images.unwrap_or_default()
    }

    /// A preview as an image of the size that is being made.
    async fn partial(&mut self, index: i32, count: u32, preview: Arc<str>) -> Result<Event> {
        let size = self.sizes.get(&index).copied();
        let (width, height) = size.ok_or_else(|| Problem::internal("a preview of no image"))?;
        let asked = self.asked.clone();
        let convert = move || -> anyhow::Result<Vec<u8>> {
            let small = decode(&BASE64_STANDARD.decode(&*preview)?, &Limits::default())?;
            let large = resize(&small, width, height)?;
            let format = asked.wanted.output_format.unwrap_or_default();
            encode(&large, format.into(), asked.wanted.compression(), &[])
        };
        let file = tokio::task::spawn_blocking(convert).await.map_err(Problem::internal)?;
        let file = file.map_err(Problem::internal)?;
        Ok(event(&self.forming("partial_image", index, (width, height), &file, Some(count), None)))
    }

    /// Collects what was made.
    async fn finish(&mut self, end: Result<State>) -> Result<()> {
        let outcome = outcome(&self.state, self.job, end?).await?;
        let format = self.asked.wanted.output_format.unwrap_or_default();
        let quality = self.asked.wanted.compression();
        let pictures = usize::from(!self.asked.pictures.is_empty());
        for image in outcome.made {
            let file = read(&self.state, &image.sha256, format.into(), quality).await?;
            let usage = Usage::new(&self.asked, std::slice::from_ref(&image), pictures);
            let completed =
                self.forming("completed", image.index, image.size, &file, None, Some(usage));
            self.waiting.push_back(event(&completed));
        }
        for why in outcome.failures {
            let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, NOT_MADE, why);
            self.waiting.push_back(failed(problem));
        }
        Ok(())
    }

    fn forming(
        &self,
        what: &str,
        image_index: i32,
        sides: (u32, u32),
        file: &[u8],
        partial_image_index: Option<u32>,
        usage: Option<Usage>,
    ) -> Forming {
        let wanted = &self.asked.wanted;
        let name = match self.asked.way {
            Way::Generation => "image_generation",
            Way::Edit | Way::Variation => "image_edit",
        };
        Forming {
            kind: format!("{name}.{what}"),
            b64_json: BASE64_STANDARD.encode(file),
            partial_image_index,
            created_at: Utc::now().timestamp(),
            size: size(sides),
            quality: wanted.quality.unwrap_or_default().told(),
            background: Background::Opaque,
            output_format: wanted.output_format.unwrap_or_default(),
            usage,
            image_index,
        }
    }
}

/// Whether an image that has had `count` of its `most` previews has come as far as the next: they
/// are spread over its steps.
fn is_due(progress: &Progress, count: u32, most: u32) -> bool {
    let (done, total) = (progress.done as u64, progress.total as u64);
    count < most && done * u64::from(most) >= total * u64::from(count)
}

fn event(forming: &Forming) -> Event {
    let event = Event::default().event(&forming.kind).json_data(forming);
    event.unwrap_or_else(|error| failed(Problem::internal(error)))
}

/// An error, as OpenAI's clients look for it in a stream.
fn failed(problem: Problem) -> Event {
    let refusal = serde_json::to_value(Refusal::from(problem)).unwrap_or_default();
    let data = json!({ "type": "error", "error": refusal["error"] });
    Event::default().event("error").data(data.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_spread_over_the_steps() {
        let at = |done| Progress { done, total: 20, ..Progress::default() };
        let due = |most: u32| {
            let mut count = 0;
            let mut steps = Vec::new();
            for done in 1..=20 {
                if is_due(&at(done), count, most) {
                    count += 1;
                    steps.push(done);
                }
            }
            steps
        };
        assert!(due(0).is_empty());
        assert_eq!(due(1), [1]);
        assert_eq!(due(2), [1, 10]);
        assert_eq!(due(3), [1, 7, 14]);
    }
}
