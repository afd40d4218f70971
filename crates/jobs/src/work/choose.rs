//! Which of an owner's images takes the turn that has come: the first by priority, then by age.
//!
//! A turn is River's row. The image that it was made for and the one that goes first exchange their
//! turns, if neither was ever begun: what was keeps its own, for its saved state or the blame on it.

use uuid::Uuid;

use crate::database::{both, transaction};
use crate::queue::Queue;
use crate::settle::LOCK;
use crate::{Result, State};

/// An image that has a turn.
#[derive(Debug, Clone, sqlx::FromRow)]
struct Turn {
    owner: Uuid,
    priority: i32,
    job_id: Uuid,
    idx: i32,
    river_id: i64,
    round: i64,
    state: String,
    attempt: i32,
    strikes: i32,
}

impl Turn {
    fn is_open(&self) -> bool {
        [State::Queued, State::Running].iter().any(|open| open.name() == self.state)
    }

    fn was_never_begun(&self) -> bool {
        self.state == State::Queued.name() && self.attempt == 0 && self.strikes == 0
    }

    fn image(&self) -> (Uuid, i32) {
        (self.job_id, self.idx)
    }
}

/// The image that is to be made in a turn that River has given out. `None`: nothing waits for it.
///
/// # Errors
/// Those of the database.
pub(super) async fn choose(queue: &Queue, river: i64) -> Result<Option<(Uuid, i32)>> {
    loop {
        let own = "SELECT owner, priority, job_id, idx, river_id, round, state, attempt, strikes \
                   FROM job_images WHERE river_id = $1";
        let own: Option<Turn> = both!(&queue.database, pool => {
            sqlx::query_as(own).bind(river).fetch_optional(pool).await?
        });
        let Some(own) = own.filter(Turn::is_open) else { return Ok(None) };
        if !own.was_never_begun() {
            return Ok(Some(own.image()));
        }
        // What another turn was given out for is about to begin anyway.
        let first = "SELECT owner, priority, job_id, idx, river_id, round, state, attempt, strikes \
                     FROM job_images WHERE owner = $1 \
                     AND state = 'queued' AND attempt = 0 AND strikes = 0 \
                     AND EXISTS (SELECT 1 FROM river_job \
                     WHERE river_job.id = river_id AND river_job.state = 'available') \
                     ORDER BY priority, job_id, idx LIMIT 1";
        let first: Option<Turn> = both!(&queue.database, pool => {
            sqlx::query_as(first).bind(own.owner).fetch_optional(pool).await?
        });
        let place = |turn: &Turn| (turn.priority, turn.job_id, turn.idx);
        let Some(first) = first.filter(|first| place(first) < place(&own)) else {
            return Ok(Some(own.image()));
        };
        if exchange(queue, &own, &first).await? {
            return Ok(Some(first.image()));
        }
        // One of them changed meanwhile.
    }
}

/// Exchanges the turns of two images, if both are as they were.
async fn exchange(queue: &Queue, a: &Turn, b: &Turn) -> Result<bool> {
    let give = "UPDATE job_images SET river_id = $4, round = $5 \
                WHERE job_id = $1 AND idx = $2 AND river_id = $3 \
                AND state = 'queued' AND attempt = 0 AND strikes = 0";
    Ok(transaction!(&queue.database, tx => {
        let mut jobs = [a.job_id, b.job_id];
        jobs.sort();
        for job in jobs {
            sqlx::query(LOCK).bind(job).execute(&mut *tx).await?;
        }
        for (image, turn) in [(a, b), (b, a)] {
            let given = sqlx::query(give)
                .bind(image.job_id).bind(image.idx).bind(image.river_id)
                .bind(turn.river_id).bind(turn.round)
                .execute(&mut *tx).await?;
            if given.rows_affected() != 1 {
                return Ok(false);
            }
        }
        true
    }))
}
