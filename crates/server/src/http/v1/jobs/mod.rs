//! `/api/v1/jobs`: asking for images, and what becomes of them.

pub(in crate::http) mod actions;
mod choices;
pub(in crate::http) mod create;
pub(in crate::http) mod events;
pub(in crate::http) mod files;
pub(in crate::http) mod read;
pub(in crate::http) mod request;
pub(in crate::http) mod view;

use diffusion_jobs::Job;
use uuid::Uuid;

use crate::http::auth::Identity;
use crate::http::{AppState, Problem, Result};

/// The job, if it may be seen by whoever asks: others' jobs are there for administrators alone.
async fn visible(state: &AppState, identity: Identity, id: Uuid) -> Result<Job> {
    tracing::Span::current().record("job", tracing::field::display(id));
    let job = state.database.job(id).await?;
    if identity.admin || job.owner == identity.owner {
        return Ok(job);
    }
    Err(Problem::not_found(format!("there is no job {id}")))
}
