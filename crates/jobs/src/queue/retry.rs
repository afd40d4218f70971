//! Trying again what failed or was cancelled.

use chrono::Utc;
use uuid::Uuid;

use super::enqueue::{Backlog, admit, standing};
use super::fairness::Standing;
use super::rows::{BATCH, rows};
use super::turns::turns;
use super::{Idempotency, ImageArgs, Queue, REST, RiverRow as _, options, turn};
use crate::database::transaction;
use crate::idempotency::{Once, remember};
use crate::settle::{LOCK, TOUCH};
use crate::{Error, Result, State};

impl Queue {
    /// Puts the failed and cancelled images of a job back into the queue, with the same plans, if
    /// there is room for them as for new ones. The same `Idempotency-Key` does so once.
    ///
    /// # Errors
    /// There is no such job; [`Error::Conflict`] where it runs still or has nothing to retry;
    /// [`Error::Backlog`] where too much waits already.
    pub async fn retry(
        &self,
        job: Uuid,
        owner: Option<Uuid>,
        idempotency: Option<&Idempotency>,
        backlog: Backlog,
    ) -> Result<()> {
        let now = Utc::now();
        transaction!(&self.database, tx => {
            if let Some(key) = idempotency
                && remember!(tx, Once { owner, key, answer: None }, job, now).is_some()
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
            let select = "SELECT idx FROM job_images \
                          WHERE job_id = $1 AND state IN ('failed', 'cancelled') ORDER BY idx";
            let images: Vec<i32> =
                sqlx::query_scalar(select).bind(job).fetch_all(&mut *tx).await?;
            let select = "SELECT owner FROM jobs WHERE id = $1";
            let asked_by: Option<Uuid> =
                sqlx::query_scalar(select).bind(job).fetch_one(&mut *tx).await?;
            let new = i64::try_from(images.len()).unwrap_or(i64::MAX);
            admit!(tx, asked_by, new, backlog);
            // As new: what failed before has no claim to the turn that it had.
            let standing = standing!(tx, asked_by);
            let places = turns!(self.client, tx, job, images.into_iter(), standing);
            for places in places.chunks(BATCH) {
                let queue = format!(
                    "WITH places (idx, river, round) AS (VALUES {}) \
                     UPDATE job_images SET state = 'queued', river_id = places.river, attempt = 0, \
                     strikes = 0, struck_step = 0, saved_step = 0, error = NULL, \
                     finished_at = NULL, worker = NULL, round = places.round \
                     FROM places WHERE job_id = $1 AND job_images.idx = places.idx",
                    rows("(?, ?, ?)", places.len(), 2)
                );
                let mut queue = sqlx::query(sqlx::AssertSqlSafe(queue)).persistent(false).bind(job);
                for place in places {
                    queue = queue.bind(place.index).bind(place.river).bind(place.round);
                }
                queue.execute(&mut *tx).await?;
            }
            let queue = "UPDATE jobs SET state = 'queued', finished_at = NULL WHERE id = $1";
            sqlx::query(queue).bind(job).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Gives an open image a new place in River, whose row of it, `lost`, has ended or gone.
    ///
    /// # Errors
    /// [`Error::Superseded`] where it has another place by now; those of the database.
    pub(crate) async fn requeue(&self, job: Uuid, index: i32, lost: i64) -> Result<()> {
        transaction!(&self.database, tx => {
            sqlx::query(LOCK).bind(job).execute(&mut *tx).await?;
            let state = "SELECT state FROM job_images WHERE job_id = $1 AND idx = $2";
            let state: Option<String> = sqlx::query_scalar(state)
                .bind(job).bind(index).fetch_optional(&mut *tx).await?;
            if state.as_deref() == Some(State::Running.name()) {
                sqlx::query(TOUCH).bind(job).execute(&mut *tx).await?;
            }
            let river = self.client.insert(ImageArgs { job, index })
                .opts(options(REST)).tx(&mut tx).await?.id();
            let requeue = "UPDATE job_images SET state = 'queued', river_id = $3, attempt = 0, \
                           worker = NULL WHERE job_id = $1 AND idx = $2 AND river_id = $4 \
                           AND state IN ('queued', 'running') RETURNING round";
            let round: Option<i64> = sqlx::query_scalar(requeue)
                .bind(job).bind(index).bind(river).bind(lost).fetch_optional(&mut *tx).await?;
            let Some(round) = round else { return Err(Error::Superseded) };
            tx.place(river, turn(round)).await?;
        });
        Ok(())
    }
}
