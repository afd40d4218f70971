//! A job's state follows from its images'.

use sqlx::{Postgres, Sqlite, Transaction};
use uuid::Uuid;

/// Locks a job's row: the first statement of each transaction that changes its images, so that they
/// wait for each other in one order.
pub(crate) const LOCK: &str = "UPDATE jobs SET version = version WHERE id = $1";

/// As [`LOCK`], and counts a change that clients can see.
pub(crate) const TOUCH: &str = "UPDATE jobs SET version = version + 1 WHERE id = $1";

/// Locking the rows of two jobs.
pub(crate) trait LockBoth {
    /// As [`LOCK`], in the order of their ids, so that nobody waits for who waits for them.
    async fn lock_both(&mut self, a: Uuid, b: Uuid) -> sqlx::Result<()>;
}

impl LockBoth for Transaction<'_, Sqlite> {
    async fn lock_both(&mut self, _: Uuid, _: Uuid) -> sqlx::Result<()> {
        // A writing transaction of SQLite holds the whole database.
        Ok(())
    }
}

impl LockBoth for Transaction<'_, Postgres> {
    async fn lock_both(&mut self, a: Uuid, b: Uuid) -> sqlx::Result<()> {
        let lock = "SELECT id FROM jobs WHERE id IN ($1, $2) ORDER BY id FOR NO KEY UPDATE";
        sqlx::query(lock).bind(a).bind(b).execute(&mut **self).await?;
        Ok(())
    }
}

/// Ends a job whose images have all ended. The job's row must be locked already (by an `UPDATE` in
/// the same transaction): of two transactions that end its last two images, the second then sees
/// what the first did.
macro_rules! settle {
    ($tx:expr, $job:expr, $now:expr) => {{
        let (open, failed, cancelled): (i64, i64, i64) = sqlx::query_as(
            "SELECT count(CASE WHEN state IN ('queued', 'running') THEN 1 END), \
             count(CASE WHEN state = 'failed' THEN 1 END), \
             count(CASE WHEN state = 'cancelled' THEN 1 END) \
             FROM job_images WHERE job_id = $1",
        )
        .bind($job)
        .fetch_one(&mut *$tx)
        .await?;
        if open == 0 {
            let state = match (failed, cancelled) {
                (0, 0) => $crate::State::Succeeded,
                (0, _) => $crate::State::Cancelled,
                _ => $crate::State::Failed,
            };
            let end = "UPDATE jobs SET state = $2, finished_at = $3 \
                       WHERE id = $1 AND state IN ('queued', 'running')";
            let end = sqlx::query(end).bind($job).bind(state.name()).bind($now);
            end.execute(&mut *$tx).await?;
        }
    }};
}

pub(crate) use settle;
