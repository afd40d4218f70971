//! What is kept, and for how long: jobs by age and by the room that their files take, files of
//! which no row speaks.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt as _;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use uuid::Uuid;

use crate::artifacts::FRESH;
use crate::database::{Database, both};
use crate::{Artifacts, Error, Result};

/// What ended a moment ago is not removed for the quota: its client is about to look at it.
const SPARED: TimeDelta = TimeDelta::minutes(10);

/// How long `Idempotency-Key`s are kept.
const KEYS_KEPT: TimeDelta = TimeDelta::hours(48);

/// What a clean-up did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Jobs that were removed.
    pub jobs: u64,
    /// Files that were removed.
    pub files: u64,
    /// Bytes of the files that are left.
    pub bytes: u64,
}

/// What waits and runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Depth {
    /// Images that wait.
    pub queued: i64,
    /// Images that are being made.
    pub running: i64,
    /// When the oldest job was accepted of which images wait.
    pub oldest: Option<DateTime<Utc>>,
}

/// Removes a few of the jobs that ended before `$1`: the others write in between.
const EXPIRE: &str = "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs \
     WHERE finished_at < $1 AND state NOT IN ('queued', 'running') \
     ORDER BY finished_at LIMIT 100)";

/// The jobs that ended before `$1`, in that order, and the bytes of their images' files.
const ENDED: &str = "SELECT id, (SELECT COALESCE(CAST(sum(bytes) AS BIGINT), 0) \
     FROM job_images WHERE job_id = jobs.id) FROM jobs \
     WHERE finished_at < $1 AND state NOT IN ('queued', 'running') \
     ORDER BY finished_at LIMIT 1000";

impl Database {
    /// Counts what waits and runs.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn depth(&self) -> Result<Depth> {
        let select = "SELECT count(CASE WHEN state = 'queued' THEN 1 END), \
                      count(CASE WHEN state = 'running' THEN 1 END) \
                      FROM job_images WHERE state IN ('queued', 'running')";
        let oldest = "SELECT created_at FROM jobs WHERE EXISTS (SELECT 1 FROM job_images \
                      WHERE job_id = jobs.id AND state = 'queued') \
                      AND state IN ('queued', 'running') ORDER BY id LIMIT 1";
        let (queued, running): (i64, i64) =
            both!(self, pool => sqlx::query_as(select).fetch_one(pool).await?);
        let oldest = both!(self, pool => sqlx::query_scalar(oldest).fetch_optional(pool).await?);
        Ok(Depth { queued, running, oldest })
    }

    /// Removes jobs that ended before `end`, if one is given, and outdated `Idempotency-Key`s.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn expire(&self, end: Option<DateTime<Utc>>) -> Result<u64> {
        let keys = "DELETE FROM idempotency_keys WHERE created_at < $1";
        let outdated = Utc::now() - KEYS_KEPT;
        both!(self, pool => sqlx::query(keys).bind(outdated).execute(pool).await?.rows_affected());
        let Some(end) = end else { return Ok(0) };
        let mut removed = 0;
        loop {
            let some = both!(self, pool => {
                sqlx::query(EXPIRE).bind(end).execute(pool).await?.rows_affected()
            });
            removed += some;
            if some == 0 {
                return Ok(removed);
            }
        }
    }

    /// Removes the jobs that ended first, and before `end`, until their images' files take `excess` bytes.
    async fn make_room(&self, excess: u64, end: DateTime<Utc>) -> Result<u64> {
        let jobs: Vec<(Uuid, i64)> =
            both!(self, pool => sqlx::query_as(ENDED).bind(end).fetch_all(pool).await?);
        let mut freed = 0;
        let mut removed = 0;
        for (job, bytes) in jobs {
            if freed >= excess {
                break;
            }
            match self.delete_job(job).await {
                Ok(()) => removed += 1,
                Err(Error::Conflict(_) | Error::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            }
            freed += bytes.unsigned_abs();
        }
        Ok(removed)
    }

    /// The names of all files of which rows speak.
    async fn spoken_of(&self) -> Result<HashSet<String>> {
        let select = "SELECT 'images/' || sha256 || '.png' FROM job_images WHERE sha256 IS NOT NULL \
                      UNION SELECT 'inputs/' || (plan ->> 'input') FROM job_images \
                      WHERE plan ->> 'input' IS NOT NULL \
                      UNION SELECT 'inputs/' || ((plan -> 'mask') ->> 'picture') FROM job_images \
                      WHERE ((plan -> 'mask') ->> 'picture') IS NOT NULL";
        let files: Vec<String> =
            both!(self, pool => sqlx::query_scalar(select).fetch_all(pool).await?);
        let open = "SELECT job_id, idx FROM job_images WHERE state IN ('queued', 'running')";
        let open: Vec<(Uuid, i32)> =
            both!(self, pool => sqlx::query_as(open).fetch_all(pool).await?);
        let states = open.into_iter().map(|(job, index)| format!("states/{job}-{index}"));
        Ok(files.into_iter().chain(states).collect())
    }
}

/// Removes files of which no row speaks, and the oldest jobs where their files take more than the
/// quota: their own files go with the next clean-up.
///
/// # Errors
/// Database or storage cannot be reached.
pub async fn clean(
    database: &Database,
    artifacts: &Artifacts,
    quota: Option<u64>,
    now: DateTime<Utc>,
) -> Result<Cleaned> {
    // The files first: what is written after the rows were read is not among them.
    let files: Vec<ObjectMeta> = artifacts.store.list(None).try_collect().await?;
    let kept = database.spoken_of().await?;
    let mut cleaned = Cleaned::default();
    for file in files {
        let is_old = |modified| modified < now - FRESH;
        let is_kept = kept.contains(file.location.as_ref());
        // What is about to be swept is not weighed against the quota once more.
        cleaned.bytes += if is_kept { file.size } else { 0 };
        if is_kept || !is_old(file.last_modified) {
            continue;
        }
        // Stored once more since it was listed?
        match artifacts.store.head(&file.location).await {
            Ok(found) if is_old(found.last_modified) => {}
            Ok(_) | Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        artifacts.store.delete(&file.location).await?;
        cleaned.files += 1;
    }
    if let Some(excess) = quota.and_then(|quota| cleaned.bytes.checked_sub(quota))
        && excess > 0
    {
        cleaned.jobs = database.make_room(excess, now - SPARED).await?;
    }
    cleaned.files += artifacts.sweep_unfinished(now - FRESH).await?;
    Ok(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::explain::Empty;

    #[tokio::test]
    async fn what_has_ended_is_found_without_a_look_at_the_rest() {
        let empty = Empty::new().await;
        for statement in [EXPIRE, ENDED] {
            let plan = empty.plan(statement).await;
            let jobs: Vec<_> = plan.iter().filter(|step| step.contains(" jobs")).collect();
            let [others @ .., last] = &jobs[..] else { panic!("{plan:?}") };
            assert_eq!(*last, "SEARCH jobs USING INDEX jobs_finished (finished_at<?)");
            assert!(others.iter().all(|step| step.ends_with("(id=?)")), "{plan:?}");
            assert!(!plan.iter().any(|step| step.contains("B-TREE")), "{plan:?}");
        }
    }
}
