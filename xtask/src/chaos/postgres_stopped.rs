//! Postgres stops as in a crash, again and again, under load.

use std::thread;
use std::time::{Duration, Instant};

use super::Run;
use super::check::Reference;
use super::client::Load;
use super::random::Random;
use super::report::Report;
use super::server::Server;
use super::site::{Site, free_port};

/// Steps of each image.
const STEPS: u32 = 4;

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let site = Site::new(run)?;
    let Some((site, postgres)) = site.as_ref().and_then(|s| Some((s, s.postgres.as_ref()?))) else {
        report.skip("Postgres is not installed");
        return Ok(());
    };
    let server = Server::start_whole(site, free_port()?)?;
    let reference = Reference::make(&server.client(), STEPS)?;
    let worker = server.worker();
    let load = Load::start(&[server.port], 6, STEPS);
    let mut random = Random::new(run.seed);
    let (since, mut recoveries) = (Instant::now(), Vec::new());
    while since.elapsed() < run.duration {
        thread::sleep(random.up_to(2000));
        postgres.crash();
        thread::sleep(random.up_to(1500));
        postgres.resume();
        let resumed = Instant::now();
        if !load.wait_for(1) {
            break;
        }
        recoveries.push(resumed.elapsed());
    }
    let known = load.stop();
    report.figure("stops survived", recoveries.len());
    report.expect(server.worker() == worker, || "the worker did not heal by itself".into());
    let late = recoveries.iter().filter(|time| **time > Duration::from_secs(30)).count();
    report.expect(late == 0, || format!("{late} recoveries took more than 30 s"));
    report.times(["recovery p50, ms", "recovery p99, ms", "recovery max, ms"], recoveries);
    reference.check(&server.client(), &known, report)
}
