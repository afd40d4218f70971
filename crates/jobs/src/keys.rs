//! API keys: 256 random bits, of which the database holds the SHA-256 alone.
//!
//! A key is found by its hash. How long that takes may tell how much of a *hash* is right, which
//! helps nobody find a key with that hash; and 256 random bits need no slow hash, since they cannot
//! be guessed. So neither a comparison in constant time nor a password hash is called for.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::database::{both, transaction};
use crate::idempotency::{Once, remember};
use crate::{Database, Error, Result};

/// What a key begins with, so that one that leaked can be recognised.
const PREFIX: &str = "dsk_";

/// What a key may be used for. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To see jobs, images and models.
    Read,
    /// To make jobs.
    Generate,
    /// To change everything, keys included.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Generate, Self::Admin];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Generate => "generate",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or_else(|| {
            Error::Invalid(format!("{text:?} is no scope; they are read, generate and admin"))
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the record holds of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Names the key, in logs and as the owner of jobs.
    pub id: Uuid,
    /// What it is for, in its maker's words.
    pub name: String,
    /// What it may be used for.
    pub scopes: BTreeSet<Scope>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it is refused.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl Key {
    /// Whether the key may be used for this.
    pub fn allows(&self, scope: Scope) -> bool {
        self.revoked_at.is_none() && self.scopes.iter().any(|&held| held >= scope)
    }
}

/// The key itself. It is shown once, when it is made; `Debug` does not show it.
pub struct Secret(String);

impl Secret {
    fn new() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::io("the system's random numbers", error.into()))?;
        Ok(Self(format!("{PREFIX}{}", hex::encode(bytes))))
    }

    /// The text to hand to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}…")
    }
}

/// What is stored of a key: its SHA-256, in hexadecimal.
pub fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    scopes: String,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Key {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let scopes = row.scopes.split(',').map(str::parse).collect::<Result<_>>()?;
        let Row { id, name, created_at, revoked_at, .. } = row;
        Ok(Self { id, name, scopes, created_at, revoked_at })
    }
}

/// Checks what a new key is to be.
fn checked(name: &str, scopes: &BTreeSet<Scope>) -> Result<String> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.contains(char::is_control) {
        return Err(Error::Invalid("name: a key has a name of 1 to 100 characters".into()));
    }
    if scopes.is_empty() {
        return Err(Error::Invalid(
            "scopes: a key has at least one of read, generate, admin".into(),
        ));
    }
    Ok(name.into())
}

macro_rules! insert {
    ($tx:ident, $key:expr, $hash:expr) => {{
        let scopes: Vec<_> = $key.scopes.iter().map(|scope| scope.name()).collect();
        sqlx::query(
            "INSERT INTO api_keys (id, name, hash, scopes, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind($key.id)
        .bind(&$key.name)
        .bind($hash)
        .bind(scopes.join(","))
        .bind($key.created_at)
        .execute(&mut *$tx)
        .await?;
    }};
}

/// Makes a key.
///
/// # Errors
/// The name or the scopes are not valid, or the database fails.
pub async fn create(
    database: &Database,
    name: &str,
    scopes: BTreeSet<Scope>,
) -> Result<(Key, Secret)> {
    create_once(database, name, scopes, None).await
}

/// As [`create`], and under one `Idempotency-Key` once. The key itself is kept nowhere, so a
/// repeated request cannot be answered with it again, and is refused.
///
/// # Errors
/// As [`create`]; [`Error::Conflict`] where the request was carried out before, or its name was
/// used for another.
pub async fn create_once(
    database: &Database,
    name: &str,
    scopes: BTreeSet<Scope>,
    once: Option<Once<'_>>,
) -> Result<(Key, Secret)> {
    let name = checked(name, &scopes)?;
    let (key, secret) = fresh(name, scopes)?;
    transaction!(database, tx => {
        if let Some(once) = once && let Some(before) = remember!(tx, once, key.id, key.created_at) {
            return Err(Error::Conflict(format!(
                "the request of this Idempotency-Key made the key {}, which was shown then and is \
                 kept nowhere: if it was lost, revoke it and make another under another name",
                before.made
            )));
        }
        insert!(tx, key, hash(secret.expose()));
    });
    Ok((key, secret))
}

/// Makes the first key, for everything, unless a key that still holds may administer the others.
/// Of several processes that start at once, one makes it.
///
/// # Errors
/// The database fails.
pub async fn create_first(database: &Database) -> Result<Option<(Key, Secret)>> {
    let (key, secret) = fresh("first".into(), [Scope::Admin].into())?;
    let made = transaction!(database, tx => {
        // Writers to SQLite wait for each other from the start; on Postgres they do so here.
        if matches!(database, Database::Postgres(_)) {
            sqlx::query("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
        }
        let (count,): (i64,) = sqlx::query_as(
            "SELECT COUNT(*) FROM api_keys WHERE revoked_at IS NULL AND scopes LIKE '%admin%'",
        )
        .fetch_one(&mut *tx)
        .await?;
        if count == 0 {
            insert!(tx, key, hash(secret.expose()));
        }
        count == 0
    });
    Ok(made.then_some((key, secret)))
}

fn fresh(name: String, scopes: BTreeSet<Scope>) -> Result<(Key, Secret)> {
    // Databases keep microseconds: what is shown now is what is read later.
    let now = chrono::SubsecRound::trunc_subsecs(Utc::now(), 6);
    let key = Key { id: Uuid::now_v7(), name, scopes, created_at: now, revoked_at: None };
    Ok((key, Secret::new()?))
}

/// The key that this text is, revoked or not.
///
/// # Errors
/// The database fails.
pub async fn find(database: &Database, secret: &str) -> Result<Option<Key>> {
    if !secret.starts_with(PREFIX) {
        return Ok(None);
    }
    let row: Option<Row> = both!(database, pool =>
        sqlx::query_as("SELECT * FROM api_keys WHERE hash = $1")
            .bind(hash(secret))
            .fetch_optional(pool)
            .await?
    );
    row.map(Key::try_from).transpose()
}

/// Every key, the oldest first, revoked ones included.
///
/// # Errors
/// The database fails.
pub async fn list(database: &Database) -> Result<Vec<Key>> {
    let rows: Vec<Row> = both!(database, pool =>
        sqlx::query_as("SELECT * FROM api_keys ORDER BY id").fetch_all(pool).await?
    );
    rows.into_iter().map(Key::try_from).collect()
}

/// Revokes a key, for good. Doing so again changes nothing.
///
/// # Errors
/// There is no such key, or the database fails.
pub async fn revoke(database: &Database, id: Uuid) -> Result<Key> {
    let row: Option<Row> = transaction!(database, tx => {
        sqlx::query_as(
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2 RETURNING *",
        )
        .bind(Utc::now())
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?
    });
    Key::try_from(row.ok_or_else(|| Error::not_found("key", id))?)
}
