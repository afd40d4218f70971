//! No fault: how soon an idle server begins, what it adds to a job, how much it makes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use super::Run;
use super::client::{Client, body};
use super::report::{Report, quantile};
use super::server::{Server, wait};
use super::site::{Site, free_port};

/// Jobs of which the time to the first step is taken.
const JOBS: u64 = 100;
/// Jobs of which the overhead is taken.
const LONG: u64 = 8;
/// Images of the comparison of throughput.
const IMAGES: u64 = 48;
/// Images in flight in it.
const IN_FLIGHT: u64 = 16;

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(site) = Site::new(run)? else {
        report.skip("Postgres is not installed");
        return Ok(());
    };
    let server = Server::start_whole(&site, free_port()?)?;
    let client = server.client();
    let warm = client.ask("warm", &body("a cat", 1, 2))?;
    client.wait(&warm)?;

    let mut starts = Vec::new();
    let (mut sum, mut count) = started(&client)?;
    for n in 0..JOBS {
        let id = client.ask(&format!("short-{n}"), &body("a cat", n, 1))?;
        client.wait(&id)?;
        let before = count;
        let mut now = sum;
        wait(|| {
            (now, count) = started(&client)?;
            Ok(count > before)
        })?;
        starts.push(Duration::try_from_secs_f64((now - sum).max(0.0))?);
        sum = now;
    }
    let names = ["accept to first step p50, ms", "p99, ms", "max, ms"];
    report.times(names, starts);

    let steps = steps_of_a_second(&client)?;
    let mut shares = Vec::new();
    for n in 0..LONG {
        let job = made(&client, &format!("long-{n}"), &body("a cat", n, steps))?;
        let device = job["images"][0]["seconds"].as_f64().context("no time")?;
        let whole = time(&job, "finished_at")? - time(&job, "created_at")?;
        shares.push((((whole - device) / device) * 1e4).round() as i64);
    }
    shares.sort_unstable();
    let share = quantile(&shares, 0.5).unwrap_or_default() as f64 / 100.0;
    report.figure("steps of a job of 1 s", steps);
    report.figure("overhead over the engine p50, %", share);

    let one = throughput(server.port, 1, "one")?;
    let many = throughput(server.port, IN_FLIGHT, "many")?;
    report.figure("images per second, 1 in flight", (one * 100.0).round() / 100.0);
    report.figure("images per second, 16 in flight", (many * 100.0).round() / 100.0);
    report.figure("ratio", (many / one * 100.0).round() / 100.0);
    Ok(())
}

/// Sum and count of the times from acceptance to the first step.
fn started(client: &Client) -> anyhow::Result<(f64, f64)> {
    let text = String::from_utf8(client.get("/metrics")?.body)?;
    let value = |name: &str| {
        let name = format!("diffusion_server_accept_to_start_seconds_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.context("no such metric")?.parse::<f64>().context("no number")
    };
    Ok((value("sum")?, value("count")?))
}

fn made(client: &Client, key: &str, body: &Value) -> anyhow::Result<Value> {
    let id = client.ask(key, body)?;
    client.wait(&id)
}

/// How many steps take the device a second.
fn steps_of_a_second(client: &Client) -> anyhow::Result<u32> {
    let seconds = |steps: u32| -> anyhow::Result<f64> {
        let job = made(client, &format!("pace-{steps}"), &body("a cat", 1, steps))?;
        job["images"][0]["seconds"].as_f64().context("no time")
    };
    let (few, more) = (seconds(5)?, seconds(25)?);
    let step = ((more - few) / 20.0).max(1e-3);
    Ok(((1.0 - few) / step + 5.0).clamp(1.0, 900.0) as u32)
}

/// A time of a job, in seconds since some fixed moment of the day.
fn time(job: &Value, name: &str) -> anyhow::Result<f64> {
    let text = job[name].as_str().context("no time")?;
    let clock = text.split_once('T').context("no time")?.1.trim_end_matches('Z');
    let mut parts = clock.split(':').map(str::parse::<f64>);
    let mut next = || parts.next().context("no time")?.context("no number");
    Ok(next()? * 3600.0 + next()? * 60.0 + next()?)
}

/// Images per second with so many jobs in flight, of several sizes, schedulers and lengths.
fn throughput(port: u16, in_flight: u64, name: &str) -> anyhow::Result<f64> {
    let since = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..in_flight)
            .map(|client| {
                scope.spawn(move || -> anyhow::Result<()> {
                    let caller = Client::new(vec![port]);
                    for n in (client..IMAGES).step_by(in_flight as usize) {
                        made(&caller, &format!("{name}-{n}"), &mixed(n))?;
                    }
                    Ok(())
                })
            })
            .collect();
        for client in clients {
            client.join().map_err(|_| anyhow::anyhow!("a client broke down"))??;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(IMAGES as f64 / since.elapsed().as_secs_f64())
}

fn mixed(n: u64) -> Value {
    let scheduler = ["euler", "ddim", "dpmpp-2m", "unipc"][n as usize % 4];
    let side = [128, 128, 64][n as usize % 3];
    let guidance = [7.5, 1.0][n as usize % 2];
    json!({
        "kind": "txt2img", "prompt": format!("cat number {n}"), "seed": n,
        "steps": 10 + n % 11, "guidance": guidance, "scheduler": scheduler,
        "width": side, "height": side,
    })
}
