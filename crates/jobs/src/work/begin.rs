//! The beginning of an attempt: one transaction chooses the image that takes the turn, exchanges
//! turns where another goes first, and writes whose it is.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Attempt;
use super::choose::{FIRST, OWN, Turn};
use crate::database::transaction;
use crate::queue::Queue;
use crate::settle::LockBoth as _;
use crate::{Error, Result, State};

/// What a look at a turn came to.
enum Outcome {
    Begun(Box<Attempt>),
    /// Nothing waits for the turn.
    Nothing,
    /// An image changed between the look and its lock.
    Changed,
}

/// Begins an attempt at the image that goes first of those that may have this turn of River's.
/// `None`: what had it has ended.
///
/// # Errors
/// [`Error::Superseded`] where the lease is lost, and those of the database.
pub(super) async fn begin(queue: &Queue, turn: (i64, i16), lease: Uuid) -> Result<Option<Attempt>> {
    loop {
        match look(queue, turn, lease).await? {
            Outcome::Begun(attempt) => return Ok(Some(*attempt)),
            Outcome::Nothing => return Ok(None),
            Outcome::Changed => {}
        }
    }
}

/// Gives an image that was never begun another turn.
const GIVE: &str = "UPDATE job_images SET river_id = $4, round = $5 \
     WHERE job_id = $1 AND idx = $2 AND river_id = $3 \
     AND state = 'queued' AND attempt = 0 AND strikes = 0";

/// Begins an image, in a turn that may be new to it, if it is as it was seen.
const BEGIN: &str = "UPDATE job_images SET river_id = $7, round = $8, state = 'running', \
     attempt = $9, worker = $10, started_at = COALESCE(started_at, $11) \
     WHERE job_id = $1 AND idx = $2 AND river_id = $3 \
     AND state = $4 AND attempt = $5 AND strikes = $6 \
     RETURNING plan, saved_step, owner, priority";

/// As [`crate::settle::TOUCH`] where clients see the change, `$3` times.
const BEGIN_JOB: &str = "UPDATE jobs SET version = version + $3, \
     started_at = COALESCE(started_at, $2), \
     state = CASE WHEN state = 'queued' THEN 'running' ELSE state END \
     WHERE id = $1 RETURNING created_at";

async fn look(queue: &Queue, (river, number): (i64, i16), lease: Uuid) -> Result<Outcome> {
    type Row = (Json<Value>, i32, Uuid, i32);
    let now = Utc::now();
    Ok(transaction!(&queue.database, tx => {
        let own: Option<Turn> = sqlx::query_as(OWN).bind(river).fetch_optional(&mut *tx).await?;
        let Some(own) = own.filter(Turn::is_open) else { return Ok(Outcome::Nothing) };
        let first: Option<Turn> = if own.was_never_begun() {
            sqlx::query_as(FIRST)
                .bind(own.owner).bind(own.priority).bind(own.job_id).bind(own.idx)
                .fetch_optional(&mut *tx).await?
        } else {
            None
        };
        let image = first.as_ref().unwrap_or(&own);
        // From here on the images are locked, by the rows of their jobs; what was read of them
        // before is a condition of each change.
        if image.job_id != own.job_id {
            tx.lock_both(own.job_id, image.job_id).await?;
        }
        let seen = i64::from(image.state == State::Queued.name());
        let accepted: Option<DateTime<Utc>> = sqlx::query_scalar(BEGIN_JOB)
            .bind(image.job_id).bind(now).bind(seen).fetch_optional(&mut *tx).await?;
        let Some(accepted_at) = accepted else { return Ok(Outcome::Changed) };
        let held = "SELECT beats FROM worker_leases WHERE id = $1";
        let held: Option<i64> =
            sqlx::query_scalar(held).bind(lease).fetch_optional(&mut *tx).await?;
        if held.is_none() {
            return Err(Error::Superseded);
        }
        if let Some(first) = &first {
            let given = sqlx::query(GIVE)
                .bind(own.job_id).bind(own.idx).bind(own.river_id)
                .bind(first.river_id).bind(first.round)
                .execute(&mut *tx).await?;
            if given.rows_affected() != 1 {
                return Ok(Outcome::Changed);
            }
        }
        let begun: Option<Row> = sqlx::query_as(BEGIN)
            .bind(image.job_id).bind(image.idx).bind(image.river_id)
            .bind(&image.state).bind(image.attempt).bind(image.strikes)
            .bind(own.river_id).bind(own.round)
            .bind(i32::from(number)).bind(lease).bind(now)
            .fetch_optional(&mut *tx).await?;
        let Some((plan, saved_step, owner, priority)) = begun else {
            return Ok(Outcome::Changed);
        };
        Outcome::Begun(Box::new(Attempt {
            job: image.job_id,
            index: image.idx,
            plan: plan.0,
            saved_step,
            owner: (!owner.is_nil()).then_some(owner),
            priority: priority.try_into()?,
            age: river,
            accepted_at,
            queue: queue.clone(),
            number,
            lease,
            progressed: CancellationToken::new(),
        }))
    }))
}
