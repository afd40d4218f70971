//! The worker process: claims images, makes them on the device, publishes them.
//!
//! It is a child of the server ([`crate::supervisor`]), so a job that kills its process cannot take
//! the API down. `link.rs` is what the two say to each other.

mod blame;
mod image;
mod in_hand;
pub(crate) mod link;
mod outbox;

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use diffusion_jobs::database::Location;
use diffusion_jobs::work::{Lease, Worker};
use diffusion_jobs::{Artifacts, Database};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, timeout};

use self::blame::Blame;
use self::image::Images;
use self::in_hand::InHand;
use self::link::{FromWorker, ToWorker};
use self::outbox::{Outbox, Watcher};
use crate::config::Config;
use crate::runtime::{Runtime, Settings};

/// How often a worker says that it lives.
pub(crate) const ALIVE: Duration = Duration::from_secs(2);

/// How often the state of a sample is stored, at the most.
const CHECKPOINTS: Duration = Duration::from_secs(5);

/// How often an unfinished image is shown, at the most.
const PREVIEWS: Duration = Duration::from_secs(1);

/// Samples in a batch where nothing is configured; the runtime learns how many are worth it.
const MAX_BATCH: usize = 8;

/// How long the worker of an earlier server may take to end.
const HANDOVER: Duration = Duration::from_secs(120);

/// How long the action at hand and the hand-over may take when the grace is over.
const PARTING: Duration = Duration::from_secs(30);

/// The exit status of a worker that others took for dead.
const LOST: u8 = 3;

/// Works until it is told to stop, or its server is gone.
///
/// # Errors
/// It cannot begin.
pub(crate) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let (letters, mut inbox) = mpsc::channel(64);
    tokio::spawn(listen(letters));
    let Some(ToWorker::Start { lease, after }) = inbox.recv().await else {
        bail!("the worker is started by the server, which tells it what to do");
    };
    let location = config.storage.database()?;
    let _lock = lock(&location).await?;
    let database = Database::open(&location).await.with_context(|| location.shown())?;
    let artifacts = Artifacts::local(&config.storage.artifacts())?;
    let outbox = Outbox::start()?;
    let max_batch = config.engine.max_batch.map_or(MAX_BATCH, Into::into);
    let options = config.engine.options();
    let models_limit = options.memory_limit;
    let settings = Settings {
        engine: diffusion_engine::Runtime::new(options)?,
        max_batch,
        models_limit,
        checkpoint_every: CHECKPOINTS,
        preview_every: PREVIEWS,
    };
    let folder = config.storage.data.join("workers");
    let (blamed, left) = blame::left(&folder);
    // An image can end its worker, but not its server: where both are new, none is to blame.
    let blamed = if after.is_some() { blamed } else { Vec::new() };
    let blame = Blame::new(&folder, lease).with_context(|| folder.display().to_string())?;
    let watcher = Arc::new(Watcher { outbox: outbox.clone(), blame });
    let runtime = Runtime::start(settings, watcher.clone())?;
    let in_hand = InHand::new();
    let images = Images {
        runtime: runtime.clone(),
        artifacts,
        models_dir: config.storage.models.clone(),
        precision: config.engine.precision,
        fingerprints: Arc::default(),
        outbox: outbox.clone(),
        watcher: watcher.clone(),
        in_hand: in_hand.clone(),
    };
    let lease = Lease::take(&database, lease, after, &blamed).await?;
    // As many as the runtime has in flight, for each lane of the queue.
    let worker = Worker::start(&database, &location, lease, 2 * max_batch, images).await?;
    left.iter().for_each(|file| drop(std::fs::remove_file(file)));
    let lost = worker.lost();
    outbox.send(FromWorker::Ready);
    worker.wake();

    let mut alive = tokio::time::interval(ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let is_gone = loop {
        tokio::select! {
            _ = alive.tick() => outbox.send(FromWorker::Alive),
            () = lost.cancelled() => return Ok(ExitCode::from(LOST)),
            message = inbox.recv() => match message {
                Some(ToWorker::Wake) => worker.wake(),
                Some(ToWorker::Cancel(job)) => in_hand.cancel(job),
                Some(ToWorker::Start { .. }) => {}
                Some(ToWorker::Stop) => break false,
                None => {
                    tracing::warn!("the server is gone: the worker stops");
                    break true;
                }
            },
        }
    };

    worker.stop_claiming();
    let grace = if is_gone { Duration::ZERO } else { config.queue.grace() };
    runtime.drain(grace);
    let end = async {
        loop {
            tokio::select! {
                () = in_hand.empty() => break,
                _ = alive.tick() => outbox.send(FromWorker::Alive),
            }
        }
        worker.hand_over().await
    };
    // A database that is gone is not waited for: others find out by the silence.
    timeout(grace + PARTING, end).await.context("the worker could not hand over in time")??;
    watcher.blame.end();
    Ok(ExitCode::SUCCESS)
}

/// Passes the server's messages on. When the server is gone, the worker ends in bounded time,
/// whatever it waits for: a database may be gone too.
async fn listen(letters: mpsc::Sender<ToWorker>) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(message) = next(&mut lines).await {
        if letters.send(message).await.is_err() {
            return;
        }
    }
    drop(letters);
    tokio::time::sleep(PARTING).await;
    tracing::error!("the server is gone, and the worker could not hand over in time");
    std::process::exit(1);
}

/// The server's next message; `None` when it is gone. What is no message is left out.
async fn next(inbox: &mut Lines<BufReader<Stdin>>) -> Option<ToWorker> {
    loop {
        let line = inbox.next_line().await.ok()??;
        match serde_json::from_str(&line) {
            Ok(message) => return Some(message),
            Err(error) => tracing::warn!(%error, "the server's message is not understood"),
        }
    }
}

/// On SQLite one worker process works a database at a time.
async fn lock(location: &Location) -> anyhow::Result<Option<File>> {
    let Location::Sqlite(database) = location else { return Ok(None) };
    let mut path = database.clone().into_os_string();
    path.push(".worker");
    let path = PathBuf::from(path);
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    let tries = HANDOVER.as_millis() / 100;
    for _ in 0..tries {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| path.display().to_string());
            }
        }
    }
    bail!("another worker works {}: stop its server first", location.shown())
}
