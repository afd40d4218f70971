//! Trying again what failed or was cancelled.

use chrono::Utc;
use uuid::Uuid;

use super::enqueue::remember;
use super::{Idempotency, ImageArgs, Queue, REST, RiverRow as _, options, turn};
use crate::database::transaction;
use crate::{Error, Result};

impl Queue {
    /// Puts the failed and cancelled images of a job back into the queue, with the same plans. The
    /// same `Idempotency-Key` does so once.
    ///
    /// # Errors
    /// There is no such job; [`Error::Conflict`] where it runs still or has nothing to retry.
    pub async fn retry(
        &self,
        job: Uuid,
        owner: Option<Uuid>,
        idempotency: Option<&Idempotency>,
    ) -> Result<()> {
        let now = Utc::now();
        transaction!(&self.database, tx => {
            if let Some(key) = idempotency
                && remember!(tx, key, owner, job, now).is_some()
            {
                return Ok(());
            }
            let lock = "UPDATE jobs SET version = version + 1 WHERE id = $1 RETURNING state";
            let state: Option<String> =
                sqlx::query_scalar(lock).bind(job).fetch_optional(&mut *tx).await?;
            match state.as_deref() {
                None => return Err(Error::not_found("job", job)),
                Some("failed" | "cancelled") => {}
                Some(state) => return Err(Error::Conflict(format!(
                    "job {job} is {state}: only a failed or cancelled job can be tried again"
                ))),
            }
            let select = "SELECT idx, round, priority FROM job_images \
                          WHERE job_id = $1 AND state IN ('failed', 'cancelled') ORDER BY idx";
            let images: Vec<(i32, i64, i32)> =
                sqlx::query_as(select).bind(job).fetch_all(&mut *tx).await?;
            for (index, round, priority) in images {
                let river = self.client.insert(ImageArgs { job, index })
                    .opts(options(REST)).tx(&mut tx).await?.id();
                tx.place(river, turn(round, priority)).await?;
                let queue = "UPDATE job_images SET state = 'queued', river_id = $3, attempt = 0, \
                             strikes = 0, struck_step = saved_step, error = NULL, finished_at = NULL, \
                             worker = NULL WHERE job_id = $1 AND idx = $2";
                sqlx::query(queue).bind(job).bind(index).bind(river).execute(&mut *tx).await?;
            }
            let queue = "UPDATE jobs SET state = 'queued', finished_at = NULL WHERE id = $1";
            sqlx::query(queue).bind(job).execute(&mut *tx).await?;
        });
        Ok(())
    }
}
