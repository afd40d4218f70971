//! What a row of either table holds.

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::{Map, Value};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

/// A row as both tables have it: they differ in the name of one column.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Row {
    /// The key.
    pub id: Uuid,
    /// At most 255 characters; no other row has the same name and owner.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// Where it is: the `path` of an image, what a model is `hosted` by.
    pub place: String,
    /// Anything else.
    pub meta: Json<Map<String, Value>>,
    /// For people.
    pub description: Option<String>,
    /// When the row was made.
    pub install_ts: DateTime<Utc>,
    /// When it was last changed.
    pub update_ts: DateTime<Utc>,
    /// The user of the original's who made it.
    pub created_by_id: Option<i32>,
    /// The user of the original's who changed it last.
    pub updated_by_id: Option<i32>,
}

/// What tells one table from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// One row of it, in messages.
    pub what: &'static str,
    /// The column that [`Row::place`] is.
    pub place: &'static str,
    /// The most characters of an owner.
    pub max_owner: usize,
    /// Whether a row can be found by its place.
    pub found_by_place: bool,
}

/// The type of one table's rows.
pub trait Record: From<Row> + Into<Row> {
    /// The table.
    const TABLE: Table;
}

/// A change of some columns; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// A new name.
    pub name: Option<String>,
    /// A new owner.
    pub owner: Option<String>,
    /// A new path of an image, a new host of a model.
    pub place: Option<String>,
    /// Replaces the whole object.
    pub meta: Option<Map<String, Value>>,
    /// A new description; `Some(None)` takes it away.
    pub description: Option<Option<String>>,
}

/// The present moment, as exactly as both databases keep it.
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Makes the public type of one table's rows, with the conversions to and from [`Row`].
macro_rules! record {
    ($(#[$meta:meta])* $name:ident, $(#[$place_meta:meta])* $place:ident, $table:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            /// The key.
            pub id: uuid::Uuid,
            /// At most 255 characters; no other has the same name and owner.
            pub name: String,
            /// Whose it is.
            pub owner: String,
            $(#[$place_meta])*
            pub $place: String,
            /// Anything else.
            pub meta: serde_json::Map<String, serde_json::Value>,
            /// For people.
            pub description: Option<String>,
            /// When the row was made.
            pub install_ts: chrono::DateTime<chrono::Utc>,
            /// When it was last changed.
            pub update_ts: chrono::DateTime<chrono::Utc>,
            /// The user of the original's who made it.
            pub created_by_id: Option<i32>,
            /// The user of the original's who changed it last.
            pub updated_by_id: Option<i32>,
        }

        impl $name {
            /// A new row, made now.
            pub fn new(
                name: impl Into<String>,
                owner: impl Into<String>,
                $place: impl Into<String>,
            ) -> Self {
                let now = $crate::records::now();
                Self {
                    id: uuid::Uuid::now_v7(),
                    name: name.into(),
                    owner: owner.into(),
                    $place: $place.into(),
                    meta: serde_json::Map::new(),
                    description: None,
                    install_ts: now,
                    update_ts: now,
                    created_by_id: None,
                    updated_by_id: None,
                }
            }
        }

        impl $crate::records::Record for $name {
            const TABLE: $crate::records::Table = $table;
        }

        impl From<$crate::records::Row> for $name {
            fn from(row: $crate::records::Row) -> Self {
                let $crate::records::Row {
                    id, name, owner, place: $place, meta: sqlx::types::Json(meta), description,
                    install_ts, update_ts, created_by_id, updated_by_id,
                } = row;
                Self {
                    id, name, owner, $place, meta, description,
                    install_ts, update_ts, created_by_id, updated_by_id,
                }
            }
        }

        impl From<$name> for $crate::records::Row {
            fn from(record: $name) -> Self {
                let $name {
                    id, name, owner, $place: place, meta, description,
                    install_ts, update_ts, created_by_id, updated_by_id,
                } = record;
                Self {
                    id, name, owner, place, meta: sqlx::types::Json(meta), description,
                    install_ts, update_ts, created_by_id, updated_by_id,
                }
            }
        }
    };
}

pub(crate) use record;
