//! Taking a job in: one transaction stores the job, its images and their places in the queue.

use chrono::Utc;
use sqlx::types::Json;
use uuid::Uuid;

use super::{ImageArgs, Queue, RiverRow as _, fairness::Standing, options, turn};
use crate::database::{both, transaction};
use crate::job::NewJob;
use crate::{Error, Result, State};

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// Images of all owners.
    pub total: i64,
    /// Images of one owner.
    pub each: i64,
}

/// The name that a client gave to its request, so that it may be repeated.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The `Idempotency-Key`.
    pub name: String,
    /// SHA-256 of the route and the body, in hexadecimal digits.
    pub body_sha256: String,
}

/// Remembers the name of a request. Where it was used before, gives the job that it was used for,
/// if the request is the same.
macro_rules! remember {
    ($tx:expr, $key:expr, $owner:expr, $job:expr, $now:expr) => {{
        // Waits where another transaction has just used the same name.
        let insert = "INSERT INTO idempotency_keys (owner, name, body_sha256, job_id, created_at) \
                      VALUES ($1, $2, $3, $4, $5) ON CONFLICT (owner, name) DO NOTHING";
        let owner = $owner.unwrap_or(uuid::Uuid::nil());
        let insert = sqlx::query(insert).bind(owner).bind(&$key.name).bind(&$key.body_sha256);
        let inserted = insert.bind($job).bind($now).execute(&mut *$tx).await?;
        if inserted.rows_affected() == 1 {
            None
        } else {
            let select =
                "SELECT job_id, body_sha256 FROM idempotency_keys WHERE owner = $1 AND name = $2";
            let select = sqlx::query_as(select).bind(owner).bind(&$key.name);
            let (job, body): (uuid::Uuid, String) = select.fetch_one(&mut *$tx).await?;
            if body != $key.body_sha256 {
                return Err($key.conflict());
            }
            Some(job)
        }
    }};
}

/// Where an owner stands in the queue.
macro_rules! standing {
    ($tx:expr, $owner:expr, $priority:expr) => {{
        let select = "SELECT (SELECT min(round) FROM job_images WHERE state = 'queued'), \
                      (SELECT max(round) FROM job_images WHERE state = 'queued' \
                       AND priority <= $2 AND owner IS NOT DISTINCT FROM $1), \
                      (SELECT count(*) FROM job_images WHERE state IN ('queued', 'running') \
                       AND owner IS NOT DISTINCT FROM $1)";
        let select = sqlx::query_as(select).bind($owner).bind($priority);
        let (current, own, outstanding): (Option<i64>, Option<i64>, i64) =
            select.fetch_one(&mut *$tx).await?;
        Standing { current, own, outstanding: outstanding > 0 }
    }};
}

pub(super) use {remember, standing};

impl Idempotency {
    pub(super) fn conflict(&self) -> Error {
        Error::Conflict(format!("Idempotency-Key {:?} was used for another request", self.name))
    }
}

/// A job that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The job.
    pub id: Uuid,
    /// Whether this call stored it; otherwise an earlier one of the same `Idempotency-Key` did.
    pub is_new: bool,
}

impl Queue {
    /// The job that an earlier request under this `Idempotency-Key` was answered with, before
    /// anything else is looked at: what the request names may be gone since.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the key was used for another request; those of the database.
    pub async fn remembered(&self, owner: Option<Uuid>, key: &Idempotency) -> Result<Option<Uuid>> {
        let select =
            "SELECT job_id, body_sha256 FROM idempotency_keys WHERE owner = $1 AND name = $2";
        let owner = owner.unwrap_or(Uuid::nil());
        let found: Option<(Uuid, String)> = both!(&self.database, pool => {
            sqlx::query_as(select).bind(owner).bind(&key.name).fetch_optional(pool).await?
        });
        match found {
            Some((_, body)) if body != key.body_sha256 => Err(key.conflict()),
            found => Ok(found.map(|(job, _)| job)),
        }
    }

    /// Stores a job. Once this returns, the job survives any crash.
    ///
    /// # Errors
    /// [`Error::Backlog`] where too much waits already, [`Error::Conflict`] where the
    /// `Idempotency-Key` was used for another body, and those of the database.
    pub async fn enqueue(
        &self,
        job: &NewJob,
        idempotency: Option<&Idempotency>,
        backlog: Backlog,
    ) -> Result<Accepted> {
        let id = Uuid::now_v7();
        let now = Utc::now();
        let owner = job.owner;
        let priority = job.priority.rank();
        let new = i64::try_from(job.images.len()).unwrap_or(i64::MAX);
        if new == 0 {
            return Err(Error::Invalid("a job has at least one image".into()));
        }
        let accepted = transaction!(&self.database, tx => {
            let insert = "INSERT INTO jobs (id, kind, state, request, owner, priority, created_at) \
                          VALUES ($1, $2, $3, $4, $5, $6, $7)";
            sqlx::query(insert)
                .bind(id).bind(&job.kind).bind(State::Queued.name()).bind(Json(&job.request))
                .bind(owner).bind(priority).bind(now)
                .execute(&mut *tx).await?;
            if let Some(key) = idempotency
                && let Some(earlier) = remember!(tx, key, owner, id, now)
            {
                return Ok(Accepted { id: earlier, is_new: false });
            }

            let (total, each): (i64, i64) = sqlx::query_as(
                "SELECT (SELECT count(*) FROM job_images WHERE state = 'queued'), \
                 (SELECT count(*) FROM job_images WHERE state = 'queued' AND owner IS NOT DISTINCT FROM $1)",
            ).bind(owner).fetch_one(&mut *tx).await?;
            // One job may be as large as the whole backlog, and is then alone.
            for (waiting, limit) in [(total, backlog.total), (each, backlog.each)] {
                if waiting > 0 && waiting.saturating_add(new) > limit {
                    return Err(Error::Backlog { waiting, limit });
                }
            }

            let standing = standing!(tx, owner, priority);
            for (index, image) in job.images.iter().enumerate() {
                let (round, lane) = standing.place(index);
                let index = i32::try_from(index)
                    .map_err(|_| Error::Invalid(format!("{new} images are too many for one job")))?;
                let river = self.client.insert(ImageArgs { job: id, index })
                    .opts(options(lane)).tx(&mut tx).await?.id();
                tx.place(river, turn(round, priority)).await?;
                let insert = "INSERT INTO job_images (job_id, idx, state, plan, input_path, output_name, \
                              owner, priority, round, river_id) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
                sqlx::query(insert)
                    .bind(id).bind(index).bind(State::Queued.name()).bind(Json(&image.plan))
                    .bind(&image.input_path).bind(&image.output_name)
                    .bind(owner).bind(priority).bind(round).bind(river)
                    .execute(&mut *tx).await?;
            }
            Accepted { id, is_new: true }
        });
        Ok(accepted)
    }
}
