//! The bodies of requests, bounded in time and in what they take together.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode, Version};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{AppState, Problem};

/// How much of a body earns it one more second.
const BYTES_A_SECOND: u64 = 64 << 10;

/// Room in KiB for the bodies that are under way.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    /// Room for this many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let kib = usize::try_from(bytes >> 10).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(kib.min(Semaphore::MAX_PERMITS))))
    }
}

/// Bounds the body of each request.
///
/// A connection on which a body was left unread is closed: its answer says so, or the client would
/// send its next request into the void.
pub(super) async fn bound(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let seconds = state.config.server.limits.body_seconds;
    let room = state.body_room.clone();
    let is_http1 = request.version() <= Version::HTTP_11;
    let unread = Arc::new(AtomicBool::new(!request.body().is_end_stream()));
    let body = |body| Body::new(Bounded::new(body, room, seconds, unread.clone()));
    let mut response = next.run(request.map(body)).await;
    if is_http1 && unread.load(Ordering::Acquire) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body that ends with an error when it comes too slowly, or when there is no room for it.
struct Bounded {
    body: Body,
    room: Room,
    held: Option<OwnedSemaphorePermit>,
    allowed: Duration,
    begun: Option<Instant>,
    received: u64,
    timer: Option<Pin<Box<Sleep>>>,
    unread: Arc<AtomicBool>,
}

impl Bounded {
    fn new(body: Body, room: Room, seconds: NonZeroU32, unread: Arc<AtomicBool>) -> Self {
        let allowed = Duration::from_secs(seconds.get().into());
        Self { body, room, held: None, allowed, begun: None, received: 0, timer: None, unread }
    }

    /// Takes room for what came, until the body is read or dropped.
    fn hold(&mut self, bytes: usize) -> Result<(), Broken> {
        let before = self.received.div_ceil(1024);
        self.received += bytes as u64;
        let more = u32::try_from(self.received.div_ceil(1024) - before).unwrap_or(u32::MAX);
        let permit = self.room.0.clone().try_acquire_many_owned(more);
        let permit = permit.map_err(|_| Broken::NoRoom)?;
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        Ok(())
    }

    /// When the body must have come.
    fn deadline(&mut self) -> Instant {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        begun + self.allowed + Duration::from_secs(self.received / BYTES_A_SECOND)
    }
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let deadline = self.deadline();
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame
                && let Some(bytes) = frame.data_ref()
                && let Err(broken) = self.hold(bytes.len())
            {
                return Poll::Ready(Some(Err(axum::Error::new(broken))));
            }
            if frame.is_none() || self.body.is_end_stream() {
                self.unread.store(false, Ordering::Release);
            }
            return Poll::Ready(frame);
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        timer.as_mut().reset(deadline);
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(axum::Error::new(Broken::TooSlow))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    TooSlow,
    NoRoom,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooSlow => "the request's body comes too slowly",
            Self::NoRoom => "too many large requests are under way",
        })
    }
}

impl Error for Broken {}

/// The problem of a body that could not be read, whatever read it.
pub(crate) fn problem(error: &(dyn Error + 'static), status: StatusCode) -> Problem {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    match causes.find_map(|cause| cause.downcast_ref::<Broken>()) {
        Some(broken @ Broken::TooSlow) => {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "slow", broken.to_string())
        }
        Some(broken @ Broken::NoRoom) => Problem::unavailable(broken.to_string()),
        None if status == StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            status,
            "too-large",
            "the request's body is larger than this server reads (body_bytes of [server.limits])",
        ),
        None => Problem::bad_request(format!("the request's body cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    const SECONDS: NonZeroU32 = NonZeroU32::MIN;

    async fn broken(body: Bounded) -> Option<Broken> {
        let error = body.collect().await.err()?;
        error.into_inner().downcast::<Broken>().ok().map(|broken| *broken)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stands_still_is_cut() {
        let silent = || Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>());
        let started = Instant::now();
        let body = Bounded::new(silent(), Room::new(1 << 20), SECONDS, Arc::default());
        assert_eq!(broken(body).await, Some(Broken::TooSlow));
        assert_eq!(started.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn drops_do_not_keep_a_body_alive_and_speed_does() {
        let every = |pause: Duration, bytes: usize| {
            Body::from_stream(stream::unfold(0, move |count| async move {
                tokio::time::sleep(pause).await;
                (count < 64).then(|| (Ok::<_, axum::Error>(Bytes::from(vec![0; bytes])), count + 1))
            }))
        };
        let room = Room::new(64 << 20);
        let drops = Bounded::new(
            every(Duration::from_millis(100), 1),
            room.clone(),
            SECONDS,
            Arc::default(),
        );
        assert_eq!(broken(drops).await, Some(Broken::TooSlow));
        let steady = Bounded::new(
            every(Duration::from_millis(900), 64 << 10),
            room,
            SECONDS,
            Arc::default(),
        );
        assert_eq!(broken(steady).await, None);
    }

    #[tokio::test]
    async fn bodies_share_their_room() {
        let room = Room::new(10 << 10);
        let of = |bytes: usize| {
            Bounded::new(Body::from(vec![0; bytes]), room.clone(), SECONDS, Arc::default())
        };
        let mut first = of(8 << 10);
        assert!(first.frame().await.unwrap().is_ok());
        assert_eq!(broken(of(4 << 10)).await, Some(Broken::NoRoom));
        drop(first);
        assert_eq!(broken(of(10 << 10)).await, None);
    }
}
