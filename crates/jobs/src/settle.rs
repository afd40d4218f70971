//! A job's state follows from its images'.

/// Locks a job's row: the first statement of each transaction that changes its images, so that they
/// wait for each other in one order.
pub(crate) const LOCK: &str = "UPDATE jobs SET version = version WHERE id = $1";

/// As [`LOCK`], and counts a change that clients can see.
pub(crate) const TOUCH: &str = "UPDATE jobs SET version = version + 1 WHERE id = $1";

/// Ends a job whose images have all ended. The job's row must be locked already (by an `UPDATE` in
/// the same transaction): of two transactions that end its last two images, the second then sees
/// what the first did.
macro_rules! settle {
    ($tx:expr, $job:expr, $now:expr) => {{
        let (open, failed, cancelled): (i64, i64, i64) = sqlx::query_as(
            "SELECT count(CASE WHEN state IN ('queued', 'running') THEN 1 END), \
             count(CASE WHEN state = 'failed' THEN 1 END), \
             count(CASE WHEN state = 'cancelled' THEN 1 END) \
             FROM job_images WHERE job_id = $1",
        )
        .bind($job)
        .fetch_one(&mut *$tx)
        .await?;
        if open == 0 {
            let state = match (failed, cancelled) {
                (0, 0) => $crate::State::Succeeded,
                (0, _) => $crate::State::Cancelled,
                _ => $crate::State::Failed,
            };
            let end = "UPDATE jobs SET state = $2, finished_at = $3 \
                       WHERE id = $1 AND state IN ('queued', 'running')";
            let end = sqlx::query(end).bind($job).bind(state.name()).bind($now);
            end.execute(&mut *$tx).await?;
        }
    }};
}

pub(crate) use settle;
