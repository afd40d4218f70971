//! What every handler can reach.

use std::ops::Deref;
use std::sync::Arc;

use diffusion_jobs::{Artifacts, Database, Queue};
use tokio_util::sync::CancellationToken;

use super::body::Room;
use super::guard::Hosts;
use super::health::Disks;
use super::keyring::Keyring;
use super::openai::Links;
use super::recent::Recent;
use crate::config::Config;
use crate::fingerprint::Fingerprints;
use crate::live::Live;
use crate::pace::Pace;
use crate::resolve::Resolver;
use crate::supervisor::Supervisor;
use crate::telemetry::Metrics;

/// The state of the server, shared by all requests. Its fields are those of [`Parts`].
#[derive(Clone)]
pub(crate) struct AppState(Arc<Parts>);

/// What [`AppState`] shares.
pub(crate) struct Parts {
    /// The record of everything.
    pub(crate) database: Database,
    /// Where jobs are put in and taken back.
    pub(crate) queue: Queue,
    /// The files of jobs.
    pub(crate) artifacts: Artifacts,
    /// From requests to plans.
    pub(crate) resolver: Resolver,
    /// The way to the worker.
    pub(crate) supervisor: Supervisor,
    /// Jobs as they run.
    pub(crate) live: Arc<Live>,
    /// What models are known by.
    pub(crate) fingerprints: Arc<Fingerprints>,
    /// How fast images come.
    pub(crate) pace: Arc<Pace>,
    /// What `/readyz` found on the disks.
    pub(crate) disks: Recent<Disks>,
    /// What is configured.
    pub(crate) config: Config,
    /// What `/metrics` shows.
    pub(crate) metrics: Metrics,
    /// The names under which the server may be called.
    pub(crate) hosts: Hosts,
    /// Whether requests must carry an API key.
    pub(crate) keys_demanded: bool,
    /// The keys that were used lately.
    pub(crate) keyring: Keyring,
    /// Addresses of images that need no key.
    pub(crate) links: Links,
    /// Room for the bodies of requests.
    pub(crate) body_room: Room,
    /// Cancelled once the server stops: streams without an end of their own end then.
    pub(crate) stopping: CancellationToken,
}

impl AppState {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
