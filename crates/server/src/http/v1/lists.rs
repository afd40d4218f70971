//! What lists and changes of images and models have in common.

use diffusion_jobs::records::{Change, Page};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::http::{Problem, Result};

/// Which part of a list
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
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

/// New values of what images and models have in common; what is left out stays
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Edit {
    /// At most 255 characters
    #[schema(example = "tom.jpg")]
    name: Option<String>,
    #[schema(example = "me")]
    owner: Option<String>,
    /// Replaces the whole object
    meta: Option<Map<String, Value>>,
    /// Null takes it away
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "a cat in rain")]
    description: Option<Option<String>>,
}

impl Edit {
    /// The change, with that of the column that images and models do not share.
    pub(super) fn change(self, place: Option<String>) -> Change {
        let Self { name, owner, meta, description } = self;
        Change { name, owner, place, meta, description }
    }
}

/// Tells a null from a field that is left out.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
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
