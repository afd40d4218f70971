//! Keeps a worker process running, and speaks with it.
//!
//! A worker that dies is replaced at once, and its successor is told whose place it takes; one that
//! says nothing for a while is killed and replaced likewise.

use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::live::Live;
use crate::pace::Pace;
use crate::telemetry::Metrics;
use crate::worker::ALIVE;
use crate::worker::link::{FromWorker, ToWorker};

/// A worker that has said nothing for this long is taken for dead.
const SILENCE: Duration = Duration::from_secs(20);

/// A worker that is not ready for this long hangs; it may wait for an earlier one to end.
const START: Duration = Duration::from_secs(180);

/// The longest pause before a worker that died soon after its start is started again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A worker that lived this long has started well.
const LIVED: Duration = Duration::from_secs(30);

/// Messages that wait for a worker, at the most. Those that find no room are lost: a worker looks
/// into the queue by itself, and learns of cancellations from the database too.
const WAITING: usize = 256;

/// The way to the worker.
#[derive(Debug, Clone)]
pub(crate) struct Supervisor {
    messages: mpsc::Sender<ToWorker>,
    ready: watch::Receiver<bool>,
    ended: CancellationToken,
}

/// The command line of the worker.
#[derive(Debug, Clone)]
pub(crate) struct WorkerCommand {
    /// The arguments of the server, which the worker reads as the server did.
    pub(crate) arguments: Vec<OsString>,
}

/// Who is told what the worker tells.
#[derive(Clone)]
pub(crate) struct Listeners {
    pub(crate) live: Arc<Live>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) metrics: Metrics,
}

impl Supervisor {
    /// Starts the worker and keeps it running until `stop`; the task ends with the worker.
    pub(crate) fn start(
        command: WorkerCommand,
        listeners: Listeners,
        stop: CancellationToken,
        grace: Duration,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (messages, waiting) = mpsc::channel(WAITING);
        let (is_ready, ready) = watch::channel(false);
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let keeper = Keeper { command, listeners, is_ready, stop, grace };
        let kept = async move {
            keeper.keep(waiting).await;
            drop(end);
        };
        (Self { messages, ready, ended }, tokio::spawn(kept))
    }

    /// Tells the worker that the queue has something new.
    pub(crate) fn wake(&self) {
        let _ = self.messages.try_send(ToWorker::Wake);
    }

    /// Tells the worker that a job was cancelled.
    pub(crate) fn cancel(&self, job: Uuid) {
        let _ = self.messages.try_send(ToWorker::Cancel(job));
    }

    /// Returns when there is no worker any more, and none will come.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Whether a worker claims images.
    pub(crate) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }
}

struct Keeper {
    command: WorkerCommand,
    listeners: Listeners,
    is_ready: watch::Sender<bool>,
    stop: CancellationToken,
    grace: Duration,
}

impl Keeper {
    async fn keep(self, mut messages: mpsc::Receiver<ToWorker>) {
        let mut after = None;
        let mut pause = Duration::ZERO;
        while !self.stop.is_cancelled() {
            let lease = Uuid::new_v4();
            let started = Instant::now();
            self.is_ready.send_replace(false);
            if let Err(error) = self.attend(lease, after, &mut messages).await {
                tracing::error!(error = format!("{error:#}"), "the worker cannot be started");
            }
            // One that never took its lease leaves its predecessor's to be ended.
            if self.is_ready.send_replace(false) {
                after = Some(lease);
            }
            if self.stop.is_cancelled() {
                return;
            }
            self.listeners.metrics.device.worker_died();
            pause = if started.elapsed() > LIVED {
                Duration::ZERO
            } else {
                (2 * pause).clamp(Duration::from_millis(50), LONGEST_PAUSE)
            };
            tracing::error!(seconds = pause.as_secs_f64(), "the worker has ended: it is replaced");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// One worker, from its start to its end.
    async fn attend(
        &self,
        lease: Uuid,
        after: Option<Uuid>,
        messages: &mut mpsc::Receiver<ToWorker>,
    ) -> anyhow::Result<()> {
        let mut child = self.spawn()?;
        let mut input = child.stdin.take().context("no way to the worker")?;
        let output = child.stdout.take().context("no way from the worker")?;
        let mut lines = BufReader::new(output).lines();
        send(&mut input, &ToWorker::Start { lease, after }).await?;
        let mut heard = Instant::now();
        let mut look = tokio::time::interval(ALIVE);
        let mut stopping = None;
        loop {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => {
                        heard = Instant::now();
                        self.hear(&line);
                    }
                    _ => break,
                },
                Some(message) = messages.recv(), if stopping.is_none() => {
                    // One that no longer reads fills the pipe in the end.
                    if !matches!(timeout(SILENCE, send(&mut input, &message)).await, Ok(Ok(()))) {
                        tracing::error!("the worker does not listen: it is killed");
                        let _ = child.start_kill();
                        break;
                    }
                }
                () = self.stop.cancelled(), if stopping.is_none() => {
                    stopping = Some(Instant::now());
                    // One that no longer listens is killed below.
                    let _ = timeout(SILENCE, send(&mut input, &ToWorker::Stop)).await;
                }
                _ = look.tick() => {
                    // An action that is at hand when the grace ends is finished first.
                    let late = stopping.is_some_and(|since| since.elapsed() > self.grace + SILENCE);
                    let silence = if self.is_ready() { SILENCE } else { START };
                    if late || heard.elapsed() > silence {
                        tracing::error!("the worker does not answer: it is killed");
                        child.start_kill()?;
                        break;
                    }
                }
            }
        }
        drop(input);
        let status = match timeout(SILENCE, child.wait()).await {
            Ok(status) => status?,
            Err(_) => {
                child.start_kill()?;
                child.wait().await?
            }
        };
        tracing::info!(%status, "the worker has ended");
        Ok(())
    }

    fn is_ready(&self) -> bool {
        *self.is_ready.borrow()
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let program = std::env::current_exe().context("the server's own program")?;
        let mut command = Command::new(&program);
        command
            .arg("worker")
            .args(&self.command.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C at a terminal is for the server, which stops its worker in order.
        #[cfg(unix)]
        command.process_group(0);
        command.spawn().with_context(|| program.display().to_string())
    }

    fn hear(&self, line: &str) {
        match serde_json::from_str(line) {
            Ok(FromWorker::Ready) => {
                self.is_ready.send_replace(true);
            }
            Ok(FromWorker::Alive) => {}
            Ok(FromWorker::Device(event)) => self.listeners.metrics.device.observe(&event),
            Ok(FromWorker::Made { seconds }) => {
                self.listeners.pace.finished(Instant::now(), seconds)
            }
            Ok(FromWorker::Changed(job)) => self.listeners.live.changed(job),
            Ok(FromWorker::Ended { job, index }) => self.listeners.live.ended(job, index),
            Ok(FromWorker::Step { job, index, done, total, seconds }) => {
                self.listeners.live.step(job, index, done, total, seconds);
            }
            Ok(FromWorker::Preview { job, index, png }) => {
                self.listeners.live.preview(job, index, png)
            }
            Err(error) => tracing::warn!(%error, "the worker's message is not understood"),
        }
    }
}

async fn send(input: &mut ChildStdin, message: &ToWorker) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    // One that does not read is as good as dead.
    timeout(ALIVE, input.write_all(&line)).await.context("the worker does not listen")??;
    Ok(input.flush().await?)
}
