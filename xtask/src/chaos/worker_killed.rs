//! The worker is killed at random moments under load.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::Run;
use super::check::Reference;
use super::client::Load;
use super::random::Random;
use super::report::Report;
use super::server::Server;
use super::site::{Site, free_port};

/// Steps of each image.
const STEPS: u32 = 12;
/// Clients at a time.
const CLIENTS: usize = 6;
/// How soon work must go on.
const RECOVERY: Duration = Duration::from_secs(30);

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else {
        report.skip("Postgres is not installed");
        return Ok(());
    };
    let server = Server::start_whole(&site, free_port()?)?;
    let reference = Reference::make(&server.client(), STEPS)?;
    let load = Load::start(&[server.port], CLIENTS, STEPS);
    let mut random = Random::new(run.seed);
    let (since, mut recoveries) = (Instant::now(), Vec::new());
    while since.elapsed() < run.duration {
        thread::sleep(random.up_to(1500));
        if !server.signal_worker(Signal::SIGKILL) {
            continue;
        }
        let killed = Instant::now();
        if !load.wait_for(1) {
            break;
        }
        recoveries.push(killed.elapsed());
    }
    let known = load.stop();
    report.figure("kills survived", recoveries.len());
    let slow = recoveries.iter().filter(|time| **time > RECOVERY).count();
    report.expect(slow == 0, || format!("{slow} recoveries took more than {RECOVERY:?}"));
    let names = ["recovery p50, ms", "recovery p99, ms", "recovery max, ms"];
    report.times(names, recoveries);
    reference.check(&server.client(), &known, report)
}
