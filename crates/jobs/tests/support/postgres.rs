//! A Postgres of a test's own: made in a temporary folder, stopped when it is dropped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use diffusion_jobs::database::Location;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};
use tempfile::TempDir;
use uuid::Uuid;

/// Postgres refuses to run as root: where tests do, it runs as `nobody`.
const NOBODY: u32 = 65534;

/// A running server that only this process can reach, over a Unix socket in its folder.
pub struct Postgres {
    bin: PathBuf,
    folder: TempDir,
    /// Whether its programs run as `nobody`.
    demoted: bool,
}

/// The server that the tests of this process share while any of them runs.
static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

impl Postgres {
    /// The server that all tests of this process share; each takes a database of its own.
    /// `None`, said on stderr, where Postgres is not installed.
    ///
    /// # Panics
    /// Under `CI=true` it must be installed.
    pub fn shared() -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let started = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&started);
        Some(started)
    }

    /// A server for one test alone, which may stop it. `None` as for [`Postgres::shared`].
    ///
    /// # Panics
    /// Under `CI=true` it must be installed.
    pub fn start() -> Option<Self> {
        let Some(bin) = programs() else {
            let name = std::thread::current().name().unwrap_or("a test").to_owned();
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "{name} needs Postgres: install initdb, pg_ctl and postgres"
            );
            eprintln!("{name}: skipped on Postgres, which is not installed");
            return None;
        };
        let folder = TempDir::new().unwrap();
        let demoted = give_to_nobody_as_root(folder.path());
        let postgres = Self { bin, folder, demoted };
        let data = postgres.data();
        let settings = "--username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync";
        run(postgres.program("initdb").arg(format!("--pgdata={data}")).args(settings.split(' ')));
        postgres.resume();
        Some(postgres)
    }

    /// The address of a new, empty database.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let options: PgConnectOptions = self.url("postgres").parse().unwrap();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        connection.execute(create).await.unwrap();
        connection.close().await.unwrap();
        self.url(&name)
    }

    /// As [`Postgres::database`], read.
    pub async fn location(&self) -> Location {
        self.database().await.parse().unwrap()
    }

    /// The Unix socket at which it answers.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    /// Stops the server at once, as a crash would: nothing is written, connections are cut.
    pub fn crash(&self) {
        run(self.control().args(["stop", "--mode=immediate"]));
    }

    /// Starts the server after [`Postgres::crash`], and returns once it answers.
    pub fn resume(&self) {
        let socket = self.folder.path().display();
        let log = self.folder.path().join("log");
        // Nothing here must outlive the machine, but what is committed must outlive the server:
        // commits are written, and not synced to the disk.
        let settings = "-c fsync=off -c full_page_writes=off \
                        -c max_connections=200 -c shared_buffers=32MB -c autovacuum=off";
        run(self
            .control()
            .args(["start", "--wait", "--log"])
            .arg(log)
            .arg("--options")
            .arg(format!("-c listen_addresses='' -k '{socket}' {settings}")));
    }

    fn url(&self, database: &str) -> String {
        let socket = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@localhost/{database}?host={socket}")
    }

    fn data(&self) -> String {
        self.folder.path().join("data").to_str().unwrap().to_owned()
    }

    fn control(&self) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg(format!("--pgdata={}", self.data())).arg("--silent");
        command
    }

    /// One of Postgres' programs, as a user that it agrees to run as.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(self.folder.path());
        #[cfg(unix)]
        if self.demoted {
            std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It is stopped already where a test stopped it.
        let _ = self.control().args(["stop", "--mode=immediate"]).output();
    }
}

/// Gives a new folder of ours to `nobody` where we are root; whether that is so.
fn give_to_nobody_as_root(folder: &Path) -> bool {
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder).unwrap()) == 0 {
        std::os::unix::fs::chown(folder, Some(NOBODY), None).unwrap();
        return true;
    }
    false
}

/// The folder of Postgres' programs: that of `PATH`, or the newest where Debian keeps them.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let all = |folder: &PathBuf| {
        ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file())
    };
    // The programs look for each other beside themselves.
    folders.into_iter().find(all)
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
