//! What a column can hold: the limits of both databases, and moderate ones where they have none.

use serde_json::{Map, Value};

use super::{Change, Row, Table};
use crate::{Error, Result};

/// The most characters of a name.
pub const MAX_NAME: usize = 255;

/// The most characters of other texts.
pub const MAX_TEXT: usize = 4096;

/// The most bytes of `meta` as JSON.
pub const MAX_META: usize = 64 << 10;

/// A column with a value that it cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) column: &'static str,
    pub(crate) why: String,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Invalid(format!("{}: {}", refused.column, refused.why))
    }
}

/// Checks every column.
pub(crate) fn row(row: &Row, table: &Table) -> Result<(), Refused> {
    text("name", &row.name, MAX_NAME)?;
    text("owner", &row.owner, table.max_owner)?;
    text(table.place, &row.place, MAX_TEXT)?;
    meta(&row.meta)?;
    description(row.description.as_deref())
}

/// Checks the columns that change.
pub(super) fn change(change: &Change, table: &Table) -> Result<(), Refused> {
    let texts = [
        ("name", &change.name, MAX_NAME),
        ("owner", &change.owner, table.max_owner),
        (table.place, &change.place, MAX_TEXT),
    ];
    for (column, value, most) in texts {
        value.as_ref().map_or(Ok(()), |value| text(column, value, most))?;
    }
    change.meta.as_ref().map_or(Ok(()), meta)?;
    description(change.description.as_ref().and_then(|text| text.as_deref()))
}

fn text(column: &'static str, text: &str, most: usize) -> Result<(), Refused> {
    let refuse = |why| Err(Refused { column, why });
    if text.is_empty() {
        return refuse("is empty".into());
    }
    limited(column, text, most)
}

fn description(text: Option<&str>) -> Result<(), Refused> {
    text.map_or(Ok(()), |text| limited("description", text, MAX_TEXT))
}

fn limited(column: &'static str, text: &str, most: usize) -> Result<(), Refused> {
    let refuse = |why| Err(Refused { column, why });
    let length = text.chars().count();
    if length > most {
        return refuse(format!("has {length} characters, at most {most} are allowed"));
    }
    // Postgres has no such character.
    if text.contains('\0') {
        return refuse("holds a NUL character".into());
    }
    Ok(())
}

fn meta(meta: &Map<String, Value>) -> Result<(), Refused> {
    let refuse = |why| Err(Refused { column: "meta", why });
    let bytes = serde_json::to_string(meta).map_or(0, |text| text.len());
    if bytes > MAX_META {
        return refuse(format!("takes {bytes} bytes, at most {MAX_META} are allowed"));
    }
    if meta.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)) {
        return refuse("holds a NUL character".into());
    }
    Ok(())
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(values) => {
            values.iter().any(|(key, value)| key.contains('\0') || holds_nul(value))
        }
        _ => false,
    }
}
