//! Requests that may be repeated: what was made under an `Idempotency-Key`, and what was answered.
//!
//! The name is remembered in the transaction that makes something, so that of two equal requests at
//! the same time one makes it, and the other waits and finds what the first has made.

use uuid::Uuid;

use crate::database::{Database, both};
use crate::{Error, Result};

/// The name that a client gave to its request, so that it may be repeated.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The `Idempotency-Key`.
    pub name: String,
    /// SHA-256 of the route and the body, in hexadecimal digits.
    pub body_sha256: String,
}

/// A request that is to be remembered when what it asks for is made.
#[derive(Debug, Clone, Copy)]
pub struct Once<'a> {
    /// The API key that asks; names of different keys are different.
    pub owner: Option<Uuid>,
    /// What the client calls it.
    pub key: &'a Idempotency,
    /// What is answered, where that cannot be told from what was made.
    pub answer: Option<&'a str>,
}

/// What an earlier request made.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Remembered {
    /// The job, image, model or key.
    #[sqlx(rename = "made_id")]
    pub made: Uuid,
    /// What was answered, where that was kept.
    pub answer: Option<String>,
    pub(crate) body_sha256: String,
}

impl Idempotency {
    pub(crate) fn conflict(&self) -> Error {
        Error::Conflict(format!("Idempotency-Key {:?} was used for another request", self.name))
    }
}

impl Remembered {
    /// What was made for this request; an error where it was another.
    pub(crate) fn of(self, key: &Idempotency) -> Result<Self> {
        if self.body_sha256 == key.body_sha256 { Ok(self) } else { Err(key.conflict()) }
    }
}

impl Database {
    /// What an earlier request under this `Idempotency-Key` made, before anything else is looked
    /// at: what the request names may be gone since.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the key was used for another request; those of the database.
    pub async fn remembered(
        &self,
        owner: Option<Uuid>,
        key: &Idempotency,
    ) -> Result<Option<Remembered>> {
        let select = "SELECT made_id, answer, body_sha256 FROM idempotency_keys \
                      WHERE owner = $1 AND name = $2";
        let owner = owner.unwrap_or(Uuid::nil());
        let found: Option<Remembered> = both!(self, pool => {
            sqlx::query_as(select).bind(owner).bind(&key.name).fetch_optional(pool).await?
        });
        found.map(|found| found.of(key)).transpose()
    }
}

/// Remembers a request. Where its name was used before, gives what was made then, if the request is
/// the same.
macro_rules! remember {
    ($tx:expr, $once:expr, $made:expr, $now:expr) => {{
        let once: $crate::idempotency::Once<'_> = $once;
        // Waits where another transaction has just used the same name.
        let insert = "INSERT INTO idempotency_keys (owner, name, body_sha256, made_id, answer, \
                      created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (owner, name) DO NOTHING";
        let owner = once.owner.unwrap_or(uuid::Uuid::nil());
        let insert = sqlx::query(insert).bind(owner).bind(&once.key.name);
        let insert = insert.bind(&once.key.body_sha256).bind($made).bind(once.answer).bind($now);
        if insert.execute(&mut *$tx).await?.rows_affected() == 1 {
            None
        } else {
            let select = "SELECT made_id, answer, body_sha256 FROM idempotency_keys \
                          WHERE owner = $1 AND name = $2";
            let select = sqlx::query_as(select).bind(owner).bind(&once.key.name);
            let found: $crate::idempotency::Remembered = select.fetch_one(&mut *$tx).await?;
            Some(found.of(once.key)?)
        }
    }};
}

pub(crate) use remember;
