//! The sign that a worker lives: a row for each start of a process, whose counter grows.

use std::collections::HashMap;

use chrono::Utc;
use uuid::Uuid;

use super::{SILENT_LOOKS, strike};
use crate::Result;
use crate::database::{Database, both, transaction};

/// This worker's lease.
#[derive(Debug)]
pub struct Lease {
    id: Uuid,
    database: Database,
    /// The others as last seen: their counters, and for how many looks those stood still.
    seen: HashMap<Uuid, (i64, u32)>,
}

impl Lease {
    /// Takes a lease. `after` names one that is known to be dead: that of the process whose place
    /// this one takes. On SQLite, where there is one worker process at a time, all others are.
    /// `blamed` are the images that the dead one was computing, and that may have killed it: the
    /// attempt counts against them.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn take(
        database: &Database,
        id: Uuid,
        after: Option<Uuid>,
        blamed: &[(Uuid, i32)],
    ) -> Result<Self> {
        // Before the lease ends: from then on anybody may free what it held.
        if let Some(dead) = after {
            blame(database, dead, blamed).await?;
        }
        if let Database::Sqlite(pool) = database {
            sqlx::query("DELETE FROM worker_leases WHERE id <> $1").bind(id).execute(pool).await?;
        }
        if let Some(dead) = after {
            release(database, dead).await?;
        }
        let insert = "INSERT INTO worker_leases (id, started_at) VALUES ($1, $2)";
        both!(database, pool => {
            sqlx::query(insert).bind(id).bind(Utc::now()).execute(pool).await?;
        });
        Ok(Self { id, database: database.clone(), seen: HashMap::new() })
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Says that this worker lives. `false`: others took it for dead, and its work is theirs.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn beat(&self) -> Result<bool> {
        let beat = "UPDATE worker_leases SET beats = beats + 1 WHERE id = $1";
        let rows = both!(&self.database, pool => {
            sqlx::query(beat).bind(self.id).execute(pool).await?.rows_affected()
        });
        Ok(rows == 1)
    }

    /// The leases of others, and how often each has spoken.
    async fn others(&self) -> Result<Vec<(Uuid, i64)>> {
        let select = "SELECT id, beats FROM worker_leases WHERE id <> $1";
        Ok(both!(&self.database, pool => {
            sqlx::query_as(select).bind(self.id).fetch_all(pool).await?
        }))
    }

    /// Looks at the others, and ends the leases of those that stood still for [`SILENT_LOOKS`]
    /// looks. Only looks that reached the database count, so an outage kills nobody.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn look(&mut self) -> Result<()> {
        let found = self.others().await.inspect_err(|_| self.seen.clear())?;
        let mut seen = HashMap::new();
        for (id, beats) in found {
            let silent = match self.seen.get(&id) {
                Some(&(before, silent)) if before == beats => silent + 1,
                _ => 0,
            };
            if silent >= SILENT_LOOKS {
                // Unless it has spoken since.
                let end = "DELETE FROM worker_leases WHERE id = $1 AND beats = $2";
                both!(&self.database, pool => {
                    sqlx::query(end).bind(id).bind(beats).execute(pool).await?;
                });
                tracing::warn!(worker = %id, "a worker's heart has stopped: others take over its work");
            } else {
                seen.insert(id, (beats, silent));
            }
        }
        self.seen = seen;
        Ok(())
    }

    /// Gives the lease back, when all work is done or handed over.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn give_back(&self) -> Result<()> {
        release(&self.database, self.id).await
    }
}

/// Counts an attempt against these images, if the dead worker held them.
async fn blame(database: &Database, dead: Uuid, blamed: &[(Uuid, i32)]) -> Result<()> {
    for &(job, index) in blamed {
        transaction!(database, tx => {
            let select = "SELECT strikes, struck_step, saved_step FROM job_images \
                          WHERE job_id = $1 AND idx = $2 AND worker = $3 AND state = 'running'";
            let image: Option<(i32, i32, i32)> = sqlx::query_as(select)
                .bind(job).bind(index).bind(dead).fetch_optional(&mut *tx).await?;
            if let Some((strikes, struck_step, saved_step)) = image {
                let strikes = strike::after(strikes, struck_step, saved_step);
                let count = "UPDATE job_images SET strikes = $3, struck_step = saved_step \
                             WHERE job_id = $1 AND idx = $2";
                sqlx::query(count).bind(job).bind(index).bind(strikes).execute(&mut *tx).await?;
            }
        });
    }
    Ok(())
}

/// Whether a lease is still held.
///
/// # Errors
/// The database cannot be reached.
pub(super) async fn held(database: &Database, id: Uuid) -> Result<bool> {
    let select = "SELECT beats FROM worker_leases WHERE id = $1";
    let beats: Option<i64> =
        both!(database, pool => sqlx::query_scalar(select).bind(id).fetch_optional(pool).await?);
    Ok(beats.is_some())
}

async fn release(database: &Database, id: Uuid) -> Result<()> {
    both!(database, pool => {
        sqlx::query("DELETE FROM worker_leases WHERE id = $1").bind(id).execute(pool).await?;
    });
    Ok(())
}
