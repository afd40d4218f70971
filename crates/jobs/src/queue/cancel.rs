//! Cancelling a job, or one of its images: what has not ended ends now.

use chrono::Utc;
use uuid::Uuid;

use super::{Queue, RiverRow as _};
use crate::database::transaction;
use crate::idempotency::{Once, remember};
use crate::settle::{LOCK, TOUCH, settle};
use crate::{Error, Result};

impl Queue {
    /// Cancels what waits and what runs of a job. Images that are there stay. A job that has ended
    /// is left as it is.
    ///
    /// The record says so at once: a worker that has an image in hand can no longer publish it.
    /// That it stops computing is River's message, or the caller's shorter one, to the worker.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn cancel(&self, job: Uuid) -> Result<()> {
        self.cancel_some(job, None, None).await.map(drop)
    }

    /// Cancels one image of a job, likewise. The job goes on with the others, and is `cancelled`
    /// once they have ended.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn cancel_image(&self, job: Uuid, index: i32) -> Result<()> {
        self.cancel_some(job, Some(index), None).await.map(drop)
    }

    /// As [`Queue::cancel`], and under one `Idempotency-Key` once: what was tried again since is
    /// not cancelled by a repeated request. `false`: it was repeated.
    ///
    /// # Errors
    /// There is no such job; [`Error::Conflict`] where the key was used for another request.
    pub async fn cancel_once(&self, job: Uuid, once: Option<Once<'_>>) -> Result<bool> {
        self.cancel_some(job, None, once).await
    }

    async fn cancel_some(
        &self,
        job: Uuid,
        index: Option<i32>,
        once: Option<Once<'_>>,
    ) -> Result<bool> {
        let now = Utc::now();
        Ok(transaction!(&self.database, tx => {
            if let Some(once) = once && remember!(tx, once, job, now).is_some() {
                return Ok(false);
            }
            if sqlx::query(LOCK).bind(job).execute(&mut *tx).await?.rows_affected() == 0 {
                return Err(Error::not_found("job", job));
            }
            let cancel = "UPDATE job_images SET state = 'cancelled', finished_at = $2, worker = NULL \
                          WHERE job_id = $1 AND state IN ('queued', 'running') \
                          AND ($3 IS NULL OR idx = $3) RETURNING river_id";
            let rivers: Vec<Option<i64>> =
                sqlx::query_scalar(cancel).bind(job).bind(now).bind(index).fetch_all(&mut *tx).await?;
            if !rivers.is_empty() {
                sqlx::query(TOUCH).bind(job).execute(&mut *tx).await?;
            }
            let rivers: Vec<i64> = rivers.into_iter().flatten().collect();
            for river in tx.end_waiting(&rivers, now).await? {
                match self.client.jobs().cancel(river).tx(&mut tx).await {
                    // River's row may have ended and gone before ours.
                    Ok(_) | Err(riverqueue::Error::NotFound(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            settle!(tx, job, now);
            true
        }))
    }
}
