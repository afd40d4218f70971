//! A server is stopped in the middle of its work, another takes over, and the first comes back.

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

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else {
        report.skip("Postgres is not installed");
        return Ok(());
    };
    let servers =
        [Server::start_whole(&site, free_port()?)?, Server::start_whole(&site, free_port()?)?];
    let reference = Reference::make(&servers[0].client(), STEPS)?;
    let load = Load::start(&[servers[0].port, servers[1].port], 8, STEPS);
    let mut random = Random::new(run.seed);
    let (since, mut takeovers, mut rounds) = (Instant::now(), Vec::new(), 0);
    while since.elapsed() < run.duration || rounds == 0 {
        let zombie = &servers[rounds % 2];
        rounds += 1;
        load.wait_for(4);
        thread::sleep(random.up_to(300));
        zombie.signal_both(Signal::SIGSTOP);
        let stopped = Instant::now();
        let running = "SELECT count(*) FROM job_images WHERE state = 'running'";
        // The other one frees what the zombie held once its lease has lapsed.
        let gone = "SELECT count(*) FROM worker_leases";
        while site.number(gone)? > 1 && stopped.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(100));
        }
        takeovers.push(stopped.elapsed());
        // Now both have the same images in hand.
        let held = site.number(running)?;
        thread::sleep(random.up_to(400));
        zombie.signal_both(Signal::SIGCONT);
        report.figure("images in hand at the last return", held);
        zombie.wait_for_worker()?;
    }
    let known = load.stop();
    report.figure("zombies", rounds);
    let late = takeovers.iter().filter(|time| **time > Duration::from_secs(30)).count();
    report.expect(late == 0, || format!("{late} takeovers took more than 30 s"));
    report.times(["takeover p50, ms", "takeover p99, ms", "takeover max, ms"], takeovers);
    reference.check(&servers[1].client(), &known, report)
}
