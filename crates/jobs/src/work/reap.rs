//! Freeing what dead workers held.

use chrono::Utc;
use uuid::Uuid;

use super::strike;
use crate::database::{both, transaction};
use crate::queue::{Orphan, Queue, RiverRow as _, orphans, turn};
use crate::{Error, Result, settle::settle};

/// Makes the images of workers without a lease available again, or fails those that have killed
/// too many workers.
///
/// # Errors
/// The database cannot be reached.
pub(super) async fn reap(queue: &Queue) -> Result<()> {
    for orphan in orphans(&queue.database).await? {
        match free(queue, orphan).await {
            // Another worker was quicker.
            Ok(()) | Err(Error::Superseded) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Brings record and queue together again, where something came between them: open images whose
/// job in River has ended or gone get a new one, and what River tries again gets its turn back.
///
/// # Errors
/// The database cannot be reached.
pub(super) async fn mend(queue: &Queue) -> Result<()> {
    let lost = "SELECT job_id, idx FROM job_images WHERE state IN ('queued', 'running') \
                AND NOT EXISTS (SELECT 1 FROM river_job WHERE river_job.id = river_id \
                AND river_job.state IN ('available', 'pending', 'retryable', 'running', 'scheduled'))";
    let lost: Vec<(Uuid, i32)> =
        both!(&queue.database, pool => sqlx::query_as(lost).fetch_all(pool).await?);
    for (job, index) in lost {
        tracing::warn!(%job, index, "an open image had no place in the queue; it gets a new one");
        queue.requeue(job, index).await?;
    }
    let late = "SELECT river_job.id, round, priority FROM job_images \
                JOIN river_job ON river_job.id = river_id \
                WHERE river_job.state = 'available' AND scheduled_at > '2001-01-01 00:00:00'";
    // Both tables have a priority; River's is the same for all.
    let late = late.replace("priority", "job_images.priority");
    let late: Vec<(i64, i64, i32)> = both!(&queue.database, pool => {
        sqlx::query_as(sqlx::AssertSqlSafe(late)).fetch_all(pool).await?
    });
    for (river, round, priority) in late {
        transaction!(&queue.database, tx => tx.place(river, turn(round, priority)).await?);
    }
    Ok(())
}

async fn free(queue: &Queue, orphan: Orphan) -> Result<()> {
    let now = Utc::now();
    transaction!(&queue.database, tx => {
        let touch = "UPDATE jobs SET version = version + 1 \
                     WHERE id = (SELECT job_id FROM job_images WHERE river_id = $1) RETURNING id";
        let job: Option<Uuid> =
            sqlx::query_scalar(touch).bind(orphan.id).fetch_optional(&mut *tx).await?;
        if tx.running_attempt(orphan.id).await? != Some(orphan.attempt) {
            return Err(Error::Superseded);
        }
        let select = "SELECT strikes, round, priority FROM job_images \
                      WHERE river_id = $1 AND state IN ('queued', 'running')";
        let image: Option<(i32, i64, i32)> =
            sqlx::query_as(select).bind(orphan.id).fetch_optional(&mut *tx).await?;
        let (Some(job), Some((strikes, round, priority))) = (job, image) else {
            // Deleted or ended meanwhile.
            queue.client.jobs().complete(orphan.id).tx(&mut tx).await?;
            tx.commit().await?;
            return Ok(());
        };
        if strikes >= strike::MOST {
            let error = format!("its worker died {strikes} times in a row without progress on it");
            let fail = "UPDATE job_images SET state = 'failed', finished_at = $2, error = $3, worker = NULL \
                        WHERE river_id = $1";
            sqlx::query(fail).bind(orphan.id).bind(now).bind(error).bind(strikes).execute(&mut *tx).await?;
            queue.client.jobs().complete(orphan.id).tx(&mut tx).await?;
            settle!(tx, job, now);
        } else {
            let requeue = "UPDATE job_images SET state = 'queued', worker = NULL WHERE river_id = $1";
            sqlx::query(requeue).bind(orphan.id).execute(&mut *tx).await?;
            tx.free(orphan.id, orphan.attempt, turn(round, priority)).await?;
        }
    });
    Ok(())
}
