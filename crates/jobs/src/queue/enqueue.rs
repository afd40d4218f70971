//! Taking a job in: one transaction stores the job, its images and their places in the queue.

use chrono::Utc;
use sqlx::types::Json;
use uuid::Uuid;

use super::fairness::{Standing, turns_before};
use super::rows::{BATCH, rows};
use super::turns::turns;
use super::{Queue, RiverRow as _};
use crate::database::{both, transaction};
use crate::idempotency::{Idempotency, Once, remember};
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

/// Where an owner stands in the queue.
macro_rules! standing {
    ($tx:expr, $owner:expr) => {{
        // Each of these is one look into an index, however much waits.
        let select = "SELECT (SELECT min(round) FROM job_images WHERE state = 'queued'), \
                      (SELECT max(round) FROM job_images WHERE state = 'queued' AND owner = $1), \
                      (SELECT min(round) FROM job_images WHERE state = 'running' AND owner = $1)";
        let select = sqlx::query_as(select).bind($owner.unwrap_or(uuid::Uuid::nil()));
        let (current, own, running): (Option<i64>, Option<i64>, Option<i64>) =
            select.fetch_one(&mut *$tx).await?;
        Standing { current, own, outstanding: own.or(running).is_some() }
    }};
}

/// Refuses so many more images of an owner where too many wait.
macro_rules! admit {
    ($tx:expr, $owner:expr, $new:expr, $backlog:expr) => {{
        let backlog: $crate::queue::Backlog = $backlog;
        // Nobody asks how much more than the limit waits.
        let (total, each): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM \
             (SELECT 1 FROM job_images WHERE state = 'queued' LIMIT $2) AS all_owners), \
             (SELECT count(*) FROM \
             (SELECT 1 FROM job_images WHERE state = 'queued' AND owner = $1 LIMIT $3) AS one)",
        )
        .bind($owner.unwrap_or(uuid::Uuid::nil()))
        .bind(backlog.total.saturating_add(1))
        .bind(backlog.each.saturating_add(1))
        .fetch_one(&mut *$tx)
        .await?;
        // One job may be as large as the whole backlog, and is then alone.
        for (waiting, limit) in [(total, backlog.total), (each, backlog.each)] {
            if waiting > 0 && waiting.saturating_add($new) > limit {
                return Err($crate::Error::Backlog { waiting, limit });
            }
        }
    }};
}

pub(super) use {admit, standing};

/// A job that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The job.
    pub id: Uuid,
    /// Whether this call stored it; otherwise an earlier one of the same `Idempotency-Key` did.
    pub is_new: bool,
}

impl Queue {
    /// How many waiting images are made before the last of `new` ones that this owner asks for: its
    /// own, and of each other owner as many as it has turns until then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn served_before(&self, owner: Option<Uuid>, new: i64) -> Result<i64> {
        let select = "SELECT owner, count(*) FROM job_images WHERE state = 'queued' GROUP BY owner";
        let waiting: Vec<(Uuid, i64)> =
            both!(&self.database, pool => sqlx::query_as(select).fetch_all(pool).await?);
        Ok(turns_before(owner.unwrap_or(Uuid::nil()), new, &waiting))
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
        let count = i32::try_from(job.images.len())
            .map_err(|_| Error::Invalid("there are too many images for one job".into()))?;
        let new = i64::from(count);
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
                && let Some(earlier) = remember!(tx, Once { owner, key, answer: None }, id, now)
            {
                return Ok(Accepted { id: earlier.made, is_new: false });
            }
            admit!(tx, owner, new, backlog);
            let standing = standing!(tx, owner);
            let places = turns!(self.client, tx, id, 0..count, standing);
            let images: Vec<_> = job.images.iter().zip(places).collect();
            for images in images.chunks(BATCH) {
                let rows = rows("($1, ?, 'queued', ?, ?, ?, $2, $3, ?, ?)", images.len(), 4);
                let insert = format!(
                    "INSERT INTO job_images (job_id, idx, state, plan, input_path, output_name, \
                     owner, priority, round, river_id) VALUES {rows}"
                );
                let mut insert = sqlx::query(sqlx::AssertSqlSafe(insert))
                    .persistent(images.len() == 1)
                    .bind(id).bind(owner.unwrap_or(Uuid::nil())).bind(priority);
                for (image, place) in images {
                    insert = insert
                        .bind(place.index).bind(Json(&image.plan))
                        .bind(&image.input_path).bind(&image.output_name)
                        .bind(place.round).bind(place.river);
                }
                insert.execute(&mut *tx).await?;
            }
            Accepted { id, is_new: true }
        });
        Ok(accepted)
    }
}
