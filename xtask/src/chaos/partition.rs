//! The network between the server and Postgres is cut without a word, and mended, under load.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::Run;
use super::check::Reference;
use super::client::{Load, body};
use super::network::{Network, PORT};
use super::random::Random;
use super::report::Report;
use super::server::Server;
use super::site::{Site, free_port};

/// Steps of each image.
const STEPS: u32 = 4;

/// How long a cut lasts: shorter and longer than the server waits for its database.
const CUTS: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(20), Duration::from_secs(8)];

/// What a client may wait for the answer that the database is away.
const ANSWER: Duration = Duration::from_secs(30);

pub(super) fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    // The namespace is the thread's: this one keeps its own.
    thread::scope(|scope| {
        let row = scope.spawn(|| inside(run, report));
        row.join().unwrap_or_else(|_| anyhow::bail!("the row broke down"))
    })
}

fn inside(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let Some(mut site) = Site::new(run)? else {
        report.skip("Postgres is not installed");
        return Ok(());
    };
    let postgres = site.postgres.as_ref().context("no Postgres")?;
    let network = match Network::enter(&postgres.socket()) {
        Ok(network) => network,
        Err(error) => {
            report.skip(format!("no network of its own: {error:#}"));
            return Ok(());
        }
    };
    let name = site.database.rsplit_once('/').and_then(|(_, name)| name.split('?').next());
    site.database = format!("postgres://postgres@192.0.2.2:{PORT}/{}", name.context("no name")?);

    let server = Server::start_whole(&site, free_port()?)?;
    let reference = Reference::make(&server.client(), STEPS)?;
    let worker = server.worker();
    let load = Load::start(&[server.port], 6, STEPS);
    let client = server.client().patient(ANSWER);
    let mut random = Random::new(run.seed);
    let (since, mut recoveries, mut refusals) = (Instant::now(), Vec::new(), Vec::new());
    for cut in CUTS.iter().cycle() {
        if since.elapsed() > run.duration && recoveries.len() >= CUTS.len() {
            break;
        }
        thread::sleep(random.up_to(1500));
        network.cut()?;
        let began = Instant::now();
        let key = format!("cut-{}", recoveries.len());
        let answer = client.post("/api/v1/jobs", &key, &body("a dog", 0, STEPS));
        match answer {
            Ok(answer) if answer.status == 503 => refusals.push(began.elapsed()),
            Ok(answer) => report.broken(format!("{} while the database is away", answer.status)),
            Err(error) => report.broken(format!("no answer while the database is away: {error:#}")),
        }
        thread::sleep(cut.saturating_sub(began.elapsed()));
        network.mend()?;
        let mended = Instant::now();
        if !load.wait_for(1) {
            report.broken("nothing went on when the network was back");
            break;
        }
        recoveries.push(mended.elapsed());
    }
    let mut known = load.stop();
    // What was refused may have been stored all the same: the answer was lost, not the job.
    known.others = usize::try_from(
        site.number("SELECT count(*) FROM idempotency_keys WHERE name LIKE 'cut-%'")?,
    )?;
    report.figure("cuts survived", recoveries.len());
    report.expect(server.worker() == worker, || "the worker did not heal by itself".into());
    let late = recoveries.iter().filter(|time| **time > Duration::from_secs(30)).count();
    report.expect(late == 0, || format!("{late} recoveries took more than 30 s"));
    report.times(["503 p50, ms", "503 p99, ms", "503 max, ms"], refusals);
    report.times(["recovery p50, ms", "recovery p99, ms", "recovery max, ms"], recoveries);
    reference.check(&server.client(), &known, report)
}
