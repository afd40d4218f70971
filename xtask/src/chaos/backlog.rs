//! 10,000 jobs wait: claims are as quick as ever, in order of priority; more are refused.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::ensure;
use diffusion_jobs::queue::Backlog;
use diffusion_jobs::work::{Attempt, Lease, Published, Verdict, Work, Worker};
use diffusion_jobs::{Database, NewImage, NewJob, Priority, Queue};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Run;
use super::client::body;
use super::report::{Report, quantile};
use super::server::Server;
use super::site::{Site, free_port, tokio};

/// Jobs that wait.
const JOBS: usize = 10_000;
/// Claims that are timed at either end.
const TIMED: usize = 500;

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else {
        report.skip("Postgres is not installed");
        return Ok(());
    };
    tokio()?.block_on(claims(&site, report))?;
    refusals(run, report)
}

/// Publishes at once; tells when each claim came, and of which priority.
struct AtOnce(Mutex<mpsc::UnboundedSender<(Instant, Priority)>>);

impl Work for AtOnce {
    async fn work(&self, attempt: Attempt, _: CancellationToken) -> Verdict {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let _ = sender.send((Instant::now(), attempt.priority));
        let file =
            Published { sha256: "00".repeat(32), bytes: 1, width: 8, height: 8, seconds: 0.0 };
        let _ = attempt.publish(&file).await;
        Verdict::Ended
    }
}

async fn claims(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    let location = site.location()?;
    let database = Database::open(&location).await?;
    let queue = Queue::open(&database, &location).await?;
    let plenty = Backlog { total: 1 << 30, each: 1 << 30 };
    let since = Instant::now();
    for n in 0..JOBS {
        let priority = [Priority::Low, Priority::Normal, Priority::High][n % 3];
        let image = NewImage { plan: json!({}), input_path: None, output_name: "0.png".into() };
        let (kind, request) = ("txt2img".into(), json!({}));
        let job = NewJob { kind, request, owner: None, priority, images: vec![image] };
        queue.enqueue(&job, None, plenty).await?;
    }
    report
        .figure("jobs accepted per second", (JOBS as f64 / since.elapsed().as_secs_f64()).round());
    let lease = Lease::take(&database, Uuid::new_v4(), None, &[]).await?;
    let (sender, mut claimed) = mpsc::unbounded_channel();
    let worker = Worker::start(&database, &location, lease, 1, AtOnce(Mutex::new(sender))).await?;
    let (mut times, mut priorities) = (Vec::new(), Vec::new());
    let mut last = Instant::now();
    while priorities.len() < JOBS {
        let next = ::tokio::time::timeout(Duration::from_secs(30), claimed.recv()).await;
        let Ok(Some((at, priority))) = next else {
            ensure!(false, "{} of {JOBS} jobs were claimed", priorities.len());
            break;
        };
        times.push(at.saturating_duration_since(last));
        last = at;
        priorities.push(priority);
    }
    worker.stop_claiming();
    worker.hand_over().await?;
    let p99 = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        quantile(&times, 0.99).unwrap_or_default()
    };
    // The first claim opens connections.
    let full = p99(&times[1..=TIMED]);
    let empty = p99(&times[JOBS - TIMED..]);
    report.figure("claims per second", {
        let all: Duration = times.iter().sum();
        (JOBS as f64 / all.as_secs_f64()).round()
    });
    report.figure("claim p99 with 10000 waiting, ms", full.as_secs_f64() * 1e3);
    report.figure("claim p99 with few waiting, ms", empty.as_secs_f64() * 1e3);
    report.expect(full < 3 * empty + Duration::from_millis(20), || {
        format!("claims take {full:?} with a backlog, {empty:?} without")
    });
    // The first two are claimed side by side, one from each lane.
    let out_of_order = priorities[2..].windows(2).filter(|pair| pair[0] as u8 > pair[1] as u8);
    let out_of_order = out_of_order.count();
    report.figure("claims out of order", out_of_order);
    report.expect(out_of_order == 0, || "priorities were not respected".into());
    Ok(())
}

/// Past the limit of the backlog the answer is 429, with a time to come back.
fn refusals(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else { return Ok(()) };
    let site = site.with("DIFFUSION_SERVER_BACKLOG", "20");
    let server = Server::start_whole(&site, free_port()?)?;
    let client = server.client();
    for n in 0..200 {
        let answer = client.post("/api/v1/jobs", &format!("{n}"), &body("a cat", n, 50))?;
        if answer.status == 429 {
            report.figure("refused after jobs", n);
            report.figure("Retry-After, s", answer.retry_after.clone());
            report.expect(answer.retry_after.is_some(), || "429 without Retry-After".into());
            return Ok(());
        }
    }
    report.broken("200 jobs were taken with a backlog of 20");
    Ok(())
}
