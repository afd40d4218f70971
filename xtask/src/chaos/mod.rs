//! `cargo xtask chaos`: the real server under the faults that it promises to survive.
//!
//! Each row starts servers of its own, does harm while clients ask for images, lets everything
//! heal, and then asks over HTTP: is every acknowledged job there, made once, with the bytes of an
//! undisturbed run? A row ends by itself.

mod backlog;
mod check;
mod client;
mod disk_full;
mod failpoints;
mod latency;
mod listeners;
mod network;
mod partition;
mod poison;
#[path = "../../../crates/jobs/tests/support/postgres.rs"]
#[allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs, unreachable_pub)]
mod postgres;
mod postgres_stopped;
mod random;
mod report;
mod rolling;
mod server;
mod site;
mod slow_clients;
mod sqlite_killed;
mod worker_killed;
mod zombie;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};

use self::report::Report;
use crate::workspace;

/// Do harm to a running server, and check that it keeps its promises
#[derive(Debug, Args)]
pub(crate) struct Chaos {
    /// Only these faults; all if none
    rows: Vec<Row>,
    /// How long each fault goes on
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Only on this database
    #[arg(long)]
    database: Option<Kind>,
    /// Print one JSON object for each fault
    #[arg(long)]
    json: bool,
    /// Build the server in the release profile
    #[arg(long)]
    release: bool,
    /// Seed of all that is left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Row {
    /// SIGKILL of the worker at random moments under load
    WorkerKilled,
    /// The worker ends before and after it stores an image, and before it commits
    Failpoints,
    /// An image that ends its process each time
    Poison,
    /// A stopped server comes back when another has taken over (Postgres)
    Zombie,
    /// Postgres stops as in a crash, again and again
    PostgresStopped,
    /// The network between server and Postgres is cut without a word (needs root)
    Partition,
    /// SIGKILL of server and worker while SQLite writes
    SqliteKilled,
    /// No space for artifacts, then none for the database
    DiskFull,
    /// SIGTERM and a new start under load
    Rolling,
    /// 10,000 jobs wait
    Backlog,
    /// 1,000 event streams, a tenth of which nobody reads
    Listeners,
    /// 2,000 connections that send by drops or read nothing
    SlowClients,
    /// No fault: time to the first step, overhead, throughput
    Latency,
}

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// What a row is run with.
#[derive(Debug, Clone)]
struct Run {
    program: PathBuf,
    kind: Kind,
    duration: Duration,
    seed: u64,
}

/// What CI runs of it: each fault briefly.
pub(crate) fn brief() -> anyhow::Result<()> {
    let rows = vec![Row::WorkerKilled, Row::Poison, Row::SqliteKilled, Row::Rolling];
    let database = Some(Kind::Sqlite);
    Chaos { rows, seconds: 6, database, json: false, release: false, seed: 1 }.execute()
}

impl Chaos {
    /// Runs the rows one after another.
    ///
    /// # Errors
    /// A promise was broken, or a row could not be run.
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        server::raise_open_files();
        let program = build(self.release)?;
        let rows = match self.rows.is_empty() {
            true => Row::value_variants().to_vec(),
            false => self.rows,
        };
        let kinds = [Kind::Sqlite, Kind::Postgres];
        let mut broken = Vec::new();
        for row in rows {
            for kind in kinds {
                if self.database.is_some_and(|only| only != kind) || !row.is_for(kind) {
                    continue;
                }
                let run = Run {
                    program: program.clone(),
                    kind,
                    duration: Duration::from_secs(self.seconds),
                    seed: self.seed,
                };
                let mut report = Report::new(row.name(), kind);
                if let Err(error) = row.run(&run, &mut report) {
                    report.broken(format!("the row could not be ended: {error:#}"));
                }
                report.print(self.json)?;
                if !report.holds() {
                    broken.push(format!("{} on {}", row.name(), kind.name()));
                }
            }
        }
        ensure!(broken.is_empty(), "promises were broken: {}", broken.join(", "));
        Ok(())
    }
}

impl Row {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn is_for(self, kind: Kind) -> bool {
        match self {
            Self::Zombie | Self::PostgresStopped | Self::Partition => kind == Kind::Postgres,
            Self::SqliteKilled | Self::DiskFull | Self::Listeners | Self::SlowClients => {
                kind == Kind::Sqlite
            }
            _ => true,
        }
    }

    fn run(self, run: &Run, report: &mut Report) -> anyhow::Result<()> {
        match self {
            Self::WorkerKilled => worker_killed::run(run, report),
            Self::Failpoints => failpoints::run(run, report),
            Self::Poison => poison::run(run, report),
            Self::Zombie => zombie::run(run, report),
            Self::PostgresStopped => postgres_stopped::run(run, report),
            Self::Partition => partition::run(run, report),
            Self::SqliteKilled => sqlite_killed::run(run, report),
            Self::DiskFull => disk_full::run(run, report),
            Self::Rolling => rolling::run(run, report),
            Self::Backlog => backlog::run(run, report),
            Self::Listeners => listeners::run(run, report),
            Self::SlowClients => slow_clients::run(run, report),
            Self::Latency => latency::run(run, report),
        }
    }
}

/// Builds the server with its failpoints, and sets it aside: other builds would replace it.
fn build(release: bool) -> anyhow::Result<PathBuf> {
    let profile = if release { "release" } else { "dev" };
    let status = workspace::cargo()
        .args(["build", "--quiet", "--locked", "--package", "diffusion-server"])
        .args(["--features", "failpoints", "--profile", profile, "--manifest-path"])
        .arg(workspace::path("Cargo.toml"))
        .status()?;
    ensure!(status.success(), "building the server: {status}");
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| workspace::path("target"));
    let built = target.join(if release { "release" } else { "debug" }).join("diffusion-server");
    let folder = target.join("chaos");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join(format!("diffusion-server-{}", std::process::id()));
    std::fs::copy(built, &program)?;
    Ok(program)
}
