//! `/v1/models`, and which model a request means.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use diffusion_engine::ModelInfo;
use diffusion_jobs::Error;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Refusals;
use crate::dataset::{Shelf, usable};
use crate::http::auth::Read;
use crate::http::extract::{Json, Path};
use crate::http::{AppState, Problem, Result};

/// How the names of OpenAI's own image models begin. Its clients have some of them built in.
const FOREIGN: [&str; 3] = ["dall-e-", "gpt-image-", "chatgpt-image-"];

/// Where the models are listed.
const LIST: &str = "/v1/models";

/// Who owns a model that nobody has made known.
const OWNER: &str = "diffusion-server";

/// A model
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OpenAiModel, example = json!({
    "id": "pocket-paper-sd1", "object": "model", "created": 1763834400, "owned_by": "diffusion-server"
}))]
pub(super) struct Card {
    /// What requests call it
    id: String,
    /// Always `model`
    object: &'static str,
    /// When it was made known, in seconds since 1970; 0 for one that was only found
    created: i64,
    owned_by: String,
    /// The model that OpenAI's own name stands for
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
}

/// The models
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiModels)]
pub(super) struct Cards {
    /// Always `list`
    object: &'static str,
    data: Vec<Card>,
}

/// A model that was asked for.
pub(super) struct Chosen {
    /// As the request to our own queue calls it; none for the first at hand.
    pub(super) name: Option<String>,
    /// What its configuration says.
    pub(super) info: Arc<ModelInfo>,
}

/// The model that a request means: the one of this name, or for a name of OpenAI's own or none the
/// first at hand.
///
/// # Errors
/// 404: there is no such model, or none at all.
pub(super) async fn choose(state: &AppState, name: Option<&str>) -> Result<Chosen> {
    let name = name.filter(|name| !name.is_empty());
    let found = match state.resolver.model(name).await {
        Err(Error::Field { .. }) if name.is_some_and(is_foreign) => {
            let (_, info) = state.resolver.model(None).await.map_err(not_found)?;
            return Ok(Chosen { name: None, info });
        }
        found => found.map_err(not_found)?,
    };
    Ok(Chosen { name: name.map(str::to_owned), info: found.1 })
}

fn is_foreign(name: &str) -> bool {
    FOREIGN.iter().any(|prefix| name.starts_with(prefix))
}

fn not_found(error: Error) -> Problem {
    match error {
        Error::Field { message, .. } => {
            let text = format!("model: {}", listed_here(&message));
            Problem::new(StatusCode::NOT_FOUND, "model_not_found", text).field("model")
        }
        error => error.into(),
    }
}

/// A message about a model, with the list of this API where it leads to our own.
pub(super) fn listed_here(message: &str) -> String {
    message.replace("/api/v1/models", LIST)
}

/// All models that can be used.
async fn cards(state: &AppState) -> Result<Vec<Card>> {
    let rows = state.database.models().all().await?;
    let root = state.config.storage.models.clone();
    let look = move || {
        let shelf = Shelf::discover(root.as_deref()).map_err(|error| format!("{error:#}"))?;
        let mut cards = Vec::new();
        for row in &rows {
            let Some(known) = shelf.known(row).ok().filter(|known| usable(known).is_ok()) else {
                continue;
            };
            let card = Card {
                id: row.name.clone(),
                object: "model",
                created: row.install_ts.timestamp(),
                owned_by: row.owner.clone(),
                root: None,
            };
            cards.insert(if known.is_default() { 0 } else { cards.len() }, card);
        }
        let found = shelf.without_row(&rows).into_iter().filter(|known| usable(known).is_ok());
        cards.extend(found.map(|known| Card {
            id: known.name,
            object: "model",
            created: 0,
            owned_by: OWNER.into(),
            root: None,
        }));
        Ok::<_, String>(cards)
    };
    let looked = tokio::task::spawn_blocking(look).await.map_err(Problem::internal)?;
    let mut cards = looked.map_err(Problem::internal)?;
    // Of several that are called the same, each is named with its owner.
    let mut count: HashMap<String, usize> = HashMap::new();
    for card in &cards {
        *count.entry(card.id.clone()).or_default() += 1;
    }
    for card in &mut cards {
        if count[&card.id] > 1 {
            card.id = format!("{}/{}", card.owned_by, card.id);
        }
    }
    Ok(cards)
}

/// List the models that can be drawn with
///
/// OpenAI's own names are not among them, and can be used all the same: they stand for the first
/// model at hand.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "openai_list_models",
    tag = "openai",
    responses((status = 200, description = "All of them", body = Cards), Refusals)
)]
pub(super) async fn list(State(state): State<AppState>, _: Read) -> Result<Json<Cards>> {
    Ok(Json(Cards { object: "list", data: cards(&state).await? }))
}

/// Show a model
///
/// A name of OpenAI's own is shown with the model that it stands for, `root`.
#[utoipa::path(
    get,
    path = "/v1/models/{model}",
    operation_id = "openai_get_model",
    tag = "openai",
    params(("model" = String, Path, description = "Its name", example = "pocket-paper-sd1")),
    responses((status = 200, description = "The model", body = Card), Refusals)
)]
pub(super) async fn get(
    State(state): State<AppState>,
    _: Read,
    Path(name): Path<String>,
) -> Result<Json<Card>> {
    show(&state, &name).await
}

/// [`get`], for a name with a slash in it.
pub(super) async fn get_owned(
    State(state): State<AppState>,
    _: Read,
    Path((owner, name)): Path<(String, String)>,
) -> Result<Json<Card>> {
    show(&state, &format!("{owner}/{name}")).await
}

async fn show(state: &AppState, name: &str) -> Result<Json<Card>> {
    let cards = cards(state).await?;
    if let Some(card) = cards.iter().find(|card| card.id == name) {
        return Ok(Json(card.clone()));
    }
    if is_foreign(name) {
        let (root, _) = state.resolver.model(None).await.map_err(not_found)?;
        if let Some(card) = cards.into_iter().find(|card| card.id == root) {
            return Ok(Json(Card { id: name.into(), root: Some(root), ..card }));
        }
    }
    let text = format!("there is no model {name:?}; see {LIST}");
    Err(Problem::new(StatusCode::NOT_FOUND, "model_not_found", text).field("model"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_openai() {
        for name in
            ["dall-e-2", "dall-e-3", "gpt-image-1", "gpt-image-1-mini", "chatgpt-image-latest"]
        {
            assert!(is_foreign(name), "{name}");
        }
        for name in ["", "gpt-4o", "pocket-paper-sd1", "my-dall-e-3"] {
            assert!(!is_foreign(name), "{name}");
        }
    }
}
