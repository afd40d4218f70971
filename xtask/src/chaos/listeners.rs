//! 1,000 event streams, a tenth of which nobody reads: those are dropped, and come back to what they
//! missed.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Run;
use super::client::body;
use super::report::Report;
use super::server::{Server, wait};
use super::site::{Site, free_port};

/// Streams in all.
const STREAMS: usize = 1000;
/// Streams that nobody reads.
const STALLED: usize = 100;
/// Images of the job that nobody reads of.
const IMAGES: usize = 600;
/// What the server may take for them.
const MOST: u64 = 256 << 20;

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else { return Ok(()) };
    let site = site.with("DIFFUSION_SERVER_UNREAD_SECONDS", "2");
    let server = Server::start_whole(&site, free_port()?)?;
    let client = server.client();
    let id = client.ask("long", &body("a cat", 1, 900))?;
    // Its first event is more than the sockets of a stream that nobody reads hold.
    let large = json!({"kind": "txt2img", "prompt": "a cat", "steps": 900, "count": IMAGES});
    let large = client.ask("large", &large)?;
    let before = server.resident()?;
    let mut streams = Vec::new();
    for n in 0..STREAMS {
        streams.push(listen(&server, if n < STALLED { &large } else { &id }, None)?);
    }
    let read = streams.split_off(STALLED);
    let stalled = streams;
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

    let laggards = known_when_dropped(stalled);
    let dropped = laggards.len();
    report.figure("laggards dropped", dropped);
    report.expect(dropped > 0, || "nobody who reads nothing was dropped".into());
    let mut resumed = Vec::new();
    for known in laggards {
        resumed.push((known, listen(&server, &large, Some(known))?));
    }
    client.post(&format!("/api/v1/jobs/{large}/cancel"), "cancel", &json!({}))?;
    let mut caught_up = 0;
    for (known, mut stream) in resumed {
        let mut text = Vec::new();
        wait(|| Ok(is_at_end(&mut stream, &mut text)))?;
        let text = String::from_utf8_lossy(&text);
        let last = last_id(&text);
        caught_up +=
            usize::from(last.is_some_and(|last| last > known) && text.contains("cancelled"));
    }
    report.figure("laggards resumed to the end", caught_up);
    report.expect(caught_up == dropped, || format!("{caught_up} of {dropped} caught up"));
    let names = ["health check p50, ms", "health check p99, ms", "health check max, ms"];
    report.times(names, looks);
    Ok(())
}

/// Listens to a job, from what is known of it on.
fn listen(server: &Server, id: &str, known: Option<u64>) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
    let known = known.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
    write!(
        stream,
        "GET /api/v1/jobs/{id}/events HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n{known}\r\n",
        server.port
    )?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// The last version of the job that reached each stream which the server has dropped: what sockets
/// still hold of it comes at once, and then its end.
fn known_when_dropped(mut streams: Vec<TcpStream>) -> Vec<u64> {
    const ENOUGH: Duration = Duration::from_secs(3);
    let mut texts = vec![Vec::new(); streams.len()];
    let mut ended = vec![false; streams.len()];
    let since = Instant::now();
    while since.elapsed() < ENOUGH {
        for ((stream, text), ended) in streams.iter_mut().zip(&mut texts).zip(&mut ended) {
            *ended = *ended || is_at_end(stream, text);
        }
        thread::sleep(Duration::from_millis(20));
    }
    let dropped = texts.iter().zip(ended).filter(|(_, ended)| *ended);
    dropped.map(|(text, _)| last_id(&String::from_utf8_lossy(text)).unwrap_or(0)).collect()
}

/// Reads what has come; whether nothing will come any more.
fn is_at_end(stream: &mut TcpStream, text: &mut Vec<u8>) -> bool {
    match stream.read_to_end(text) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// The id of the last event that came whole.
fn last_id(text: &str) -> Option<u64> {
    let (whole, _) = text.rsplit_once("\n\n")?;
    whole.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).next_back()
}
