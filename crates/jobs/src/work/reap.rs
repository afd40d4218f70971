//! Freeing what dead workers held.

use chrono::Utc;
use uuid::Uuid;

use super::strike;
use crate::database::transaction;
use crate::queue::{Orphan, Queue, RiverRow as _, orphans, turn};
use crate::{Error, Result, settle::settle};

/// Makes the images of workers without a lease available again, or fails those that have ended
/// too many attempts. Returns how many were freed. `struck` is whether the attempts count against
/// the images: not where the worker handed them over.
///
/// # Errors
/// The database cannot be reached.
pub(super) async fn reap(queue: &Queue, struck: bool) -> Result<usize> {
    let orphans = orphans(&queue.database).await?;
    for orphan in &orphans {
        match free(queue, *orphan, struck).await {
            // Another worker was quicker.
            Ok(()) | Err(Error::Superseded) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(orphans.len())
}

async fn free(queue: &Queue, orphan: Orphan, struck: bool) -> Result<()> {
    let now = Utc::now();
    transaction!(&queue.database, tx => {
        let touch = "UPDATE jobs SET version = version + 1 \
                     WHERE id = (SELECT job_id FROM job_images WHERE river_id = $1) RETURNING id";
        let job: Option<Uuid> =
            sqlx::query_scalar(touch).bind(orphan.id).fetch_optional(&mut *tx).await?;
        if tx.running_attempt(orphan.id).await? != Some(orphan.attempt) {
            return Err(Error::Superseded);
        }
        let select = "SELECT state, strikes, struck_step, saved_step, round, priority \
                      FROM job_images WHERE river_id = $1 AND state IN ('queued', 'running')";
        let image: Option<(String, i32, i32, i32, i64, i32)> =
            sqlx::query_as(select).bind(orphan.id).fetch_optional(&mut *tx).await?;
        let (Some(job), Some((state, strikes, struck_step, saved, round, priority))) = (job, image) else {
            // Deleted or ended meanwhile.
            queue.client.jobs().complete(orphan.id).tx(&mut tx).await?;
            tx.commit().await?;
            return Ok(());
        };
        // An attempt that had not begun cannot have been the image's fault.
        let counts = struck && state == "running";
        let strikes = if counts { strike::after(strikes, struck_step, saved) } else { strikes };
        if strikes >= strike::MOST {
            let error = format!("its worker died {strikes} times in a row without progress on it");
            let fail = "UPDATE job_images SET state = 'failed', finished_at = $2, error = $3, worker = NULL, \
                        strikes = $4 WHERE river_id = $1";
            sqlx::query(fail).bind(orphan.id).bind(now).bind(error).bind(strikes).execute(&mut *tx).await?;
            queue.client.jobs().complete(orphan.id).tx(&mut tx).await?;
            settle!(tx, job, now);
        } else {
            let requeue = "UPDATE job_images SET state = 'queued', worker = NULL, strikes = $2, \
                           struck_step = $3 WHERE river_id = $1";
            sqlx::query(requeue).bind(orphan.id).bind(strikes).bind(saved).execute(&mut *tx).await?;
            tx.free(orphan.id, orphan.attempt, turn(round, priority)).await?;
        }
    });
    Ok(())
}
