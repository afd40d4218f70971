//! Working the queue: a lease that says who lives, attempts that may publish while they hold it,
//! and River's client that claims them.

mod attempt;
mod begin;
mod choose;
mod lease;
mod reap;
mod strike;
mod worker;

use std::time::Duration;

pub use attempt::{Attempt, Published};
pub use lease::Lease;
pub use worker::{Verdict, Work, Worker};

/// The least time between two claims of a queue. River's default would hold up a waiting client.
pub(crate) const FETCH_COOLDOWN: Duration = Duration::from_millis(1);

/// How often a worker's heart beats, and the others' are listened to.
pub const HEARTBEAT: Duration = Duration::from_secs(3);

/// A worker is dead when this many looks in a row found no new beat.
pub const SILENT_LOOKS: u32 = 5;
