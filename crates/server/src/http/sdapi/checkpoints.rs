//! Models as this dialect names them.

use std::collections::HashSet;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::refused::{Refused, Result};
use crate::catalogue::{Known, Origin};
use crate::dataset::{Shelf, usable};
use crate::fingerprint::short;
use crate::http::auth::Read;
use crate::http::extract::Json;
use crate::http::{AppState, Problem};

/// A model
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SdModel, example = json!({
    "title": "pocket-paper-sd1 [9f86d08188]",
    "model_name": "pocket-paper-sd1",
    "hash": "9f86d08188",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "filename": "embedded/pocket-paper-sd1",
    "config": null
}))]
pub(super) struct Checkpoint {
    /// What `sd_model_checkpoint` takes, as it takes the other names
    pub(super) title: String,
    pub(super) model_name: String,
    /// The first digits of `sha256`
    pub(super) hash: Option<String>,
    /// What tells models apart
    pub(super) sha256: Option<String>,
    /// Where its folder is
    pub(super) filename: String,
    config: Option<String>,
}

impl Checkpoint {
    fn new(name: String, known: &Known, sha256: Option<String>) -> Self {
        let filename = match known.origin {
            Origin::Embedded => format!("embedded/{name}"),
            _ => known.location(),
        };
        let hash = sha256.as_deref().map(|hash| short(hash).to_owned());
        let title = match &hash {
            Some(hash) => format!("{name} [{hash}]"),
            None => name.clone(),
        };
        Self { title, model_name: name, hash, sha256, filename, config: None }
    }

    /// Whether a client means this one.
    fn is_called(&self, name: &str) -> bool {
        let is = |own: &str| own == name;
        let file = self.filename.rsplit(['/', '\\']).next();
        is(&self.title)
            || is(&self.model_name)
            || is(&self.filename)
            || file.is_some_and(is)
            || [&self.hash, &self.sha256].into_iter().flatten().any(|hash| is(hash))
    }
}

/// What checkpoints of one file end with.
const ENDINGS: [&str; 3] = [".safetensors", ".ckpt", ".pt"];

/// The one that a client means. A title that it kept from before its weights changed means it still.
pub(super) fn find<'a>(all: &'a [Checkpoint], name: &str) -> Option<&'a Checkpoint> {
    let name = name.trim();
    let without_hash = || {
        let (name, hash) = name.strip_suffix(']')?.rsplit_once(" [")?;
        hash.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(name)
    };
    let bare = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
    [Some(name), bare, without_hash()]
        .into_iter()
        .flatten()
        .find_map(|name| all.iter().find(|checkpoint| checkpoint.is_called(name)))
}

/// The models that can be used now; that of calls that name none is the first.
///
/// # Errors
/// The database; the folder of models cannot be read.
pub(super) async fn all(state: &AppState) -> Result<Vec<Checkpoint>> {
    let rows = state.database.models().all().await?;
    let root = state.config.storage.models.clone();
    let fingerprints = state.fingerprints.clone();
    let found = tokio::task::spawn_blocking(move || {
        let shelf = Shelf::discover(root.as_deref())?;
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        for row in &rows {
            let Ok(known) = shelf.known(row) else { continue };
            // Of those with the same name, each is called by its owner too.
            let is_only = rows.iter().filter(|other| other.name == row.name).count() == 1;
            let name =
                if is_only { row.name.clone() } else { format!("{}/{}", row.owner, row.name) };
            seen.insert(name.clone());
            all.push((name, known));
        }
        let mut found = shelf.without_row(&rows);
        // A shipped model whose row was removed is not wanted.
        found.retain(|known| known.origin != Origin::Embedded);
        found.sort_by_key(|known| known.origin == Origin::HuggingFaceCache);
        for known in found {
            if seen.insert(known.name.clone()) {
                all.push((known.name.clone(), known));
            }
        }
        all.retain(|(_, known)| usable(known).is_ok());
        all.sort_by_key(|(_, known)| !known.is_default());
        let checkpoint = |(name, known): (String, Known)| {
            let hash = fingerprints.of(&known.source).ok();
            Checkpoint::new(name, &known, hash)
        };
        anyhow::Ok(all.into_iter().map(checkpoint).collect())
    });
    let found = found.await.map_err(Problem::internal)?;
    Ok(found.map_err(|error: anyhow::Error| Problem::internal(format!("{error:#}")))?)
}

/// List the models that can be used
#[utoipa::path(
    get,
    path = "/sdapi/v1/sd-models",
    operation_id = "sd_models",
    tag = "sdapi",
    responses(
        (status = 200, description = "The models", body = Vec<Checkpoint>),
        (status = "default", description = "An error", body = super::refused::Refusal)
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    identity: Result<Read, Problem>,
) -> Result<Json<Vec<Checkpoint>>> {
    identity?;
    Ok(Json(all(&state).await?))
}

/// 404 for a name that no model has.
pub(super) fn unknown(name: &str) -> Refused {
    Refused::not_found(format!("model {name:?} not found; /sdapi/v1/sd-models lists what there is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_many_names() {
        let checkpoint = |name: &str, hash: &str, filename: &str| Checkpoint {
            title: format!("{name} [{hash}]"),
            model_name: name.into(),
            hash: Some(hash.into()),
            sha256: Some(hash.repeat(2)),
            filename: filename.into(),
            config: None,
        };
        let all = [
            checkpoint("cats", "0123", "/models/cats-v1"),
            checkpoint("dogs", "4567", "C:\\models\\dogs.ckpt"),
        ];
        let named = |name: &str| find(&all, name).map(|found| &*found.model_name);
        for name in [
            "cats",
            "cats [0123]",
            "cats [89ab]",
            "0123",
            "01230123",
            "/models/cats-v1",
            "cats-v1",
            "cats.ckpt",
        ] {
            assert_eq!(named(name), Some("cats"), "{name}");
        }
        assert_eq!(named(" dogs.ckpt "), Some("dogs"));
        assert_eq!(named("dogs.safetensors"), Some("dogs"));
        for name in ["", "cat", "[0123]", ".safetensors", "cat [0123]", "cats [new]"] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
