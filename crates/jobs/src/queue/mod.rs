//! The durable queue: River, on our own transactions.
//!
//! Our tables are the record of jobs, River's rows are the queue of their images. Both change in
//! the same transactions, so neither says what the other does not know.

mod cancel;
mod enqueue;
mod fairness;
mod retry;
mod river;
mod rows;
mod turns;

use riverqueue::{Client, InsertOpts};

use crate::database::{Database, Location};
use crate::{Result, work};

pub use crate::idempotency::Idempotency;
pub use enqueue::{Accepted, Backlog};
pub(crate) use fairness::{FIRST, REST};
pub use river::ImageArgs;
pub(crate) use river::{Orphan, RiverRow, client_id, orphans, turn};

/// Attempts are counted by us, by the progress that they made; River's own limit is out of reach.
const MAX_ATTEMPTS: i32 = 10_000;

/// Where jobs are put in and taken back.
#[derive(Debug, Clone)]
pub struct Queue {
    pub(crate) database: Database,
    pub(crate) client: Client,
}

impl Queue {
    /// A queue that takes jobs in and works none. It opens a small pool of its own for River.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn open(database: &Database, location: &Location) -> Result<Self> {
        let builder = match Database::connect(location, 2).await? {
            Database::Sqlite(pool) => Client::builder(pool),
            Database::Postgres(pool) => Client::builder(pool),
        };
        let client =
            builder.without_leader_election().fetch_cooldown(work::FETCH_COOLDOWN).build()?;
        Ok(Self { database: database.clone(), client })
    }

    /// The database under the queue.
    pub fn database(&self) -> &Database {
        &self.database
    }
}

/// How River is to take one image in.
fn options(lane: &'static str) -> InsertOpts {
    InsertOpts::default().with_queue(lane).with_priority(1).with_max_attempts(MAX_ATTEMPTS)
}
