//! A queue and workers in a test's hands: each claimed image waits until the test decides.

use diffusion_jobs::queue::{Accepted, Backlog, Idempotency};
use diffusion_jobs::work::{Attempt, Lease, Published, Verdict, Work, Worker};
use diffusion_jobs::{Job, JobImage, NewImage, NewJob, Priority, Queue, State};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::Fresh;

/// More than any test needs.
pub(crate) const PLENTY: Backlog = Backlog { total: 10_000, each: 10_000 };

/// A claimed image, which the test carries to its end.
pub(crate) struct Claimed {
    pub(crate) attempt: Attempt,
    pub(crate) cancelled: CancellationToken,
    verdict: oneshot::Sender<Verdict>,
}

impl Claimed {
    /// Publishes a file that is said to be stored, and ends the attempt.
    pub(crate) async fn publish(self) {
        self.attempt.publish(&file()).await.unwrap();
        self.end(Verdict::Ended);
    }

    pub(crate) fn end(self, verdict: Verdict) {
        // Nobody listens where the worker was stopped.
        let _ = self.verdict.send(verdict);
    }
}

pub(crate) fn file() -> Published {
    Published { sha256: "ab".repeat(32), bytes: 3, width: 64, height: 64, seconds: 0.5 }
}

/// A worker whose attempts come out of a channel.
pub(crate) struct Hand {
    pub(crate) worker: Worker,
    pub(crate) lease: Uuid,
    claimed: mpsc::UnboundedReceiver<Claimed>,
}

struct Offer(mpsc::UnboundedSender<Claimed>);

impl Work for Offer {
    async fn work(&self, attempt: Attempt, cancelled: CancellationToken) -> Verdict {
        let (verdict, decided) = oneshot::channel();
        if self.0.send(Claimed { attempt, cancelled, verdict }).is_err() {
            return std::future::pending().await;
        }
        match decided.await {
            Ok(verdict) => verdict,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Hand {
    pub(crate) async fn start(fresh: &Fresh, slots: usize) -> Self {
        Self::start_after(fresh, slots, None).await
    }

    pub(crate) async fn start_after(fresh: &Fresh, slots: usize, after: Option<Uuid>) -> Self {
        Self::start_blaming(fresh, slots, after, &[]).await
    }

    /// A worker that is told what its predecessor was working on when it died.
    pub(crate) async fn start_blaming(
        fresh: &Fresh,
        slots: usize,
        after: Option<Uuid>,
        blamed: &[(Uuid, i32)],
    ) -> Self {
        let (sender, claimed) = mpsc::unbounded_channel();
        let lease = Uuid::new_v4();
        let held = Lease::take(&fresh.database, lease, after, blamed).await.unwrap();
        let worker =
            Worker::start(&fresh.database, &fresh.location, held, slots, Offer(sender)).await;
        Self { worker: worker.unwrap(), lease, claimed }
    }

    /// The next claimed image; it is waited for.
    pub(crate) async fn next(&mut self) -> Claimed {
        self.worker.wake();
        self.claimed.recv().await.unwrap()
    }

    /// A claimed image, if one has arrived.
    pub(crate) fn try_next(&mut self) -> Option<Claimed> {
        self.claimed.try_recv().ok()
    }
}

/// A queue with what it knows.
pub(crate) struct Bench<'a> {
    pub(crate) fresh: &'a Fresh,
    pub(crate) queue: Queue,
}

impl<'a> Bench<'a> {
    pub(crate) async fn new(fresh: &'a Fresh) -> Self {
        let queue = Queue::open(&fresh.database, &fresh.location).await.unwrap();
        Self { fresh, queue }
    }

    pub(crate) async fn ask(&self, images: usize) -> Uuid {
        self.ask_as(None, Priority::Normal, images).await
    }

    pub(crate) async fn ask_as(
        &self,
        owner: Option<Uuid>,
        priority: Priority,
        images: usize,
    ) -> Uuid {
        self.queue.enqueue(&new_job(owner, priority, images), None, PLENTY).await.unwrap().id
    }

    pub(crate) async fn ask_named(
        &self,
        name: &str,
        body: &str,
    ) -> diffusion_jobs::Result<Accepted> {
        let key = Idempotency { name: name.into(), body_sha256: body.into() };
        self.queue.enqueue(&new_job(None, Priority::Normal, 1), Some(&key), PLENTY).await
    }

    pub(crate) async fn job(&self, id: Uuid) -> Job {
        self.fresh.database.job(id).await.unwrap()
    }

    pub(crate) async fn images(&self, id: Uuid) -> Vec<JobImage> {
        self.fresh.database.job_images(id).await.unwrap()
    }

    pub(crate) async fn states(&self, id: Uuid) -> (State, Vec<State>) {
        let states = self.images(id).await.into_iter().map(|image| image.state).collect();
        (self.job(id).await.state, states)
    }
}

pub(crate) fn new_job(owner: Option<Uuid>, priority: Priority, images: usize) -> NewJob {
    NewJob {
        kind: "txt2img".into(),
        request: json!({"prompt": "a cat"}),
        owner,
        priority,
        images: (0..images)
            .map(|index| NewImage {
                plan: json!({"seed": u64::MAX - index as u64, "guidance": 7.5}),
                input_path: None,
                output_name: format!("{index}.png"),
            })
            .collect(),
    }
}
