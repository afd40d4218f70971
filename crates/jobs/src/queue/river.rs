//! What of River's table we touch ourselves, each statement guarded by the attempt number.
//!
//! River's own statements cannot free the jobs of a dead worker before their timeout, cannot place
//! a job by its owner's turn, and complete a job without comparing attempts.

use chrono::{DateTime, TimeDelta, Utc};
use riverqueue::JobArgs;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Sqlite, Transaction};
use uuid::Uuid;

use super::rows::{BATCH, rows};
use crate::Database;

/// The unit of the queue: one image. Its row in River is a turn, which may be given to another image
/// of the same owner later: `river_id` of an image says whose turn it is.
#[derive(Debug, Clone, Serialize, Deserialize, JobArgs)]
#[river(kind = "image")]
pub struct ImageArgs {
    /// Its job.
    pub job: Uuid,
    /// Its place in the job.
    pub index: i32,
}

/// River's row of an image, inside our transactions.
pub(crate) trait RiverRow {
    /// Moves a waiting job to its turn.
    async fn place(&mut self, id: i64, turn: DateTime<Utc>) -> sqlx::Result<()>;

    /// Copies of a job that waits, for other images of the same job, each at its turn: their indexes
    /// with the new ids. (River inserts many jobs one by one.)
    async fn copy(
        &mut self,
        id: i64,
        images: &[(i32, DateTime<Utc>)],
    ) -> sqlx::Result<Vec<(i32, i64)>>;

    /// Ends those of these jobs that wait: the ids of those that run instead, and must be told.
    async fn end_waiting(&mut self, ids: &[i64], now: DateTime<Utc>) -> sqlx::Result<Vec<i64>>;

    /// The attempt that runs, where one does. The row is locked until the transaction ends.
    async fn running_attempt(&mut self, id: i64) -> sqlx::Result<Option<i16>>;

    /// Makes a running job available again, if this attempt still runs.
    async fn free(&mut self, id: i64, attempt: i16, turn: DateTime<Utc>) -> sqlx::Result<()>;
}

/// When River takes a turn of this round: River takes the earliest first, and what lies in the past
/// at once. No clock is meant.
pub(crate) fn turn(round: i64) -> DateTime<Utc> {
    const START: DateTime<Utc> = DateTime::UNIX_EPOCH;
    TimeDelta::try_milliseconds(round).and_then(|d| START.checked_add_signed(d)).unwrap_or(START)
}

/// What a database says in its own way: a time, the arguments with another index, the index of
/// arguments, and how a row that was read is locked.
macro_rules! river_row {
    ($database:ty, $time:expr, $with_index:literal, $index:literal, $lock:literal) => {
        impl RiverRow for Transaction<'_, $database> {
            async fn place(&mut self, id: i64, turn: DateTime<Utc>) -> sqlx::Result<()> {
                let place = sqlx::query("UPDATE river_job SET scheduled_at = $1 WHERE id = $2");
                place.bind($time(turn)).bind(id).execute(&mut **self).await?;
                Ok(())
            }

            async fn copy(
                &mut self,
                id: i64,
                images: &[(i32, DateTime<Utc>)],
            ) -> sqlx::Result<Vec<(i32, i64)>> {
                let mut made = Vec::with_capacity(images.len());
                for images in images.chunks(BATCH) {
                    let copy = sqlx::AssertSqlSafe(copy($with_index, images.len(), $index));
                    let mut copy = sqlx::query_as::<_, (i32, i64)>(copy).persistent(false).bind(id);
                    for (index, turn) in images {
                        copy = copy.bind(index).bind($time(*turn));
                    }
                    made.extend(copy.fetch_all(&mut **self).await?);
                }
                Ok(made)
            }

            async fn end_waiting(
                &mut self,
                ids: &[i64],
                now: DateTime<Utc>,
            ) -> sqlx::Result<Vec<i64>> {
                let mut running = Vec::new();
                for ids in ids.chunks(BATCH) {
                    let [end, select] = end_waiting(ids.len()).map(sqlx::AssertSqlSafe);
                    let end = sqlx::query(end).persistent(false).bind($time(now));
                    ids.iter().fold(end, |end, id| end.bind(id)).execute(&mut **self).await?;
                    let select = sqlx::query_scalar::<_, i64>(select).persistent(false);
                    let select = ids.iter().fold(select, |select, id| select.bind(id));
                    running.extend(select.fetch_all(&mut **self).await?);
                }
                Ok(running)
            }

            async fn running_attempt(&mut self, id: i64) -> sqlx::Result<Option<i16>> {
                let attempt = concat!(
                    "SELECT attempt FROM river_job WHERE id = $1 AND state = 'running'",
                    $lock
                );
                sqlx::query_scalar(attempt).bind(id).fetch_optional(&mut **self).await
            }

            async fn free(
                &mut self,
                id: i64,
                attempt: i16,
                turn: DateTime<Utc>,
            ) -> sqlx::Result<()> {
                let free = "UPDATE river_job SET state = 'available', scheduled_at = $1 \
                            WHERE id = $2 AND state = 'running' AND attempt = $3";
                let free = sqlx::query(free).bind($time(turn)).bind(id).bind(attempt);
                free.execute(&mut **self).await?;
                Ok(())
            }
        }
    };
}

river_row!(
    Sqlite,
    sqlite_time,
    "jsonb_set(args, '$.index', turn.column1)",
    "args ->> 'index'",
    // A writing transaction holds the whole database.
    ""
);
river_row!(
    Postgres,
    std::convert::identity,
    "jsonb_set(args, '{index}', to_jsonb(turn.column1))",
    "(args ->> 'index')::integer",
    " FOR UPDATE"
);

/// Copies the row `$1` as often as said, each time with an index and a time, `turn`.
fn copy(with_index: &str, count: usize, index: &str) -> String {
    let turns = rows("(?, ?)", count, 2);
    format!(
        "INSERT INTO river_job (args, kind, max_attempts, metadata, priority, queue, created_at, \
         scheduled_at, state, tags) \
         SELECT {with_index}, kind, max_attempts, metadata, priority, queue, created_at, \
         turn.column2, state, tags \
         FROM river_job, (VALUES {turns}) AS turn WHERE river_job.id = $1 RETURNING {index}, id"
    )
}

/// Ends at `$1` those of so many jobs that wait, and finds those that run.
fn end_waiting(count: usize) -> [String; 2] {
    let ids = |first| rows("(?)", count, first);
    let end = "UPDATE river_job SET state = 'cancelled', finalized_at = $1 \
               WHERE finalized_at IS NULL AND state != 'running' AND id IN";
    let select = "SELECT id FROM river_job WHERE state = 'running' AND id IN";
    [format!("{end} (VALUES {})", ids(2)), format!("{select} (VALUES {})", ids(1))]
}

/// As River writes times on SQLite: to the millisecond, so that texts compare as times do.
fn sqlite_time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// A running job whose claimant is no more.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(crate) struct Orphan {
    pub(crate) id: i64,
    pub(crate) attempt: i16,
}

/// The running jobs whose last claimant holds no lease. River's client id is the lease's id.
pub(crate) async fn orphans(database: &Database) -> sqlx::Result<Vec<Orphan>> {
    match database {
        Database::Sqlite(pool) => {
            let select = "SELECT id, attempt FROM river_job WHERE state = 'running' \
                          AND NOT EXISTS (SELECT 1 FROM worker_leases \
                          WHERE lower(hex(worker_leases.id)) = river_job.attempted_by ->> '$[#-1]')";
            sqlx::query_as(select).fetch_all(pool).await
        }
        Database::Postgres(pool) => {
            let select = "SELECT id, attempt FROM river_job WHERE state = 'running' \
                          AND NOT EXISTS (SELECT 1 FROM worker_leases \
                          WHERE replace(worker_leases.id::text, '-', '') \
                          = attempted_by[array_upper(attempted_by, 1)])";
            sqlx::query_as(select).fetch_all(pool).await
        }
    }
}

/// River's client id of the worker that holds a lease.
pub(crate) fn client_id(lease: Uuid) -> String {
    lease.simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_ordered_by_round_and_lie_in_the_past() {
        assert!(turn(0) < turn(1));
        assert!(turn(900_000_000_000) < Utc::now());
        assert_eq!(sqlite_time(turn(6)), "1970-01-01 00:00:00.006");
    }
}
