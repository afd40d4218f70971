//! The models that were made known: the table `da_dlmodels`.

use crate::Database;
use crate::records::{MAX_NAME, Records, Table, record};

/// What hosts a model that names no host, as in the original.
pub const DEFAULT_HOST: &str = "HUGGING_FACE";

record!(
    /// A model. Whether its weights are there is not for the database to say.
    Model,
    /// Where its weights come from.
    hosted,
    Table {
        name: "da_dlmodels",
        what: "model",
        place: "hosted",
        max_owner: MAX_NAME,
        found_by_place: false,
    }
);

impl Database {
    /// The models that were made known.
    pub fn models(&self) -> Records<'_, Model> {
        Records::of(self)
    }
}
