//! Freeing what dead workers held.

use chrono::Utc;
use uuid::Uuid;

use super::strike;
use crate::database::{both, transaction};
use crate::queue::{Orphan, Queue, RiverRow as _, orphans, turn};
use crate::settle::{TOUCH, settle};
use crate::{Error, Result, State};

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

/// How many images in each state are looked at in one heartbeat.
const STRIDE: i64 = 500;

/// How far the walk over all open images is: `river_id` of the last one that was looked at.
#[derive(Debug, Default)]
pub(super) struct Walk {
    running: i64,
    queued: i64,
}

/// Brings record and queue together again, where something came between them: open images whose
/// job in River has ended or gone get a new one, and what River tries again gets its turn back.
/// Of a long queue a part is looked at each time.
///
/// # Errors
/// The database cannot be reached.
pub(super) async fn mend(queue: &Queue, walk: &mut Walk) -> Result<()> {
    let open = "SELECT job_id, idx, river_id, EXISTS (SELECT 1 FROM river_job \
                WHERE river_job.id = river_id AND river_job.state \
                IN ('available', 'pending', 'retryable', 'running', 'scheduled')) FROM job_images \
                WHERE state = $1 AND river_id > $2 ORDER BY river_id LIMIT $3";
    for (state, from) in [(State::Running, &mut walk.running), (State::Queued, &mut walk.queued)] {
        let open: Vec<(Uuid, i32, i64, bool)> = both!(&queue.database, pool => {
            sqlx::query_as(open).bind(state.name()).bind(*from).bind(STRIDE).fetch_all(pool).await?
        });
        let is_last = (open.len() as i64) < STRIDE;
        *from = open.last().filter(|_| !is_last).map_or(0, |&(_, _, river, _)| river);
        for (job, index, river, has_place) in open {
            if has_place {
                continue;
            }
            match queue.requeue(job, index, river).await {
                Ok(()) => tracing::warn!(%job, index, "an open image had no place in the queue"),
                // Another worker was quicker, or it has ended.
                Err(Error::Superseded) => {}
                Err(error) => return Err(error),
            }
        }
    }
    // As River's index has it: what waits at its turn is not looked at.
    let late = "SELECT river_job.id, round FROM river_job JOIN job_images ON river_id = river_job.id \
                WHERE river_job.state = 'available' AND queue IN ('first', 'rest') \
                AND river_job.priority = 1 AND scheduled_at > '2001-01-01 00:00:00'";
    let late: Vec<(i64, i64)> =
        both!(&queue.database, pool => sqlx::query_as(late).fetch_all(pool).await?);
    for (river, round) in late {
        transaction!(&queue.database, tx => tx.place(river, turn(round)).await?);
    }
    Ok(())
}

async fn free(queue: &Queue, orphan: Orphan) -> Result<()> {
    let now = Utc::now();
    transaction!(&queue.database, tx => {
        let lock = "UPDATE jobs SET version = version \
                    WHERE id = (SELECT job_id FROM job_images WHERE river_id = $1) RETURNING id";
        let job: Option<Uuid> =
            sqlx::query_scalar(lock).bind(orphan.id).fetch_optional(&mut *tx).await?;
        if tx.running_attempt(orphan.id).await? != Some(orphan.attempt) {
            return Err(Error::Superseded);
        }
        let select = "SELECT strikes, round, state FROM job_images \
                      WHERE river_id = $1 AND state IN ('queued', 'running')";
        let image: Option<(i32, i64, String)> =
            sqlx::query_as(select).bind(orphan.id).fetch_optional(&mut *tx).await?;
        let (Some(job), Some((strikes, round, state))) = (job, image) else {
            // Deleted or ended meanwhile.
            queue.client.jobs().complete(orphan.id).tx(&mut tx).await?;
            tx.commit().await?;
            return Ok(());
        };
        if strikes >= strike::MOST || state == State::Running.name() {
            sqlx::query(TOUCH).bind(job).execute(&mut *tx).await?;
        }
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
            tx.free(orphan.id, orphan.attempt, turn(round)).await?;
        }
    });
    Ok(())
}
