//! What is configured: one struct for each section of the file. `load.rs` says where values come
//! from.
//!
//! The last part of a setting's name is unlike that of any other, for it names the variable of the
//! environment too: `server.bind` is `DIFFUSION_SERVER_BIND`.

mod args;
mod load;
mod secret;
mod size;

use std::env;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use diffusion_engine::Precision;
use diffusion_jobs::database::Location;
use diffusion_jobs::queue::Backlog;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use args::{ConfigArgs, DataArgs};
pub(crate) use secret::SecretUrl;
pub(crate) use size::ByteSize;

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) storage: Storage,
    pub(crate) engine: Engine,
    pub(crate) queue: Queue,
    pub(crate) telemetry: Telemetry,
}

/// `[server]`: who can reach the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Where to listen, `HOST:PORT`; port 0 lets the system choose one.
    pub(crate) bind: String,
    /// Further names under which a server without keys may be called.
    pub(crate) hosts: Vec<String>,
    /// Whether API keys are demanded on loopback too.
    pub(crate) demand_keys: bool,
    /// Whether everyone who can reach the server beyond loopback may use it.
    pub(crate) allow_anonymous_beyond_loopback: bool,
    pub(crate) limits: Limits,
}

/// `[server.limits]`: how much can be asked of the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections: NonZeroUsize,
    /// Seconds that a connection may stay without a whole request.
    pub(crate) idle_seconds: NonZeroU32,
    /// Seconds that a client may take nothing of its answer.
    pub(crate) unread_seconds: NonZeroU32,
    /// Seconds for a request's body, and one more for each 64 KiB that have come.
    pub(crate) body_seconds: NonZeroU32,
    /// The most that the headers of a request may take.
    pub(crate) header_bytes: ByteSize,
    /// The most that the body of a request may take.
    pub(crate) body_bytes: ByteSize,
    /// The most that the bodies of requests may take together while they arrive.
    pub(crate) all_bodies_bytes: ByteSize,
    /// Requests of one API key, saved up for at most a minute; 0 for any number.
    pub(crate) requests_per_minute: u32,
}

/// `[storage]`: where things are kept, and for how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// The folder for everything that is not configured to lie elsewhere.
    pub(crate) data: PathBuf,
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`; `server.db` in the data folder
    /// if none.
    pub(crate) database: Option<SecretUrl>,
    /// Folders from which pictures may be taken by their path.
    pub(crate) image_roots: Vec<PathBuf>,
    /// A folder whose sub-folders are diffusers models.
    pub(crate) models: Option<PathBuf>,
    /// Days after which finished jobs and their images are removed; never if none.
    pub(crate) retention_days: Option<NonZeroU32>,
    /// The most that artifacts may take.
    pub(crate) quota: Option<ByteSize>,
}

/// `[engine]`: how much of the machine to use.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Engine {
    /// Threads that compute; all processors if none.
    pub(crate) threads: Option<NonZeroUsize>,
    /// The most memory that models and their work may take; nine tenths of the machine's if none.
    pub(crate) memory: Option<ByteSize>,
    /// Numbers to compute in.
    #[serde(with = "text")]
    pub(crate) precision: Precision,
    /// The most samples that are stepped at once; as many as is worth it if none.
    pub(crate) max_batch: Option<NonZeroUsize>,
}

impl Engine {
    /// For the engine, with what the machine has where nothing is set.
    pub(crate) fn options(&self) -> diffusion_engine::Options {
        crate::machine::options(self.threads, self.memory, self.precision)
    }
}

/// `[queue]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Queue {
    /// Images that may wait.
    pub(crate) backlog: NonZeroUsize,
    /// Seconds within which a new job must be expected to be done, or it is refused; no limit if
    /// none.
    pub(crate) longest_wait_seconds: Option<NonZeroU32>,
    /// Seconds that running work has to finish when the server is stopped.
    pub(crate) grace_seconds: u32,
}

/// `[telemetry]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Telemetry {
    pub(crate) log_format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, or tracing's directives for each module.
    pub(crate) log_level: String,
    /// Where OpenTelemetry traces are sent, such as `http://localhost:4318`; nowhere if none.
    pub(crate) otlp_endpoint: Option<SecretUrl>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:8000".into(),
            hosts: Vec::new(),
            demand_keys: false,
            allow_anonymous_beyond_loopback: false,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            connections: NonZeroUsize::new(4096).unwrap_or(NonZeroUsize::MIN),
            idle_seconds: number(15),
            unread_seconds: number(30),
            body_seconds: number(30),
            header_bytes: ByteSize(32 << 10),
            body_bytes: ByteSize(64 << 20),
            all_bodies_bytes: ByteSize(512 << 20),
            requests_per_minute: 1200,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data: data_folder(),
            database: None,
            image_roots: Vec::new(),
            models: None,
            retention_days: None,
            quota: None,
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        let backlog = NonZeroUsize::new(10_000).unwrap_or(NonZeroUsize::MIN);
        Self { backlog, longest_wait_seconds: None, grace_seconds: 30 }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { log_format: LogFormat::Auto, log_level: "info".into(), otlp_endpoint: None }
    }
}

impl Server {
    /// Whether API keys are demanded of those who reach the server at this address: always beyond
    /// loopback, unless told not to.
    pub(crate) fn demands_keys(&self, bound: SocketAddr) -> bool {
        self.demand_keys || !(bound.ip().is_loopback() || self.allow_anonymous_beyond_loopback)
    }
}

impl Storage {
    /// Where the database is.
    ///
    /// # Errors
    /// The URL is not one.
    pub(crate) fn database(&self) -> diffusion_jobs::Result<Location> {
        match &self.database {
            Some(url) => url.expose().parse(),
            None => Ok(Location::Sqlite(self.data.join("server.db"))),
        }
    }
}

impl Storage {
    /// The folder of results, of pictures that jobs are drawn from, and of samples in flight.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.data.join("artifacts")
    }

    /// The folder of images of the data set that are uploaded.
    pub(crate) fn images(&self) -> PathBuf {
        self.data.join("images")
    }
}

impl Queue {
    /// How long running work has to finish when the server is stopped.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds.into())
    }

    /// How much may wait, where a job of this owner is about to.
    pub(crate) fn backlog_for(&self, owner: Option<Uuid>) -> Backlog {
        let total = i64::try_from(self.backlog.get()).unwrap_or(i64::MAX);
        // One key may fill half of it while others want some.
        let each = if owner.is_some() { total / 2 + 1 } else { total };
        Backlog { total, each }
    }

    /// Within what time a new job must be expected to be done.
    pub(crate) fn longest_wait(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.longest_wait_seconds?.get().into()))
    }
}

/// The user's folder for data, as the XDG specification has it.
fn data_folder() -> PathBuf {
    let given = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = given.or_else(|| Some(env::home_dir()?.join(".local/share")));
    folder.as_deref().unwrap_or(Path::new(".")).join("diffusion-server")
}

/// Values that are written as their text.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(Error::custom)
    }
}
