//! The connections that are open, and which of them are cut.
//!
//! A connection is quiet while no request on it is being answered. One that stays quiet for too
//! long is cut, whether it is idle, sends its headers by drops, or never says a word; so is one
//! whose reader takes nothing for too long. Where all places are taken, the connection that has
//! been quiet for longest makes room, so that those who wait for nothing cannot keep others out.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// All open connections.
pub(super) struct Connections {
    most: usize,
    quiet: Duration,
    stalled: Duration,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    numbers: AtomicU64,
}

/// What is known of one connection.
pub(super) struct Connection {
    opened: Instant,
    /// Requests that are being answered.
    busy: AtomicUsize,
    /// When something last happened, in milliseconds since `opened`.
    active: AtomicU64,
    /// Since when the reader has taken nothing, in the same count; [`FLOWING`] while it does.
    stalled: AtomicU64,
    cut: CancellationToken,
}

const FLOWING: u64 = u64::MAX;

impl Connections {
    /// At most `most` at a time, each quiet for at most `quiet` and unread for at most `stalled`.
    pub(super) fn new(most: usize, quiet: Duration, stalled: Duration) -> Arc<Self> {
        let (open, numbers) = Default::default();
        Arc::new(Self { most, quiet, stalled, open, numbers })
    }

    /// Takes a place for a new connection; `None` where all are busy.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut open = self.lock();
        if open.len() >= self.most {
            let quiet = open.iter().filter(|(_, other)| other.busy.load(Ordering::Acquire) == 0);
            let (&number, _) = quiet.max_by_key(|(_, other)| other.quiet_for())?;
            if let Some(longest) = open.remove(&number) {
                longest.cut.cancel();
            }
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            opened: Instant::now(),
            busy: AtomicUsize::new(0),
            active: AtomicU64::new(0),
            stalled: AtomicU64::new(FLOWING),
            cut: CancellationToken::new(),
        });
        open.insert(number, connection.clone());
        Some(Place { connections: self.clone(), number, connection })
    }

    /// How often [`Self::sweep`] is to be called.
    pub(super) fn interval(&self) -> Duration {
        (self.quiet.min(self.stalled) / 8).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }

    /// Cuts those that were quiet or unread for too long.
    pub(super) fn sweep(&self) {
        for connection in self.lock().values() {
            let busy = connection.busy.load(Ordering::Acquire) > 0;
            if (!busy && connection.quiet_for() > self.quiet)
                || connection.stalled_for() > self.stalled
            {
                connection.cut.cancel();
            }
        }
    }

    /// Connections whose answers have not all been taken yet.
    pub(super) fn unanswered(&self) -> usize {
        let open = self.lock();
        let waits = |connection: &&Arc<Connection>| {
            connection.busy.load(Ordering::Acquire) > 0
                || connection.stalled.load(Ordering::Acquire) != FLOWING
        };
        open.values().filter(waits).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn now(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64
    }

    fn quiet_for(&self) -> Duration {
        let active = self.active.load(Ordering::Acquire);
        Duration::from_millis(self.now().saturating_sub(active))
    }

    fn stalled_for(&self) -> Duration {
        let since = self.stalled.load(Ordering::Acquire);
        Duration::from_millis(self.now().saturating_sub(since))
    }

    /// Marks the begin of a request; the answer's body carries the mark to its end.
    pub(super) fn answering(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(self.clone())
    }

    /// Resolves once the connection is to be closed.
    pub(super) async fn is_cut(&self) {
        self.cut.cancelled().await;
    }
}

/// A place among the connections, given back when dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    pub(super) connection: Arc<Connection>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.number);
    }
}

/// A request that is being answered.
pub(super) struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.active.store(self.0.now(), Ordering::Release);
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The body of an answer; the request counts as being answered until all of it is handed over.
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) _busy: Busy,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that notes when its reader takes something. What it sends us does not count: headers
/// that come by drops are as good as none.
pub(super) struct Watched<S> {
    pub(super) socket: S,
    pub(super) connection: Arc<Connection>,
}

impl<S> Watched<S> {
    fn note(&self, written: &Poll<io::Result<usize>>) {
        let now = self.connection.now();
        if written.is_ready() {
            self.connection.active.store(now, Ordering::Release);
            self.connection.stalled.store(FLOWING, Ordering::Release);
        } else {
            let order = Ordering::AcqRel;
            let _ =
                self.connection.stalled.compare_exchange(FLOWING, now, order, Ordering::Acquire);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, parts);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn the_longest_quiet_connection_makes_room() {
        let connections = Connections::new(2, LONG, LONG);
        let (busy, quiet) = (connections.enter().unwrap(), connections.enter().unwrap());
        let answer = busy.connection.answering();
        let third = connections.enter().unwrap();
        assert!(quiet.connection.cut.is_cancelled());
        assert!(!busy.connection.cut.is_cancelled());
        let _second_answer = third.connection.answering();
        assert!(connections.enter().is_none(), "all places are busy");
        drop(answer);
        assert!(connections.enter().is_some());
        assert!(busy.connection.cut.is_cancelled());
    }

    #[test]
    fn places_are_given_back() {
        let connections = Connections::new(1, LONG, LONG);
        let place = connections.enter().unwrap();
        let _answer = place.connection.answering();
        drop(place);
        assert!(connections.enter().is_some());
    }

    #[test]
    fn busy_connections_are_not_swept() {
        let connections = Connections::new(2, Duration::ZERO, LONG);
        let place = connections.enter().unwrap();
        let past = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let connection = Arc::new(Connection {
            opened: past,
            busy: AtomicUsize::new(0),
            active: AtomicU64::new(0),
            stalled: AtomicU64::new(FLOWING),
            cut: CancellationToken::new(),
        });
        connections.lock().insert(place.number, connection.clone());
        let answer = connection.answering();
        connections.sweep();
        assert!(!connection.cut.is_cancelled());
        drop(answer);
        connection.active.store(0, Ordering::Release);
        connections.sweep();
        assert!(connection.cut.is_cancelled());
    }
}
