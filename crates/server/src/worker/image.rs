//! One image in the worker: from its stored plan to its publication.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use chrono::Utc;
use diffusion_engine::images::{RgbImage, encode_png};
use diffusion_engine::{ModelInfo, Precision, Source};
use diffusion_jobs::artifacts::Kind;
use diffusion_jobs::work::{Attempt, Published, Verdict, Work};
use diffusion_jobs::{Artifacts, Error};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, field};

use super::in_hand::InHand;
use super::link::{DeviceEvent, FromWorker};
use super::outbox::{Outbox, Watcher};
use crate::failpoints::reach;
use crate::fingerprint::Fingerprints;
use crate::infotext::Record;
use crate::inpaint::Canvas;
use crate::plan::ImagePlan;
use crate::runtime::{
    Event, Events, Failure, FailureKind, ModelRef, Outcome, Runtime, Task, TaskId,
};

/// What every image of this worker needs.
pub(super) struct Images {
    pub(super) runtime: Runtime,
    pub(super) artifacts: Artifacts,
    pub(super) models_dir: Option<PathBuf>,
    pub(super) precision: Precision,
    pub(super) fingerprints: Arc<Fingerprints>,
    pub(super) outbox: Outbox,
    pub(super) watcher: Arc<Watcher>,
    pub(super) in_hand: InHand,
}

/// How an attempt ends badly.
enum Bad {
    /// In the same way each time.
    Permanent(String),
    /// It may go better another time.
    Passing(String),
    /// It is no longer ours, or no longer wanted.
    Unwanted,
}

impl From<Error> for Bad {
    fn from(error: Error) -> Self {
        match error {
            Error::Superseded => Self::Unwanted,
            error if error.is_outage() => Self::Passing(error.to_string()),
            error => Self::Permanent(error.to_string()),
        }
    }
}

/// How long a publication waits for the database between its tries.
const PAUSE: Duration = Duration::from_millis(500);

impl Work for Images {
    async fn work(&self, attempt: Attempt, cancelled: CancellationToken) -> Verdict {
        let Attempt { job, index, age: turn, .. } = attempt;
        let span = tracing::info_span!("image", %job, index, turn, model = field::Empty);
        self.carry(attempt, cancelled).instrument(span).await
    }
}

fn id(attempt: &Attempt) -> TaskId {
    TaskId { job: attempt.job, index: attempt.index.unsigned_abs() }
}

impl Images {
    /// Carries an attempt to its end.
    async fn carry(&self, attempt: Attempt, cancelled: CancellationToken) -> Verdict {
        let job = attempt.job;
        let held = self.in_hand.take(job);
        self.outbox.send(FromWorker::Changed(job));
        let made = tokio::select! {
            made = self.make(&attempt) => made,
            () = cancelled.cancelled() => Err(Bad::Unwanted),
            () = held.cancelled.cancelled() => Err(Bad::Unwanted),
        };
        let verdict = match made {
            Ok(verdict) => verdict,
            // The device lets go of what nobody follows. A message that was meant for an earlier
            // attempt leaves an image that is wanted still.
            Err(Bad::Unwanted) => match attempt.release().await {
                Ok(true) => Verdict::Again,
                Ok(false) | Err(_) => Verdict::Ended,
            },
            Err(Bad::Permanent(error)) => {
                tracing::warn!(%job, index = attempt.index, %error, "image failed");
                self.end(&attempt, End::Failed(&error)).await
            }
            Err(Bad::Passing(error)) => {
                tracing::warn!(%job, index = attempt.index, %error, "attempt failed");
                match attempt.give_back(&error).await {
                    Ok(true) => Verdict::Again,
                    Ok(false) | Err(Error::Superseded) => Verdict::Ended,
                    Err(_) => Verdict::Again,
                }
            }
        };
        if matches!(verdict, Verdict::Ended) {
            // What is left lying is swept.
            let _ = self.artifacts.remove_state(job, attempt.index).await;
        }
        self.outbox.send(FromWorker::Ended { job, index: attempt.index });
        verdict
    }

    async fn make(&self, attempt: &Attempt) -> Result<Verdict, Bad> {
        let plan: ImagePlan = serde_json::from_value(attempt.plan.clone())
            .map_err(|error| Bad::Permanent(format!("stored plan: {error}")))?;
        tracing::Span::current().record("model", plan.model.as_str());
        let preparing = self.watcher.blame.beside(id(attempt));
        reach("begin", &plan.plan.prompt);
        let source = source(&plan, self.models_dir.clone()).await?;
        let initial = match &plan.input {
            None => None,
            Some(picture) => Some(self.draw_on(&plan, picture, |canvas| canvas.initial()).await?),
        };
        let resume = match attempt.saved_step {
            0 => None,
            _ => self.artifacts.get_state(attempt.job, attempt.index).await?,
        };
        let events = self.runtime.submit(Task {
            id: id(attempt),
            model: ModelRef { name: plan.model.clone(), source: source.clone() },
            plan: plan.plan.clone(),
            initial,
            resume: resume.map(Vec::from),
            owner: attempt.owner,
            priority: attempt.priority as u8,
            age: attempt.age.unsigned_abs(),
            previews: true,
        });
        drop(preparing);
        let follow = self.follow(attempt, &plan, source, events);
        follow.instrument(tracing::info_span!("compute")).await
    }

    /// Does something with the picture that an image is drawn on. It is made each time that it is
    /// needed: pictures are large, and many images are in flight.
    async fn draw_on<T: Send + 'static>(
        &self,
        plan: &ImagePlan,
        picture: &str,
        work: impl FnOnce(Canvas) -> diffusion_engine::Result<T> + Send + 'static,
    ) -> Result<T, Bad> {
        let picture = self.artifacts.get(Kind::Input, picture).await?;
        let mask = match &plan.mask {
            None => None,
            Some(mask) => {
                Some((self.artifacts.get(Kind::Input, &mask.picture).await?, mask.inpaint))
            }
        };
        let (resize, size) = (plan.resize, (plan.plan.width, plan.plan.height));
        let done = blocking(move || {
            let mask = mask.as_ref().map(|(mask, inpaint)| (&**mask, *inpaint));
            work(Canvas::decode(&picture, mask, resize, size)?)
        });
        done.await?.map_err(|error| Bad::Permanent(error.to_string()))
    }

    /// Follows an image on the device to its end.
    async fn follow(
        &self,
        attempt: &Attempt,
        plan: &ImagePlan,
        source: Source,
        mut events: Events,
    ) -> Result<Verdict, Bad> {
        let Attempt { job, index, .. } = *attempt;
        while let Some(event) = events.recv().await {
            match event {
                Event::Begun { done, total, warnings } => {
                    if attempt.saved_step == 0 {
                        let waited = Utc::now() - attempt.accepted_at;
                        let seconds = waited.as_seconds_f64().max(0.0);
                        self.outbox.send(FromWorker::Device(DeviceEvent::Started { seconds }));
                    }
                    for warning in warnings {
                        tracing::warn!(%job, index, warning);
                    }
                    self.step(attempt, done, total, 0.0);
                }
                Event::Step { done, total, seconds } => self.step(attempt, done, total, seconds),
                Event::Preview(image) => {
                    let png = blocking(move || encode_png(&image, &[])).await?;
                    if let Ok(png) = png {
                        let png = BASE64_STANDARD.encode(png);
                        self.outbox.send(FromWorker::Preview { job, index, png });
                    }
                }
                Event::Checkpoint { step, bytes } => {
                    if let Err(Bad::Unwanted) = self.save(attempt, step, bytes).await {
                        return Err(Bad::Unwanted);
                    }
                }
                Event::Finished(Outcome::Image { image, seconds }) => {
                    let publish = self.publish(attempt, plan, source, image, seconds);
                    return publish.instrument(tracing::info_span!("publish")).await;
                }
                Event::Finished(Outcome::Failed(Failure { kind, message })) => {
                    return Err(match kind {
                        FailureKind::Panicked => Bad::Passing(message),
                        FailureKind::Load => {
                            Bad::Permanent(format!("model {}: {message}", plan.model))
                        }
                        FailureKind::Refused => Bad::Permanent(message),
                    });
                }
                Event::Finished(Outcome::Cancelled) => return Err(Bad::Unwanted),
                Event::Finished(Outcome::Suspended(state)) => {
                    if let Some((step, bytes)) = state {
                        // Without it the image begins anew.
                        let _ = self.save(attempt, step, bytes).await;
                    }
                    return Ok(Verdict::HandedOver);
                }
            }
        }
        Err(Bad::Passing("the device thread has ended".into()))
    }

    fn step(&self, attempt: &Attempt, done: usize, total: usize, seconds: f64) {
        let Attempt { job, index, .. } = *attempt;
        self.outbox.send(FromWorker::Step { job, index, done, total, seconds });
    }

    /// Stores a sample's state. That it cannot be stored costs only the resumption.
    async fn save(&self, attempt: &Attempt, step: usize, bytes: Vec<u8>) -> Result<(), Bad> {
        let stored = self.artifacts.put_state(attempt.job, attempt.index, bytes.into()).await;
        let saved = match stored {
            Ok(()) => attempt.saved(i32::try_from(step).unwrap_or(i32::MAX)).await,
            Err(error) => Err(error),
        };
        saved.map_err(|error| {
            tracing::warn!(job = %attempt.job, %error, "a sample's state was not stored");
            error.into()
        })
    }

    /// The image as a PNG, stored, then published.
    async fn publish(
        &self,
        attempt: &Attempt,
        plan: &ImagePlan,
        source: Source,
        image: RgbImage,
        seconds: f64,
    ) -> Result<Verdict, Bad> {
        let prompt = &plan.plan.prompt;
        let (whole, precision) = (plan.clone(), self.precision);
        let fingerprints = self.fingerprints.clone();
        let encoding = self.watcher.blame.beside(id(attempt));
        let image = match &plan.input {
            Some(picture) if plan.mask.is_some() => {
                self.draw_on(plan, picture, |canvas| canvas.finish(image)).await?
            }
            _ => image,
        };
        let (width, height) = image.dimensions();
        let png = blocking(move || {
            // That a model's files have gone meanwhile costs the image nothing but this.
            let hash = fingerprints.of(&source).ok();
            let own = ModelInfo::read(&source).ok().and_then(|info| info.scheduler.own());
            let texts = Record::new(whole, hash, precision).texts(own)?;
            encode_png(&image, &texts.each_ref().map(|(keyword, text)| (*keyword, &**text)))
                .map_err(anyhow::Error::from)
        })
        .await?;
        let png = Bytes::from(png.map_err(|error| Bad::Permanent(format!("{error:#}")))?);
        drop(encoding);
        let bytes = png.len() as u64;
        reach("before-put", prompt);
        let sha256 = self.artifacts.put(Kind::Image, png.clone()).await?;
        reach("after-put", prompt);
        self.outbox.send(FromWorker::Made { seconds });
        let file = Published { sha256, bytes, width, height, seconds };
        reach("before-commit", prompt);
        Ok(self.end(attempt, End::Made(&file, &png)).await)
    }

    /// Writes an attempt's end, and waits for the database as long as it takes: what was computed
    /// is not thrown away for an outage.
    async fn end(&self, attempt: &Attempt, end: End<'_>) -> Verdict {
        loop {
            let written = match end {
                End::Made(file, _) => attempt.publish(file).await,
                End::Failed(error) => attempt.fail(error).await,
            };
            match written {
                Ok(()) | Err(Error::Superseded) => return Verdict::Ended,
                Err(error) if error.is_outage() => {
                    tracing::warn!(job = %attempt.job, %error, "an image waits for the database");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    tracing::error!(job = %attempt.job, %error, "an image cannot be recorded");
                    return match attempt.give_back(&error.to_string()).await {
                        Ok(true) => Verdict::Again,
                        Ok(false) | Err(_) => Verdict::Ended,
                    };
                }
            }
            if let End::Made(_, png) = end
                // What no row speaks of for long is swept: it must be new when it is published.
                && let Err(error) = self.artifacts.put(Kind::Image, png.clone()).await
            {
                tracing::warn!(job = %attempt.job, %error, "an image was not stored again");
            }
        }
    }
}

/// How an attempt ends in the record.
#[derive(Clone, Copy)]
enum End<'a> {
    /// With a file, and its bytes.
    Made(&'a Published, &'a Bytes),
    /// With an error.
    Failed(&'a str),
}

/// Where the model of a plan lies.
async fn source(plan: &ImagePlan, models_dir: Option<PathBuf>) -> Result<Source, Bad> {
    let plan = plan.clone();
    let found = blocking(move || plan.source(models_dir.as_deref()));
    found.await?.map_err(|error| Bad::Permanent(format!("{error:#}")))
}

/// Runs what would hold up other tasks on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Bad> {
    let done = tokio::task::spawn_blocking(work).await;
    done.context("a thread of the worker broke down")
        .map_err(|error| Bad::Passing(format!("{error:#}")))
}
