//! `/api/v1/keys`: API keys, for administrators.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use diffusion_jobs::idempotency::Once;
use diffusion_jobs::keys::{self, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::accept::idempotency;
use crate::http::auth::Admin;
use crate::http::error::Details;
use crate::http::extract::{Json, Path};
use crate::http::{AppState, Problems, Result};

/// What a key may be used for; each includes those before it
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ScopeName {
    /// To see jobs, images and models
    Read,
    /// To make jobs
    Generate,
    /// To change everything, keys included
    Admin,
}

/// The key to make
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NewKey {
    /// What it is for: 1 to 100 characters
    #[schema(example = "the gallery", min_length = 1, max_length = 100)]
    name: String,
    /// What it may be used for
    #[schema(example = json!(["generate"]), min_items = 1, max_items = 3)]
    scopes: Vec<ScopeName>,
}

/// An API key, without the key itself
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Key {
    /// Names the key, also as the owner of jobs
    id: Uuid,
    /// What it is for
    #[schema(example = "the gallery")]
    name: String,
    /// What it may be used for
    scopes: Vec<ScopeName>,
    /// When it was made
    created_at: DateTime<Utc>,
    /// Since when it is refused; null while it is not
    revoked_at: Option<DateTime<Utc>>,
}

/// A new API key
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct MadeKey {
    /// The key, to be sent with requests. It is shown this once
    #[schema(example = "dsk_0000000000000000000000000000000000000000000000000000000000000000")]
    key: String,
    #[serde(flatten)]
    record: Key,
}

/// All API keys
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct KeyList {
    /// The oldest first, revoked ones included
    keys: Vec<Key>,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Read => Self::Read,
            ScopeName::Generate => Self::Generate,
            ScopeName::Admin => Self::Admin,
        }
    }
}

impl From<Scope> for ScopeName {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Generate => Self::Generate,
            Scope::Admin => Self::Admin,
        }
    }
}

impl From<keys::Key> for Key {
    fn from(key: keys::Key) -> Self {
        let keys::Key { id, name, scopes, created_at, revoked_at } = key;
        let scopes = scopes.into_iter().map(ScopeName::from).collect();
        Self { id, name, scopes, created_at, revoked_at }
    }
}

/// List API keys
#[utoipa::path(
    get,
    path = "/api/v1/keys",
    operation_id = "list_keys",
    tag = "keys",
    responses((status = 200, description = "All keys", body = KeyList), Problems)
)]
pub(in crate::http) async fn list(
    _: Admin,
    State(state): State<AppState>,
) -> Result<Json<KeyList>> {
    let keys = keys::list(&state.database).await?;
    Ok(Json(KeyList { keys: keys.into_iter().map(Key::from).collect() }))
}

/// Make an API key
///
/// The key is shown in this answer alone and kept nowhere: the same request under the same
/// `Idempotency-Key` makes no other one, and is answered with 409 and the first one's id.
#[utoipa::path(
    post,
    path = "/api/v1/keys",
    operation_id = "create_key",
    tag = "keys",
    params(("Idempotency-Key" = Option<String>, Header, example = "d9e1",
        description = "Any text of at most 255 characters; kept for 48 hours")),
    request_body = NewKey,
    responses(
        (status = 201, description = "The new key", body = MadeKey),
        (status = 409, description = "The `Idempotency-Key` was used: the key that was made then is \
            not shown again", body = Details, content_type = "application/problem+json"),
        Problems
    )
)]
pub(in crate::http) async fn create(
    Admin(identity): Admin,
    State(state): State<AppState>,
    headers: HeaderMap,
    Json(new): Json<NewKey>,
) -> Result<(StatusCode, Json<MadeKey>)> {
    let key = idempotency(&headers, "/api/v1/keys", &new)?;
    let once = key.as_ref().map(|key| Once { owner: identity.owner, key, answer: None });
    let scopes: BTreeSet<Scope> = new.scopes.into_iter().map(Scope::from).collect();
    let (key, secret) = keys::create_once(&state.database, &new.name, scopes, once).await?;
    tracing::info!(key = %key.id, "API key made");
    let made = MadeKey { key: secret.expose().into(), record: key.into() };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Revoke an API key
///
/// It is refused from now on, for good; by other servers of the same database within two seconds.
#[utoipa::path(
    delete,
    path = "/api/v1/keys/{id}",
    operation_id = "revoke_key",
    tag = "keys",
    params(("id" = Uuid, Path, description = "The key's id",
        example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a92")),
    responses((status = 200, description = "The revoked key", body = Key), Problems)
)]
pub(in crate::http) async fn revoke(
    _: Admin,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<Json<Key>> {
    let key = keys::revoke(&state.database, id).await?;
    state.keyring.forget(id);
    tracing::info!(key = %key.id, "API key revoked");
    Ok(Json(key.into()))
}
