//! One attempt at an image: from its claim to its publication.
//!
//! Every write is guarded by the attempt number, River's job and the lease, so an attempt that was
//! given up for dead changes nothing any more.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::strike;
use crate::database::{both, transaction};
use crate::queue::{Queue, RiverRow as _};
use crate::settle::{TOUCH, settle};
use crate::{Error, Priority, Result};

/// An image in this worker's hands.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its job.
    pub job: Uuid,
    /// Its place in the job.
    pub index: i32,
    /// All that decides its bytes.
    pub plan: Value,
    /// Steps of the sample state that is stored; 0 where none is.
    pub saved_step: i32,
    /// The key that asked.
    pub owner: Option<Uuid>,
    /// Its place among the owner's.
    pub priority: Priority,
    /// River's number: the older, the smaller.
    pub age: i64,
    /// When its job was accepted.
    pub accepted_at: DateTime<Utc>,
    pub(super) queue: Queue,
    pub(super) number: i16,
    pub(super) lease: Uuid,
    /// Fires when it has come further than any attempt before.
    pub(super) progressed: CancellationToken,
}

/// A stored file to be published.
#[derive(Debug, Clone)]
pub struct Published {
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Time that the attempt took.
    pub seconds: f64,
}

impl Attempt {
    /// Publishes the image: its row and River's job change together, or not at all. Its file must
    /// be stored already.
    ///
    /// # Errors
    /// [`Error::Superseded`] where this attempt no longer holds the image; those of the database,
    /// after which the same call may be repeated.
    pub async fn publish(&self, file: &Published) -> Result<()> {
        let now = Utc::now();
        let bytes = i64::try_from(file.bytes).unwrap_or(i64::MAX);
        let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
        transaction!(&self.queue.database, tx => {
            sqlx::query(TOUCH).bind(self.job).execute(&mut *tx).await?;
            let publish = "UPDATE job_images SET state = 'succeeded', finished_at = $6, seconds = $7, \
                           sha256 = $8, bytes = $9, width = $10, height = $11, error = NULL, worker = NULL \
                           WHERE job_id = $1 AND idx = $2 AND river_id = $3 AND attempt = $4 \
                           AND worker = $5 AND state = 'running'";
            let published = sqlx::query(publish)
                .bind(self.job).bind(self.index).bind(self.age).bind(i32::from(self.number))
                .bind(self.lease).bind(now).bind(file.seconds).bind(&file.sha256).bind(bytes)
                .bind(side(file.width)).bind(side(file.height))
                .execute(&mut *tx).await?;
            if published.rows_affected() != 1 || tx.running_attempt(self.age).await? != Some(self.number) {
                return Err(Error::Superseded);
            }
            self.queue.client.jobs().complete(self.age).tx(&mut tx).await?;
            settle!(tx, self.job, now);
        });
        Ok(())
    }

    /// Ends the image with an error that another attempt would meet again.
    ///
    /// # Errors
    /// As [`Attempt::publish`].
    pub async fn fail(&self, error: &str) -> Result<()> {
        let now = Utc::now();
        // Postgres holds no such character, which a file of weights may.
        let error = error.replace('\0', "\u{fffd}");
        transaction!(&self.queue.database, tx => {
            sqlx::query(TOUCH).bind(self.job).execute(&mut *tx).await?;
            let fail = "UPDATE job_images SET state = 'failed', finished_at = $6, error = $7, worker = NULL \
                        WHERE job_id = $1 AND idx = $2 AND river_id = $3 AND attempt = $4 \
                        AND worker = $5 AND state = 'running'";
            let failed = sqlx::query(fail)
                .bind(self.job).bind(self.index).bind(self.age).bind(i32::from(self.number))
                .bind(self.lease).bind(now).bind(error)
                .execute(&mut *tx).await?;
            if failed.rows_affected() != 1 || tx.running_attempt(self.age).await? != Some(self.number) {
                return Err(Error::Superseded);
            }
            self.queue.client.jobs().complete(self.age).tx(&mut tx).await?;
            settle!(tx, self.job, now);
        });
        Ok(())
    }

    /// Gives the image back after an error that may pass, unless that happened too often: then the
    /// image fails. Says whether it is to be tried again.
    ///
    /// # Errors
    /// As [`Attempt::publish`].
    pub async fn give_back(&self, error: &str) -> Result<bool> {
        let error = &*error.replace('\0', "\u{fffd}");
        let select = "SELECT strikes, struck_step, saved_step FROM job_images WHERE job_id = $1 AND idx = $2";
        let (strikes, struck, saved): (i32, i32, i32) = both!(&self.queue.database, pool => {
            sqlx::query_as(select).bind(self.job).bind(self.index).fetch_one(pool).await?
        });
        let strikes = strike::after(strikes, struck, saved);
        if strikes >= strike::MOST {
            self.fail(&format!("{error} (attempt {strikes} of {} without progress)", strike::MOST))
                .await?;
            return Ok(false);
        }
        let queue = "UPDATE job_images SET state = 'queued', worker = NULL, strikes = $6, struck_step = $7, \
                     error = $8 WHERE job_id = $1 AND idx = $2 AND river_id = $3 AND attempt = $4 \
                     AND worker = $5 AND state = 'running'";
        transaction!(&self.queue.database, tx => {
            sqlx::query(TOUCH).bind(self.job).execute(&mut *tx).await?;
            let queued = sqlx::query(queue)
                .bind(self.job).bind(self.index).bind(self.age).bind(i32::from(self.number))
                .bind(self.lease).bind(strikes).bind(saved).bind(error)
                .execute(&mut *tx).await?;
            if queued.rows_affected() != 1 {
                return Err(Error::Superseded);
            }
        });
        Ok(true)
    }

    /// Gives the image back as it is, with no blame. Says whether it was still this attempt's.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn release(&self) -> Result<bool> {
        let release = "UPDATE job_images SET state = 'queued', worker = NULL \
                       WHERE job_id = $1 AND idx = $2 AND river_id = $3 AND attempt = $4 \
                       AND worker = $5 AND state = 'running'";
        Ok(transaction!(&self.queue.database, tx => {
            sqlx::query(TOUCH).bind(self.job).execute(&mut *tx).await?;
            let released = sqlx::query(release)
                .bind(self.job).bind(self.index).bind(self.age).bind(i32::from(self.number))
                .bind(self.lease)
                .execute(&mut *tx).await?;
            if released.rows_affected() != 1 {
                return Ok(false);
            }
            true
        }))
    }

    /// Notes that a sample state of this many steps is stored.
    ///
    /// # Errors
    /// As [`Attempt::publish`].
    pub async fn saved(&self, step: i32) -> Result<()> {
        let save = "UPDATE job_images SET saved_step = $6 \
                    WHERE job_id = $1 AND idx = $2 AND river_id = $3 AND attempt = $4 \
                    AND worker = $5 AND state = 'running'";
        let saved = both!(&self.queue.database, pool => {
            sqlx::query(save)
                .bind(self.job).bind(self.index).bind(self.age).bind(i32::from(self.number))
                .bind(self.lease).bind(step)
                .execute(pool).await?.rows_affected()
        });
        if saved != 1 {
            return Err(Error::Superseded);
        }
        if step > self.saved_step {
            self.progressed.cancel();
        }
        Ok(())
    }
}

/// Whether a worker died, or an attempt failed, over the image of this turn, and nothing has become
/// of it since. Such an image keeps its turn.
///
/// # Errors
/// Those of the database.
pub(super) async fn is_suspect(queue: &Queue, river: i64) -> Result<bool> {
    let select = "SELECT strikes FROM job_images WHERE river_id = $1";
    let strikes: Option<i32> = both!(&queue.database, pool => {
        sqlx::query_scalar(select).bind(river).fetch_optional(pool).await?
    });
    Ok(strikes.is_some_and(|strikes| strikes > 0))
}

/// Completes River's job of an attempt that has ended, if that was not done with its end. Whether
/// it is over: `false` where another attempt has it or will have it.
///
/// # Errors
/// Those of the database.
pub(super) async fn close(queue: &Queue, river: i64, number: i16) -> Result<bool> {
    let open = "SELECT count(*) FROM river_job WHERE id = $1 AND finalized_at IS NULL";
    let open: i64 = both!(&queue.database, pool => {
        sqlx::query_scalar(open).bind(river).fetch_one(pool).await?
    });
    if open == 0 {
        return Ok(true);
    }
    let is_ours = transaction!(&queue.database, tx => {
        let is_ours = tx.running_attempt(river).await? == Some(number);
        if is_ours {
            queue.client.jobs().complete(river).tx(&mut tx).await?;
        }
        is_ours
    });
    Ok(is_ours)
}
