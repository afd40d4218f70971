//! 1,000 event streams, a tenth of which nobody reads.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::Run;
use super::client::body;
use super::report::Report;
use super::server::Server;
use super::site::{Site, free_port};

/// Streams in all.
const STREAMS: usize = 1000;
/// Streams that nobody reads.
const STALLED: usize = 100;
/// What the server may take for them.
const MOST: u64 = 256 << 20;

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else { return Ok(()) };
    let server = Server::start_whole(&site, free_port()?)?;
    let client = server.client();
    let id = client.ask("long", &body("a cat", 1, 900))?;
    let before = server.resident()?;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
        write!(
            stream,
            "GET /api/v1/jobs/{id}/events HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n",
            server.port
        )?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    let read = streams.split_off(STALLED);
    let (since, mut peak, mut bytes, mut looks) = (Instant::now(), before, 0_u64, Vec::new());
    let mut open = vec![true; read.len()];
    let mut buffer = vec![0; 1 << 16];
    let mut asked = Instant::now();
    while since.elapsed() < run.duration {
        for (mut stream, open) in read.iter().zip(&mut open).filter(|(_, open)| **open) {
            match stream.read(&mut buffer) {
                Ok(0) => *open = false,
                Ok(count) => bytes += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => *open = false,
            }
        }
        if asked.elapsed() > Duration::from_millis(200) {
            asked = Instant::now();
            let health = client.get("/health_check")?;
            looks.push(asked.elapsed());
            report.expect(health.status == 200, || format!("health check: {}", health.status));
            peak = peak.max(server.resident()?);
        }
        thread::sleep(Duration::from_millis(5));
    }
    let alive = open.iter().filter(|open| **open).count();
    report.figure("streams read to the end", alive);
    report.expect(alive == read.len(), || format!("{} readers were dropped", read.len() - alive));
    report.figure("bytes read", bytes);
    report.figure("resident before, MiB", before >> 20);
    report.figure("resident at the most, MiB", peak >> 20);
    report
        .expect(peak < before + MOST, || format!("{} MiB more were taken", (peak - before) >> 20));
    let names = ["health check p50, ms", "health check p99, ms", "health check max, ms"];
    report.times(names, looks);
    Ok(())
}
