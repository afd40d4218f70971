//! River's client that claims images and hands them to whoever computes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use riverqueue::jiff::Timestamp;
use riverqueue::{
    Client, Job, MaintenanceConfig, QueueConfig, Retention, RunHandle, WorkContext, WorkError,
    WorkOutcome, Workers,
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::begin::begin;
use super::lease::held;
use super::{Attempt, FETCH_COOLDOWN, HEARTBEAT, Lease, attempt, reap};
use crate::database::{Database, Location};
use crate::queue::{FIRST, ImageArgs, Queue, REST, client_id};
use crate::{Error, Result};

/// What became of an attempt.
#[derive(Debug)]
pub enum Verdict {
    /// The record has its end: published, failed or cancelled.
    Ended,
    /// It was given back ([`Attempt::give_back`]) and is to be claimed again.
    Again,
    /// It was handed over with its sample state stored; the worker is about to stop.
    HandedOver,
}

/// Whoever computes images.
pub trait Work: Send + Sync + 'static {
    /// Carries an attempt to its end. `cancelled` fires when nobody wants the image any more.
    fn work(
        &self,
        attempt: Attempt,
        cancelled: CancellationToken,
    ) -> impl Future<Output = Verdict> + Send;
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    queue: Queue,
    run: RunHandle,
    slots: usize,
    wakes: AtomicU64,
    lease: Arc<tokio::sync::Mutex<Lease>>,
    lost: CancellationToken,
    heart: tokio::task::JoinHandle<()>,
}

/// Fetches happen when something is woken; this is for what nobody told us of.
const POLL: Duration = Duration::from_secs(1);

/// River's rescuer knows time alone; leases know who lives. It is put out of the way.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How long the end of an attempt waits for the database between its tries.
const OUTAGE: Duration = Duration::from_millis(500);

/// How long an attempt that was given back waits.
const PAUSE: Duration = Duration::from_secs(2);

impl Worker {
    /// Starts to claim images, at most `slots` at a time in each lane. What dead workers held is
    /// freed first.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn start<W: Work>(
        database: &Database,
        location: &Location,
        lease: Lease,
        slots: usize,
        work: W,
    ) -> Result<Self> {
        let id = lease.id();
        let builder = match Database::connect(location, 6).await? {
            Database::Sqlite(pool) => Client::builder(pool),
            Database::Postgres(pool) => Client::builder(pool),
        };
        let lost = CancellationToken::new();
        let mut workers = Workers::new();
        workers.add(Glue {
            work: Arc::new(work),
            database: database.clone(),
            lease: id,
            lost: lost.clone(),
            alone: RwLock::new(()),
            choosing: tokio::sync::Mutex::new(()),
        })?;
        let kept = Retention::DeleteAfter(Duration::from_secs(600));
        let maintenance = MaintenanceConfig::default()
            .with_rescue_after(NEVER)
            .with_completed_job_retention(kept)
            .with_cancelled_job_retention(kept)
            .with_discarded_job_retention(kept);
        let client = builder
            .id(client_id(id))
            .fetch_cooldown(FETCH_COOLDOWN)
            .without_job_timeout()
            .maintenance(maintenance)
            .queue(FIRST, lane(slots, POLL))
            .queue(REST, lane(slots, POLL))
            .workers(workers)
            .build()?;
        let queue = Queue { database: database.clone(), client: client.clone() };
        reap::reap(&queue).await?;
        let mut run = client.start()?;
        run.wait_ready().await?;
        let lease = Arc::new(tokio::sync::Mutex::new(lease));
        let heart = tokio::spawn(beat(queue.clone(), lease.clone(), lost.clone()));
        Ok(Self { queue, run, slots, wakes: AtomicU64::new(0), lease, lost, heart })
    }

    /// Looks into the queue now. (A changed configuration makes River look at once.)
    pub fn wake(&self) {
        let poll =
            POLL + Duration::from_millis(self.wakes.fetch_add(1, Ordering::Relaxed) % 97 + 1);
        for name in [FIRST, REST] {
            if let Err(error) =
                self.queue.client.local_queues().update(name, lane(self.slots, poll))
            {
                tracing::warn!(%error, "the queue was not woken; it is polled instead");
            }
        }
    }

    /// Fires when others took this worker for dead: what it does is no longer wanted.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Stops claiming.
    pub fn stop_claiming(&self) {
        self.run.stopper().stop();
    }

    /// Ends the worker: what it still holds is handed over, and counts against no image. The
    /// process should end soon after.
    ///
    /// # Errors
    /// The database cannot be reached; others will find out by the silence.
    pub async fn hand_over(self) -> Result<()> {
        self.heart.abort();
        self.lease.lock().await.give_back().await?;
        reap::reap(&self.queue).await?;
        Ok(())
    }
}

fn lane(slots: usize, poll: Duration) -> QueueConfig {
    QueueConfig::new(slots).with_fetch_poll_interval(poll)
}

/// The heart: beats, listens to the others', frees what the dead held.
async fn beat(queue: Queue, lease: Arc<tokio::sync::Mutex<Lease>>, lost: CancellationToken) {
    let mut ticks = tokio::time::interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut walk = reap::Walk::default();
    loop {
        ticks.tick().await;
        let mut lease = lease.lock().await;
        let result = async {
            if !lease.beat().await? {
                return Ok(false);
            }
            lease.look().await?;
            reap::reap(&queue).await?;
            reap::mend(&queue, &mut walk).await?;
            Ok::<_, Error>(true)
        };
        match result.await {
            Ok(true) => {}
            Ok(false) => {
                tracing::error!("this worker was taken for dead: it stops");
                lost.cancel();
                return;
            }
            Err(error) => tracing::warn!(%error, "the worker's heartbeat failed; it is repeated"),
        }
    }
}

/// Between River and [`Work`].
struct Glue<W> {
    work: Arc<W>,
    database: Database,
    lease: Uuid,
    lost: CancellationToken,
    /// Images that were in hand when a worker died are worked alone until they have come further
    /// than then, so that one that kills its worker does not take others with it again.
    alone: RwLock<()>,
    choosing: tokio::sync::Mutex<()>,
}

/// A place among the images in hand.
enum Place<'a> {
    WithOthers(RwLockReadGuard<'a, ()>),
    Alone(RwLockWriteGuard<'a, ()>),
}

impl Place<'_> {
    /// Keeps the place while `work` goes on, alone no longer than until it has `progressed`.
    async fn hold<T>(self, work: impl Future<Output = T>, progressed: CancellationToken) -> T {
        match self {
            Self::WithOthers(_place) => work.await,
            Self::Alone(place) => {
                tokio::pin!(work);
                tokio::select! {
                    biased;
                    done = &mut work => return done,
                    () = progressed.cancelled() => {}
                }
                let _place = place.downgrade();
                work.await
            }
        }
    }
}

/// Tells River to offer the image again.
#[derive(Debug, thiserror::Error)]
#[error("to be tried again")]
struct Again;

impl<W: Work> riverqueue::Worker<ImageArgs> for Glue<W> {
    type Error = Again;

    fn next_retry(&self, _: &Job<ImageArgs>, _: &WorkError, _: Timestamp) -> Option<Duration> {
        Some(PAUSE)
    }

    async fn work(&self, context: WorkContext, job: Job<ImageArgs>) -> Result<WorkOutcome, Again> {
        let Some(client) = context.client().cloned() else { return Err(Again) };
        let queue = Queue { database: self.database.clone(), client };
        let number = i16::try_from(job.row.attempt).map_err(|_| Again)?;
        let river = job.row.id;
        // Before the attempt begins: one that waits here is not struck when the worker dies.
        let suspect = attempt::is_suspect(&queue, river).await;
        let suspect = suspect.map_err(|error| cannot_begin(river, &error))?;
        let place = match suspect {
            true => Place::Alone(self.alone.write().await),
            false => Place::WithOthers(self.alone.read().await),
        };
        // One after another: they would choose the same image.
        let choosing = self.choosing.lock().await;
        let begun = begin(&queue, (river, number), self.lease).await;
        drop(choosing);
        match begun {
            Ok(Some(attempt)) => {
                let cancelled = context.cancellation_token().clone();
                let progressed = attempt.progressed.clone();
                let work = self.work.work(attempt, cancelled);
                match place.hold(work, progressed).await {
                    Verdict::Ended => {}
                    // River compares no attempts here either.
                    Verdict::Again => match held(&self.database, self.lease).await {
                        Ok(false) => return self.give_up().await,
                        Ok(true) | Err(_) => return Err(Again),
                    },
                    // River must not write of it: the hand-over does.
                    Verdict::HandedOver => return std::future::pending().await,
                }
            }
            Ok(None) => {}
            // The reaper frees the claim.
            Err(Error::Superseded) => return self.give_up().await,
            Err(error) => return Err(cannot_begin(river, &error)),
        }
        loop {
            match attempt::close(&queue, river, number).await {
                Ok(true) => return Ok(WorkOutcome::Complete),
                Ok(false) => return self.give_up().await,
                Err(error) => {
                    tracing::warn!(turn = river, %error, "an attempt waits for the database");
                    tokio::time::sleep(OUTAGE).await;
                }
            }
        }
    }
}

impl<W> Glue<W> {
    /// Others have taken over. River compares no attempts, so what it wrote of this one's end
    /// would end theirs: it is told nothing.
    async fn give_up<T>(&self) -> T {
        self.lost.cancel();
        std::future::pending().await
    }
}

fn cannot_begin(turn: i64, error: &Error) -> Again {
    tracing::warn!(turn, %error, "an attempt cannot begin; it is tried again");
    Again
}
