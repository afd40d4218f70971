//! `/api/v1/models`: the models that were made known, and those that were found.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use diffusion_jobs::models::{DEFAULT_HOST, Model};
use diffusion_jobs::records::{Change, Page, PageOf};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::lists::{ListQuery, aside, given, refuse};
use crate::dataset::{ModelView, Shelf};
use crate::http::accept::idempotency;
use crate::http::auth::{Admin, Read};
use crate::http::error::Details;
use crate::http::extract::{Json, Path, Query};
use crate::http::once::{self, Making};
use crate::http::{AppState, Problem, Problems, Result};

/// Where the models are.
const PLACE: &str = "/api/v1/models";

/// A page of the models
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ModelList {
    /// In the order of name and owner
    models: Vec<ModelView>,
    /// `cursor` of the next page; null on the last one
    next: Option<String>,
}

/// Does something with what is found, looked for anew.
async fn with_shelf<T: Send + 'static>(
    state: &AppState,
    work: impl FnOnce(&Shelf) -> Result<T> + Send + 'static,
) -> Result<T> {
    let root = state.config.storage.models.clone();
    aside(move || {
        let shelf = Shelf::discover(root.as_deref());
        work(&shelf.map_err(|error| Problem::internal(format!("{error:#}")))?)
    })
    .await?
}

async fn view(state: &AppState, row: Model) -> Result<Json<ModelView>> {
    with_shelf(state, move |shelf| Ok(Json(ModelView::of_row(row, shelf)))).await
}

/// One entry of the list, before its weights are looked at.
enum Listed {
    Row(Model),
    Found(crate::catalogue::Known),
}

impl Listed {
    fn key(&self) -> (&str, &str) {
        match self {
            Self::Row(row) => (&row.name, &row.owner),
            Self::Found(known) => (&known.name, ""),
        }
    }

    fn view(self, shelf: &Shelf) -> ModelView {
        match self {
            Self::Row(row) => ModelView::of_row(row, shelf),
            Self::Found(known) => ModelView::found(&known),
        }
    }
}

/// List the models
///
/// Those that were made known, whether their weights are there or not, and those that were found
/// without being made known: their `id` is null, and they can be used by name all the same.
#[utoipa::path(
    get,
    path = "/api/v1/models",
    operation_id = "list_models",
    tag = "models",
    params(ListQuery),
    responses((status = 200, description = "A page", body = ModelList), Problems)
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    _: Read,
    Query(query): Query<ListQuery>,
) -> Result<Json<ModelList>> {
    let page = Page::from(query);
    let rows = state.database.models().all().await?;
    with_shelf(&state, move |shelf| {
        let found = shelf.without_row(&rows).into_iter().map(Listed::Found);
        let all = rows.into_iter().map(Listed::Row).chain(found).collect();
        let PageOf { rows, next } = page.cut(all, Listed::key)?;
        let models = rows.into_iter().map(|listed| listed.view(shelf)).collect();
        Ok(Json(ModelList { models, next }))
    })
    .await
}

/// Show a model's row
#[utoipa::path(
    get,
    path = "/api/v1/models/{id}",
    operation_id = "get_model",
    tag = "models",
    params(("id" = Uuid, Path, description = "The model",
        example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a91")),
    responses((status = 200, description = "The model", body = ModelView), Problems)
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    _: Read,
    Path(id): Path<Uuid>,
) -> Result<Json<ModelView>> {
    let row = state.database.models().get(id).await?;
    view(&state, row).await
}

/// A model to make known: its folder, or owner and name as Hugging Face has them
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AddModel {
    /// A diffusers folder below the folder of models; it must be usable
    #[serde(default)]
    #[schema(example = "cats/tom-v2")]
    path: Option<String>,
    /// [default: the folder's name]
    #[serde(default)]
    #[schema(example = "tom")]
    name: Option<String>,
    /// [default of a folder: local]
    #[serde(default)]
    #[schema(example = "me")]
    owner: Option<String>,
    #[serde(default)]
    #[schema(example = "trained on my cat")]
    description: Option<String>,
    /// Anything else
    #[serde(default)]
    meta: Map<String, Value>,
}

/// Make a model known
///
/// It can be used at once if its weights are there, else as soon as they are.
#[utoipa::path(
    post,
    path = "/api/v1/models",
    operation_id = "add_model",
    tag = "models",
    params(("Idempotency-Key" = Option<String>, Header, description = once::DESCRIPTION,
        example = "d9e1")),
    request_body(content = AddModel, examples(
        ("a folder" = (value = json!({"path": "tom-v2", "name": "tom", "owner": "me"}))),
        ("from Hugging Face" = (value = json!({
            "owner": "stabilityai", "name": "stable-diffusion-2-1"
        }))),
    )),
    responses(
        (status = 201, description = "It is known", body = ModelView,
            headers(("Location" = String, description = "Where its row is"))),
        (status = 409, description = "Its owner has another model of this name", body = Details,
            content_type = "application/problem+json"),
        Problems
    )
)]
pub(in crate::http) async fn add(
    State(state): State<AppState>,
    Admin(identity): Admin,
    headers: HeaderMap,
    Json(add): Json<AddModel>,
) -> Result<Response> {
    let key = idempotency(&headers, PLACE, &add)?;
    let making = Making { place: PLACE, owner: identity.owner, key };
    if let Some(answer) = making.before(&state).await? {
        return Ok(answer);
    }
    let AddModel { path, name, owner, description, meta } = add;
    let mut row = match (path, name, owner) {
        (Some(path), name, owner) => {
            let owner = owner.unwrap_or_else(|| "local".into());
            with_shelf(&state, move |shelf| {
                let found = shelf.folder(&path);
                let row = found.and_then(|folder| shelf.describe(&folder, name, &owner));
                row.map_err(|why| refuse("path", why))
            })
            .await?
        }
        (None, Some(name), Some(owner)) => Model::new(name, owner, DEFAULT_HOST),
        (None, None, _) => return Err(refuse("name", "is missing, and so is path")),
        (None, _, None) => return Err(refuse("owner", "is missing, and so is path")),
    };
    row.description = description;
    // What says where the weights are stays in any case.
    let folder = std::mem::replace(&mut row.meta, meta);
    row.meta.extend(folder);
    let Json(view) = view(&state, row.clone()).await?;
    let body = serde_json::to_string(&view).map_err(Problem::internal)?;
    let id = row.id;
    making.insert(state.database.models(), row, id, body).await.answer()
}

/// New values of a model; what is left out stays
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"description": "trained on my cat"}))]
pub(in crate::http) struct EditModel {
    /// At most 255 characters
    name: Option<String>,
    /// At most 255 characters
    owner: Option<String>,
    /// Where its weights come from
    hosted: Option<String>,
    /// Replaces the whole object; `folder` in it is that of the weights, below the folder of models
    meta: Option<Map<String, Value>>,
    /// Null takes it away
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
}

/// Change a model's row
#[utoipa::path(
    patch,
    path = "/api/v1/models/{id}",
    operation_id = "edit_model",
    tag = "models",
    params(("id" = Uuid, Path, description = "The model",
        example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a91")),
    request_body = EditModel,
    responses(
        (status = 200, description = "The model as it is now", body = ModelView),
        (status = 409, description = "Its owner has another model of this name", body = Details,
            content_type = "application/problem+json"),
        Problems
    )
)]
pub(in crate::http) async fn edit(
    State(state): State<AppState>,
    _: Admin,
    Path(id): Path<Uuid>,
    Json(edit): Json<EditModel>,
) -> Result<Json<ModelView>> {
    let EditModel { name, owner, hosted, meta, description } = edit;
    let change = Change { name, owner, place: hosted, meta, description };
    let row = state.database.models().update(id, &change).await?;
    view(&state, row).await
}

/// Forget a model
///
/// Its weights stay where they are.
#[utoipa::path(
    delete,
    path = "/api/v1/models/{id}",
    operation_id = "remove_model",
    tag = "models",
    params(("id" = Uuid, Path, description = "The model",
        example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a91")),
    responses((status = 204, description = "It is forgotten"), Problems)
)]
pub(in crate::http) async fn remove(
    State(state): State<AppState>,
    _: Admin,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    state.database.models().delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
