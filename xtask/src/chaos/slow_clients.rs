//! 2,000 connections that send headers and bodies by drops or read no answer.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBuf;

use super::Run;
use super::client::{Client, body};
use super::report::{Report, quantile};
use super::server::Server;
use super::site::{Site, free_port};

/// Connections at a time.
const CONNECTIONS: usize = 2000;
/// Each sends a drop in every so many rounds: once a second.
const ROUNDS: usize = 20;
/// How often the server is asked for its health, each time over a new connection.
const LOOK: Duration = Duration::from_millis(50);
/// What the server may take for them.
const MOST: u64 = 256 << 20;
/// How much longer one in a hundred health checks may take.
const LATER: Duration = Duration::from_millis(250);

/// What a connection is slow in.
#[derive(Debug, Clone, Copy)]
enum Slow {
    Headers,
    Body,
    Reads,
}

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else { return Ok(()) };
    let site = site
        .with("DIFFUSION_SERVER_IDLE_SECONDS", "4")
        .with("DIFFUSION_SERVER_UNREAD_SECONDS", "4");
    let server = Server::start_whole(&site, free_port()?)?;
    let before = server.resident()?;
    let calm = healths(&server, run.duration / 2, report, || Ok(()))?;

    let mut open = Vec::new();
    for n in 0..CONNECTIONS {
        open.push(connect(&server, n)?);
    }
    let (mut peak, mut cut, mut round) = (before, 0, 0);
    let client = server.client();
    let job = client.ask("meanwhile", &body("a cat", 1, 4))?;
    let slow = healths(&server, run.duration.max(Duration::from_secs(10)), report, || {
        round += 1;
        peak = peak.max(server.resident()?);
        for (n, (stream, slow)) in open.iter_mut().enumerate().skip(round % ROUNDS).step_by(ROUNDS)
        {
            if !is_open(stream, *slow) {
                cut += 1;
                (*stream, *slow) = connect(&server, n)?;
            }
        }
        Ok(())
    })?;
    let state = client.wait(&job)?["state"].clone();
    report.expect(state == "succeeded", || format!("a job meanwhile: {state}"));

    report.figure("connections", CONNECTIONS);
    report.figure("cut by the server, and replaced", cut);
    report.expect(cut > 0, || "none was cut".into());
    report.figure("resident before, MiB", before >> 20);
    report.figure("resident at the most, MiB", peak >> 20);
    report
        .expect(peak < before + MOST, || format!("{} MiB more were taken", (peak - before) >> 20));
    let late = |times: &[Duration]| quantile(times, 0.99).unwrap_or_default();
    report.expect(late(&slow) < late(&calm) + LATER, || "health checks took longer".into());
    let names = ["calm: health check p50, ms", "calm: p99, ms", "calm: max, ms"];
    report.times(names, calm);
    report.times(["slow clients: health check p50, ms", "slow clients: p99, ms", "max, ms"], slow);
    Ok(())
}

/// How long health checks took meanwhile, the shortest first.
fn healths(
    server: &Server,
    duration: Duration,
    report: &mut Report,
    mut between: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Duration>> {
    let (since, mut times) = (Instant::now(), Vec::new());
    while since.elapsed() < duration {
        between()?;
        let asked = Instant::now();
        let health = Client::new(vec![server.port]).get("/health_check")?;
        times.push(asked.elapsed());
        report.expect(health.status == 200, || format!("health check: {}", health.status));
        std::thread::sleep(LOOK.saturating_sub(asked.elapsed()));
    }
    times.sort();
    Ok(times)
}

/// The beginning of what the connection `n` will never end.
fn connect(server: &Server, n: usize) -> anyhow::Result<(TcpStream, Slow)> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
    let host = format!("host: 127.0.0.1:{}\r\n", server.port);
    let slow = [Slow::Headers, Slow::Body, Slow::Reads][n % 3];
    match slow {
        Slow::Headers => write!(stream, "GET / HTTP/1.1\r\n{host}")?,
        Slow::Body => write!(
            stream,
            "POST /api/v1/jobs HTTP/1.1\r\n{host}content-type: application/json\r\n\
             content-length: 100000\r\n\r\n{{"
        )?,
        // Answers that are more than sockets hold.
        Slow::Reads => {
            setsockopt(&stream, RcvBuf, &4096)?;
            let request = format!("GET /openapi.json HTTP/1.1\r\n{host}\r\n");
            stream.write_all(request.repeat(8).as_bytes())?;
        }
    }
    stream.set_nonblocking(true)?;
    Ok((stream, slow))
}

/// Sends the next drop, if any; whether the server still holds the connection.
fn is_open(stream: &mut TcpStream, slow: Slow) -> bool {
    let sent = match slow {
        Slow::Headers => stream.write(b"x"),
        Slow::Body => stream.write(b" "),
        // Not a byte is taken: only an end shows, and that as an error of the socket.
        Slow::Reads => return matches!(stream.take_error(), Ok(None)) && !is_reset(stream),
    };
    match sent {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(_) => return false,
    }
    match stream.read(&mut [0; 512]) {
        Ok(count) => count > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// Whether nothing can be sent any more.
fn is_reset(stream: &mut TcpStream) -> bool {
    matches!(stream.write(b"\r\n"), Err(error) if error.kind() != ErrorKind::WouldBlock)
}
