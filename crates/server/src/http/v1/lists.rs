//! What lists and changes of images and models have in common.

use diffusion_jobs::records::Page;
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::http::{Problem, Result};

/// Which part of a list
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListQuery {
    /// The most entries to answer with
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `next` of the page before
    cursor: Option<String>,
    /// Only names that contain this; ASCII letters match in either case
    #[param(example = "cat")]
    search: Option<String>,
}

impl From<ListQuery> for Page {
    fn from(query: ListQuery) -> Self {
        Self { limit: query.limit, after: query.cursor, search: query.search }
    }
}

/// Tells a null from a field that is left out.
pub(super) fn given<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Runs what waits for files or computes for long beside the runtime's threads.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
}

/// 422 that names the field.
pub(super) fn refuse(field: &str, why: impl std::fmt::Display) -> Problem {
    Problem::invalid(format!("{field}: {why}")).field(field)
}
