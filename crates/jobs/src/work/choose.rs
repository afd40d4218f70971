//! Which of an owner's images takes the turn that has come: the first by priority, then by age.
//!
//! A turn is River's row. The image that it was made for and the one that goes first exchange their
//! turns, if neither was ever begun: what was keeps its own, for its saved state or the blame on it.

use uuid::Uuid;

use crate::State;

/// An image that has a turn.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Turn {
    pub(super) owner: Uuid,
    pub(super) priority: i32,
    pub(super) job_id: Uuid,
    pub(super) idx: i32,
    pub(super) river_id: i64,
    pub(super) round: i64,
    pub(super) state: String,
    pub(super) attempt: i32,
    pub(super) strikes: i32,
}

impl Turn {
    pub(super) fn is_open(&self) -> bool {
        [State::Queued, State::Running].iter().any(|open| open.name() == self.state)
    }

    pub(super) fn was_never_begun(&self) -> bool {
        self.state == State::Queued.name() && self.attempt == 0 && self.strikes == 0
    }
}

/// The image of a turn, `$1`.
pub(super) const OWN: &str = "SELECT owner, priority, job_id, idx, river_id, round, state, \
     attempt, strikes FROM job_images WHERE river_id = $1";

/// The first of those of an owner, `$1`, that go before one of priority, job and index `$2` to `$4`.
/// What another turn was given out for is about to begin anyway.
pub(super) const FIRST: &str = "SELECT owner, priority, job_id, idx, river_id, round, state, \
     attempt, strikes FROM job_images WHERE owner = $1 AND (priority, job_id, idx) < ($2, $3, $4) \
     AND state = 'queued' AND attempt = 0 AND strikes = 0 AND EXISTS (SELECT 1 FROM river_job \
     WHERE river_job.id = river_id AND river_job.state = 'available') \
     ORDER BY priority, job_id, idx LIMIT 1";
