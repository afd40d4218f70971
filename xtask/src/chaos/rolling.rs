//! The server is asked to stop and started again under load.

use std::thread;
use std::time::Instant;

use super::Run;
use super::check::Reference;
use super::client::Load;
use super::random::Random;
use super::report::Report;
use super::server::Server;
use super::site::{Site, free_port};

/// Steps of each image.
const STEPS: u32 = 12;

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else {
        report.skip("Postgres is not installed");
        return Ok(());
    };
    // Without grace, what runs is handed over in the middle.
    let site = site.with("DIFFUSION_SERVER_GRACE_SECONDS", "0");
    let port = free_port()?;
    let mut server = Server::start_whole(&site, port)?;
    let reference = Reference::make(&server.client(), STEPS)?;
    let load = Load::start(&[port], 6, STEPS);
    let mut random = Random::new(run.seed);
    let (since, mut restarts, mut pauses) = (Instant::now(), 0, Vec::new());
    while since.elapsed() < run.duration {
        thread::sleep(random.up_to(1500));
        let stopped = Instant::now();
        let status = server.stop()?;
        report.expect(status.success(), || format!("the server ended with {status}"));
        server = Server::start(&site, port)?;
        restarts += 1;
        if !load.wait_for(1) {
            break;
        }
        pauses.push(stopped.elapsed());
    }
    let known = load.stop();
    report.figure("restarts", restarts);
    report.times(["pause p50, ms", "pause p99, ms", "pause max, ms"], pauses);
    let strikes = site.number("SELECT CAST(max(strikes) AS BIGINT) FROM job_images")?;
    report.figure("attempts used up", strikes);
    report.expect(strikes == 0, || "an image was struck by a restart".into());
    reference.check(&server.client(), &known, report)
}
