//! An image that ends its process each time, amid others.

use std::time::Instant;

use super::Run;
use super::check::Reference;
use super::client::{Load, body};
use super::report::Report;
use super::server::Server;
use super::site::{Site, free_port};

/// Steps of each image.
const STEPS: u32 = 6;

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else {
        report.skip("Postgres is not installed");
        return Ok(());
    };
    let site = site.with("DIFFUSION_FAILPOINTS", "begin@poison");
    let server = Server::start_whole(&site, free_port()?)?;
    let client = server.client();
    let reference = Reference::make(&client, STEPS)?;
    let load = Load::start(&[server.port], 6, STEPS);
    load.wait_for(1);
    let since = Instant::now();
    let id = client.ask("poison", &body("poison", 0, STEPS))?;
    let poison = client.wait(&id)?;
    report.figure("poison failed after, s", since.elapsed().as_secs());
    let flowed = load.wait_for(4);
    let mut known = load.stop();
    report.expect(flowed, || "the queue stands still behind the poison".into());
    let error = poison["images"][0]["error"].as_str().unwrap_or_default().to_owned();
    report.expect(poison["state"] == "failed" && error.contains("died 3 times"), || {
        format!("the poison: {}: {error}", poison["state"])
    });
    let deaths = server.log().matches("a failpoint ends the process").count();
    report.figure("workers lost", deaths);
    report.expect(deaths == 3, || format!("{deaths} workers died of it"));
    known.others = 1;
    reference.check(&client, &known, report)
}
