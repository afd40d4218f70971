//! What is configured, in small groups: the sections of the file.

mod size;

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use diffusion_jobs::database::Location;
use serde::{Deserialize, Serialize};

pub(crate) use size::ByteSize;

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) storage: Storage,
}

/// `[server]`: who can reach the server, and how much they can ask of it.
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

/// `[server.limits]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Seconds that a connection may stay without a whole request.
    pub(crate) idle_seconds: u64,
    /// Seconds that a client may take nothing of its answer.
    pub(crate) unread_seconds: u64,
    /// Seconds for a request's body, and one more for each 64 KiB that have come.
    pub(crate) body_seconds: u64,
    /// The most that the headers of a request may take.
    pub(crate) header_bytes: ByteSize,
    /// The most that the body of a request may take.
    pub(crate) body_bytes: ByteSize,
    /// The most that bodies of requests may take together while they arrive.
    pub(crate) all_bodies_bytes: ByteSize,
}

/// `[storage]`: where things are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// The folder for everything that is not configured to lie elsewhere.
    pub(crate) data: PathBuf,
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`; `server.db` in the data folder
    /// if none.
    pub(crate) database: Option<String>,
    /// A folder whose sub-folders are diffusers models.
    pub(crate) models: Option<PathBuf>,
    /// Folders of images beside `images` in the data folder.
    pub(crate) images: Vec<PathBuf>,
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
        Self {
            connections: 4096,
            idle_seconds: 15,
            unread_seconds: 30,
            body_seconds: 30,
            header_bytes: ByteSize(32 << 10),
            body_bytes: ByteSize(64 << 20),
            all_bodies_bytes: ByteSize(512 << 20),
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self { data: data_folder(), database: None, models: None, images: Vec::new() }
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
            Some(url) => url.parse(),
            None => Ok(Location::Sqlite(self.data.join("server.db"))),
        }
    }
}

/// The user's folder for data: as the XDG specification has it.
fn data_folder() -> PathBuf {
    let given = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = given.or_else(|| Some(env::home_dir()?.join(".local/share")));
    folder.as_deref().unwrap_or(Path::new(".")).join("diffusion-server")
}
