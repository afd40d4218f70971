//! The worker ends at the three places between an image and its publication.

use super::Run;
use super::check::Reference;
use super::client::Load;
use super::report::Report;
use super::server::Server;
use super::site::{Site, free_port};

/// Steps of each image.
const STEPS: u32 = 3;
/// Jobs at each place.
const JOBS: usize = 12;

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    for place in ["before-put", "after-put", "before-commit"] {
        let Some(site) = Site::new(run)? else {
            report.skip("Postgres is not installed");
            return Ok(());
        };
        let port = free_port()?;
        let reference = {
            let server = Server::start_whole(&site, port)?;
            let reference = Reference::make(&server.client(), STEPS)?;
            server.stop()?;
            reference
        };
        // Each process publishes two images and dies over the third, which the next one publishes first.
        let site = site.with("DIFFUSION_FAILPOINTS", &format!("{place}/3"));
        let server = Server::start_whole(&site, port)?;
        let load = Load::start(&[port], 1, STEPS);
        load.wait_for(JOBS);
        let known = load.stop();
        let deaths = server.log().matches("a failpoint ends the process").count();
        report.expect(deaths > 0, || format!("{place} was not reached"));
        reference.check(&server.client(), &known, report)?;
        report.figure(place, format!("{deaths} deaths, {} jobs", known.jobs.len()));
    }
    Ok(())
}
