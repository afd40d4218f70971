//! Server and worker are killed while SQLite writes.

use std::thread;
use std::time::Instant;

use nix::sys::signal::Signal;

use super::Run;
use super::check::Reference;
use super::client::Load;
use super::random::Random;
use super::report::Report;
use super::server::Server;
use super::site::{Site, free_port};

/// Steps of each image.
const STEPS: u32 = 2;
/// Kills between two jobs that must end.
const IN_A_ROW: usize = 4;

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else { return Ok(()) };
    let port = free_port()?;
    let mut server = Server::start_whole(&site, port)?;
    let reference = Reference::make(&server.client(), STEPS)?;
    let load = Load::start(&[port], 8, STEPS);
    let mut random = Random::new(run.seed);
    let (since, mut kills, mut checks) = (Instant::now(), 0, 0);
    while since.elapsed() < run.duration {
        thread::sleep(random.up_to(500));
        server.signal_both(Signal::SIGKILL);
        drop(server);
        kills += 1;
        if kills % 10 == 0 {
            let integrity = site.integrity()?;
            checks += 1;
            report.expect(integrity == "ok", || format!("integrity_check: {integrity}"));
        }
        server = Server::start(&site, port)?;
        if kills % IN_A_ROW == 0 && !load.wait_for(1) {
            break;
        }
    }
    let known = load.stop();
    report.figure("kills survived", kills);
    reference.check(&server.client(), &known, report)?;
    drop(server);
    let integrity = site.integrity()?;
    report.figure("integrity checks", checks + 1);
    report.expect(integrity == "ok", || format!("integrity_check: {integrity}"));
    Ok(())
}
