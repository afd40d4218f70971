//! Accepts connections and answers on them, within limits.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::connections::{Answer, Connections, Place, Watched};
use super::open_files;
use crate::config::Limits;

/// Serves until `stop` is cancelled, then finishes what is being answered before `end`, which
/// begins then. Returns how many connections wait for answers still.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    stop: CancellationToken,
    end: impl Future<Output = ()>,
) -> usize {
    let connections = Connections::new(
        open_files::room_for(limits.connections.get()),
        seconds(limits.idle_seconds),
        seconds(limits.unread_seconds),
    );
    let builder = builder(limits);
    let graceful = GracefulShutdown::new();
    let mut sweep = interval(connections.interval());
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = sweep.tick() => connections.sweep(),
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => match connections.enter() {
                    Some(place) => {
                        let watcher = graceful.watcher();
                        let (builder, router) = (builder.clone(), router.clone());
                        tokio::spawn(answer(builder, router, socket, peer, place, watcher));
                    }
                    None => refuse(&socket),
                },
                Err(error) => rest(&error).await,
            }
        }
    }
    drop(listener);
    let finished = graceful.shutdown();
    tokio::pin!(finished, end);
    loop {
        tokio::select! {
            () = &mut finished => return 0,
            () = &mut end => return connections.unanswered(),
            _ = sweep.tick() => connections.sweep(),
        }
    }
}

fn seconds(number: NonZeroU32) -> Duration {
    Duration::from_secs(number.get().into())
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Connections that are quiet for too long are cut as a whole, in whichever protocol.
    let header_bytes = limits.header_bytes.bytes();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(seconds(limits.idle_seconds))
        .max_buf_size(header_bytes.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(100);
    builder
}

/// Bytes that a socket takes beyond what it can send.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;

/// Answers what one connection asks.
async fn answer(
    builder: Builder<TokioExecutor>,
    router: Router,
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Answers are written whole; waiting to fill packets would only delay events.
    let _ = socket.set_nodelay(true);
    // What a slow reader has not been sent waits in its answer, not in the kernel's memory.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT);
    let connection = place.connection.clone();
    let service = service_fn(|mut request: Request<Incoming>| {
        let busy = connection.answering();
        let router = router.clone();
        request.extensions_mut().insert(ConnectInfo(peer));
        async move {
            let Ok(response) = router.oneshot(request.map(Body::new)).await;
            Ok::<_, Infallible>(response.map(|body| Answer { body, _busy: busy }))
        }
    });
    let socket = Watched { socket, connection: connection.clone() };
    let served = builder.serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        served = watcher.watch(served) => {
            if let Err(error) = served {
                tracing::debug!(%peer, %error, "connection ended");
            }
        }
        () = connection.is_cut() => tracing::debug!(%peer, "connection cut"),
    }
}

/// Every place is busy: says so, if the socket takes it at once.
fn refuse(socket: &TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
        Connection: close\r\nContent-Length: 0\r\n\r\n";
    let _ = socket.try_write(answer);
}

/// After a failure to accept: out of files or memory, which only time heals.
async fn rest(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "cannot accept connections");
        sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Bytes;
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// Serves a router on a free port.
    async fn started(
        router: Router,
        limits: Limits,
    ) -> (SocketAddr, CancellationToken, JoinHandle<usize>) {
        started_until(router, limits, std::future::pending()).await
    }

    async fn started_until(
        router: Router,
        limits: Limits,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> (SocketAddr, CancellationToken, JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let stopped = stop.clone();
        let served =
            tokio::spawn(async move { serve(listener, router, &limits, stopped, end).await });
        (address, stop, served)
    }

    /// Tells when it is dropped.
    struct Dropped(Arc<Notify>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    #[tokio::test]
    async fn a_handler_ends_with_its_client() {
        let (begun, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (begun, ended) = (begun.clone(), ended.clone());
            move || async move {
                let _dropped = Dropped(ended);
                begun.notify_one();
                std::future::pending::<()>().await;
            }
        };
        let router = Router::new().route("/", get(handler));
        let (address, _, _) = started(router, Limits::default()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(GET).await.unwrap();
        begun.notified().await;
        drop(client);
        ended.notified().await;
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_cut() {
        let ended = Arc::new(Notify::new());
        let handler = {
            let ended = ended.clone();
            move || async move {
                let endless = stream::unfold(Dropped(ended), |dropped| async move {
                    Some((Ok::<_, Infallible>(Bytes::from(vec![0; 1 << 20])), dropped))
                });
                Body::from_stream(endless)
            }
        };
        let router = Router::new().route("/", get(handler));
        let limits = Limits { unread_seconds: NonZeroU32::MIN, ..Limits::default() };
        let (address, _, _) = started(router, limits).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(GET).await.unwrap();
        ended.notified().await;
    }

    #[tokio::test]
    async fn what_is_being_answered_is_finished() {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (begun, go_on) = (begun.clone(), go_on.clone());
            move || async move {
                begun.notify_one();
                go_on.notified().await;
                "finished"
            }
        };
        let router = Router::new().route("/", get(handler));
        let (address, stop, served) = started(router, Limits::default()).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(GET).await.unwrap();
        begun.notified().await;
        stop.cancel();
        // Nobody new is let in.
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("finished"), "{answer}");
        assert_eq!(served.await.unwrap(), 0);
    }

    #[tokio::test]
    async fn those_who_are_cut_are_counted() {
        let begun = Arc::new(Notify::new());
        let handler = {
            let begun = begun.clone();
            move || async move {
                begun.notify_one();
                std::future::pending::<()>().await;
            }
        };
        let router = Router::new().route("/", get(handler)).route("/quick", get(|| async {}));
        let end = std::future::ready(());
        let (address, stop, served) = started_until(router, Limits::default(), end).await;
        let [mut quiet, mut answered, mut waiting] = {
            let connect = || TcpStream::connect(address);
            [connect().await.unwrap(), connect().await.unwrap(), connect().await.unwrap()]
        };
        // In the midst of a request's head, between requests, and without an answer.
        quiet.write_all(b"GET / HT").await.unwrap();
        answered.write_all(b"GET /quick HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert_ne!(answered.read(&mut [0; 1024]).await.unwrap(), 0);
        waiting.write_all(GET).await.unwrap();
        begun.notified().await;
        stop.cancel();
        assert_eq!(served.await.unwrap(), 1);
    }
}
