//! No space for artifacts, then none for the database.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

use super::Run;
use super::client::{Client, body};
use super::report::Report;
use super::server::{Server, fill, wait};
use super::site::{Site, free_port};

/// Steps of each image.
const STEPS: u32 = 2;

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    if let Err(error) = private_mounts() {
        report.skip(format!("file systems cannot be mounted here: {error}"));
        return Ok(());
    }
    artifacts(run, report)?;
    database(run, report)
}

/// What this thread and its children mount, nobody else sees.
fn private_mounts() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount::<str, str, str, str>(None, "/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)
}

fn small(folder: &Path, size: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let options = format!("size={size}");
    mount(Some("none"), folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?;
    Ok(())
}

fn artifacts(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else { return Ok(()) };
    let folder = site.path().join("artifacts");
    small(&folder, "2m")?;
    let server = Server::start_whole(&site, free_port()?)?;
    let client = server.client();
    let filler = folder.join("filler");
    fill(filler.clone())?;
    let id = client.ask("full", &body("a cat", 1, STEPS))?;
    let failed = client.wait(&id)?;
    let error = failed["images"][0]["error"].as_str().unwrap_or_default().to_owned();
    report.figure("artifacts full", error.clone());
    report.expect(failed["state"] == "failed" && error.contains("No space left"), || {
        format!("the job is {} with {error:?}", failed["state"])
    });
    report.expect(failed["images"][0]["sha256"].is_null(), || "a row without its object".into());
    fs::remove_file(filler)?;
    client.post(&format!("/api/v1/jobs/{id}/retry"), "again", &Value::Null)?;
    let mut state = Value::Null;
    wait(|| {
        state = client.get_json(&format!("/api/v1/jobs/{id}"))?["state"].clone();
        Ok(state != "queued" && state != "running")
    })?;
    report.figure("artifacts freed", state.clone());
    report.expect(state == "succeeded", || format!("with space again, the job is {state}"));
    let png = client.get(&format!("/api/v1/jobs/{id}/images/0"))?.body;
    report.expect(png.starts_with(b"\x89PNG"), || "no image behind the row".into());
    Ok(())
}

fn database(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(mut site) = Site::new(run)? else { return Ok(()) };
    let folder = site.path().join("database");
    small(&folder, "4m")?;
    site.database = format!("sqlite://{}", folder.join("server.db").display());
    let server = Server::start_whole(&site, free_port()?)?;
    let client = server.client();
    let id = client.ask("before", &body("a cat", 1, STEPS))?;
    client.wait(&id)?;
    let filler = folder.join("filler");
    fill(filler.clone())?;
    let refused = until_refused(&client)?;
    report.figure("database full", format!("{}: {}", refused.0, refused.1));
    report.expect(refused.0 == 503, || format!("answered with {}", refused.0));
    fs::remove_file(filler)?;
    let id = client.ask("after", &body("a cat", 1, STEPS))?;
    let job = client.wait(&id)?;
    report.figure("database freed", job["state"].clone());
    report.expect(job["state"] == "succeeded", || format!("with space again: {job}"));
    let integrity = site.integrity()?;
    report.expect(integrity == "ok", || format!("integrity_check: {integrity}"));
    Ok(())
}

/// The write-ahead log has some room left: the first refusal may not come at once.
fn until_refused(client: &Client) -> anyhow::Result<(u16, String)> {
    for n in 0..10_000 {
        let answer = client.post("/api/v1/jobs", &format!("fill-{n}"), &body("a cat", n, STEPS))?;
        if answer.status >= 300 {
            let problem: Value = serde_json::from_slice(&answer.body)?;
            return Ok((answer.status, problem["detail"].as_str().unwrap_or_default().to_owned()));
        }
    }
    anyhow::bail!("a full disk takes jobs");
}
